"""What the venue shows of its markets: the truth, unless a fault bends it.

Bent books and marks are told like any others: as changes against what was shown before. So every
venue's stream and every REST read agree about them, whatever the protocol.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from counterpoise.exchange.events import BookChanged, ExchangeEvent, MarkChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.quotes import Book, BookLevel
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import FaultPlan

_BOOK_KINDS = (FaultKind.EMPTY_BOOK, FaultKind.CROSSED_BOOK, FaultKind.FREEZE_BOOK)


class Display:
    """Books, marks and index as clients see them. Wires read these here and nowhere else."""

    def __init__(self, exchange: Exchange, faults: FaultPlan) -> None:
        self._exchange = exchange
        self._faults = faults
        # What is shown instead of the truth, by instrument.
        self._books: dict[str, Book] = {}
        self._marks: dict[str, tuple[Decimal, Decimal]] = {}

    def book(self, instrument_id: str) -> Book:
        """Return the whole shown book. KeyError: unknown instrument."""
        return self._books.get(instrument_id) or self._exchange.book(instrument_id)

    def mark(self, instrument_id: str) -> Decimal:
        """Return the shown mark, quote per base. KeyError: unknown instrument."""
        shown = self._marks.get(instrument_id)
        return self._exchange.mark(instrument_id) if shown is None else shown[0]

    def index(self, instrument_id: str) -> Decimal:
        """Return the shown index, quote per base. KeyError: unknown instrument."""
        shown = self._marks.get(instrument_id)
        return self._exchange.index(instrument_id) if shown is None else shown[1]

    def bend(self, events: Sequence[ExchangeEvent]) -> Sequence[ExchangeEvent]:
        """Return what clients are told of what happened: nothing of what is bent."""
        if not self._books and not self._marks:
            return events
        return [
            event
            for event in events
            if not (isinstance(event, BookChanged) and event.instrument_id in self._books)
            and not (isinstance(event, MarkChanged) and event.instrument_id in self._marks)
        ]

    def turn(self) -> list[ExchangeEvent]:
        """Begin, renew and end what is bent; return the changes clients are to be told."""
        if self._faults.quiet and not self._books and not self._marks:
            return []
        events: list[ExchangeEvent] = []
        for parameters in self._exchange.parameters.instruments:
            instrument_id = parameters.instrument.instrument_id
            events += self._turn_book(instrument_id)
            events += self._turn_mark(instrument_id)
        return events

    def _turn_book(self, instrument_id: str) -> list[ExchangeEvent]:
        kinds = [kind for kind in _BOOK_KINDS if self._faults.takes(kind, instrument_id)]
        if not kinds and instrument_id not in self._books:
            return []
        before = self.book(instrument_id)
        if kinds:
            self._books[instrument_id] = self._bent(instrument_id, kinds[0])
        else:
            del self._books[instrument_id]
        after = self.book(instrument_id)
        bids, asks = _changes(before.bids, after.bids), _changes(before.asks, after.asks)
        if not bids and not asks:
            return []
        return [
            BookChanged(
                instrument_id=instrument_id,
                bids=tuple(sorted(bids, reverse=True)),
                asks=tuple(sorted(asks)),
                event_ns=self._exchange.now_ns,
            )
        ]

    def _bent(self, instrument_id: str, kind: FaultKind) -> Book:
        true = self._exchange.book(instrument_id)
        if kind is FaultKind.EMPTY_BOOK:
            return replace(true, bids=(), asks=())
        if kind is FaultKind.FREEZE_BOOK:
            return self.book(instrument_id)
        if len(true.asks) < 2 or not true.bids:
            return true
        # A bid at the second ask: crossed, on the grid, and nobody's real order.
        crossing = (true.asks[1][0], true.bids[0][1])
        return replace(true, bids=(crossing, *true.bids))

    def _turn_mark(self, instrument_id: str) -> list[ExchangeEvent]:
        stale = self._faults.takes(FaultKind.STALE_MARK, instrument_id) is not None
        if stale:
            self._marks.setdefault(
                instrument_id,
                (self._exchange.mark(instrument_id), self._exchange.index(instrument_id)),
            )
            return []
        if self._marks.pop(instrument_id, None) is None:
            return []
        return [
            MarkChanged(
                instrument_id=instrument_id,
                mark=self._exchange.mark(instrument_id),
                index=self._exchange.index(instrument_id),
                event_ns=self._exchange.now_ns,
            )
        ]


def _changes(before: Sequence[BookLevel], after: Sequence[BookLevel]) -> list[BookLevel]:
    # Levels that appeared or changed, and those that are gone as quantity 0.
    was, now = dict(before), dict(after)
    changed = [(price, quantity) for price, quantity in now.items() if was.get(price) != quantity]
    return changed + [(price, Decimal(0)) for price in was if price not in now]
