"""Book streams: what changed between two pushes, and the chain of update ids."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.events import BookChanged
from counterpoise.exchange.quotes import BookLevel
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.calls import Desk
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.market import level, written
from counterpoise.simulator.binance.sockets import Sessions
from counterpoise.simulator.faults import FaultKind

#: Suffix of a stream's name -> least time between two of its pushes, ms.
INTERVALS_MS: Final = {"": 250, "@100ms": 100, "@250ms": 250, "@500ms": 500}
#: Levels of the streams that replace the top of the book.
TOPS: Final = (5, 10, 20)
#: A book of the real venue says `st` 1: USD-M.
SEGMENT: Final = 1


@dataclass(slots=True)
class _Pending:
    # What one stream has not told yet.
    told: int
    pushed_ns: int = 0
    first: int = 0
    bids: dict[Decimal, BookLevel] = field(default_factory=dict)
    asks: dict[Decimal, BookLevel] = field(default_factory=dict)

    def take(self, event: BookChanged, first: int) -> None:
        self.first = self.first or first
        self.bids.update((each[0], each) for each in event.bids)
        self.asks.update((each[0], each) for each in event.asks)

    def clear(self, told: int) -> None:
        self.told, self.first = told, 0
        self.bids, self.asks = {}, {}


class DepthStreams:
    """`@depth*` and `@bookTicker` of all instruments."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk = desk
        self._sessions = sessions
        # Only of suffixes somebody listens to; looked up anew when somebody comes or goes.
        self._pending: dict[str, dict[str, _Pending]] = {}
        self._version = -1
        self._tops: dict[str, tuple[BookLevel | None, BookLevel | None]] = {}

    def hear(self, events: Sequence[BookChanged]) -> None:
        """Take book changes and push what may be pushed at once."""
        if self._version != self._sessions.version:
            self._look()
        # Instrument -> whether its best prices may have changed.
        touched: dict[str, bool] = {}
        for event in events:
            near = touched.get(event.instrument_id, False) or self._is_near_top(event)
            touched[event.instrument_id] = near
            changes = len(event.bids) + len(event.asks)
            first, _ = self._desk.numbers.following(event.instrument_id, changes)
            for pending in self._pending.get(event.instrument_id, {}).values():
                pending.take(event, first)
        for instrument_id, near in touched.items():
            if near:
                self._push_best(instrument_id)
            self._flush(instrument_id)

    def tick(self) -> None:
        """Push what is due by the clock."""
        for instrument_id in self._pending:
            self._flush(instrument_id)

    def _look(self) -> None:
        self._version = self._sessions.version
        before, self._pending = self._pending, {}
        for name in self._sessions.names("public"):
            symbol, _, stream = name.partition("@depth")
            suffix = stream.lstrip("0123456789")
            instrument_id = symbol.upper()
            if instrument_id in self._desk.listed and suffix in INTERVALS_MS:
                known = before.get(instrument_id, {}).get(suffix)
                fresh = known or _Pending(self._desk.numbers.last(instrument_id))
                self._pending.setdefault(instrument_id, {})[suffix] = fresh

    def _flush(self, instrument_id: str) -> None:
        now_ns = self._desk.venue.exchange.now_ns
        stream = instrument_id.lower()
        for suffix, pending in self._pending.get(instrument_id, {}).items():
            interval_ns = INTERVALS_MS[suffix] * units.NS_PER_MS
            if not pending.first or now_ns - pending.pushed_ns < interval_ns:
                continue
            pending.pushed_ns = now_ns
            final = self._desk.numbers.last(instrument_id)
            name = f"{stream}@depth{suffix}"
            if self._sessions.listened("public", name):
                self._push_changes(instrument_id, name, pending, final)
            for levels in TOPS:
                top = f"{stream}@depth{levels}{suffix}"
                if self._sessions.listened("public", top):
                    self._push_top(instrument_id, top, levels, pending, final)
            pending.clear(final)

    def _push_changes(self, instrument_id: str, name: str, pending: _Pending, final: int) -> None:
        faults = self._desk.floor.faults
        before = pending.told
        if faults.takes(FaultKind.WRONG_SEQUENCE_BOOKS, instrument_id):
            before += 1
        if faults.takes(FaultKind.GAP_BOOKS, instrument_id):
            return
        # Both sides ascend by price, as the real venue sends them.
        bids = [pending.bids[price] for price in sorted(pending.bids)]
        asks = [pending.asks[price] for price in sorted(pending.asks)]
        row = self._row(instrument_id, (pending.first, final, before), bids, asks)
        self._sessions.push("public", name, row)

    def _push_top(
        self, instrument_id: str, name: str, levels: int, pending: _Pending, final: int
    ) -> None:
        book = self._desk.venue.display.book(instrument_id)
        chain = (pending.first, final, pending.told)
        row = self._row(instrument_id, chain, book.bids[:levels], book.asks[:levels])
        self._sessions.push("public", name, row)

    def _row(
        self, instrument_id: str, chain: tuple[int, int, int],
        bids: Sequence[BookLevel], asks: Sequence[BookLevel],
    ) -> Row:  # fmt: skip
        first, final, before = chain
        instrument = self._desk.instrument(instrument_id)
        price_places = symbols.places(instrument.tick_size)
        quantity_places = symbols.places(instrument.lot_size)
        return {
            "e": "depthUpdate",
            "E": self._desk.now_ms(),
            "T": symbols.milliseconds(self._desk.venue.exchange.now_ns),
            "s": instrument_id,
            "ps": instrument_id,
            "U": first,
            "u": final,
            "pu": before,
            "b": [written(each, price_places, quantity_places) for each in bids],
            "a": [written(each, price_places, quantity_places) for each in asks],
            "st": SEGMENT,
        }

    def _is_near_top(self, event: BookChanged) -> bool:
        # Most changes are behind the best prices; a whole book need not be made for them.
        bid, ask = self._tops.get(event.instrument_id, (None, None))
        if bid is None or ask is None:
            return True
        return bool(
            (event.bids and event.bids[0][0] >= bid[0])
            or (event.asks and event.asks[0][0] <= ask[0])
        )

    def _push_best(self, instrument_id: str) -> None:
        stream = f"{instrument_id.lower()}@bookTicker"
        names = [
            name for name in (stream, "!bookTicker") if self._sessions.listened("public", name)
        ]
        if not names:
            return
        book = self._desk.venue.display.book(instrument_id)
        top = (book.bids[0] if book.bids else None, book.asks[0] if book.asks else None)
        if top == self._tops.get(instrument_id) or None in top:
            return
        self._tops[instrument_id] = top
        bid = level(self._desk, instrument_id, book.bids[0])
        ask = level(self._desk, instrument_id, book.asks[0])
        row = {
            "e": "bookTicker",
            "u": self._desk.numbers.last(instrument_id),
            "s": instrument_id,
            "ps": instrument_id,
            "b": bid[0],
            "B": bid[1],
            "a": ask[0],
            "A": ask[1],
            "T": symbols.milliseconds(self._desk.venue.exchange.now_ns),
            "E": self._desk.now_ms(),
            "st": SEGMENT,
        }
        for name in names:
            self._sessions.push("public", name, row)
