"""Candidates ranked by the strategy's own score, from bars whose dependence is known."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from counterpoise.app.cli.main import app
from counterpoise.domain.errors import DataError, SettingsError
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.bars import BarTable
from counterpoise.lab.market_now import from_data
from counterpoise.lab.ranking import Ranked, rank
from counterpoise.strategy import candidates
from counterpoise.strategy.parameters import StrategyParameters
from lab_world import START_NS, write

CORE = "BTCUSDT"
#: Moves with the core at twice its size, by itself, and against the core.
WITH, ALONE, AGAINST = "ETHUSDT", "SOLUSDT", "XRPUSDT"
NAMES = (CORE, WITH, ALONE, AGAINST)
DAYS = 5
ROWS = DAYS * 288
VOLUME = 1_000.0


def returns() -> np.ndarray:
    random = np.random.default_rng(5)
    core = random.normal(0.0, 0.002, ROWS)
    noise = random.normal(0.0, 0.0002, (ROWS, 3))
    alone = random.normal(0.0, 0.002, ROWS)
    return np.stack((core, 2 * core + noise[:, 0], alone, noise[:, 2] - core), axis=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranked")
    closes = 100.0 * np.exp(np.cumsum(returns(), axis=0))
    opens = np.vstack((np.full((1, len(NAMES)), 100.0), closes[:-1]))
    bars = BarTable(
        instrument_ids=NAMES,
        step_seconds=300,
        open_ns=START_NS + np.arange(ROWS, dtype=np.int64) * 300 * NS_PER_SECOND,
        open=opens,
        high=np.maximum(opens, closes),
        low=np.minimum(opens, closes),
        close=closes,
        volume=np.full(closes.shape, VOLUME),
    )
    write(folder, bars)
    charged_ms = START_NS // NS_PER_MS + np.arange(1, DAYS * 3, dtype=np.int64) * 8 * 3_600_000
    (folder / "funding").mkdir()
    for name, rate in ((WITH, 0.0002), (AGAINST, 0.0001)):
        rows = {"ts": charged_ms, "rate": np.full(len(charged_ms), rate)}
        parquet.write_table(pa.table(rows), folder / "funding" / f"{name}.parquet")
    return folder


def strategy(**changed: object) -> StrategyParameters:
    values: dict[str, object] = {
        "core_instrument": CORE,
        "hedge_candidates": (ALONE, AGAINST, WITH),
        "hedge_legs": 2,
    }
    return StrategyParameters(**{**values, **changed})  # type: ignore[arg-type]


def ranked(data: Path, sign: int = 1, **changed: object) -> dict[str, Ranked]:
    moment = from_data(data, None, NAMES, sign, Assumptions())
    rows = rank(moment.market, moment.signals, strategy(core_side=_side(sign), **changed))
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    scores = [row.score for row in rows if row.score is not None]
    assert scores == sorted(scores, reverse=True)
    return {row.instrument_id: row for row in rows}


def _side(sign: int) -> str:
    return "long" if sign > 0 else "short"


def test_what_offsets_the_core_comes_first_on_its_better_side(data: Path) -> None:
    rows = ranked(data)
    assert list(rows)[2] == ALONE
    assert {name: row.side for name, row in rows.items() if name != ALONE} == {
        WITH: "short",
        AGAINST: "long",
    }
    assert [rows[name].chosen for name in (WITH, AGAINST, ALONE)] == [True, True, False]
    assert rows[WITH].leg_correlation == pytest.approx(-0.995, abs=0.004)
    assert rows[AGAINST].leg_correlation == pytest.approx(-0.995, abs=0.004)
    assert abs(rows[ALONE].leg_correlation or 1) < 0.35
    assert rows[WITH].beta == pytest.approx(2, rel=0.15)
    assert rows[AGAINST].beta == pytest.approx(-1, rel=0.15)
    assert all(row.refused == "" for row in rows.values())


def test_the_figures_are_the_strategys_own(data: Path) -> None:
    moment = from_data(data, None, NAMES, 1, Assumptions())
    parameters = strategy()
    for row in rank(moment.market, moment.signals, parameters):
        view = moment.market.instruments[row.instrument_id]
        best = candidates.best_side(view, None, moment.signals, parameters)
        assert (row.score, row.leg_correlation) == (best.score, best.leg_correlation)
        assert row.side == ("long" if best.side > 0 else "short")
        assert row.cost_bps_per_day == candidates.cost_bps_per_day(view, parameters)
        assert row.history_days == pytest.approx(DAYS, abs=0.1)


def test_carry_is_of_the_side_and_volume_of_the_last_day(data: Path) -> None:
    rows = ranked(data)
    # Three charges a day: a short leg receives 2 bps each, a long one pays 1.
    assert rows[WITH].carry_bps_per_day == pytest.approx(6)
    assert rows[AGAINST].carry_bps_per_day == pytest.approx(-3)
    moment = from_data(data, None, NAMES, 1, Assumptions())
    for name in (WITH, AGAINST):
        mark = float(moment.market.instruments[name].mark or 0)
        assert rows[name].volume_quote == pytest.approx(288 * VOLUME * mark, rel=0.3)
        rules = moment.market.instruments[name].instrument
        assert rows[name].order_min == rules.quantity_min * moment.market.instruments[name].mark


def test_a_short_core_turns_every_side(data: Path) -> None:
    rows = ranked(data, sign=-1)
    assert (rows[WITH].side, rows[AGAINST].side) == ("long", "short")


def test_what_the_strategy_refuses_is_ranked_and_says_why(data: Path) -> None:
    rows = ranked(data, history_days_min=40.0)
    assert all("days of history" in row.refused for row in rows.values())
    assert not any(row.chosen for row in rows.values())
    thin = ranked(data, volume_quote_min=1e12)
    assert all("24 h volume below" in row.refused for row in thin.values())


def test_an_earlier_end_knows_nothing_later(data: Path) -> None:
    end_ns = START_NS + 4 * 86_400 * NS_PER_SECOND
    moment = from_data(data, None, NAMES, 1, Assumptions(), end_ns)
    assert moment.market.now_ns < end_ns
    assert moment.signals.sampled_ns is not None
    assert moment.signals.sampled_ns <= end_ns


def test_an_instrument_without_bars_is_named(data: Path) -> None:
    with pytest.raises(DataError, match="MOONUSDT"):
        from_data(data, None, (CORE, "MOONUSDT"), 1, Assumptions())


# -- the command -----------------------------------------------------------------------------


def called(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_the_command_ranks_all_of_the_data(data: Path) -> None:
    told = json.loads(called("instruments", "--data", data, "--json"))
    assert [row["rank"] for row in told] == [1, 2, 3]
    assert {row["instrument_id"] for row in told[:2]} == {WITH, AGAINST}
    rows = ranked(data, hedge_candidates=(WITH, ALONE, AGAINST), hedge_legs=3)
    for row in told:
        assert row["score"] == rows[row["instrument_id"]].score
    table = called("instruments", "--data", data, "--candidates", WITH)
    assert WITH in table
    assert ALONE not in table


def test_another_core_is_ranked_for_too(data: Path) -> None:
    told = json.loads(called("instruments", "--data", data, "--core", WITH, "--json"))
    assert {row["instrument_id"] for row in told} == {CORE, ALONE, AGAINST}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--candidates", f"{WITH},{CORE}"), "without the core BTCUSDT"),
        (("--candidates", f"{WITH},{WITH}"), "each once"),
        (("--venue", "ftx"), "--venue ftx"),
    ],
)
def test_a_wrong_option_says_what_is_allowed(
    data: Path, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        called("instruments", "--data", data, *arguments)
