"""What an operator does to a running venue."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.instruments import InstrumentState, MarginTier
from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import (
    Deleveraged,
    FundingCharged,
    FundingRateChanged,
    InstrumentChanged,
    OrderChanged,
    PositionChanged,
    WalletChanged,
)
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import (
    CancelCause,
    NewOrder,
    OrderCategory,
    OrderRefused,
    RefusalReason,
)
from counterpoise.exchange.parameters import ExchangeParameters

D = Decimal
BTC = "BTCUSDT"


def market(side: Side, quantity: str, instrument_id: str = BTC) -> NewOrder:
    return NewOrder(
        instrument_id=instrument_id, side=side, quantity=D(quantity), kind=OrderKind.MARKET
    )


def limit(price: Decimal, quantity: str = "0.01", **other: bool | str) -> NewOrder:
    return NewOrder(
        instrument_id=BTC, side=Side.BUY, quantity=D(quantity), price_limit=price,
        **other,  # type: ignore[arg-type]
    )  # fmt: skip


def refusal(exchange: Exchange, new: NewOrder) -> RefusalReason:
    with pytest.raises(OrderRefused) as caught:
        exchange.place("a", new)
    return caught.value.reason


def copy(exchange: Exchange, parameters: ExchangeParameters) -> Exchange:
    return Exchange.restore(parameters, json.loads(json.dumps(exchange.save())))


def test_cash_goes_in_and_free_cash_out(exchange: Exchange) -> None:
    (told,) = exchange.transfer("a", D(500))
    assert isinstance(told, WalletChanged)
    assert (told.cause, told.change, told.wallet_balance) == (BillKind.DEPOSIT, 500, 10_500)
    exchange.place("a", market(Side.BUY, "0.1"))
    account = exchange.account("a")
    free = min(account.equity, account.wallet_balance) - account.initial_margin
    with pytest.raises(OrderRefused) as caught:
        exchange.transfer("a", -free - D("0.01"))
    assert caught.value.reason is RefusalReason.WITHDRAWAL_TOO_LARGE
    exchange.transfer("a", -free)
    assert exchange.bills("a", 0)[-1].kind is BillKind.WITHDRAWAL
    assert exchange.account("a").wallet_balance == account.wallet_balance - free
    with pytest.raises(ValueError, match="moves nothing"):
        exchange.transfer("a", D(0))


def test_states_decide_which_orders_are_taken(
    exchange: Exchange, parameters: ExchangeParameters
) -> None:
    bid = exchange.book(BTC).bids[9][0]
    exchange.place("a", limit(bid, client_order_id="before"))
    (told,) = exchange.set_instrument_state(BTC, InstrumentState.POST_ONLY)
    assert isinstance(told, InstrumentChanged)
    assert (told.instrument.state, told.delisted) == (InstrumentState.POST_ONLY, False)
    not_live = RefusalReason.INSTRUMENT_NOT_LIVE
    assert refusal(exchange, market(Side.BUY, "0.1")) is not_live
    assert refusal(exchange, limit(bid)) is not_live
    exchange.place("a", limit(bid, post_only=True))
    exchange.set_instrument_state(BTC, InstrumentState.SUSPENDED)
    assert refusal(exchange, limit(bid, post_only=True)) is not_live
    assert refusal(copy(exchange, parameters), limit(bid, post_only=True)) is not_live
    exchange.cancel("a", client_order_id="before")
    exchange.set_instrument_state(BTC, InstrumentState.LIVE)
    exchange.place("a", market(Side.BUY, "0.1"))


def test_delisting_cancels_settles_and_forgets(
    exchange: Exchange, parameters: ExchangeParameters
) -> None:
    exchange.place("a", market(Side.BUY, "0.1"))
    exchange.place("a", market(Side.SELL, "1", "ETHUSDT"))
    exchange.place("a", limit(exchange.book(BTC).bids[9][0], client_order_id="rest"))
    before, mark = exchange.account("a"), exchange.mark(BTC)
    events = exchange.delist(BTC)
    canceled, settled = events[0], events[1]
    assert isinstance(canceled, OrderChanged)
    assert canceled.order.cancel_cause is CancelCause.DELISTING
    assert isinstance(settled, Deleveraged)
    assert (settled.side, settled.quantity, settled.price) == (Side.SELL, D("0.1"), mark)
    assert isinstance(events[-1], InstrumentChanged)
    assert events[-1].delisted
    after = exchange.account("a")
    assert set(after.positions) == {"ETHUSDT"}
    assert after.equity == before.equity
    assert exchange.bills("a", 0)[-1].kind is BillKind.DELISTING
    for venue in (exchange, copy(exchange, parameters)):
        assert refusal(venue, market(Side.BUY, "0.1")) is RefusalReason.INSTRUMENT_UNKNOWN
        assert BTC not in [each.instrument_id for each in venue.instruments()]
        venue.advance(exchange.now_ns + NS_PER_SECOND)


def test_coarser_lot_and_tick_hold_from_the_next_order_on(
    exchange: Exchange, parameters: ExchangeParameters
) -> None:
    exchange.place("a", market(Side.BUY, "0.1004"))
    resting = exchange.book(BTC).bids[9][0]
    exchange.place("a", limit(resting, "0.0003", client_order_id="old"))
    exchange.change_rules(BTC, tick_size=D("0.5"), lot_size=D("0.001"), notional_min=D(300))
    changed = exchange.instrument(BTC)
    assert (changed.tick_size, changed.lot_size, changed.quantity_min) == (
        D("0.5"), D("0.001"), D("0.001"),
    )  # fmt: skip
    assert refusal(exchange, market(Side.SELL, "0.1004")) is RefusalReason.QUANTITY_OFF_GRID
    assert refusal(exchange, limit(D("90000.1"))) is RefusalReason.PRICE_OFF_GRID
    assert refusal(exchange, limit(D(95000), "0.003")) is RefusalReason.NOTIONAL_TOO_SMALL
    exchange.cancel("a", client_order_id="old")
    restored = copy(exchange, parameters)
    until_ns = exchange.now_ns + 3 * NS_PER_SECOND
    assert restored.advance(until_ns) == exchange.advance(until_ns)
    book = exchange.book(BTC)
    for price, quantity in (*book.bids, *book.asks):
        assert price % D("0.5") == 0
        assert quantity % D("0.001") == 0
    assert book.bids[0][0] < book.asks[0][0]
    exchange.place("a", market(Side.SELL, "0.1"))
    assert exchange.account("a").positions[BTC].quantity == D("0.0004")


def test_impossible_rules_are_refused(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="multiple"):
        exchange.change_rules(BTC, lot_size=D("0.00015"))
    with pytest.raises(ValueError, match="no end"):
        exchange.change_rules(BTC, tiers=())
    with pytest.raises(OrderRefused):
        exchange.change_rules("ABCUSDT", lot_size=D(1))


def test_stricter_tiers_raise_what_a_position_needs(exchange: Exchange) -> None:
    exchange.place("a", market(Side.BUY, "0.1"))
    mark = exchange.mark(BTC)
    assert exchange.account("a").maintenance_margin == D("0.1") * mark * D("0.004")
    strict = MarginTier(
        notional_max=None,
        maintenance_margin_fraction=D("0.2"),
        initial_margin_fraction=D("0.4"),
    )
    exchange.change_rules(BTC, tiers=(strict,))
    account = exchange.account("a")
    assert account.maintenance_margin == D("0.1") * mark * D("0.2")
    assert account.initial_margin == D("0.1") * mark * D("0.4")
    exchange.change_rules(BTC, tiers=(replace(strict, maintenance_margin_fraction=D("0.39")),))
    exchange.change_rules(BTC, market_quantity_max=D("0.05"), limit_quantity_max=D("0.06"))
    assert refusal(exchange, market(Side.SELL, "0.06")) is RefusalReason.QUANTITY_TOO_LARGE
    assert refusal(exchange, limit(D(95_000), "0.07")) is RefusalReason.QUANTITY_TOO_LARGE


def test_funding_every_hour(
    exchange: Exchange, parameters: ExchangeParameters, opened_ns: int
) -> None:
    exchange.place("a", market(Side.BUY, "0.1"))
    (told,) = exchange.set_funding_interval(BTC, 1)
    assert isinstance(told, FundingRateChanged)
    assert (told.interval_hours, told.funding_ns) == (1, opened_ns + NS_PER_HOUR)
    restored = copy(exchange, parameters)
    for venue in (exchange, restored):
        events = venue.advance(opened_ns + 2 * NS_PER_HOUR + NS_PER_MINUTE)
        charged = [each.event_ns for each in events if isinstance(each, FundingCharged)]
        assert charged == [opened_ns + NS_PER_HOUR, opened_ns + 2 * NS_PER_HOUR]
        assert venue.funding("ETHUSDT").interval_hours == 8
    with pytest.raises(ValueError, match="divide"):
        exchange.set_funding_interval(BTC, 5)


def test_adl_shrinks_a_position_without_an_order(exchange: Exchange) -> None:
    exchange.place("a", market(Side.SELL, "0.1"))
    rest = NewOrder(
        instrument_id=BTC, side=Side.BUY, quantity=D("0.1"), reduce_only=True,
        price_limit=exchange.book(BTC).bids[9][0], client_order_id="rest",
    )  # fmt: skip
    exchange.place("a", rest)
    before, mark = exchange.account("a"), exchange.mark(BTC)
    events = exchange.force_reduce("a", BTC, quantity=D("0.07"))
    assert [type(each) for each in events] == [
        Deleveraged, PositionChanged, WalletChanged, OrderChanged,
    ]  # fmt: skip
    shrunk, moved = events[0], events[1]
    assert isinstance(shrunk, Deleveraged)
    assert isinstance(moved, PositionChanged)
    assert (shrunk.side, shrunk.quantity, shrunk.price, shrunk.fill.fee) == (
        Side.BUY, D("0.07"), mark, 0,
    )  # fmt: skip
    # As OKX tells it: another quantity under the same trade counter.
    assert moved.position.quantity == D("-0.03")
    was = before.positions[BTC]
    assert moved.position.last_trade_sequence == was.last_trade_sequence
    assert shrunk.fill.trade_sequence < 0
    after = exchange.account("a")
    assert after.equity == before.equity
    assert after.open_orders[0].quantity == D("0.03")
    assert exchange.bills("a", 0)[-1].kind is BillKind.ADL
    assert exchange.orders("a")[-1].category is OrderCategory.ADL
    exchange.force_reduce("a", BTC, price=D(90_000))
    assert exchange.account("a").positions == {}
    assert exchange.fills("a", 0)[-1].price == 90_000
    with pytest.raises(OrderRefused) as caught:
        exchange.force_reduce("a", BTC)
    assert caught.value.reason is RefusalReason.REDUCE_ONLY_NO_POSITION


def test_an_order_vanishes_behind_its_owners_back(exchange: Exchange) -> None:
    exchange.place("a", limit(exchange.book(BTC).bids[9][0], client_order_id="rest"))
    events = exchange.force_cancel("a", client_order_id="rest")
    assert isinstance(events[0], OrderChanged)
    assert events[0].order.cancel_cause is CancelCause.VENUE
    assert exchange.account("a").open_orders == ()


def test_older_states_are_read(exchange: Exchange, parameters: ExchangeParameters) -> None:
    exchange.place("a", market(Side.BUY, "0.1"))
    saved = json.loads(json.dumps(exchange.save()))
    del saved["crowd"]
    for name in ("hours", "commanded", "premiums", "gap"):
        del saved["board"][name]
    clearing = saved["desk"]["clearing"]
    del clearing["insurance_fund"], clearing["listing"]
    account = clearing["accounts"]["a"]
    del account["position_modes"], account["self_trade"], account["fee_level"]
    del account["holdings"][0]["position_side"], account["fills"][0]["position_side"]
    for order in saved["desk"]["orders"]:
        del order["position_side"], order["self_trade"]
    restored = Exchange.restore(parameters, saved)
    assert restored.account("a") == exchange.account("a")
    assert restored.orders("a") == exchange.orders("a")
