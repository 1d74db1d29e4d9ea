"""Whatever holds the daemon back has words for a person."""

from decimal import Decimal

import pytest

from counterpoise.app import configuration, holding
from counterpoise.app.narrator import Narrator
from counterpoise.app.runner import Runner
from counterpoise.app.settings import Settings
from counterpoise.engine import views
from counterpoise.engine.contradiction import Contradiction
from counterpoise.engine.trading_state import MEANINGS, Cause
from engine_world import ready
from scripted_venue import SettableClock


@pytest.fixture
def settings(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path))
    return configuration.load("demo")


def test_every_cause_says_what_it_means_and_what_ends_it() -> None:
    rows = holding.explained(cause.value for cause in Cause)
    assert [row["held_back_by"] for row in rows] == [cause.value for cause in Cause]
    assert all(row["meaning"].endswith(".") and row["ends"] for row in rows)
    assert set(MEANINGS) == set(Cause)
    (halted,) = holding.explained(["invariant"])
    assert "resume --from-halt" in halted["ends"]


def test_inputs_are_explained_by_their_code() -> None:
    rows = holding.explained(["BTCUSDT: MARK_STALE", "ACCOUNT_STALE", "risk_loop"])
    assert [row["meaning"] for row in rows] == [
        "The mark is too old.",
        "The account's stream says nothing.",
        "The risk loop stands still.",
    ]


async def test_an_account_that_is_contradicted_is_told_and_explained(settings: Settings) -> None:
    world = ready(positions={"BTCUSDT": ("0.1", "50000")})
    runner = Runner(world.state, SettableClock(world.now_ns))
    told = Narrator(runner, settings, SettableClock(world.now_ns))
    assert views.CONTRADICTED not in told.status()["held_back_by"]
    world.state.account.contradicted["BTCUSDT"] = Contradiction(
        quantity=Decimal("0.2"), asked_ns=1, since_ns=2
    )
    assert views.CONTRADICTED in told.status()["held_back_by"]
    (row,) = holding.explained([views.CONTRADICTED])
    assert "second answer" in row["ends"]


def test_only_what_a_restart_finds_again_is_left_by_a_run() -> None:
    causes = ["stopping", "operator", "database", "flattening", "account"]
    assert holding.left_by_the_last_run(causes) == ["flattening", "operator"]
