"""Taking, matching and ending orders."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    OrderChanged,
    PositionChanged,
    TradePrinted,
    WalletChanged,
)
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import CancelCause, NewOrder, OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.registry import OPEN_ORDERS_MAX

D = Decimal
BTC = "BTCUSDT"


def order(side: Side, quantity: str, price: Decimal | None = None, **other: Any) -> NewOrder:
    return NewOrder(
        instrument_id=other.pop("instrument_id", BTC),
        side=side,
        quantity=D(quantity),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=price,
        **other,
    )


def states(events: list[ExchangeEvent]) -> list[OrderState]:
    return [each.order.state for each in events if isinstance(each, OrderChanged)]


def refusal(exchange: Exchange, new: NewOrder, account_id: str = "a") -> RefusalReason:
    before = exchange.save()
    with pytest.raises(OrderRefused) as caught:
        exchange.place(account_id, new)
    assert exchange.save() == before
    return caught.value.reason


def test_market_order_fills_at_the_best_ask_and_pays_the_taker_fee(exchange: Exchange) -> None:
    price, standing = exchange.book(BTC).asks[0]
    placed, events = exchange.place("a", order(Side.BUY, "0.1", client_order_id="c1"))
    assert [type(each) for each in events] == [
        OrderChanged, TradePrinted, OrderChanged, PositionChanged, WalletChanged, BookChanged,
    ]  # fmt: skip
    assert states(events) == [OrderState.ACCEPTED, OrderState.FILLED]
    found = exchange.order("a", client_order_id="c1")
    assert found is not None
    assert (found.order_id, found.state) == (placed.order_id, OrderState.FILLED)
    assert (found.filled_quantity, found.average_price) == (D("0.1"), price)
    assert found.fee == D("0.1") * price * D("0.0005")
    fill = exchange.fills("a", 0)[0]
    assert (fill.liquidity, fill.client_order_id) == (Liquidity.TAKER, "c1")
    account = exchange.account("a")
    assert account.wallet_balance == 10_000 - found.fee
    position = account.positions[BTC]
    assert (position.quantity, position.entry_price) == (D("0.1"), price)
    assert position.last_trade_sequence == fill.trade_sequence
    assert account.equity == account.wallet_balance + D("0.1") * (exchange.mark(BTC) - price)
    assert exchange.last(BTC) == price
    assert exchange.book(BTC).asks[0] == (price, standing - D("0.1"))


def test_taken_liquidity_comes_back_over_seconds(exchange: Exchange) -> None:
    def standing() -> Decimal:
        return sum((each[1] for each in exchange.book("LTCUSDT").asks), D(0))

    exchange.open_account("whale", D(100_000_000))
    before = standing()
    wanted = before / 2 // D("0.1") * D("0.1")
    price = exchange.book("LTCUSDT").asks[-1][0]
    exchange.place(
        "whale",
        order(Side.BUY, str(wanted), price, instrument_id="LTCUSDT", time_in_force=TimeInForce.IOC),
    )
    assert standing() == before - wanted
    exchange.advance(exchange.now_ns + 250 * NS_PER_MS)
    assert standing() < before * D("0.7")
    exchange.advance(exchange.now_ns + 20 * NS_PER_SECOND)
    assert standing() > before * D("0.7")


def test_market_order_beyond_the_book_fills_in_part(exchange: Exchange) -> None:
    exchange.open_account("whale", D(1_000_000_000))
    asks = exchange.book("LTCUSDT").asks
    standing = sum((each[1] for each in asks), D(0))
    placed, events = exchange.place(
        "whale", order(Side.BUY, "10000", instrument_id="LTCUSDT", time_in_force=TimeInForce.IOC)
    )
    assert standing < 10_000
    assert states(events)[-1] is OrderState.CANCELED
    found = exchange.order("whale", order_id=placed.order_id)
    assert found is not None
    assert (found.filled_quantity, found.cancel_cause) == (standing, CancelCause.IMMEDIATE_REST)
    assert exchange.book("LTCUSDT").asks == ()


def test_ioc_limit_stops_at_its_price(exchange: Exchange) -> None:
    asks = exchange.book("LTCUSDT").asks
    limit = asks[1][0]
    exchange.open_account("whale", D(100_000_000))
    quantity = asks[0][1] + asks[1][1] + 5
    _, events = exchange.place(
        "whale",
        order(Side.BUY, str(quantity), limit, instrument_id="LTCUSDT",
              time_in_force=TimeInForce.IOC),
    )  # fmt: skip
    assert states(events) == [
        OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED, OrderState.PARTIALLY_FILLED,
        OrderState.CANCELED,
    ]  # fmt: skip
    assert [(each.price, each.quantity) for each in exchange.fills("whale", 0)] == list(asks[:2])


def test_fok_fills_whole_or_not_at_all(exchange: Exchange) -> None:
    exchange.open_account("whale", D(100_000_000))
    price, standing = exchange.book("LTCUSDT").asks[0]
    more = order(
        Side.BUY, str(standing + D("0.1")), price, instrument_id="LTCUSDT",
        time_in_force=TimeInForce.FOK,
    )  # fmt: skip
    _, events = exchange.place("whale", more)
    assert states(events) == [OrderState.ACCEPTED, OrderState.CANCELED]
    assert exchange.fills("whale", 0) == ()
    _, events = exchange.place("whale", replace(more, quantity=standing))
    assert states(events) == [OrderState.ACCEPTED, OrderState.FILLED]


def test_post_only_never_takes_and_pays_the_maker_fee(exchange: Exchange) -> None:
    ask, bid = exchange.book(BTC).asks[0][0], exchange.book(BTC).bids[0][0]
    placed, events = exchange.place("a", order(Side.BUY, "0.1", ask, post_only=True))
    assert states(events) == [OrderState.ACCEPTED, OrderState.CANCELED]
    found = exchange.order("a", order_id=placed.order_id)
    assert found is not None
    assert found.cancel_cause is CancelCause.POST_ONLY_WOULD_TAKE
    exchange.place("a", order(Side.BUY, "0.1", bid, post_only=True, client_order_id="rest"))
    exchange.shock(BTC, -0.01, 5.0)
    events = exchange.advance(exchange.now_ns + 5 * NS_PER_SECOND)
    assert states(events) == [OrderState.FILLED]
    fill = exchange.fills("a", 0)[0]
    assert (fill.price, fill.quantity, fill.liquidity) == (bid, D("0.1"), Liquidity.MAKER)
    assert fill.fee == D("0.1") * bid * D("0.0002")


def test_resting_order_shows_in_the_book_and_leaves_on_cancel(exchange: Exchange) -> None:
    bids = exchange.book(BTC).bids
    price = bids[0][0] - D("0.1")
    assert price > bids[1][0]
    placed, _ = exchange.place("a", order(Side.BUY, "0.1", price, client_order_id="rest"))
    assert exchange.book(BTC).bids == (bids[0], (price, D("0.1")), *bids[1:])
    assert exchange.account("a").order_margin == D("0.1") * exchange.mark(BTC) / 3
    events = exchange.cancel("a", client_order_id="rest")
    assert states(events) == [OrderState.CANCELED]
    assert [each.bids for each in events if isinstance(each, BookChanged)] == [((price, D(0)),)]
    assert exchange.book(BTC).bids == bids
    assert exchange.account("a").order_margin == 0
    for ids, reason in (
        ({"order_id": placed.order_id}, RefusalReason.ALREADY_OVER),
        ({"client_order_id": "other"}, RefusalReason.ORDER_NOT_FOUND),
    ):
        with pytest.raises(OrderRefused) as caught:
            exchange.cancel("a", **ids)
        assert caught.value.reason is reason


def test_clients_meet_by_price_then_time(exchange: Exchange) -> None:
    bid, ask = exchange.book(BTC).bids[0][0], exchange.book(BTC).asks[0][0]
    better, worse = bid + D("0.2"), bid + D("0.1")
    assert better < ask
    for name in ("b", "c", "d"):
        exchange.open_account(name, D(10_000))
    exchange.place("b", order(Side.BUY, "0.02", worse))
    exchange.place("c", order(Side.BUY, "0.02", better))
    exchange.place("d", order(Side.BUY, "0.02", better))
    exchange.place("a", order(Side.SELL, "0.05", worse, time_in_force=TimeInForce.IOC))
    filled = {name: exchange.account(name).positions for name in ("b", "c", "d")}
    assert {name: each[BTC].quantity for name, each in filled.items()} == {
        "b": D("0.01"), "c": D("0.02"), "d": D("0.02"),
    }  # fmt: skip
    assert [each.price for each in exchange.fills("a", 0)] == [better, better, worse]


def test_own_resting_order_is_canceled_rather_than_met(exchange: Exchange) -> None:
    price = exchange.book(BTC).bids[0][0] + D("0.1")
    exchange.place("a", order(Side.BUY, "0.02", price, client_order_id="maker"))
    exchange.place("a", order(Side.SELL, "0.02"))
    maker = exchange.order("a", client_order_id="maker")
    assert maker is not None
    assert (maker.cancel_cause, maker.filled_quantity) == (CancelCause.SELF_TRADE, 0)
    assert exchange.fills("a", 0)[0].price < price


def test_reduce_only_is_cut_to_the_position(exchange: Exchange) -> None:
    assert refusal(exchange, order(Side.SELL, "0.1", reduce_only=True)) is (
        RefusalReason.REDUCE_ONLY_NO_POSITION
    )
    exchange.place("a", order(Side.BUY, "0.1"))
    assert refusal(exchange, order(Side.BUY, "0.1", reduce_only=True)) is (
        RefusalReason.REDUCE_ONLY_SAME_SIDE
    )
    placed, events = exchange.place("a", order(Side.SELL, "0.25", reduce_only=True))
    assert placed.quantity == D("0.1")
    assert states(events) == [OrderState.ACCEPTED, OrderState.FILLED]
    found = exchange.order("a", order_id=placed.order_id)
    assert found is not None
    assert (found.quantity_asked, found.quantity) == (D("0.25"), D("0.1"))
    assert exchange.account("a").positions == {}


def test_resting_reduce_only_follows_the_position_down(exchange: Exchange) -> None:
    exchange.place("a", order(Side.BUY, "0.1"))
    ask = exchange.book(BTC).asks[0][0]
    near, far = ask + 100, ask + 200
    exchange.place("a", order(Side.SELL, "0.06", far, reduce_only=True, client_order_id="far"))
    exchange.place("a", order(Side.SELL, "0.06", near, reduce_only=True, client_order_id="near"))
    quantities = {each.client_order_id: each.quantity for each in exchange.account("a").open_orders}
    assert quantities == {"near": D("0.06"), "far": D("0.04")}
    exchange.place("a", order(Side.SELL, "0.06"))
    quantities = {each.client_order_id: each.quantity for each in exchange.account("a").open_orders}
    assert quantities == {"near": D("0.04")}
    exchange.place("a", order(Side.SELL, "0.1"))
    assert exchange.account("a").open_orders == ()
    ended = exchange.order("a", client_order_id="near")
    assert ended is not None
    assert ended.cancel_cause is CancelCause.REDUCE_ONLY
    assert exchange.account("a").positions[BTC].quantity == D("-0.06")


def test_increase_beyond_the_margin_is_refused_and_reductions_are_not(exchange: Exchange) -> None:
    mark = exchange.mark(BTC)
    most = D(30_000) / mark
    assert refusal(exchange, order(Side.BUY, str(most.quantize(D("0.0001"))))) is (
        RefusalReason.MARGIN_INSUFFICIENT
    )
    exchange.place("a", order(Side.BUY, str((most * D("0.99")).quantize(D("0.0001")))))
    assert refusal(exchange, order(Side.BUY, "0.01")) is RefusalReason.MARGIN_INSUFFICIENT
    exchange.shock(BTC, -0.2, 1.0)
    exchange.advance(exchange.now_ns + 2 * NS_PER_SECOND)
    assert exchange.account("a").available_margin < 0
    _, events = exchange.place("a", order(Side.SELL, "0.1"))
    assert states(events)[-1] is OrderState.FILLED


def test_leverage_setting_bounds_what_margin_buys(exchange: Exchange) -> None:
    assert exchange.leverage_setting("a", BTC) == 3
    exchange.set_leverage("a", BTC, D(10))
    exchange.place("a", order(Side.BUY, "0.5"))
    account = exchange.account("a")
    assert account.positions[BTC].leverage_setting == 10
    assert account.initial_margin == D("0.5") * exchange.mark(BTC) / 10
    for leverage, reason in (
        (D(3), RefusalReason.MARGIN_INSUFFICIENT),
        (D(101), RefusalReason.LEVERAGE_INVALID),
        (D("0.5"), RefusalReason.LEVERAGE_INVALID),
    ):
        with pytest.raises(OrderRefused) as caught:
            exchange.set_leverage("a", BTC, leverage)
        assert caught.value.reason is reason
    assert exchange.leverage_setting("a", BTC) == 10


def test_refusals_name_the_rule(exchange: Exchange) -> None:
    bid = exchange.book(BTC).bids[5][0]
    resting = order(Side.BUY, "0.01", bid, client_order_id="twice")
    exchange.place("a", resting)
    high = (exchange.mark(BTC) * D("1.06")).quantize(D("0.1"))
    cases = [
        (resting, RefusalReason.CLIENT_ORDER_ID_DUPLICATE),
        (replace(resting, client_order_id="a-b"), RefusalReason.CLIENT_ORDER_ID_INVALID),
        (replace(resting, client_order_id="x" * 33), RefusalReason.CLIENT_ORDER_ID_INVALID),
        (order(Side.BUY, "0.00005"), RefusalReason.QUANTITY_OFF_GRID),
        (order(Side.BUY, "NaN"), RefusalReason.QUANTITY_OFF_GRID),
        (order(Side.BUY, "1e40"), RefusalReason.QUANTITY_OFF_GRID),
        (order(Side.BUY, "0"), RefusalReason.QUANTITY_TOO_SMALL),
        (order(Side.BUY, "-1"), RefusalReason.QUANTITY_TOO_SMALL),
        (order(Side.BUY, "121"), RefusalReason.QUANTITY_TOO_LARGE),
        (order(Side.BUY, "0.1", bid + D("0.01")), RefusalReason.PRICE_OFF_GRID),
        (order(Side.BUY, "0.1", D("-0.1")), RefusalReason.PRICE_OFF_GRID),
        (order(Side.BUY, "0.1", high), RefusalReason.PRICE_OUT_OF_BAND),
        (replace(resting, price_limit=None), RefusalReason.ORDER_INVALID),
        (order(Side.BUY, "0.1", post_only=True), RefusalReason.ORDER_INVALID),
        (order(Side.BUY, "1", instrument_id="ABCUSDT"), RefusalReason.INSTRUMENT_UNKNOWN),
    ]
    for new, reason in cases:
        assert refusal(exchange, new) is reason
    assert refusal(exchange, resting, "nobody") is RefusalReason.ACCOUNT_UNKNOWN


def test_post_only_market_takes_nothing_else(
    parameters: ExchangeParameters, opened_ns: int
) -> None:
    first, *others = parameters.instruments
    closed = replace(first.instrument, state=InstrumentState.POST_ONLY)
    venue = Exchange.create(
        replace(parameters, instruments=(replace(first, instrument=closed), *others)), opened_ns
    )
    venue.open_account("a", D(10_000))
    bid = venue.book(BTC).bids[0][0]
    assert refusal(venue, order(Side.BUY, "0.1")) is RefusalReason.INSTRUMENT_NOT_LIVE
    assert refusal(venue, order(Side.BUY, "0.1", bid)) is RefusalReason.INSTRUMENT_NOT_LIVE
    venue.place("a", order(Side.BUY, "0.1", bid, post_only=True))
    assert venue.account("a").open_orders[0].price_limit == bid


def test_client_order_id_is_free_again_after_the_order(exchange: Exchange) -> None:
    first, _ = exchange.place("a", order(Side.BUY, "0.01", client_order_id="again"))
    second, _ = exchange.place("a", order(Side.SELL, "0.01", client_order_id="again"))
    latest = exchange.order("a", client_order_id="again")
    assert latest is not None
    assert latest.order_id == second.order_id != first.order_id


def test_open_orders_are_bounded(exchange: Exchange) -> None:
    bid = exchange.book("DOGEUSDT").bids[0][0]
    new = order(Side.BUY, "10", bid, instrument_id="DOGEUSDT")
    for _ in range(OPEN_ORDERS_MAX):
        exchange.place("a", new)
    assert refusal(exchange, new) is RefusalReason.OPEN_ORDERS_TOO_MANY


def test_ended_orders_are_forgotten_in_time(exchange: Exchange) -> None:
    start_ns = exchange.now_ns
    bid = exchange.book(BTC).bids[5][0]
    exchange.place("a", order(Side.BUY, "0.01", client_order_id="filled"))
    exchange.place("a", order(Side.BUY, "0.01", bid, client_order_id="canceled"))
    exchange.cancel("a", client_order_id="canceled")
    exchange.advance(start_ns + 2 * NS_PER_HOUR)
    assert [each.client_order_id for each in exchange.orders("a")] == ["filled", "canceled"]
    exchange.advance(exchange.now_ns + 1)
    assert exchange.order("a", client_order_id="canceled") is None
    assert [each.client_order_id for each in exchange.orders("a")] == ["filled"]
    assert len(exchange.fills("a", start_ns)) == 1
    assert exchange.fills("a", start_ns + 1) == ()
