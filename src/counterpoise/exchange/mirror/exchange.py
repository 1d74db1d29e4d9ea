"""A venue with one modelled account in real markets.

Time and markets come in by `hear`, requests by the commands of `Trading`; the account's own events
come out. Matching, margin, funding, triggers and liquidation are those of the modelled venue, on
the real book, marks and funding rates:

- a taker walks the levels as they are shown, and what it took is not met again (`MirrorBook`);
- an order that rests stands behind all that is shown at its price. The venue's trades are not
  followed, so nothing shows that this queue was traded: the order fills only when the other side
  is shown at its price or beyond, for what is shown there, at its own price;
- funding is charged at the venue's moments, at the rate last told and the mark last told
  (`Fundings`);
- liquidation and triggers look at every mark. A trigger waits while its book is not known, and so
  does a position that is to be liquidated while the account has equity left.

Same account, same events and requests at the same times: same venue.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    Event,
    FundingRate,
    MarkPrice,
    StreamDown,
    StreamName,
)
from counterpoise.domain.instruments import Instrument
from counterpoise.domain.orders import Side
from counterpoise.exchange.adl import AdlQueue
from counterpoise.exchange.desk import Desk
from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.liquidator import Liquidator
from counterpoise.exchange.mirror.board import MirrorBoard
from counterpoise.exchange.mirror.book import MirrorBook
from counterpoise.exchange.mirror.fundings import Fundings
from counterpoise.exchange.mirror.parameters import mirror_market
from counterpoise.exchange.orders import CancelCause, ExchangeOrder
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.trading import Trading
from counterpoise.exchange.trigger_desk import TriggerDesk
from counterpoise.exchange.triggers import TriggerOrder
from counterpoise.exchange.wallet import Holding


class MirrorExchange(Trading):
    """One account's venue. Not safe for threads."""

    _board: MirrorBoard

    def __init__(self, parameters: ExchangeParameters, account_id: str) -> None:
        board = MirrorBoard()
        desk = Desk(parameters, _unseen, self.price_band)
        liquidator = Liquidator(desk, parameters.rules.liquidation, AdlQueue(parameters))
        super().__init__(
            parameters, board, desk, liquidator, TriggerDesk(parameters, desk, board.price)
        )
        self.account_id = account_id
        self._books: dict[str, MirrorBook] = {}
        self._fundings = Fundings()
        # As they were when `changes` was last asked.
        self._listed: tuple[Instrument, ...] = ()
        self._orders: dict[str, ExchangeOrder] = {}
        self._trigger_orders: dict[str, TriggerOrder] = {}
        self._bill_number = 0

    def list_instrument(self, instrument: Instrument) -> list[ExchangeEvent]:
        """List an instrument, or take its rules as the venue has them now.

        Where its steps changed, orders resting in it are canceled: their book is another one.
        """
        name = instrument.instrument_id
        market = mirror_market(self._parameters.rules.venue, instrument)
        grid = None
        if name in self._books:
            grid = self._desk.clearing.listing.grid(name)
        if grid is None or (grid.tick_size, grid.lot_size) != (
            instrument.tick_size,
            instrument.lot_size,
        ):
            self._cancel_all(name)
            book = MirrorBook(name, instrument.tick_size, instrument.lot_size)
            self._books[name] = book
            self._desk.open_market(market, book)
        else:
            self._desk.clearing.put_market(market)
        return self._desk.drain()

    def lists(self, instrument_id: str) -> bool:
        """Tell whether the instrument is listed here."""
        delisted = self._desk.clearing.listing.delisted(instrument_id)
        return instrument_id in self._books and not delisted

    def quoted(self, instrument_id: str) -> bool:
        """Tell whether book and mark of an instrument are known now: an order can be carried out."""
        book = self._books.get(instrument_id)
        return book is not None and book.known and self._board.has(instrument_id)

    def marked(self, instrument_id: str) -> bool:
        """Tell whether an instrument has a mark."""
        return self._board.has(instrument_id)

    def held(self) -> tuple[str, ...]:
        """Return the instruments of the account's positions."""
        wallet = self._desk.clearing.wallet(self.account_id)
        return tuple(sorted({each.instrument_id for each in wallet.held()}))

    def holding(self, instrument_id: str) -> Holding | None:
        """Return the account's position as booked; None = it is flat."""
        held = self._desk.clearing.wallet(self.account_id).held()
        return next((each for each in held if each.instrument_id == instrument_id), None)

    def traded(self) -> tuple[str, ...]:
        """Return the instruments the account holds or has an order or a stop in."""
        orders = self._desk.registry.open_orders(self.account_id)
        named = {*self.held(), *(each.instrument_id for each in orders)}
        return tuple(sorted(named | self._triggers.busy(self.account_id)))

    def valued(self) -> bool:
        """Tell whether all that is held or ordered has a mark: the account's equity is known."""
        return all(self._board.has(each) for each in self.traded())

    def at(self, now_ns: int) -> None:
        """Let time pass. It never stands still: what was told of a moment holds all before it."""
        self._desk.now_ns = max(self._desk.now_ns + 1, now_ns)

    def hear(self, event: Event, now_ns: int) -> list[ExchangeEvent]:
        """Take what the venue's public stream tells; return what the account has of it.

        `now_ns` is the venue's clock. Events of instruments that are not listed are passed over.
        """
        self.at(now_ns)
        if isinstance(event, StreamDown):
            if event.stream is StreamName.BOOKS:
                gone = self._books if event.instrument_ids is None else event.instrument_ids
                for book in (self._books[each] for each in gone if each in self._books):
                    book.lose()
            return []
        if not isinstance(
            event, BookSnapshot | BookDelta | BookGap | MarkPrice | FundingRate
        ) or not self.lists(event.instrument_id):
            return []
        book = self._books[event.instrument_id]
        match event:
            case BookSnapshot():
                book.show(event)
                self._meet(event.instrument_id, book)
            case BookDelta():
                book.change(event)
                self._meet(event.instrument_id, book)
            case BookGap():
                book.lose()
            case FundingRate():
                # A new interval may be told before the clock shows that the old one is over.
                now_ns = max(self.now_ns, event.event_ns)
                self._settle(now_ns)
                holding = self.holding(event.instrument_id)
                opened_ns = None if holding is None else holding.opened_ns
                self._fundings.hear(event, now_ns, opened_ns)
                # It may show that others came before it.
                self._settle(now_ns)
            case MarkPrice():
                self._hear_mark(event, book)
        return self._desk.drain()

    def charge_missed(
        self, instrument_id: str, rate: Decimal, mark: Decimal, funding_ns: int
    ) -> list[ExchangeEvent]:
        """Charge a funding of the time nobody listened, at the rate and mark of then."""
        clearing = self._desk.clearing
        now, clearing.marks = clearing.marks, {**clearing.marks, instrument_id: mark}
        self.at(funding_ns)
        events = self._charge_funding(instrument_id, rate)
        clearing.marks = now
        self._fundings.cover(instrument_id, funding_ns)
        return events

    def covered(self, until_ns: int, instrument_id: str | None = None) -> None:
        """Take every funding up to here as charged, of one instrument or (None) of all."""
        if instrument_id is None:
            self._fundings.cover_all(until_ns)
        else:
            self._fundings.cover(instrument_id, until_ns)

    def funded_ns(self, instrument_id: str) -> int:
        """Return up to when every funding of an instrument was charged or told, ns."""
        return self._fundings.known_ns(instrument_id)

    def funding_hours(self, instrument_id: str) -> Decimal | None:
        """Return hours from one funding to the next; None = not told."""
        return self._fundings.hours(instrument_id)

    def changes(self) -> dict[str, Any]:
        """Return what `restore` needs besides all it was given before, as JSON-able figures."""
        orders = {each.order_id: each for each in self.orders(self.account_id)}
        triggers = {each.trigger_order_id: each for each in self.trigger_orders(self.account_id)}
        wallet = self._desk.clearing.wallet(self.account_id)
        after, listed = self._bill_number, self.instruments()
        saved: dict[str, Any] = msgspec.to_builtins(
            {
                "desk": self._desk.save(history=False),
                "fundings": self._fundings.save(self.held()),
                "instruments": [] if listed == self._listed else listed,
                "orders": _changed(orders, self._orders),
                "triggers": _changed(triggers, self._trigger_orders),
                "fills": [each for each in wallet.fills if int(each.bill_id) > after],
                "bills": [each for each in wallet.bills if int(each.bill_id) > after],
            }
        )
        self._orders, self._trigger_orders, self._listed = orders, triggers, listed
        self._bill_number = max((int(each.bill_id) for each in wallet.bills), default=after)
        return saved

    def restore(self, changes: Iterable[dict[str, Any]]) -> None:
        """Take over what `changes` gave, from the first on."""
        desk: dict[str, Any] = {}
        fundings: dict[str, Any] | None = None
        instruments: list[Any] = []
        orders: dict[str, Any] = {}
        triggers: dict[str, Any] = {}
        fills: list[Any] = []
        bills: list[Any] = []
        for each in changes:
            desk, instruments = each["desk"], each["instruments"] or instruments
            # An older version wrote nothing of them.
            fundings = each.get("fundings")
            orders |= {row["order_id"]: row for row in each["orders"]}
            triggers |= {row["trigger_order_id"]: row for row in each["triggers"]}
            fills += each["fills"]
            bills += each["bills"]
        for listed in msgspec.convert(instruments, list[Instrument]):
            self.list_instrument(listed)
        desk["orders"] = [orders[each] for each in sorted(orders, key=int)]
        desk["clearing"]["accounts"][self.account_id] |= {"fills": fills, "bills": bills}
        self._desk.load(desk)
        self._triggers.load([triggers[each] for each in sorted(triggers, key=int)])
        self._desk.registry.forget(self.now_ns)
        self._fundings.cover_all(self.now_ns)
        if fundings is not None:
            self._fundings.load(fundings)

    def _hear_mark(self, event: MarkPrice, book: MirrorBook) -> None:
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        mid = None if bid is None or ask is None else (bid + ask) / 2
        # What is due is charged at the mark that stood until now.
        self._settle(self.now_ns)
        self._board.hear_mark(event, mid)
        self._desk.clearing.marks[event.instrument_id] = event.mark
        busy = self._triggers.busy(self.account_id)
        self._triggers.watch(but={each for each in busy if not self.quoted(each)})
        held = self.held()
        if all(self._board.has(each) for each in held):
            self._liquidate(but={each for each in held if not self.quoted(each)})

    def _settle(self, now_ns: int) -> None:
        unmarked = {each for each in self.held() if not self._board.has(each)}
        for due in self._fundings.due(now_ns, but=unmarked):
            if self._board.has(due.instrument_id):
                for event in self._charge_funding(due.instrument_id, due.rate):
                    self._desk.tell(event)

    def _meet(self, instrument_id: str, book: MirrorBook) -> None:
        # A book that crosses itself is about to be told anew; nothing is concluded from it.
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        if bid is not None and ask is not None and bid >= ask:
            return
        if any(book.crosses(s, each.ticks) for s in Side for each in book.resting(s)):
            self._desk.meet_background(instrument_id)

    def _cancel_all(self, instrument_id: str) -> None:
        for order in self._desk.registry.open_orders(self.account_id):
            if order.instrument_id == instrument_id:
                self._desk.cancel_order(order, CancelCause.VENUE)


def _unseen(_instrument_id: str, _ticks: int, _lots: int) -> None:
    """Take no note of a trade of the account's own: the venue never saw it."""


def _changed(now: dict[str, Any], before: dict[str, Any]) -> list[Any]:
    # They are frozen and replaced by each change, so the same object is the same order.
    return [each for key, each in now.items() if before.get(key) is not each]
