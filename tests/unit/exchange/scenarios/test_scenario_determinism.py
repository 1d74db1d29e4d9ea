"""Same seed and scenario: the same market log, whatever the speed and the cuts; and saving."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.market_log import market_log
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios.bars import bars_from_rows
from counterpoise.exchange.scenarios.script import Conditions, Phase, Scenario
from counterpoise.simulator.scenarios import load_scenario

OPENED_NS = 1_800_000_000 * NS_PER_SECOND
SECONDS = 24
STORM = Scenario(
    name="storm",
    summary="All of it in half a minute.",
    resilience_seconds=5.0,
    phases=(
        Phase(
            name="fall",
            start_seconds=3,
            seconds=10,
            markets=(
                ("BTCUSDT", Conditions(jump=-0.02, volatility=5.0, depth=0.2, spread=30.0)),
                ("default", Conditions(move=-0.2, volatility=6.0, correlation=0.9,
                                       bids_absent=0.3, mark_lag_seconds=5.0, basis_bps=-80.0)),
            ),
        ),
        Phase(
            name="back",
            start_seconds=15,
            seconds=6,
            markets=(("default", Conditions(move=0.1, funding_interval_hours=1)),),
        ),
    ),
)  # fmt: skip


def played(parameters: ExchangeParameters, cuts_ns: Iterator[int]) -> str:
    venue = Exchange.create(parameters, OPENED_NS, STORM)
    end_ns = OPENED_NS + SECONDS * NS_PER_SECOND
    log = []
    for cut_ns in cuts_ns:
        log.append(market_log(venue.advance(min(cut_ns, end_ns))))
        if cut_ns >= end_ns:
            break
    return "".join(log)


def at_speed(speed: float, tick_ms: int = 50) -> Iterator[int]:
    """Yield market time as a server that wakes every `tick_ms` of wall time asks for it."""
    wall_ns = 0
    while True:
        wall_ns += tick_ms * NS_PER_MS
        yield OPENED_NS + int(wall_ns * speed)


@pytest.fixture(scope="module")
def log_whole(parameters: ExchangeParameters) -> str:
    return played(parameters, iter([OPENED_NS + SECONDS * NS_PER_SECOND]))


@pytest.mark.parametrize("speed", [1.0, 7.3, 60.0, 400.0])
def test_log_is_the_same_at_any_speed(
    parameters: ExchangeParameters, log_whole: str, speed: float
) -> None:
    assert played(parameters, at_speed(speed)) == log_whole


def test_log_is_the_same_twice_and_has_everything(
    parameters: ExchangeParameters, log_whole: str
) -> None:
    cuts = [OPENED_NS + each * NS_PER_MS for each in (1, 249, 250, 3_001, 12_999, 13_250, 24_000)]
    assert played(parameters, iter(cuts)) == log_whole
    rows = [json.loads(line) for line in log_whole.splitlines()]
    assert {row["event"] for row in rows} == {
        "BookChanged", "LiquidationPrinted", "MarkChanged", "TradePrinted",
    }  # fmt: skip
    times = [row["event_ns"] for row in rows]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (OPENED_NS + 250 * NS_PER_MS, OPENED_NS + SECONDS * 10**9)
    first = next(row for row in rows if row["event"] == "MarkChanged")
    assert list(first) == sorted(first)
    assert isinstance(first["mark"], str)


def test_another_seed_gives_another_log(parameters: ExchangeParameters, log_whole: str) -> None:
    other = replace(parameters, seed=8)
    assert played(other, iter([OPENED_NS + SECONDS * NS_PER_SECOND])) != log_whole


def test_a_leap_walks_every_step(parameters: ExchangeParameters) -> None:
    coarse = replace(parameters, instruments=parameters.instruments[:2], step_ms=15_000)
    script = load_scenario("cascade_2025_10_10")
    leap, steps = (Exchange.create(coarse, OPENED_NS, script) for _ in range(2))
    until_ns = OPENED_NS + 45 * NS_PER_MINUTE
    whole = market_log(leap.advance(until_ns))
    cut = [market_log(steps.advance(OPENED_NS + n * NS_PER_MINUTE)) for n in range(1, 46)]
    assert whole == "".join(cut)
    assert leap.save() == steps.save()


@pytest.mark.parametrize("after_ms", [8_130, 14_000, 17_250])
def test_restored_scenario_continues_bit_by_bit(
    parameters: ExchangeParameters, after_ms: int
) -> None:
    venue = Exchange.create(parameters, OPENED_NS, STORM)
    venue.shock("BTCUSDT", -0.03, 15.0)
    venue.advance(OPENED_NS + after_ms * NS_PER_MS)
    text = json.dumps(venue.save())
    restored = Exchange.restore(parameters, json.loads(text), STORM)
    assert restored.phase == venue.phase
    assert json.dumps(restored.save()) == text
    until_ns = OPENED_NS + SECONDS * NS_PER_SECOND
    assert market_log(restored.advance(until_ns)) == market_log(venue.advance(until_ns))
    assert restored.save() == venue.save()


def test_restore_refuses_another_scenario(parameters: ExchangeParameters) -> None:
    saved = Exchange.create(parameters, OPENED_NS, STORM).save()
    for other in (None, replace(STORM, cascade=0.5), load_scenario("calm")):
        with pytest.raises(ValueError, match="another scenario"):
            Exchange.restore(parameters, saved, other)
    plain = Exchange.create(parameters, OPENED_NS).save()
    with pytest.raises(ValueError, match="another scenario"):
        Exchange.restore(parameters, plain, STORM)
    assert Exchange.restore(parameters, plain).scenario is None


def test_bars_are_told_apart(parameters: ExchangeParameters) -> None:
    row = (0, 100.0, 101.0, 99.0, 100.0, 1.0)
    rows = {each.instrument.instrument_id: [row] for each in parameters.instruments}
    one = replace(STORM, bars=bars_from_rows(rows, 60))
    other = replace(
        STORM, bars=bars_from_rows({**rows, "BTCUSDT": [(0, 9.0, 9.0, 9.0, 9.0, 1.0)]}, 60)
    )
    saved = Exchange.create(parameters, OPENED_NS, one).save()
    with pytest.raises(ValueError, match="another scenario"):
        Exchange.restore(parameters, saved, other)
