"""Funding and liquidation of accounts."""

from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import (
    FundingCharged,
    Liquidated,
    OrderChanged,
    PositionChanged,
    WalletChanged,
)
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import CancelCause, NewOrder, OrderCategory, OrderRefused

D = Decimal
BTC = "BTCUSDT"
ETH = "ETHUSDT"


def market(instrument_id: str, side: Side, quantity: str) -> NewOrder:
    return NewOrder(
        instrument_id=instrument_id, side=side, quantity=D(quantity), kind=OrderKind.MARKET
    )


def test_funding_is_charged_at_the_boundary_to_both_sides(
    exchange: Exchange, opened_ns: int
) -> None:
    exchange.open_account("b", D(10_000))
    exchange.open_account("flat", D(10_000))
    exchange.place("a", market(BTC, Side.BUY, "0.1"))
    exchange.place("b", market(BTC, Side.SELL, "0.1"))
    due_ns = opened_ns + 8 * NS_PER_HOUR
    before = exchange.advance(due_ns - NS_PER_SECOND)
    assert not [each for each in before if isinstance(each, FundingCharged)]
    balances = {name: exchange.account(name).wallet_balance for name in ("a", "b", "flat")}
    charged = [each for each in exchange.advance(due_ns) if isinstance(each, FundingCharged)]
    assert [(each.account_id, each.event_ns) for each in charged] == [("a", due_ns), ("b", due_ns)]
    rate, mark = charged[0].rate, exchange.mark(BTC)
    assert rate != 0
    assert charged[0].payment == -D("0.1") * mark * rate
    assert charged[1].payment == D("0.1") * mark * rate
    for event in charged:
        name = event.account_id
        bill = exchange.bills(name, due_ns)[0]
        assert (bill.kind, bill.bill_id, bill.change) == (
            BillKind.FUNDING, event.bill_id, event.payment,
        )  # fmt: skip
        assert exchange.account(name).wallet_balance == balances[name] + event.payment
    assert exchange.account("flat").wallet_balance == balances["flat"]
    assert exchange.bills("flat", due_ns) == ()


def test_calm_funding_is_one_basis_point(exchange: Exchange, opened_ns: int) -> None:
    exchange.advance(opened_ns + 4 * NS_PER_HOUR)
    assert exchange.funding(BTC).rate == pytest.approx(D("0.0001"), abs=D("0.0001"))


def test_positions_are_liquidated_at_the_price_foretold(exchange: Exchange) -> None:
    exchange.set_leverage("a", BTC, D(10))
    exchange.place("a", market(BTC, Side.BUY, "0.6"))
    exchange.place("a", market(ETH, Side.SELL, "0.5"))
    foretold = exchange.account("a").positions[BTC].liquidation_price
    assert foretold is not None
    exchange.shock(BTC, -0.18, 60.0)
    events: list[Liquidated] = []
    for _ in range(300):
        marks = exchange.mark(BTC)
        told = exchange.advance(exchange.now_ns + NS_PER_SECOND // 4)
        events = [each for each in told if isinstance(each, Liquidated)]
        if events:
            break
    closed = {each.instrument_id: each for each in events}
    assert set(closed) == {BTC, ETH}
    assert (closed[BTC].side, closed[BTC].quantity) == (Side.SELL, D("0.6"))
    assert closed[BTC].price == exchange.mark(BTC)
    # The other leg's mark moved meanwhile, so the forecast is near, not exact.
    assert float(closed[BTC].price / foretold) == pytest.approx(1, abs=0.005)
    assert marks > closed[BTC].price
    assert closed[BTC].fee == D("0.6") * closed[BTC].price * D("0.002")
    account = exchange.account("a")
    assert account.positions == {}
    assert account.equity == account.wallet_balance >= 0
    assert account.wallet_balance == sum(each.change for each in exchange.bills("a", 0))


def test_liquidation_leaves_a_negative_trade_and_no_order_event(exchange: Exchange) -> None:
    exchange.set_leverage("a", BTC, D(10))
    exchange.place("a", market(BTC, Side.BUY, "0.6"))
    taken = exchange.account("a").positions[BTC].last_trade_sequence
    above = exchange.book(BTC).asks[0][0] + 3000
    rest = NewOrder(
        instrument_id=BTC,
        side=Side.SELL,
        quantity=D("0.01"),
        price_limit=above,
        client_order_id="rest",
    )
    exchange.place("a", rest)
    exchange.shock(BTC, -0.5, 0.0)
    events = exchange.advance(exchange.now_ns + NS_PER_SECOND)
    assert [each.cause for each in events if isinstance(each, WalletChanged)][-2:] == [
        BillKind.LIQUIDATION,
        BillKind.INSURANCE,
    ]
    account = exchange.account("a")
    assert (account.wallet_balance, account.equity, account.open_orders) == (0, 0, ())
    positions = [each.position for each in events if isinstance(each, PositionChanged)]
    assert (positions[-1].quantity, positions[-1].entry_price) == (0, None)
    fill = exchange.fills("a", 0)[-1]
    assert fill.trade_sequence < 0 < taken
    assert positions[-1].last_trade_sequence >= taken
    seized = exchange.orders("a")[-1]
    assert (seized.category, seized.order_id) == (OrderCategory.LIQUIDATION, fill.order_id)
    assert seized.client_order_id is None
    ended = exchange.order("a", client_order_id="rest")
    assert ended is not None
    assert (ended.cancel_cause, ended.filled_quantity) == (CancelCause.LIQUIDATION, 0)
    told = [each.order.client_order_id for each in events if isinstance(each, OrderChanged)]
    assert told == ["rest"]


def test_short_squeeze_liquidates_the_short(exchange: Exchange) -> None:
    exchange.place("a", market(ETH, Side.SELL, "8"))
    exchange.shock(ETH, 0.45, 2.0)
    events = exchange.advance(exchange.now_ns + 3 * NS_PER_SECOND)
    closed = [each for each in events if isinstance(each, Liquidated)]
    assert [(each.instrument_id, each.side, each.quantity) for each in closed] == [
        (ETH, Side.BUY, D(8))
    ]


def test_accounts_are_told_apart(exchange: Exchange) -> None:
    exchange.open_account("b", D(5))
    assert exchange.account_ids() == ("a", "b")
    assert exchange.account("b").equity == 5
    assert exchange.bills("b", 0)[0].kind is BillKind.DEPOSIT
    with pytest.raises(ValueError, match="exists"):
        exchange.open_account("b", D(5))
    with pytest.raises(ValueError, match="negative"):
        exchange.open_account("c", D(-1))
    with pytest.raises(OrderRefused, match="nobody"):
        exchange.account("nobody")
