"""Time on the venue: determinism, saving, candles, shocks, speed of the past."""

import itertools
import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.events import BookChanged, FundingRateChanged, MarkChanged, TradePrinted
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import NewOrder
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters

D = Decimal


def buy(quantity: str, price: str | None = None, name: str | None = None) -> NewOrder:
    return NewOrder(
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=D(quantity),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=None if price is None else D(price),
        client_order_id=name,
    )


def test_result_does_not_depend_on_the_split(
    parameters: ExchangeParameters, opened_ns: int
) -> None:
    whole, split = (Exchange.create(parameters, opened_ns) for _ in range(2))
    for venue in (whole, split):
        venue.open_account("a", D(10_000))
        venue.shock("ETHUSDT", -0.03, 20.0)
    events = whole.advance(opened_ns + 70 * NS_PER_SECOND)
    pieces = []
    for until_ms in (1, 249, 250, 251, 7_777, 30_000, 30_001, 69_999, 70_000):
        pieces += split.advance(opened_ns + until_ms * NS_PER_MS)
    assert pieces == events
    assert split.save() == whole.save()


def test_other_seed_gives_another_path(parameters: ExchangeParameters, opened_ns: int) -> None:
    marks = []
    for seed in (7, 8):
        venue = Exchange.create(replace(parameters, seed=seed), opened_ns)
        venue.advance(opened_ns + 30 * NS_PER_SECOND)
        marks.append([venue.mark(each.instrument.instrument_id) for each in parameters.instruments])
    assert all(one != other for one, other in zip(*marks, strict=True))


def test_restored_venue_continues_bit_by_bit(
    exchange: Exchange, parameters: ExchangeParameters
) -> None:
    exchange.place("a", buy("0.1", name="m1"))
    best = exchange.book("BTCUSDT").bids[0][0]
    exchange.place("a", buy("0.05", str(best - D(20)), "rest1"))
    exchange.set_leverage("a", "ETHUSDT", D(5))
    exchange.shock("BTCUSDT", 0.01, 30.0)
    exchange.advance(exchange.now_ns + 3 * NS_PER_SECOND + 1)
    text = json.dumps(exchange.save())
    restored = Exchange.restore(parameters, json.loads(text))
    assert json.dumps(restored.save()) == text
    until_ns = exchange.now_ns + 95 * NS_PER_SECOND
    assert restored.advance(until_ns) == exchange.advance(until_ns)
    sell = NewOrder(
        instrument_id="BTCUSDT", side=Side.SELL, quantity=D("0.15"), kind=OrderKind.MARKET
    )
    assert restored.place("a", sell) == exchange.place("a", sell)
    assert restored.account("a") == exchange.account("a")
    assert restored.save() == exchange.save()
    since_ns = until_ns - NS_PER_HOUR
    for kind in ("mark", "last"):
        rows = [
            venue.candles("BTCUSDT", 60, since_ns, until_ns, kind=kind)  # type: ignore[arg-type]
            for venue in (exchange, restored)
        ]
        assert rows[0] == rows[1]


def test_restore_refuses_other_parameters(
    exchange: Exchange, parameters: ExchangeParameters
) -> None:
    with pytest.raises(ValueError, match="other parameters"):
        Exchange.restore(replace(parameters, seed=8), exchange.save())


def test_time_does_not_go_back(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="before now_ns"):
        exchange.advance(exchange.now_ns - 1)


def test_history_ends_at_the_start_price_and_live_begins_there(
    parameters: ExchangeParameters, opened_ns: int
) -> None:
    venue = Exchange.create(parameters, opened_ns + 17 * NS_PER_SECOND)
    for each in parameters.instruments:
        name = each.instrument.instrument_id
        assert venue.mark(name) == each.price_start
        rows = venue.candles(name, 60, opened_ns - 3 * NS_PER_MINUTE, opened_ns + 1, kind="mark")
        assert [row.open_ns for row in rows] == [
            opened_ns + n * NS_PER_MINUTE for n in (-3, -2, -1, 0)
        ]
        assert rows[2].close == each.price_start == rows[3].open
        assert [row.confirmed for row in rows] == [True, True, True, False]


def test_minutes_join_and_five_minutes_equal_their_minutes(
    parameters: ExchangeParameters, opened_ns: int
) -> None:
    venue = Exchange.create(parameters, opened_ns)
    venue.advance(opened_ns + 7 * NS_PER_MINUTE + 30 * NS_PER_SECOND)
    span = (opened_ns - NS_PER_HOUR, opened_ns + NS_PER_HOUR)
    for kind in ("mark", "last"):
        ones = venue.candles("SOLUSDT", 60, *span, kind=kind)  # type: ignore[arg-type]
        assert len(ones) == 68
        for before, after in itertools.pairwise(ones):
            assert after.open == before.close
            assert after.low <= min(after.open, after.close)
            assert after.high >= max(after.open, after.close)
        fives = venue.candles("SOLUSDT", 300, *span, kind=kind)  # type: ignore[arg-type]
        assert len(fives) == 14
        for at, five in enumerate(fives):
            part = ones[at * 5 : at * 5 + 5]
            assert five.open_ns == part[0].open_ns
            assert (five.open, five.close) == (part[0].open, part[-1].close)
            assert five.high == max(row.high for row in part)
            assert five.low == min(row.low for row in part)
            assert five.volume == sum(row.volume for row in part)
        assert [row.confirmed for row in fives[-2:]] == [True, False]


def test_last_minute_candle_holds_the_marks_told(exchange: Exchange, opened_ns: int) -> None:
    events = exchange.advance(opened_ns + 59 * NS_PER_SECOND)
    marks = [
        each.mark
        for each in events
        if isinstance(each, MarkChanged) and each.instrument_id == "XRPUSDT"
    ]
    row = exchange.candles("XRPUSDT", 60, opened_ns, opened_ns + 1, kind="mark")[0]
    assert row.close == marks[-1] == exchange.mark("XRPUSDT")
    assert row.high >= max(marks)
    assert row.low <= min(marks)


def test_candles_refuse_part_minutes(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="step_seconds=90"):
        exchange.candles("BTCUSDT", 90, 0, exchange.now_ns, kind="mark")


def test_oldest_day_is_dropped_and_saved_so(
    parameters: ExchangeParameters, opened_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterpoise.exchange.candles.LIVE_DAYS_MAX", 0)
    venue = Exchange.create(parameters, opened_ns)
    first_ns = opened_ns - 24 * NS_PER_HOUR
    rows = venue.candles("LTCUSDT", 60, 0, opened_ns + NS_PER_HOUR, kind="mark")
    assert rows[0].open_ns == first_ns + 24 * NS_PER_HOUR
    venue.advance(opened_ns + 2 * NS_PER_HOUR)
    restored = Exchange.restore(parameters, json.loads(json.dumps(venue.save())))
    span = (0, opened_ns + 3 * NS_PER_HOUR)
    rows = venue.candles("LTCUSDT", 60, *span, kind="mark")
    assert restored.candles("LTCUSDT", 60, *span, kind="mark") == rows
    assert rows[-1].open_ns == opened_ns + 2 * NS_PER_HOUR


@pytest.mark.parametrize(("fraction", "seconds"), [(0.05, 10.0), (-0.2, 3.0), (0.02, 0.0)])
def test_shock_moves_one_market_and_stays(
    exchange: Exchange, fraction: float, seconds: float
) -> None:
    before, other = exchange.mark("SOLUSDT"), exchange.mark("BTCUSDT")
    exchange.shock("SOLUSDT", fraction, seconds)
    exchange.advance(exchange.now_ns + 20 * NS_PER_SECOND)
    assert float(exchange.mark("SOLUSDT") / before) == pytest.approx(1 + fraction, abs=0.004)
    assert float(exchange.index("SOLUSDT") / before) == pytest.approx(1 + fraction, abs=0.004)
    bids = exchange.book("SOLUSDT").bids
    assert float(bids[0][0] / before) == pytest.approx(1 + fraction, abs=0.006)
    assert float(exchange.mark("BTCUSDT") / other) == pytest.approx(1, abs=0.004)


def test_shock_widens_the_spread_and_thins_the_book(exchange: Exchange) -> None:
    def spread_and_depth() -> tuple[Decimal, Decimal]:
        book = exchange.book("ETHUSDT")
        return book.asks[0][0] - book.bids[0][0], sum((each[1] for each in book.bids), D(0))

    spread_before, depth_before = spread_and_depth()
    exchange.shock("ETHUSDT", -0.06, 10.0)
    exchange.advance(exchange.now_ns + 10 * NS_PER_SECOND)
    spread, depth = spread_and_depth()
    assert spread > 3 * spread_before
    assert depth < depth_before / 3


def test_correlations_are_what_the_parameters_say(opened_ns: int) -> None:
    venue = Exchange.create(demo_parameters(3), opened_ns)
    moves = {}
    for each in venue.parameters.instruments:
        name = each.instrument.instrument_id
        rows = venue.candles(name, 300, 0, opened_ns, kind="mark")
        closes = np.array([float(row.close) for row in rows])
        moves[name] = np.diff(np.log(closes))
        annual = float(moves[name].std()) * (365 * 288) ** 0.5
        assert annual == pytest.approx(each.volatility_annual, rel=0.3)
    expected = {
        "ETHUSDT": 0.83,
        "SOLUSDT": 0.74,
        "XRPUSDT": 0.60,
        "DOGEUSDT": 0.66,
        "LTCUSDT": 0.51,
    }
    for name, correlation in expected.items():
        found = float(np.corrcoef(moves["BTCUSDT"], moves[name])[0, 1])
        assert found == pytest.approx(correlation, abs=0.06)


def test_fast_forward_tells_the_market_once(exchange: Exchange, opened_ns: int) -> None:
    until_ns = opened_ns + 2 * NS_PER_HOUR
    events = exchange.advance(until_ns)
    assert exchange.now_ns == until_ns
    names = [each.instrument_id for each in events if isinstance(each, BookChanged)]
    assert sorted(names) == sorted(set(names))
    assert not [each for each in events if isinstance(each, TradePrinted)]
    rows = exchange.candles("BTCUSDT", 60, opened_ns, until_ns, kind="mark")
    assert len(rows) == 120
    assert len({row.close for row in rows}) > 100


def test_book_events_rebuild_the_book(exchange: Exchange) -> None:
    books = {
        each.instrument.instrument_id: exchange.book(each.instrument.instrument_id)
        for each in exchange.parameters.instruments
    }
    sides = {name: (dict(book.bids), dict(book.asks)) for name, book in books.items()}
    events = exchange.advance(exchange.now_ns + 10 * NS_PER_SECOND)
    events += exchange.place("a", buy("0.2"))[1]
    for event in events:
        if isinstance(event, BookChanged):
            for held, changed in zip(
                sides[event.instrument_id], (event.bids, event.asks), strict=True
            ):
                held.update(changed)
                for price, quantity in changed:
                    if quantity == 0:
                        del held[price]
    for name, (bids, asks) in sides.items():
        book = exchange.book(name)
        assert tuple(sorted(bids.items(), reverse=True)) == book.bids
        assert tuple(sorted(asks.items())) == book.asks


def test_next_funding_is_told_after_an_interval_begins(exchange: Exchange, opened_ns: int) -> None:
    due_ns = opened_ns + 8 * NS_PER_HOUR
    assert exchange.funding("BTCUSDT").funding_ns == due_ns
    exchange.advance(due_ns - NS_PER_SECOND)
    events = exchange.advance(due_ns)
    told = [each for each in events if isinstance(each, FundingRateChanged)]
    assert {each.instrument_id for each in told} == {
        each.instrument.instrument_id for each in exchange.parameters.instruments
    }
    assert {each.funding_ns for each in told} == {due_ns + 8 * NS_PER_HOUR}
