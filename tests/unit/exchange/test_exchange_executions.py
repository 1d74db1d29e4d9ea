"""A match with the background comes in one execution or in several of one instant."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from counterpoise.domain.orders import OrderKind, OrderState, Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange import executions
from counterpoise.exchange.events import ExchangeEvent, OrderChanged, PositionChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import NewOrder
from counterpoise.exchange.parameters import ExchangeParameters, fingerprint

D = Decimal
BTC = "BTCUSDT"


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 8))
def test_parts_are_whole_lots_and_all_of_them(lots: int, number: int, most: int) -> None:
    found = executions.parts(lots, number, most)
    assert sum(found) == lots
    assert min(found) >= 1
    assert len(found) <= most
    assert found == executions.parts(lots, number, most)


def test_consecutive_trades_come_in_different_numbers_of_parts() -> None:
    counts = [len(executions.parts(1_000, number, 4)) for number in range(200)]
    assert {1, 2, 3, 4} == set(counts)
    # Never a majority of one kind.
    assert max(counts.count(each) for each in (1, 2, 3, 4)) < 100


def opened(parameters: ExchangeParameters, opened_ns: int) -> Exchange:
    venue = Exchange.create(replace(parameters, executions_per_match=4), opened_ns)
    venue.open_account("a", D(10_000))
    venue.advance(opened_ns + 5 * NS_PER_SECOND)
    return venue


def bought(venue: Exchange) -> list[ExchangeEvent]:
    order = NewOrder(instrument_id=BTC, side=Side.BUY, quantity=D("0.02"), kind=OrderKind.MARKET)
    return list(venue.place("a", order)[1])


def test_each_part_moves_order_and_position_in_one_instant(
    parameters: ExchangeParameters, opened_ns: int
) -> None:
    venue = opened(parameters, opened_ns)
    several = 0
    for number in range(1, 9):
        events = bought(venue)
        filled = [e.order for e in events if isinstance(e, OrderChanged) and e.fill is not None]
        fills = [e.fill for e in events if isinstance(e, OrderChanged) and e.fill is not None]
        held = [e.position.quantity for e in events if isinstance(e, PositionChanged)]
        before = D("0.02") * (number - 1)
        assert [order.filled_quantity for order in filled] == [each - before for each in held]
        assert sum(fill.quantity for fill in fills) == D("0.02")
        assert {fill.event_ns for fill in fills} == {venue.now_ns}
        assert len({fill.trade_sequence for fill in fills}) == len(fills)
        assert filled[-1].state is OrderState.FILLED
        several += len(fills) > 1
        venue.advance(venue.now_ns + 20 * NS_PER_SECOND)
    assert several >= 3


def test_a_resting_order_is_met_in_parts_too(
    parameters: ExchangeParameters, opened_ns: int
) -> None:
    venue = opened(parameters, opened_ns)
    grid = venue.instrument(BTC)
    price = venue.mark(BTC) * D("0.999") // grid.tick_size * grid.tick_size
    order = NewOrder(
        instrument_id=BTC,
        side=Side.BUY,
        quantity=D("0.02"),
        kind=OrderKind.LIMIT,
        price_limit=price,
    )
    venue.place("a", order)
    venue.shock(BTC, -0.01, 0)
    events = venue.advance(venue.now_ns + 2 * NS_PER_SECOND)
    changed = [e for e in events if isinstance(e, OrderChanged) and e.fill is not None]
    assert changed[-1].order.state is OrderState.FILLED
    assert sum(e.fill.quantity for e in changed if e.fill is not None) == D("0.02")
    assert {e.fill.price for e in changed if e.fill is not None} == {price}


def test_a_venue_saved_before_is_still_the_same_venue(parameters: ExchangeParameters) -> None:
    assert fingerprint(replace(parameters, executions_per_match=1)) == fingerprint(parameters)
    assert fingerprint(replace(parameters, executions_per_match=2)) != fingerprint(parameters)
