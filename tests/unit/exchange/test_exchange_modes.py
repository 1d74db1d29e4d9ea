"""One-way and hedge mode."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR
from counterpoise.exchange.events import FundingCharged, SettingsChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import PositionMode, PositionSide
from counterpoise.exchange.orders import CancelCause, NewOrder, OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters

D = Decimal
BTC = "BTCUSDT"
LONG, SHORT, NET = PositionSide.LONG, PositionSide.SHORT, PositionSide.NET


def market(side: Side, quantity: str, position_side: PositionSide = NET) -> NewOrder:
    return NewOrder(
        instrument_id=BTC, side=side, quantity=D(quantity), kind=OrderKind.MARKET,
        position_side=position_side,
    )  # fmt: skip


def refusal(exchange: Exchange, new: NewOrder) -> RefusalReason:
    with pytest.raises(OrderRefused) as caught:
        exchange.place("a", new)
    return caught.value.reason


@pytest.fixture
def hedged(exchange: Exchange) -> Exchange:
    """Account "a" in hedge mode, long 0.1 and short 0.04 BTC."""
    exchange.set_position_mode("a", PositionMode.HEDGE)
    exchange.place("a", market(Side.BUY, "0.1", LONG))
    exchange.place("a", market(Side.SELL, "0.04", SHORT))
    return exchange


def test_both_sides_are_held_beside_each_other(hedged: Exchange) -> None:
    account = hedged.account("a")
    assert {key: each.quantity for key, each in account.positions.items()} == {
        "BTCUSDT:long": D("0.1"), "BTCUSDT:short": D("-0.04"),
    }  # fmt: skip
    mark = hedged.mark(BTC)
    assert account.initial_margin == pytest.approx(D("0.14") * mark / 3, abs=D("1e-15"))
    assert account.maintenance_margin == D("0.14") * mark * D("0.004")
    assert [each.position_side for each in hedged.fills("a", 0)] == [LONG, SHORT]
    prices = {each.liquidation_price for each in account.positions.values()}
    assert len(prices) == 1
    # Net long 0.06: 10 000 less what was lost on entry covers a fall to nothing.
    assert prices == {None}


def test_pair_shares_the_liquidation_price(hedged: Exchange) -> None:
    hedged.transfer("a", D("-5000"))
    account = hedged.account("a")
    price = account.positions["BTCUSDT:long"].liquidation_price
    assert price is not None
    mark = hedged.mark(BTC)
    equity = account.equity + D("0.06") * (price - mark)
    assert equity == pytest.approx(D("0.14") * price * D("0.004"), abs=D("1e-15"))
    assert account.positions["BTCUSDT:short"].liquidation_price == price


def test_closing_side_can_only_close(hedged: Exchange) -> None:
    hedged.place("a", market(Side.SELL, "5", LONG))
    assert set(hedged.account("a").positions) == {"BTCUSDT:short"}
    assert refusal(hedged, market(Side.SELL, "0.01", LONG)) is RefusalReason.REDUCE_ONLY_NO_POSITION
    hedged.place("a", market(Side.BUY, "0.01", SHORT))
    assert hedged.account("a").positions["BTCUSDT:short"].quantity == D("-0.03")


def test_resting_close_orders_follow_their_own_position(hedged: Exchange) -> None:
    ask = hedged.book(BTC).asks[8][0]
    rest = NewOrder(
        instrument_id=BTC, side=Side.SELL, quantity=D("0.1"), price_limit=ask,
        position_side=LONG, client_order_id="rest",
    )  # fmt: skip
    hedged.place("a", rest)
    hedged.place("a", market(Side.SELL, "0.07", LONG))
    cut = hedged.order("a", client_order_id="rest")
    assert cut is not None
    assert (cut.quantity, cut.reduce_only, cut.position_side) == (D("0.03"), True, LONG)
    hedged.place("a", market(Side.SELL, "0.03", LONG))
    gone = hedged.order("a", client_order_id="rest")
    assert gone is not None
    assert gone.cancel_cause is CancelCause.REDUCE_ONLY
    assert hedged.account("a").positions["BTCUSDT:short"].quantity == D("-0.04")


def test_a_changed_leverage_is_told_once(exchange: Exchange) -> None:
    exchange.set_position_mode("a", PositionMode.HEDGE, BTC)
    assert exchange.set_leverage("a", BTC, D(10)) == [
        SettingsChanged(
            account_id="a", instrument_id=BTC, leverage_setting=D(10),
            position_mode=PositionMode.HEDGE, event_ns=exchange.now_ns,
        )
    ]  # fmt: skip
    assert exchange.set_leverage("a", BTC, D(10)) == []
    assert exchange.leverage_setting("a", BTC) == 10


def test_position_side_must_fit_the_mode(exchange: Exchange) -> None:
    mismatch = RefusalReason.POSITION_SIDE_MISMATCH
    assert refusal(exchange, market(Side.BUY, "0.1", LONG)) is mismatch
    told = exchange.set_position_mode("a", PositionMode.HEDGE, BTC)
    assert [(type(each), getattr(each, "instrument_id", "")) for each in told] == [
        (SettingsChanged, BTC)
    ]
    assert exchange.position_mode("a", BTC) is PositionMode.HEDGE
    assert exchange.position_mode("a", "ETHUSDT") is PositionMode.ONE_WAY
    assert refusal(exchange, market(Side.BUY, "0.1")) is mismatch
    exchange.place("a", replace(market(Side.BUY, "0.1"), instrument_id="ETHUSDT"))


def test_mode_is_locked_by_positions_and_orders(exchange: Exchange) -> None:
    def change(mode: PositionMode, instrument_id: str | None = None) -> RefusalReason:
        with pytest.raises(OrderRefused) as caught:
            exchange.set_position_mode("a", mode, instrument_id)
        return caught.value.reason

    assert change(PositionMode.ONE_WAY) is RefusalReason.MODE_UNCHANGED
    bid = exchange.book(BTC).bids[9][0]
    rest = NewOrder(instrument_id=BTC, side=Side.BUY, quantity=D("0.01"), price_limit=bid)
    placed, _ = exchange.place("a", rest)
    assert change(PositionMode.HEDGE) is RefusalReason.MODE_LOCKED
    exchange.set_position_mode("a", PositionMode.HEDGE, "ETHUSDT")
    exchange.cancel("a", order_id=placed.order_id)
    exchange.place("a", market(Side.BUY, "0.01"))
    assert change(PositionMode.HEDGE, BTC) is RefusalReason.MODE_LOCKED
    exchange.place("a", market(Side.SELL, "0.01"))
    exchange.set_position_mode("a", PositionMode.HEDGE)
    assert exchange.position_mode("a", BTC) is PositionMode.HEDGE


def test_funding_is_charged_to_both_sides(hedged: Exchange, opened_ns: int) -> None:
    due_ns = opened_ns + 8 * NS_PER_HOUR
    charged = [each for each in hedged.advance(due_ns) if isinstance(each, FundingCharged)]
    rate, mark = charged[0].rate, hedged.mark(BTC)
    assert [each.payment for each in charged] == [-D("0.1") * mark * rate, D("0.04") * mark * rate]
    assert hedged.account("a").positions["BTCUSDT:long"].realised_pnl < 0


def test_modes_are_saved(hedged: Exchange, parameters: ExchangeParameters) -> None:
    restored = Exchange.restore(parameters, json.loads(json.dumps(hedged.save())))
    assert restored.position_mode("a", BTC) is PositionMode.HEDGE
    assert restored.account("a") == hedged.account("a")
