"""Binance's depth streams: every book's messages in sequence, and the books that want a snapshot."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import structlog

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    Event,
    Level,
    StreamName,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.binance import frames
from counterpoise.venues.binance.book_sync import BookSync, Verdict
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.connection import Heartbeat
from counterpoise.venues.figures import ns_from_ms
from counterpoise.venues.silence import Rhythm, SilenceWatch

_log = structlog.get_logger(__name__)

#: Our instrument id -> Binance's symbol and base units per contract, which is 1.
Symbols = Mapping[str, tuple[str, Decimal]]

#: Streams in one request.
STREAMS_PER_REQUEST: Final = 200

#: Binance answers pings of the websocket protocol.
HEARTBEAT: Final = Heartbeat()

#: A book that could not be had is asked for again after this, ns.
PUT_OFF_NS: Final = 2 * NS_PER_SECOND


class PublicConversation:
    """What both public sockets have in common: subscribing and the frames that are no data."""

    def __init__(self, url: str, stream: StreamName, symbols: Symbols) -> None:
        self.url = url
        self.stream = stream
        self.heartbeat = HEARTBEAT
        self.requests: list[bytes] = []
        self.established = False
        #: Our instrument id by Binance's symbol.
        self.instruments = {symbol: ours for ours, (symbol, _) in symbols.items()}
        self._awaited: set[int] = set()

    def subscribe(self, streams: Iterable[str]) -> None:
        """Leave requests of bounded length; `established` once each was granted."""
        wanted = list(streams)
        self.established = False
        self._awaited.clear()
        for number, start in enumerate(range(0, len(wanted), STREAMS_PER_REQUEST), start=1):
            part = wanted[start : start + STREAMS_PER_REQUEST]
            self._awaited.add(number)
            self.requests.append(frames.request("SUBSCRIBE", part, number))

    def control(self, frame: bytes) -> None:
        """Take a frame that is no data we read. Raises msgspec.MsgspecError if it is nothing."""
        message = frames.CONTROL.decode(frame)
        if message.error is not None:
            _log.warning(
                "stream.refused",
                stream=self.stream.value,
                code=str(message.error.code),
                message=message.error.msg,
            )
        elif isinstance(message.id, int):
            self._awaited.discard(message.id)
            self.established = not self._awaited
        else:
            # Also a message of a stream of ours that lacks what it must have.
            raise ValueError(f"neither data nor an answer: {message.event}")


class BookConversation(PublicConversation):
    """Stream depth@100ms of every instrument, with its sequence checked one by one.

    Snapshots come from REST: `wanted` names the next book to ask for, `collect` keeps its messages
    from then on, and `seed` takes the answer. What follows from it leaves with the next frame.
    """

    def __init__(self, endpoints: BinanceEndpoints, symbols: Symbols, rhythm: Rhythm) -> None:
        super().__init__(f"{endpoints.stream_url}/public/ws", StreamName.BOOKS, symbols)
        self._rhythm = rhythm
        self._silence = SilenceWatch()
        self._books = {symbol: BookSync() for symbol in self.instruments}
        #: Books without a snapshot -> not to be asked for before, our clock, ns.
        self._without: dict[str, int] = {}
        #: Books whose messages are kept for a snapshot under way.
        self._collecting: set[str] = set()
        self._seeded: list[Event] = []

    @property
    def complete(self) -> bool:
        """True once every book has come."""
        return not self._without

    def begin(self, now_ns: int) -> None:
        """Subscribe every book."""
        for book in self._books.values():
            book.reset()
        self._without = dict.fromkeys(self._books, 0)
        self._collecting.clear()
        self._seeded.clear()
        self._silence.expect("depth", self.instruments, self._rhythm.book, now_ns)
        self.subscribe(f"{symbol.lower()}@depth@100ms" for symbol in self.instruments)

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return deltas, gaps, and the snapshots that came in between."""
        try:
            update = frames.DEPTH.decode(frame)
        except ValueError:
            self.control(frame)
            return None
        instrument_id = self.instruments.get(update.symbol)
        if instrument_id is None:
            return None
        self._silence.hear("depth", update.symbol, received_ns, self._rhythm.book)
        events, self._seeded = self._seeded, []
        event = self._book_event(instrument_id, update, received_ns)
        if event is not None:
            events.append(event)
        return events

    def watch(self, now_ns: int) -> None:
        """Drop a connection that lost a book."""
        self._silence.look(now_ns)

    def wanted(self, now_ns: int) -> str | None:
        """Return a book to ask REST for; None = none now. Before the grant nothing flows."""
        if not self.established:
            return None
        for symbol, due_ns in self._without.items():
            if due_ns <= now_ns and symbol not in self._collecting:
                return symbol
        return None

    def collect(self, symbol: str) -> bool:
        """Keep a book's messages from now on; True = there is one to continue from."""
        self._collecting.add(symbol)
        return self._books[symbol].has_waiting

    def seed(self, symbol: str, snapshot: frames.DepthSnapshot, received_ns: int) -> bool:
        """Take a book's snapshot; False = it is too old for the messages, ask again.

        Raises one of MALFORMED for a level that cannot be read; the book is then still wanted.
        """
        if symbol not in self._without:
            return True
        following = self._books[symbol].seed(snapshot.last_update_id)
        if following is None:
            return False
        # One book of both: told alone, messages that had to wait would count as late ones.
        last_ms = following[-1].matched_ms if following else snapshot.matched_ms
        book = BookSnapshot(
            instrument_id=self.instruments[symbol],
            bids=_merged(snapshot.bids, [update.bids for update in following]),
            asks=_merged(snapshot.asks, [update.asks for update in following]),
            quantity_unit=Decimal(1),
            sequence=following[-1].final if following else snapshot.last_update_id,
            event_ns=ns_from_ms(last_ms) or received_ns,
            received_ns=received_ns,
        )
        del self._without[symbol]
        self._collecting.discard(symbol)
        self._seeded.append(book)
        return True

    def put_off(self, symbol: str, now_ns: int) -> None:
        """Ask for a book later: REST did not give it. Its messages need not be kept."""
        self._collecting.discard(symbol)
        if symbol in self._without:
            self._books[symbol].reset()
            # Behind the others: one book that cannot be had must not keep them waiting.
            del self._without[symbol]
            self._without[symbol] = now_ns + PUT_OFF_NS

    def _book_event(
        self, instrument_id: str, update: frames.DepthUpdate, received_ns: int
    ) -> Event | None:
        symbol = update.symbol
        book = self._books[symbol]
        expected = book.last
        if expected is None and symbol not in self._collecting:
            # Hundreds of books may wait for their turn; only those under way are kept for.
            return None
        verdict = book.hear(update)
        if verdict is Verdict.DELTA:
            return _delta(instrument_id, update, received_ns)
        if verdict is Verdict.GAP:
            assert expected is not None, "a gap needs something to follow"
            self._without[symbol] = 0
            return BookGap(
                instrument_id=instrument_id,
                expected=expected,
                found=update.previous,
                received_ns=received_ns,
            )
        return None


def _delta(instrument_id: str, update: frames.DepthUpdate, received_ns: int) -> BookDelta:
    return BookDelta(
        instrument_id=instrument_id,
        bids=_levels(update.bids),
        asks=_levels(update.asks),
        sequence=update.final,
        event_ns=ns_from_ms(update.matched_ms),
        received_ns=received_ns,
    )


def _merged(
    side: tuple[frames.RawLevel, ...], changes: Sequence[tuple[frames.RawLevel, ...]]
) -> tuple[Level, ...]:
    found = {Decimal(level[0]): (level[0], level[1]) for level in side}
    for change in changes:
        for level in change:
            if Decimal(level[1]) == 0:
                found.pop(Decimal(level[0]), None)
            else:
                found[Decimal(level[0])] = (level[0], level[1])
    return tuple(found.values())


def _levels(raw: tuple[frames.RawLevel, ...]) -> tuple[Level, ...]:
    return tuple((level[0], level[1]) for level in raw)
