"""Whatever holds the daemon back has words for a person."""

from counterpoise.app import holding
from counterpoise.engine.trading_state import MEANINGS, Cause


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


def test_only_what_a_restart_finds_again_is_left_by_a_run() -> None:
    causes = ["stopping", "operator", "database", "flattening", "account"]
    assert holding.left_by_the_last_run(causes) == ["flattening", "operator"]
