"""What the venue does to positions on its own: liquidation, ADL, settlement of what is delisted.

Clients hear of it by position, wallet and special events; no order event is told of the venue's
own orders.
"""

from collections.abc import Container
from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind, OrderState, Side
from counterpoise.domain.rounding import quantize_down, quantize_up
from counterpoise.exchange import liquidation
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.adl import AdlQueue, Claim
from counterpoise.exchange.clearing import ZERO
from counterpoise.exchange.desk import Desk
from counterpoise.exchange.events import Deleveraged, Liquidated
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeOrder,
    NewOrder,
    OrderCategory,
    OrderRefused,
    RefusalReason,
)
from counterpoise.exchange.rules import LiquidationRule
from counterpoise.exchange.wallet import Holding

#: Takeovers are booked on this grid, finer than any tick; the fund makes up what it rounds off.
TAKEOVER_STEP: Final = Decimal("0.00000001")


class Liquidator:
    """The hand that closes what clients did not close themselves."""

    def __init__(self, desk: Desk, rule: LiquidationRule, queue: AdlQueue) -> None:
        self._desk = desk
        self._rule = rule
        #: Who is deleveraged first.
        self.queue = queue

    def step(self, account_id: str, but: Container[str] = ()) -> None:
        """Do the next part of liquidating an account whose equity no longer suffices.

        What would go into the books of the instruments `but` waits while there is equity left.
        """
        for order in self._desk.registry.open_orders(account_id):
            self._desk.cancel_order(order, CancelCause.LIQUIDATION)
        wallet = self._desk.clearing.wallet(account_id)
        if self._rule.tiers_per_step is None:
            for holding in wallet.held():
                mark = self._desk.clearing.marks[holding.instrument_id]
                self._seize(self._order(account_id, holding, abs(holding.quantity)), mark)
        else:
            self._shrink(account_id, but)
        if not wallet.held():
            self._insure(account_id)

    def force_reduce(
        self, account_id: str, instrument_id: str, quantity: Decimal | None,
        position_side: PositionSide, price: Decimal | None,
    ) -> None:  # fmt: skip
        """Deleverage a position. OrderRefused: there is none."""
        wallet = self._desk.clearing.wallet(account_id)
        holding = wallet.holding(instrument_id, position_side)
        if not holding.quantity:
            raise OrderRefused(RefusalReason.REDUCE_ONLY_NO_POSITION, "no position")
        part = min(abs(holding.quantity), abs(holding.quantity) if quantity is None else quantity)
        if part <= 0:
            raise ValueError(f"quantity={quantity} closes nothing")
        mark = self._desk.clearing.marks[instrument_id]
        self._close(account_id, holding, part, price or mark, OrderCategory.ADL)
        self._desk.cut_reduce_only(account_id, instrument_id)

    def settle(self, instrument_id: str) -> None:
        """End all orders and positions of an instrument at mark, without a fee."""
        clearing = self._desk.clearing
        for account_id, wallet in clearing.wallets.items():
            for order in self._desk.registry.open_orders(account_id):
                if order.instrument_id == instrument_id:
                    self._desk.cancel_order(order, CancelCause.DELISTING)
            for holding in wallet.held():
                if holding.instrument_id == instrument_id:
                    mark = clearing.marks[instrument_id]
                    size = abs(holding.quantity)
                    self._close(account_id, holding, size, mark, OrderCategory.DELISTING)
            if not wallet.held():
                self._insure(account_id)

    def _shrink(self, account_id: str, but: Container[str]) -> None:
        # One step of one position: the one that needs most margin.
        clearing = self._desk.clearing
        wallet = clearing.wallet(account_id)
        equity = clearing.figures(wallet, ()).equity
        held = sorted(
            (each for each in wallet.held() if equity <= 0 or each.instrument_id not in but),
            key=lambda each: -abs(each.quantity) * clearing.marks[each.instrument_id],
        )
        if not held:
            return
        holding = held[0]
        instrument_id, mark = holding.instrument_id, clearing.marks[holding.instrument_id]
        grid = clearing.listing.grid(instrument_id)
        part = liquidation.step_quantity(
            self._rule, clearing.listing.tiers(instrument_id), holding.quantity, mark,
            grid.lot_size,
        )  # fmt: skip
        if equity <= 0:
            part = abs(holding.quantity)
        exact = liquidation.bankruptcy_price(holding.quantity, mark, equity)
        whole = part == abs(holding.quantity)
        kind = OrderCategory.LIQUIDATION if whole else OrderCategory.PARTIAL_LIQUIDATION
        order = self._order(account_id, holding, part, kind)
        inward = quantize_up if order.side is Side.SELL else quantize_down
        limit = max(inward(exact, grid.tick_size), grid.tick_size)
        order = self._into_book(order, int(limit / grid.tick_size))
        if order.remaining and whole:
            self._take_over(order, max(exact, ZERO).quantize(TAKEOVER_STEP), mark)
        elif order.open and order.filled_quantity:
            ended = replace(order, state=OrderState.CANCELED, cancel_cause=CancelCause.LIQUIDATION)
            self._desk.registry.put(ended)

    def _into_book(self, order: ExchangeOrder, limit_ticks: int) -> ExchangeOrder:
        # An immediate order no worse than the bankruptcy price; the rest is left to the caller.
        book = self._desk.books[order.instrument_id]
        lot_size = self._desk.clearing.listing.grid(order.instrument_id).lot_size
        while order.remaining:
            lots = int(order.remaining / lot_size)
            sweep = book.sweep(order.side, limit_ticks, lots, order.account_id)
            if not sweep.matches:
                break
            price = self._desk.take_match(order, sweep.matches[0])
            order = self._seize(order, price, sweep.matches[0].lots * lot_size)
        return order

    def _take_over(self, order: ExchangeOrder, price: Decimal, mark: Decimal) -> None:
        # The insurance fund takes what the book did not, at the bankruptcy price and without a
        # fee. What the fund cannot bear goes to the traders on the other side (ADL).
        clearing = self._desk.clearing
        loss = order.side.sign * (mark - price)
        bearable = order.remaining
        if clearing.insurance_fund is not None and loss > 0:
            lot_size = clearing.listing.grid(order.instrument_id).lot_size
            bearable = min(bearable, quantize_down(clearing.insurance_fund / loss, lot_size))
        if bearable:
            clearing.fund(-loss * bearable)
        left = order.remaining - bearable
        self._seize(order, price, fee_bps=ZERO)
        if left:
            self._deleverage(order, left, price)

    def _deleverage(self, bankrupt: ExchangeOrder, quantity: Decimal, price: Decimal) -> None:
        # A bankrupt long is closed against those who sold, as its closing order does.
        claims = self._claims(bankrupt.instrument_id, bankrupt.side, bankrupt.account_id)
        mark = self._desk.clearing.marks[bankrupt.instrument_id]
        for claim, part in self.queue.assign(
            bankrupt.instrument_id, bankrupt.side, claims, quantity, mark
        ):
            self.force_reduce(
                claim.account_id, bankrupt.instrument_id, part, claim.position_side, price
            )

    def rank(self, account_id: str, instrument_id: str, position_side: PositionSide) -> int:
        """Return the ADL indicator, 1 (last) to 5 (first); 0 = no position."""
        clearing = self._desk.clearing
        holding = clearing.wallet(account_id).holding(instrument_id, position_side)
        if not holding.quantity:
            return 0
        holder = Side.BUY if holding.quantity > 0 else Side.SELL
        claims = self._claims(instrument_id, holder, None)
        mark = clearing.marks[instrument_id]
        return self.queue.rank(instrument_id, holder, claims, (account_id, position_side), mark)

    def _claims(self, instrument_id: str, holder: Side, but: str | None) -> list[Claim]:
        # Positions of accounts that are long (holder BUY) or short.
        clearing, claims = self._desk.clearing, []
        for account_id, wallet in clearing.wallets.items():
            if account_id == but:
                continue
            equity = clearing.figures(wallet, ()).equity if wallet.held() else ZERO
            claims += [
                Claim(
                    account_id=account_id,
                    position_side=each.position_side,
                    quantity=abs(each.quantity),
                    entry_price=each.entry_price,
                    equity=equity,
                )
                for each in wallet.held()
                if each.instrument_id == instrument_id and each.quantity * holder.sign > 0
            ]
        return claims

    def _order(
        self, account_id: str, holding: Holding, quantity: Decimal,
        category: OrderCategory = OrderCategory.LIQUIDATION,
    ) -> ExchangeOrder:  # fmt: skip
        new = NewOrder(
            instrument_id=holding.instrument_id,
            side=Side.SELL if holding.quantity > 0 else Side.BUY,
            quantity=quantity,
            kind=OrderKind.MARKET,
            reduce_only=True,
            position_side=holding.position_side,
        )
        return self._desk.venue_order(account_id, new, category)

    def _seize(
        self, order: ExchangeOrder, price: Decimal, quantity: Decimal | None = None,
        fee_bps: Decimal | None = None,
    ) -> ExchangeOrder:  # fmt: skip
        part = order.remaining if quantity is None else quantity
        desk = self._desk
        fill, bill = desk.clearing.seize(order, part, price, desk.now_ns, fee_bps=fee_bps)
        after = order.after(fill)
        desk.registry.put(after)
        desk.tell(
            Liquidated(
                account_id=order.account_id, instrument_id=order.instrument_id, side=order.side,
                quantity=part, price=price, fee=fill.fee, fill=fill, order=after,
                event_ns=desk.now_ns, position_side=order.position_side,
            )
        )  # fmt: skip
        desk.tell_books(after, bill)
        return after

    def _close(
        self, account_id: str, holding: Holding, quantity: Decimal, price: Decimal,
        category: OrderCategory,
    ) -> None:  # fmt: skip
        desk = self._desk
        kind = BillKind.ADL if category is OrderCategory.ADL else BillKind.DELISTING
        order = self._order(account_id, holding, quantity, category)
        fill, bill = desk.clearing.seize(
            order, quantity, price, desk.now_ns, kind=kind, fee_bps=ZERO
        )
        after = order.after(fill)
        desk.registry.put(after)
        desk.tell(
            Deleveraged(
                account_id=account_id, instrument_id=holding.instrument_id,
                position_side=holding.position_side, side=order.side, quantity=quantity,
                price=price, fill=fill, order=after, event_ns=desk.now_ns,
            )
        )  # fmt: skip
        desk.tell_books(order, bill)

    def _insure(self, account_id: str) -> None:
        insured = self._desk.clearing.insure(account_id, self._desk.now_ns)
        if insured is not None:
            self._desk.tell_wallet(insured)
