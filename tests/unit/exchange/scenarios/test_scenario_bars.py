"""Real bars: what is refused, and that every price of every bar is visited."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.events import MarkChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.market_log import market_log
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios.bars import BarRow, Bars, bars_from_rows, fitted
from counterpoise.exchange.scenarios.script import Conditions, Phase, Scenario

OPENED_NS = 1_800_000_000 * NS_PER_SECOND
FIRST_MS = 1_700_000_100_000
COUNT = 6
NAMES = ("BTCUSDT", "DOGEUSDT")


def rows(start: float, tick: float, seed: int) -> list[BarRow]:
    """Bars on the tick grid, wild enough that low and high lie far apart."""
    draws = np.random.default_rng(seed)
    made: list[BarRow] = []
    opened = round(start / tick)
    for at in range(COUNT):
        low, high = opened - int(draws.integers(50, 400)), opened + int(draws.integers(50, 400))
        closed = int(draws.integers(low, high + 1))
        prices = [round(each * tick, 8) for each in (opened, high, low, closed)]
        made.append((FIRST_MS + at * 60_000, *prices, float(draws.integers(1, 50))))  # type: ignore[arg-type]
        opened = closed
    return made


@pytest.fixture(scope="module")
def bars() -> Bars:
    return bars_from_rows(
        {"BTCUSDT": rows(63_000.0, 0.1, 1), "DOGEUSDT": rows(0.123, 0.00001, 2)}, 60
    )


@pytest.fixture
def venue_parameters(parameters: ExchangeParameters, bars: Bars) -> ExchangeParameters:
    return fitted(parameters, bars)


def scenario(bars: Bars, *phases: Phase) -> Scenario:
    return Scenario(name="bars", summary="What happened.", bars=bars, phases=phases)


def marks_by_bar(venue: Exchange, name: str, count: int, opened_ns: int) -> list[list[Decimal]]:
    """Return the marks after each step, by bar; a bar begins with its first moment."""
    by_bar: list[list[Decimal]] = [[] for _ in range(count)]
    step_ns = 250 * NS_PER_MS
    for step in range(count * 240):
        venue.advance(opened_ns + step * step_ns)
        by_bar[step // 240].append(venue.mark(name))
    return by_bar


def test_markets_are_those_with_bars_and_open_at_the_first_open(
    parameters: ExchangeParameters, venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    assert [each.instrument.instrument_id for each in venue_parameters.instruments] == [*NAMES]
    assert [each.price_start for each in venue_parameters.instruments] == [
        Decimal("63000.0"),
        Decimal("0.12300"),
    ]
    with pytest.raises(ValueError, match=r"no bars of ETHUSDT.*; allowed: BTCUSDT, DOGEUSDT"):
        Exchange.create(parameters, OPENED_NS, scenario(bars))
    other = bars_from_rows({"ABCUSDT": rows(10.0, 0.001, 1)}, 60)
    with pytest.raises(ValueError, match="bars of ABCUSDT; allowed: BTCUSDT, ETHUSDT"):
        fitted(parameters, other)


def test_every_price_of_every_bar_is_visited_to_the_tick(
    venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    # Opened in the middle of a minute: the first bar begins with the next.
    venue = Exchange.create(venue_parameters, OPENED_NS - 30 * NS_PER_SECOND, scenario(bars))
    venue.advance(OPENED_NS - NS_PER_MS)
    assert venue.mark("BTCUSDT") == Decimal("63000.0")
    found = marks_by_bar(venue, "BTCUSDT", COUNT, OPENED_NS)
    tick = Decimal("0.1")
    expected = [
        tuple(Decimal(str(each)).quantize(tick) for each in bar[:4])
        for bar in dict(bars.markets)["BTCUSDT"]
    ]
    visited = [(each[0], max(each), min(each), each[-1]) for each in found]
    assert visited == expected
    assert venue.index("BTCUSDT") == venue.mark("BTCUSDT")
    candles = venue.candles(
        "DOGEUSDT", 60, OPENED_NS, OPENED_NS + COUNT * NS_PER_MINUTE, kind="mark"
    )
    for candle, bar in zip(candles, dict(bars.markets)["DOGEUSDT"], strict=True):
        told = [Decimal(str(each)).quantize(Decimal("0.00001")) for each in bar[:4]]
        assert [candle.open, candle.high, candle.low, candle.close] == told


def test_low_and_high_come_in_either_order_by_seed(
    venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    def low_first(seed: int) -> list[bool]:
        coarse = replace(venue_parameters, seed=seed, step_ms=5_000)
        venue = Exchange.create(coarse, OPENED_NS, scenario(bars))
        result = []
        for at in range(COUNT):
            marks = []
            for step in range(12):
                venue.advance(OPENED_NS + at * NS_PER_MINUTE + step * 5 * NS_PER_SECOND)
                marks.append(venue.mark("BTCUSDT"))
            result.append(marks.index(min(marks)) < marks.index(max(marks)))
        return result

    orders = [low_first(seed) for seed in range(4)]
    assert low_first(0) == orders[0]
    assert {each for order in orders for each in order} == {True, False}
    assert len({tuple(order) for order in orders}) > 1


def test_generator_goes_on_after_the_last_bar(
    venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    coarse = replace(venue_parameters, step_ms=5_000)
    venue = Exchange.create(coarse, OPENED_NS, scenario(bars))
    venue.advance(OPENED_NS + COUNT * NS_PER_MINUTE - 1)
    close = venue.mark("BTCUSDT")
    assert float(close) == dict(bars.markets)["BTCUSDT"][-1][3]
    events = venue.advance(OPENED_NS + 2 * COUNT * NS_PER_MINUTE)
    marks = {each.mark for each in events if isinstance(each, MarkChanged)}
    assert len(marks) > 50
    assert float(venue.mark("BTCUSDT") / close) == pytest.approx(1, abs=0.01)


def test_phases_thin_the_books_of_bars_and_shocks_shift_them(
    venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    thin = Conditions(depth=0.05, move=0.5)
    phase = Phase(name="thin", start_seconds=60, seconds=60, markets=(("default", thin),))
    coarse = replace(venue_parameters, step_ms=1_000)
    plain = Exchange.create(coarse, OPENED_NS, scenario(bars))
    bent = Exchange.create(coarse, OPENED_NS, scenario(bars, phase))
    for venue in (plain, bent):
        venue.advance(OPENED_NS + 115 * NS_PER_SECOND)
    assert bent.mark("BTCUSDT") == plain.mark("BTCUSDT")
    depths = [sum(q for _, q in venue.book("BTCUSDT").bids) for venue in (plain, bent)]
    assert depths[1] < depths[0] / 2
    bent.shock("BTCUSDT", 0.01, 2.0)
    for venue in (plain, bent):
        venue.advance(OPENED_NS + 150 * NS_PER_SECOND)
    ratio = float(bent.mark("BTCUSDT") / plain.mark("BTCUSDT"))
    assert ratio == pytest.approx(1.01, abs=1e-5)


def test_bars_are_the_same_at_any_cut_and_after_a_restore(
    venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    coarse = replace(venue_parameters, step_ms=1_000)
    until_ns = OPENED_NS + 150 * NS_PER_SECOND
    whole = Exchange.create(coarse, OPENED_NS, scenario(bars))
    log = market_log(whole.advance(until_ns))
    first = Exchange.create(coarse, OPENED_NS, scenario(bars))
    parts = [market_log(first.advance(OPENED_NS + 71 * NS_PER_SECOND + 1))]
    second = Exchange.restore(coarse, json.loads(json.dumps(first.save())), scenario(bars))
    parts += [market_log(second.advance(at_ns)) for at_ns in (OPENED_NS + 10**11, until_ns)]
    assert "".join(parts) == log
    assert second.save() == whole.save()


def test_holes_stand_still_and_only_common_time_counts() -> None:
    made = bars_from_rows(
        {
            "BTCUSDT": [
                (0, 1.0, 2.0, 1.0, 2.0, 5.0),
                (60_000, 2.0, 3.0, 2.0, 3.0, 6.0),
                (240_000, 4.0, 4.0, 4.0, 4.0, 7.0),
            ],
            "ETHUSDT": [
                (60_000, 7.0, 8.0, 6.0, 7.5, 1.0),
                (120_000, 7.0, 8.0, 6.0, 7.0, 1.0),
                (180_000, 7.0, 8.0, 6.0, 7.0, 1.0),
                (240_000, 7.0, 8.0, 6.0, 7.0, 1.0),
                (300_000, 9.0, 9.0, 9.0, 9.0, 1.0),
            ],
        },
        60,
    )
    assert (made.first_ms, made.count, made.seconds) == (60_000, 4, 240)
    assert dict(made.markets)["BTCUSDT"] == (
        (2.0, 3.0, 2.0, 3.0, 6.0),
        (3.0, 3.0, 3.0, 3.0, 0.0),
        (3.0, 3.0, 3.0, 3.0, 0.0),
        (4.0, 4.0, 4.0, 4.0, 7.0),
    )
    assert dict(made.markets)["ETHUSDT"][0] == (7.0, 8.0, 6.0, 7.5, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"bars of \['BTCUSDT'\]; allowed: at least one row"),
        ([(30_000, 1.0, 1.0, 1.0, 1.0, 0.0)], "ts=30000; allowed: multiples of 60000 ms"),
        ([(60_000, 1.0, 1.0, 1.0, 1.0, 0.0)] * 2, "ts=60000; allowed: multiples"),
        ([(0, 1.0, 0.5, 0.4, 0.45, 0.0)], "open=1.0 high=0.5 .*allowed: 0 < low <= open"),
        ([(0, 1.0, 1.0, 0.0, 1.0, 0.0)], "low=0.0 close=1.0; allowed: 0 < low"),
        ([(0, 1.0, float("nan"), 1.0, 1.0, 0.0)], "high=nan"),
        ([(0, 1.0, 1.0, 1.0, 1.0, -2.0)], "volume=-2.0; allowed: 0 or more"),
    ],
)
def test_impossible_rows_are_refused(given: Sequence[BarRow], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bars_from_rows({"BTCUSDT": given}, 60)


def test_steps_must_fit_a_bar_and_time_must_be_common(
    venue_parameters: ExchangeParameters, bars: Bars
) -> None:
    with pytest.raises(ValueError, match="step_ms=20000; a bar needs 4 steps"):
        Exchange.create(replace(venue_parameters, step_ms=20_000), OPENED_NS, scenario(bars))
    with pytest.raises(ValueError, match="step_seconds=90; allowed: whole minutes"):
        bars_from_rows({"BTCUSDT": [(0, 1.0, 1.0, 1.0, 1.0, 0.0)]}, 90)
    apart = {
        "BTCUSDT": [(0, 1.0, 1.0, 1.0, 1.0, 0.0)],
        "ETHUSDT": [(600_000, 1.0, 1.0, 1.0, 1.0, 0.0)],
    }
    with pytest.raises(ValueError, match="bars in common=-9; allowed: 1 to"):
        bars_from_rows(apart, 60)
