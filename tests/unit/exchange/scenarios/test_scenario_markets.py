"""How markets behave on a bad day: extremes, correlation, cascades, books, basis and funding."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.constants import Floats
from counterpoise.exchange.events import FundingRateChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.market import MarketModel
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters
from counterpoise.exchange.scenarios.script import Conditions, Phase, Scenario
from counterpoise.exchange.scenarios.stress import DEPTH_MIN
from counterpoise.simulator.scenarios import load_scenario

OPENED_NS = 1_800_000_000 * NS_PER_SECOND
#: Places of the demonstration's markets.
BTC, ETH, SOL, XRP, DOGE, LTC = range(6)
CALM = Scenario(name="calm", summary="Nothing.")


@dataclass
class Walk:
    """A market model walked alone: fractions from the opening, shape (steps, markets)."""

    index: Floats
    mark: Floats
    depth: Floats
    spread: Floats
    flow: Floats
    leverage: Floats


@cache
def walk(
    scenario: Scenario,
    seconds: float,
    step: float,
    seed: int = 7,
    shocks: tuple[tuple[int, float], ...] = (),
) -> Walk:
    model = MarketModel(demo_parameters(seed), 0.0, scenario, OPENED_NS)
    stress = model.stress
    assert stress is not None
    for place, fraction in shocks:
        model.shock(place, fraction, 30.0)
    start = np.array([float(each.price_start) for each in demo_parameters(seed).instruments])
    tick = np.array(
        [float(each.instrument.tick_size) for each in demo_parameters(seed).instruments]
    )
    rows = []
    for number in range(1, int(seconds / step) + 1):
        frame = model.step(number, step, OPENED_NS + int(number * step * NS_PER_SECOND))
        rows.append(
            (
                np.array(frame.index_ticks) * tick / start - 1.0,
                np.array(frame.mark_ticks) * tick / start - 1.0,
                stress.depth,
                stress.spread,
                stress.flow,
                stress._leverage[0].copy(),
            )
        )
    return Walk(*(np.array(column) for column in zip(*rows, strict=True)))


def test_the_cascade_of_october_reaches_its_extremes() -> None:
    seen = walk(load_scenario("cascade_2025_10_10"), 3_000, 3.0)
    low = seen.index.min(axis=0)
    assert -0.15 <= low[BTC] <= -0.11
    for place, documented in {ETH: -0.48, SOL: -0.52, XRP: -0.55, DOGE: -0.59, LTC: -0.61}.items():
        assert low[place] == pytest.approx(documented, abs=0.02)
    assert (low[1:] <= -0.40).all()
    assert (low[1:] >= -0.63).all()
    before, after = seen.index[699], seen.index[719]
    assert (1 + after[BTC]) / (1 + before[BTC]) == pytest.approx(0.95, abs=1e-6)
    assert (1 + after[LTC]) / (1 + before[LTC]) == pytest.approx(0.45, abs=1e-4)
    back = (seen.index[-1] - low) / -low
    assert (back > 0.5).all()
    assert (back < 1.0).all()
    assert (seen.depth.min(axis=0) < 0.1).all()
    assert (seen.spread.max(axis=0) > 100).all()
    # The mark, 30 s behind, is still far above when the minute of the burst ends.
    assert seen.mark[719, LTC] - seen.index[719, LTC] > 0.1


@pytest.mark.parametrize(
    ("name", "seconds", "step", "lowest", "highest", "end"),
    [
        ("covid_two_legs", 55_500, 60, ((-0.52, -0.45), (-0.60, -0.53)), None, (-0.32, -0.41)),
        ("grind_2021_05_19", 43_800, 60, ((-0.33, -0.29), (-0.45, -0.39)), None, (-0.155, -0.25)),
        ("squeeze", 3_600, 10, None, ((0.10, 0.13), (0.25, 0.31)), (0.10, 0.25)),
        ("venue_dark", 8_700, 30, ((-0.21, -0.16), (-0.33, -0.26)), None, (-0.164, -0.262)),
        ("choppy", 14_400, 30, ((-0.03, -0.005), (-0.04, -0.005)), ((0.02, 0.04), (0.03, 0.055)),
         (0.0, 0.0)),
    ],
)  # fmt: skip
def test_scripts_reach_their_extremes(
    name: str,
    seconds: int,
    step: float,
    lowest: tuple[tuple[float, float], ...] | None,
    highest: tuple[tuple[float, float], ...] | None,
    end: tuple[float, float],
) -> None:
    seen = walk(load_scenario(name), seconds, step)
    for spans, found in ((lowest, seen.index.min(axis=0)), (highest, seen.index.max(axis=0))):
        if spans is not None:
            (core_from, core_to), (alts_from, alts_to) = spans
            assert core_from <= found[BTC] <= core_to
            assert (found[1:] >= alts_from).all(), found
            assert (found[1:] <= alts_to).all(), found
    assert seen.index[-1, BTC] == pytest.approx(end[0], abs=0.01)
    assert seen.index[-1, 1:] == pytest.approx(np.full(5, end[1]), abs=0.015)


def test_covid_mark_touches_half_and_stands_under_the_index() -> None:
    seen = walk(load_scenario("covid_two_legs"), 55_500, 60)
    assert seen.mark[:, BTC].min() == pytest.approx(-0.51, abs=0.02)
    low = int(seen.mark[:, BTC].argmin())
    assert (1 + seen.mark[low, BTC]) / (1 + seen.index[low, BTC]) < 0.95


def correlations(index: Floats) -> Floats:
    moves = np.diff(np.log1p(index), axis=0)
    matrix = np.corrcoef(moves.T)
    pairs: Floats = np.array([matrix[pair] for pair in itertools.combinations(range(6), 2)])
    return pairs


def test_correlation_is_ordinary_in_calm_and_near_one_when_scripted() -> None:
    calm = correlations(walk(CALM, 1_000, 2.0).index)
    assert 0.15 < calm.min() < 0.7
    assert calm.max() < 0.93
    stressed = Conditions(correlation=0.95, volatility=3.0)
    phase = Phase(name="all", start_seconds=0, seconds=2_000, markets=(("default", stressed),))
    found = correlations(walk(replace(CALM, phases=(phase,)), 1_000, 2.0).index)
    assert found.min() > 0.93


def test_correlation_goes_to_one_while_books_are_empty() -> None:
    fallen = tuple((place, -0.08) for place in range(6))
    seen = walk(CALM, 120, 0.5, shocks=fallen)
    assert correlations(seen.index[80:]).min() > 0.9


def test_falling_prices_force_selling_that_makes_them_fall_further_and_ends() -> None:
    fallen = ((BTC, -0.05), *((place, -0.075) for place in range(1, 6)))
    alone = walk(replace(CALM, cascade=0.0), 300, 2.0, shocks=fallen)
    fed = walk(CALM, 1_200, 2.0, shocks=fallen)
    assert alone.index[:, BTC].min() > -0.065
    assert (alone.flow == 0).all()
    assert (fed.index.min(axis=0) < alone.index.min(axis=0) - 0.03).all()
    # Bounded: whatever is forced out, no market falls by more than a third.
    assert (fed.index.min(axis=0) > -0.33).all()
    assert fed.flow[15:30, BTC].max() < 0
    assert np.abs(fed.flow[-100:]).max() < 1e-3
    assert (fed.leverage >= 0).all()
    assert fed.leverage[-1, BTC] < 0.2
    # Books were gone and have come back.
    assert (fed.depth.min(axis=0) < 0.1).all()
    assert (fed.depth >= DEPTH_MIN).all()
    assert (fed.spread.max(axis=0) > 100).all()
    assert (fed.depth[-1] > 0.8).all()
    assert (fed.spread[-1] < 2).all()
    # Forced selling pushed the perpetual under its index.
    assert ((fed.mark - fed.index).min(axis=0) < -0.003).all()


def test_a_rise_forces_shorts_out() -> None:
    fed = walk(CALM, 200, 1.0, shocks=((BTC, 0.06),))
    assert fed.flow[30:60, BTC].min() > 0
    assert fed.index[-1, BTC] > 0.08
    assert (fed.mark[40, BTC] - fed.index[40, BTC]) > 0.001


def test_calm_forces_nobody_out() -> None:
    seen = walk(CALM, 7_200, 20.0)
    assert (seen.flow == 0).all()
    assert (seen.depth == 1).all()
    assert (seen.spread == 1).all()


@pytest.fixture
def small(parameters: ExchangeParameters) -> ExchangeParameters:
    """Two markets, five seconds a step."""
    markets = (parameters.instruments[BTC], parameters.instruments[LTC])
    return replace(parameters, instruments=markets, step_ms=5_000)


def played(parameters: ExchangeParameters, *phases: Phase, **changes: float) -> Exchange:
    scenario = replace(CALM, phases=phases, **changes)  # type: ignore[arg-type]
    return Exchange.create(parameters, OPENED_NS, scenario)


def touch_and_depth(venue: Exchange, name: str) -> tuple[Decimal, Decimal]:
    book = venue.book(name)
    depth = sum((quantity for _, quantity in book.bids), Decimal(0))
    return (book.asks[0][0] - book.bids[0][0]) / book.asks[0][0], depth


def run(venue: Exchange, *until_seconds: float) -> Iterator[None]:
    for seconds in until_seconds:
        venue.advance(OPENED_NS + int(seconds * NS_PER_SECOND))
        yield


def test_books_empty_and_come_back(small: ExchangeParameters) -> None:
    gone = Conditions(depth=0.03, spread=500, bids_absent=0.3)
    phase = Phase(name="gone", start_seconds=60, seconds=60, markets=(("LTCUSDT", gone),))
    venue = played(replace(small, step_ms=1_000), phase, resilience_seconds=20.0)
    clock = run(venue, 60, 120, 140, 400)
    next(clock)
    spread, depth = touch_and_depth(venue, "LTCUSDT")
    core = touch_and_depth(venue, "BTCUSDT")[1]
    next(clock)
    assert venue.phase == "gone"
    spread_gone, depth_gone = touch_and_depth(venue, "LTCUSDT")
    assert spread_gone > 100 * spread
    assert spread_gone < Decimal("0.045")
    assert Decimal("0.01") < depth_gone / depth < Decimal("0.06")
    assert len(venue.book("LTCUSDT").bids) < len(venue.book("LTCUSDT").asks) == 20
    assert touch_and_depth(venue, "BTCUSDT")[1] > core / 2
    next(clock)
    assert venue.phase is None
    assert Decimal("0.2") < touch_and_depth(venue, "LTCUSDT")[1] / depth < Decimal("0.8")
    next(clock)
    spread_back, depth_back = touch_and_depth(venue, "LTCUSDT")
    assert spread_back < 3 * spread
    assert depth_back > depth * Decimal("0.7")


def test_mark_lags_behind_a_jump(small: ExchangeParameters) -> None:
    late = Conditions(jump=-0.10, mark_lag_seconds=30.0)
    phase = Phase(name="late", start_seconds=60, seconds=600, markets=(("BTCUSDT", late),))
    venue = played(small, phase, cascade=0.0)
    clock = run(venue, 65, 95, 400)
    next(clock)
    gap = float(venue.mark("BTCUSDT") / venue.index("BTCUSDT")) - 1
    assert gap == pytest.approx(0.0925, abs=0.01)  # e^(5/30) of a log of 0.105 is gone
    next(clock)
    gap = float(venue.mark("BTCUSDT") / venue.index("BTCUSDT")) - 1
    assert gap == pytest.approx(0.033, abs=0.01)
    next(clock)
    assert float(venue.mark("BTCUSDT") / venue.index("BTCUSDT")) == pytest.approx(1, abs=0.002)


def test_funding_turns_hourly_and_to_its_floor_and_back(small: ExchangeParameters) -> None:
    short = Conditions(basis_bps=-150.0, funding_interval_hours=1)
    phase = Phase(name="short", start_seconds=600, seconds=1_800, markets=(("BTCUSDT", short),))
    venue = played(small, phase)
    events = venue.advance(OPENED_NS + 1_800 * NS_PER_SECOND)
    told = [
        each
        for each in events
        if isinstance(each, FundingRateChanged) and each.instrument_id == "BTCUSDT"
    ]
    hourly = [each for each in told if each.interval_hours == 1]
    assert hourly[0].event_ns == OPENED_NS + 660 * NS_PER_SECOND
    assert {each.funding_ns for each in hourly} == {OPENED_NS + NS_PER_HOUR}
    assert hourly[-1].rate == -small.funding_rate_max
    assert venue.funding("LTCUSDT").interval_hours == 8
    assert abs(venue.funding("LTCUSDT").rate) < Decimal("0.001")
    venue.advance(OPENED_NS + 2_460 * NS_PER_SECOND)
    assert venue.funding("BTCUSDT").interval_hours == 8
    assert venue.funding("BTCUSDT").funding_ns == OPENED_NS + 8 * NS_PER_HOUR


def test_a_shock_shifts_what_the_script_aims_at(small: ExchangeParameters) -> None:
    phase = Phase(
        name="up", start_seconds=0, seconds=300, markets=(("BTCUSDT", Conditions(move=0.02)),)
    )
    venue = played(small, phase, cascade=0.0)
    venue.advance(OPENED_NS + 60 * NS_PER_SECOND)
    venue.shock("BTCUSDT", -0.05, 20.0)
    venue.advance(OPENED_NS + 300 * NS_PER_SECOND)
    start = small.instruments[0].price_start
    assert float(venue.index("BTCUSDT") / start) == pytest.approx(1.02 * 0.95, abs=1e-5)
