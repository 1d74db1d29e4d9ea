"""Order handling: taking, matching, cutting and ending orders, and liquidation.

Every change becomes an event, in the order it happened.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, Side, TimeInForce
from counterpoise.domain.rounding import quantize_down, quantize_up
from counterpoise.exchange import checks
from counterpoise.exchange.accounts import Bill
from counterpoise.exchange.admission import Admission
from counterpoise.exchange.book import Match, OrderBook, Resting
from counterpoise.exchange.clearing import ZERO, Clearing
from counterpoise.exchange.events import (
    ExchangeEvent,
    Liquidated,
    OrderChanged,
    PositionChanged,
    TradePrinted,
    WalletChanged,
)
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeFill,
    ExchangeOrder,
    NewOrder,
    OrderCategory,
    OrderRefused,
    PlacedOrder,
    RefusalReason,
)
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.registry import OrderRegistry

#: The venue's order ids count from here.
ORDER_NUMBER_START: Final = 1_000_000_000
#: More lots than any book holds.
_LOTS_ALL: Final = 10**18

#: Told of each trade: instrument, ticks, lots.
TradeListener = Callable[[str, int, int], None]


class Desk:
    """Books, orders and accounts of the venue, at the moment `now_ns`."""

    def __init__(self, parameters: ExchangeParameters, on_trade: TradeListener) -> None:
        self._parameters = parameters
        self._on_trade = on_trade
        self.clearing = Clearing(parameters)
        self.registry = OrderRegistry()
        self._admission = Admission(parameters, self.clearing, self.registry)
        self.books = {
            each.instrument.instrument_id: OrderBook(
                each.instrument.instrument_id,
                each.instrument.tick_size,
                each.instrument.lot_size,
            )
            for each in parameters.instruments
        }
        self.now_ns = 0
        self._events: list[ExchangeEvent] = []
        self._resting: dict[str, Resting] = {}
        self._order_number = ORDER_NUMBER_START
        self._trade_sequences = dict.fromkeys(self.books, 0)

    def drain(self) -> list[ExchangeEvent]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        return events

    def place(self, account_id: str, new: NewOrder) -> PlacedOrder:
        """Take an order and match it. OrderRefused: nothing happened."""
        order = self._admission.admit(account_id, new, self._order_number, self.now_ns)
        self._order_number += 1
        self._change(order, None)
        if order.post_only and self._would_fill(order):
            self._cancel(order, CancelCause.POST_ONLY_WOULD_TAKE)
        elif order.time_in_force is TimeInForce.FOK and not self._fills_whole(order):
            self._cancel(order, CancelCause.FOK_NOT_FILLED)
        else:
            self._match(order.order_id)
        return PlacedOrder(
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            quantity=order.quantity,
            event_ns=self.now_ns,
        )

    def cancel(self, account_id: str, order_id: str | None, client_order_id: str | None) -> None:
        """Cancel an open order. OrderRefused: not known, or over."""
        self.clearing.wallet(account_id)
        order = self.registry.find(account_id, order_id, client_order_id, self.now_ns)
        if order is None:
            message = f"order_id={order_id} client_order_id={client_order_id}"
            raise OrderRefused(RefusalReason.ORDER_NOT_FOUND, message)
        if not order.open:
            raise OrderRefused(RefusalReason.ALREADY_OVER, f"state={order.state.value}")
        self._cancel(order, CancelCause.CLIENT)

    def meet_background(self, instrument_id: str) -> None:
        """Fill resting orders the background has moved across, at their own price."""
        book = self.books[instrument_id]
        for side in (Side.BUY, Side.SELL):
            for resting in book.resting(side):
                while resting.order_id in self._resting:
                    sweep = book.sweep(side, resting.ticks, resting.lots, resting.account_id)
                    met = next((each for each in sweep.matches if each.maker is None), None)
                    if met is None:
                        break
                    book.take(side, met)
                    self._fill_maker(resting, met.lots)

    def print_background(self, instrument_id: str, side: Side, lots: int) -> None:
        """Let a background taker trade: better-priced client orders first, then the background."""
        book = self.books[instrument_id]
        best = book.best_background(side.opposite)
        if best is None:
            return
        for resting in book.resting(side.opposite):
            better = side.sign * resting.ticks < side.sign * best
            if lots and better and resting.order_id in self._resting:
                part = min(lots, resting.lots)
                lots -= part
                self._fill_maker(resting, part)
        if lots:
            self._print(instrument_id, best, lots, side)

    def liquidate(self, account_id: str) -> None:
        """Cancel everything of an account and close its positions at mark."""
        for order in self.registry.open_orders(account_id):
            self._cancel(order, CancelCause.LIQUIDATION)
        for holding in self.clearing.wallet(account_id).held():
            instrument_id, mark = holding.instrument_id, self.clearing.marks[holding.instrument_id]
            side = Side.SELL if holding.quantity > 0 else Side.BUY
            new = NewOrder(
                instrument_id=instrument_id, side=side, quantity=abs(holding.quantity),
                kind=OrderKind.MARKET, reduce_only=True,
            )  # fmt: skip
            order = self._admission.order(
                account_id, new, new.quantity, OrderCategory.LIQUIDATION,
                self._order_number, self.now_ns,
            )  # fmt: skip
            self._order_number += 1
            fill, bill = self.clearing.seize(order, new.quantity, mark, self.now_ns)
            self.registry.put(order.after(fill))
            self._events.append(
                Liquidated(
                    account_id=account_id, instrument_id=instrument_id, side=side,
                    quantity=new.quantity, price=mark, fee=fill.fee, fill=fill,
                    event_ns=self.now_ns,
                )
            )  # fmt: skip
            self._tell_books(account_id, instrument_id, bill)
        insured = self.clearing.insure(account_id, self.now_ns)
        if insured is not None:
            self.tell_wallet(insured)

    def tell_wallet(self, bill: Bill) -> None:
        """Add the event of a wallet movement."""
        self._events.append(
            WalletChanged(
                account_id=bill.account_id,
                cause=bill.kind,
                change=bill.change,
                wallet_balance=bill.wallet_balance,
                bill_id=bill.bill_id,
                event_ns=bill.event_ns,
            )
        )

    def save(self) -> dict[str, Any]:
        """Return the state as JSON-able figures that read back exactly."""
        return {
            "now_ns": self.now_ns,
            "order_number": self._order_number,
            "trade_sequences": self._trade_sequences,
            "clearing": self.clearing.save(),
            "orders": self.registry.save(),
            "books": {name: book.save() for name, book in self.books.items()},
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self.now_ns = int(saved["now_ns"])
        self._order_number = int(saved["order_number"])
        self._trade_sequences = {name: int(n) for name, n in saved["trade_sequences"].items()}
        self.clearing.load(saved["clearing"])
        self.registry.load(saved["orders"])
        for name, book in self.books.items():
            book.load(saved["books"][name])
            for side in Side:
                self._resting.update({each.order_id: each for each in book.resting(side)})

    def _limit_ticks(self, order: ExchangeOrder) -> int:
        # A market order takes up to the band, as OKX does it.
        tick_size = self.clearing.instrument(order.instrument_id).tick_size
        price = order.price_limit
        if price is None:
            mark = self.clearing.marks[order.instrument_id]
            bound = checks.band_price(order.side, mark, self._parameters.price_band_fraction)
            inward = quantize_down if order.side is Side.BUY else quantize_up
            price = inward(bound, tick_size)
        return int(price / tick_size)

    def _lots(self, instrument_id: str, quantity: Decimal) -> int:
        return int(quantity / self.clearing.instrument(instrument_id).lot_size)

    def _would_fill(self, order: ExchangeOrder) -> bool:
        book, limit = self.books[order.instrument_id], self._limit_ticks(order)
        sweep = book.sweep(order.side, limit, 1, order.account_id)
        return bool(sweep.matches or sweep.own)

    def _fills_whole(self, order: ExchangeOrder) -> bool:
        # Reduce-only makers may be cut while the order fills, so they do not count.
        book, limit = self.books[order.instrument_id], self._limit_ticks(order)
        sweep = book.sweep(order.side, limit, _LOTS_ALL, order.account_id)
        sure = sum(
            match.lots
            for match in sweep.matches
            if match.maker is None or not self.registry.get(match.maker.order_id).reduce_only
        )
        return sure >= self._lots(order.instrument_id, order.quantity)

    def _match(self, order_id: str) -> None:
        order = self.registry.get(order_id)
        book, limit = self.books[order.instrument_id], self._limit_ticks(order)
        while order.open:
            lots = self._lots(order.instrument_id, order.remaining)
            sweep = book.sweep(order.side, limit, lots, order.account_id)
            for own in sweep.own:
                self._cancel(self.registry.get(own.order_id), CancelCause.SELF_TRADE)
            if not sweep.matches:
                break
            self._trade(order, sweep.matches[0])
            order = self.registry.get(order_id)
        if not order.open:
            return
        if order.time_in_force is not TimeInForce.GTC:
            self._cancel(order, CancelCause.IMMEDIATE_REST)
            return
        resting = Resting(
            order_id=order_id,
            account_id=order.account_id,
            side=order.side,
            ticks=limit,
            lots=self._lots(order.instrument_id, order.remaining),
            sequence=order.sequence,
        )
        self._resting[order_id] = resting
        book.add(resting)
        self._cut_reduce_only(order.account_id, order.instrument_id)

    def _trade(self, taker: ExchangeOrder, match: Match) -> None:
        instrument_id = taker.instrument_id
        self.books[instrument_id].take(taker.side, match)
        self._print(instrument_id, match.ticks, match.lots, taker.side)
        if match.maker is not None:
            self._fill(match.maker.order_id, match.ticks, match.lots, Liquidity.MAKER)
        self._fill(taker.order_id, match.ticks, match.lots, Liquidity.TAKER)

    def _fill_maker(self, resting: Resting, lots: int) -> None:
        order = self.registry.get(resting.order_id)
        self.books[order.instrument_id].fill_resting(resting, lots)
        self._print(order.instrument_id, resting.ticks, lots, resting.side.opposite)
        self._fill(resting.order_id, resting.ticks, lots, Liquidity.MAKER)

    def _print(self, instrument_id: str, ticks: int, lots: int, side: Side) -> None:
        instrument = self.clearing.instrument(instrument_id)
        self._trade_sequences[instrument_id] += 1
        self._on_trade(instrument_id, ticks, lots)
        self._events.append(
            TradePrinted(
                instrument_id=instrument_id,
                trade_sequence=self._trade_sequences[instrument_id],
                price=ticks * instrument.tick_size,
                quantity=lots * instrument.lot_size,
                side=side,
                event_ns=self.now_ns,
            )
        )

    def _fill(self, order_id: str, ticks: int, lots: int, liquidity: Liquidity) -> None:
        order = self.registry.get(order_id)
        instrument = self.clearing.instrument(order.instrument_id)
        fill, bill = self.clearing.settle(
            order, lots * instrument.lot_size, ticks * instrument.tick_size,
            trade_sequence=self._trade_sequences[order.instrument_id],
            liquidity=liquidity, event_ns=self.now_ns,
        )  # fmt: skip
        self._change(order.after(fill), fill)
        self._tell_books(order.account_id, order.instrument_id, bill)
        self._cut_reduce_only(order.account_id, order.instrument_id)

    def _tell_books(self, account_id: str, instrument_id: str, bill: Bill) -> None:
        position = self.clearing.position(account_id, instrument_id)
        self._events.append(
            PositionChanged(account_id=account_id, position=position, event_ns=self.now_ns)
        )
        self.tell_wallet(bill)

    def _cut_reduce_only(self, account_id: str, instrument_id: str) -> None:
        # Resting reduce-only orders together never exceed the position; the worst priced go first.
        held = self.clearing.wallet(account_id).holding(instrument_id).quantity
        book = self.books[instrument_id]
        for side in (Side.BUY, Side.SELL):
            room = self._lots(instrument_id, max(ZERO, -held * side.sign))
            for resting in book.resting(side):
                order = self.registry.get(resting.order_id)
                if resting.account_id != account_id or not order.reduce_only:
                    continue
                if room == 0:
                    self._cancel(order, CancelCause.REDUCE_ONLY)
                elif resting.lots > room:
                    lot_size = self.clearing.instrument(instrument_id).lot_size
                    resting.lots = room
                    quantity = order.filled_quantity + room * lot_size
                    self._change(replace(order, quantity=quantity, updated_ns=self.now_ns), None)
                    room = 0
                else:
                    room -= resting.lots

    def _cancel(self, order: ExchangeOrder, cause: CancelCause) -> None:
        ended = replace(
            order, state=OrderState.CANCELED, cancel_cause=cause, updated_ns=self.now_ns
        )
        self._change(ended, None)

    def _change(self, order: ExchangeOrder, fill: ExchangeFill | None) -> None:
        self.registry.put(order)
        if not order.open:
            resting = self._resting.pop(order.order_id, None)
            if resting is not None:
                self.books[order.instrument_id].remove(resting)
        self._events.append(
            OrderChanged(account_id=order.account_id, order=order, fill=fill, event_ns=self.now_ns)
        )
