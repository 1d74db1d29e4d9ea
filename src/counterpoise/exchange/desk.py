"""Order handling: taking, changing, matching, cutting and ending orders.

Every change becomes an event, in the order it happened.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.orders import Liquidity, OrderState, Side, TimeInForce
from counterpoise.exchange import executions
from counterpoise.exchange.accounts import Bill
from counterpoise.exchange.admission import Admission
from counterpoise.exchange.bands import PriceBand
from counterpoise.exchange.book import Match, OrderBook, Resting, Sweep
from counterpoise.exchange.clearing import ZERO, Clearing
from counterpoise.exchange.events import (
    ExchangeEvent,
    LiquidationPrinted,
    OrderChanged,
    PositionChanged,
    TradePrinted,
    WalletChanged,
)
from counterpoise.exchange.modes import PositionSide, SelfTradeMode
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeFill,
    ExchangeOrder,
    NewOrder,
    OrderCategory,
    OrderRefused,
    PlacedOrder,
    RefusalReason,
    TriggerOrigin,
)
from counterpoise.exchange.parameters import ExchangeParameters, InstrumentParameters
from counterpoise.exchange.registry import OrderRegistry
from counterpoise.exchange.wallet import Wallet

#: The venue's order ids count from here.
ORDER_NUMBER_START: Final = 1_000_000_000
#: More lots than any book holds.
_LOTS_ALL: Final = 10**18

#: Told of each trade: instrument, ticks, lots.
TradeListener = Callable[[str, int, int], None]
#: Gives the price band of an instrument now.
BandSource = Callable[[str], PriceBand]


class Desk:
    """Books, orders and accounts of the venue, at the moment `now_ns`."""

    def __init__(
        self, parameters: ExchangeParameters, on_trade: TradeListener, band_of: BandSource
    ) -> None:
        self._on_trade = on_trade
        self._band_of = band_of
        self.clearing = Clearing(parameters)
        self.registry = OrderRegistry(parameters.rules)
        self._admission = Admission(parameters, self.clearing, self.registry)
        self.books = {
            each.instrument.instrument_id: OrderBook(
                each.instrument.instrument_id,
                each.instrument.tick_size,
                each.instrument.lot_size,
            )
            for each in parameters.instruments
        }
        #: Called before events are handed out, to add what follows from them.
        self.settlers: list[Callable[[], None]] = []
        self.now_ns = 0
        self._events: list[ExchangeEvent] = []
        self._resting: dict[str, Resting] = {}
        # What the order being placed may fill on arrival, lots; None = all the book gives.
        self._taken_lots_max: int | None = None
        self._order_number = ORDER_NUMBER_START
        self._trade_sequences = dict.fromkeys(self.books, 0)
        self._executions_per_match = parameters.executions_per_match

    def drain(self) -> list[ExchangeEvent]:
        """Return what happened since the last call."""
        for settle in self.settlers:
            settle()
        events, self._events = self._events, []
        return events

    def place(
        self, account_id: str, new: NewOrder, taken_max: Decimal | None = None
    ) -> PlacedOrder:
        """Take an order and match it. OrderRefused: nothing happened.

        At most `taken_max` base units fill on arrival, as if the book held no more; None = all.
        """
        self.clearing.wallet(account_id)
        self.clearing.instrument(new.instrument_id)
        band = self._band_of(new.instrument_id)
        order = self._admission.admit(account_id, new, self._order_number, self.now_ns, band)
        self._order_number += 1
        self._taken_lots_max = (
            None if taken_max is None else self._lots(order.instrument_id, taken_max)
        )
        self.enter(order)
        self._taken_lots_max = None
        return self._acknowledged(order)

    def amend(
        self, account_id: str, order_id: str | None, client_order_id: str | None, *,
        quantity: Decimal | None, price_limit: Decimal | None,
    ) -> PlacedOrder:  # fmt: skip
        """Change a resting order. OrderRefused: it stays as it was."""
        before = self.open_order(account_id, order_id, client_order_id)
        band = self._band_of(before.instrument_id)
        order = self._admission.amend(
            before, quantity, price_limit, self._order_number, self.now_ns, band
        )
        resting = self._resting.pop(order.order_id)
        book = self.books[order.instrument_id]
        if order.remaining == 0:
            book.remove(resting)
            self._cancel(order, CancelCause.AMENDED_AWAY)
        elif order.sequence == before.sequence:
            self._resting[order.order_id] = resting
            resting.lots = self._lots(order.instrument_id, order.remaining)
            self._change(order, None)
        else:
            self._order_number += 1
            book.remove(resting)
            self._change(order, None)
            self._enter(order)
        return self._acknowledged(order)

    def cancel(self, account_id: str, order_id: str | None, client_order_id: str | None) -> None:
        """Cancel an open order. OrderRefused: not known, or over."""
        self._cancel(self.open_order(account_id, order_id, client_order_id), CancelCause.CLIENT)

    def check_position_side(self, wallet: Wallet, new: NewOrder) -> None:
        """OrderRefused: the position side does not fit the account's position mode."""
        self._admission.check_position_side(wallet, new)

    def admit_triggered(
        self, account_id: str, new: NewOrder, *, origin: TriggerOrigin, order_id: str | None
    ) -> ExchangeOrder:
        """Return the order a trigger order makes, by the rules of any other; `enter` it next.

        `order_id` is the id it gets, None = a new one. OrderRefused: nothing happened.
        """
        band = self._band_of(new.instrument_id)
        number = str(self._order_number)
        order = self._admission.admit(account_id, new, self._order_number, self.now_ns, band)
        self._order_number += 1
        return replace(order, order_id=order_id or number, trigger=origin)

    def enter(self, order: ExchangeOrder) -> None:
        """Tell of an admitted order and match it."""
        self._change(order, None)
        self._enter(order)

    def open_order(
        self, account_id: str, order_id: str | None, client_order_id: str | None
    ) -> ExchangeOrder:
        """Return an open order by either id. OrderRefused: not known, or over."""
        self.clearing.wallet(account_id)
        order = self.registry.find(account_id, order_id, client_order_id, self.now_ns)
        if order is None:
            message = f"order_id={order_id} client_order_id={client_order_id}"
            raise OrderRefused(RefusalReason.ORDER_NOT_FOUND, message)
        if not order.open:
            raise OrderRefused(RefusalReason.ALREADY_OVER, f"state={order.state.value}")
        return order

    def meet_background(self, instrument_id: str) -> None:
        """Fill resting orders the background has moved across, at their own price."""
        if not self._resting:
            return
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

    def print_background(
        self, instrument_id: str, side: Side, lots: int, *, forced: bool = False
    ) -> None:
        """Let a background taker trade: better-priced client orders first, then the background.

        `forced` = a position of somebody who ran out of margin is closed by it.
        """
        book = self.books[instrument_id]
        best = book.best_background(side.opposite)
        if best is None:
            return
        if forced:
            grid = self.clearing.listing.grid(instrument_id)
            self.tell(
                LiquidationPrinted(
                    instrument_id=instrument_id, side=side, quantity=lots * grid.lot_size,
                    price=best * grid.tick_size, event_ns=self.now_ns,
                )
            )  # fmt: skip
        for resting in book.resting(side.opposite):
            better = side.sign * resting.ticks < side.sign * best
            if lots and better and resting.order_id in self._resting:
                part = min(lots, resting.lots)
                lots -= part
                self._fill_maker(resting, part)
        if lots:
            self._print(instrument_id, best, lots, side)

    def cancel_order(self, order: ExchangeOrder, cause: CancelCause) -> None:
        """End an open order for a reason of the venue's."""
        self._cancel(order, cause)

    def venue_order(self, account_id: str, new: NewOrder, category: OrderCategory) -> ExchangeOrder:
        """Return an order the venue makes in an account's name; no rule is asked, nothing told."""
        return self._admission.order(
            account_id, new, new.quantity, category, self.next_number(), self.now_ns
        )

    def take_match(self, order: ExchangeOrder, match: Match) -> Decimal:
        """Take one counterparty out of the book for a venue's order; return the price."""
        instrument_id = order.instrument_id
        self.books[instrument_id].take(order.side, match)
        self._print(instrument_id, match.ticks, match.lots, order.side)
        if match.maker is not None:
            self._fill(match.maker.order_id, match.ticks, match.lots, Liquidity.MAKER)
        return match.ticks * self.clearing.listing.grid(instrument_id).tick_size

    def tell(self, event: ExchangeEvent) -> None:
        """Add an event."""
        self._events.append(event)

    def tell_books(self, order: ExchangeOrder, bill: Bill) -> None:
        """Add the events of a position and a wallet an order moved."""
        position = self.clearing.position(
            order.account_id, order.instrument_id, order.position_side
        )
        self._events.append(
            PositionChanged(account_id=order.account_id, position=position, event_ns=self.now_ns)
        )
        self.tell_wallet(bill)

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

    def open_market(self, market: InstrumentParameters, book: OrderBook) -> None:
        """List a market with its book; nobody's order may rest in one of the same name."""
        instrument_id = market.instrument.instrument_id
        known = self.books.get(instrument_id)
        assert known is None or not (known.resting(Side.BUY) or known.resting(Side.SELL)), "busy"
        self.clearing.put_market(market)
        self.books[instrument_id] = book
        self._trade_sequences.setdefault(instrument_id, 0)

    def save(self, *, history: bool = True) -> dict[str, Any]:
        """Return the state as JSON-able figures that read back exactly.

        Without `history` the orders, fills and bills are left out.
        """
        return {
            "now_ns": self.now_ns,
            "order_number": self._order_number,
            "trade_sequences": self._trade_sequences,
            "clearing": self.clearing.save(history=history),
            "orders": self.registry.save() if history else [],
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
        tick_size = self.clearing.listing.grid(order.instrument_id).tick_size
        price = order.price_limit
        if price is None:
            price = self._band_of(order.instrument_id).inside(order.side, tick_size)
        return int(price / tick_size)

    def _lots(self, instrument_id: str, quantity: Decimal) -> int:
        return int(quantity / self.clearing.listing.grid(instrument_id).lot_size)

    def next_number(self) -> int:
        """Take the next order number."""
        number = self._order_number
        self._order_number += 1
        return number

    def _acknowledged(self, order: ExchangeOrder) -> PlacedOrder:
        return PlacedOrder(
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            quantity=order.quantity,
            event_ns=self.now_ns,
        )

    def _enter(self, order: ExchangeOrder) -> None:
        # What becomes of an order that was just taken or moved.
        if order.post_only and self._would_fill(order):
            self._cancel(order, CancelCause.POST_ONLY_WOULD_TAKE)
        elif order.time_in_force is TimeInForce.FOK and not self._fills_whole(order):
            self._cancel(order, CancelCause.FOK_NOT_FILLED)
        else:
            self._match(order.order_id)

    def _would_fill(self, order: ExchangeOrder) -> bool:
        book, limit = self.books[order.instrument_id], self._limit_ticks(order)
        sweep = book.sweep(order.side, limit, 1, order.account_id)
        return bool(sweep.matches or sweep.own)

    def _fills_whole(self, order: ExchangeOrder) -> bool:
        # Reduce-only makers may be cut while the order fills, so they do not count.
        book, limit = self.books[order.instrument_id], self._limit_ticks(order)
        wanted = self._lots(order.instrument_id, order.quantity)
        stops = order.self_trade in (SelfTradeMode.CANCEL_TAKER, SelfTradeMode.CANCEL_BOTH)
        if stops and book.sweep(order.side, limit, wanted, order.account_id).own:
            return False
        sweep = book.sweep(order.side, limit, _LOTS_ALL, _counterparty_not(order))
        sure = sum(
            match.lots
            for match in sweep.matches
            if match.maker is None or not self.registry.get(match.maker.order_id).reduce_only
        )
        return sure >= wanted

    def _match(self, order_id: str) -> None:
        order = self.registry.get(order_id)
        book, limit = self.books[order.instrument_id], self._limit_ticks(order)
        while order.open:
            lots = self._lots(order.instrument_id, order.remaining)
            if self._taken_lots_max is not None:
                filled = self._lots(order.instrument_id, order.filled_quantity)
                lots = min(lots, self._taken_lots_max - filled)
                if lots <= 0:
                    break
            sweep = book.sweep(order.side, limit, lots, _counterparty_not(order))
            if self._stopped_by_own(order, sweep):
                return
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

    def _stopped_by_own(self, taker: ExchangeOrder, sweep: Sweep) -> bool:
        # Carries out the taker's self-trade mode; True = the taker is over.
        mode = taker.self_trade
        if mode is SelfTradeMode.CANCEL_MAKER:
            for own in sweep.own:
                self._cancel(self.registry.get(own.order_id), CancelCause.SELF_TRADE)
            return False
        if mode is SelfTradeMode.NONE or not sweep.own_first:
            return False
        if mode is SelfTradeMode.CANCEL_BOTH:
            self._cancel(self.registry.get(sweep.own[0].order_id), CancelCause.SELF_TRADE)
        self._cancel(self.registry.get(taker.order_id), CancelCause.SELF_TRADE)
        return True

    def _trade(self, taker: ExchangeOrder, match: Match) -> None:
        instrument_id = taker.instrument_id
        self.books[instrument_id].take(taker.side, match)
        whole = [match.lots] if match.maker is not None else self._parts(instrument_id, match.lots)
        for lots in whole:
            self._print(instrument_id, match.ticks, lots, taker.side)
            if match.maker is not None:
                self._fill(match.maker.order_id, match.ticks, lots, Liquidity.MAKER)
            self._fill(taker.order_id, match.ticks, lots, Liquidity.TAKER)

    def _parts(self, instrument_id: str, lots: int) -> list[int]:
        number = self._trade_sequences[instrument_id]
        return executions.parts(lots, number, self._executions_per_match)

    def _fill_maker(self, resting: Resting, lots: int) -> None:
        instrument_id = self.registry.get(resting.order_id).instrument_id
        for part in self._parts(instrument_id, lots):
            self.books[instrument_id].fill_resting(resting, part)
            self._print(instrument_id, resting.ticks, part, resting.side.opposite)
            self._fill(resting.order_id, resting.ticks, part, Liquidity.MAKER)

    def _print(self, instrument_id: str, ticks: int, lots: int, side: Side) -> None:
        instrument = self.clearing.listing.grid(instrument_id)
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
        instrument = self.clearing.listing.grid(order.instrument_id)
        fill, bill = self.clearing.settle(
            order, lots * instrument.lot_size, ticks * instrument.tick_size,
            trade_sequence=self._trade_sequences[order.instrument_id],
            liquidity=liquidity, event_ns=self.now_ns,
        )  # fmt: skip
        self._change(order.after(fill), fill)
        self.tell_books(order, bill)
        self._cut_reduce_only(order.account_id, order.instrument_id)

    def _cut_reduce_only(self, account_id: str, instrument_id: str) -> None:
        # Resting reduce-only orders together never exceed the position; the worst priced go first.
        wallet, book = self.clearing.wallet(account_id), self.books[instrument_id]
        lot_size = self.clearing.listing.grid(instrument_id).lot_size
        for side in (Side.BUY, Side.SELL):
            rooms = {
                each: self._lots(
                    instrument_id,
                    max(ZERO, -wallet.holding(instrument_id, each).quantity * side.sign),
                )
                for each in PositionSide
            }
            for resting in book.resting(side):
                order = self.registry.get(resting.order_id)
                if resting.account_id != account_id or not order.reduce_only:
                    continue
                room = rooms[order.position_side]
                rooms[order.position_side] -= min(room, resting.lots)
                if room == 0:
                    self._cancel(order, CancelCause.REDUCE_ONLY)
                elif resting.lots > room:
                    resting.lots = room
                    quantity = order.filled_quantity + room * lot_size
                    self._change(replace(order, quantity=quantity, updated_ns=self.now_ns), None)

    def cut_reduce_only(self, account_id: str, instrument_id: str) -> None:
        """Cut resting reduce-only orders to positions the venue moved."""
        self._cut_reduce_only(account_id, instrument_id)

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


def _counterparty_not(order: ExchangeOrder) -> str | None:
    # Whose orders a taker does not simply trade with.
    return None if order.self_trade is SelfTradeMode.NONE else order.account_id
