"""Recorded frames through the parsers and books that live streams go through.

A venue's part is a `Recording`: it reads rows with the frames and the sequence rule of its market
stream and says what each depth message does. Here that is done to `market.book.OrderBook`, and
counted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from typing import Any, Final, Protocol

import msgspec

from counterpoise.domain.events import Level
from counterpoise.market.book import OrderBook
from counterpoise.venues.capture import CapturedFrame

#: Levels told of each side.
LEVELS_TOLD: Final = 5

#: A row that raises one of these is malformed.
MALFORMED: Final = (
    msgspec.MsgspecError,
    InvalidOperation,
    UnicodeError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    RecursionError,
)

_ONE: Final = Decimal(1)


class StepKind(Enum):
    """What happens to a book."""

    #: It is replaced.
    SNAPSHOT = auto()
    #: Levels change.
    DELTA = auto()
    #: It is lost until the next snapshot.
    GAP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one book."""

    kind: StepKind
    #: Levels of a snapshot or delta, as the venue wrote them.
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    #: Tells whether the book is as the message says it must be now; None = it says nothing.
    holds: Callable[[OrderBook], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthMessage:
    """One message about one book."""

    #: The venue's string for the instrument.
    symbol: str
    #: Which of the instrument's books, in the venue's words.
    topic: str
    #: Levels per side the topic has; of several, the deepest is told.
    depth: int
    #: Whether it came on the stream (an answer to a request is no message).
    streamed: bool = True
    #: What it does, in order; nothing = too old, too early or an empty sign of life.
    steps: tuple[Step, ...]


class Recording(Protocol):
    """How one venue's rows are read. Synchronous, without I/O."""

    def hear(self, row: CapturedFrame) -> Sequence[DepthMessage] | None:
        """Return what a row says of books; None = it is about something else.

        Raises one of MALFORMED for a row that cannot be read.
        """
        ...

    def lose(self, symbol: str, topic: str) -> None:
        """Take nothing more of a book before its next snapshot: it contradicts itself."""
        ...


@dataclass(slots=True, kw_only=True)
class _Book:
    depth: int
    messages: int = 0
    snapshots: int = 0
    applied: int = 0
    gaps: int = 0
    resyncs: int = 0
    crossed: int = 0
    #: None before the first snapshot and while lost.
    book: OrderBook | None = None
    lost: bool = False

    def take(self, step: Step) -> bool:
        """Do one step; False = the book contradicts the message and is lost."""
        if step.kind is StepKind.GAP:
            self.gaps += 1
            self.book, self.lost = None, True
            return True
        try:
            self._apply(step)
        except ValueError:
            return self._contradicted()
        book = self.book
        if book is not None and step.holds is not None and not step.holds(book):
            return self._contradicted()
        self.crossed += book is not None and book.crossed
        return True

    def _apply(self, step: Step) -> None:
        if step.kind is StepKind.SNAPSHOT:
            book = OrderBook(_ONE)
            book.apply_snapshot(step.bids, step.asks)
            self.book = book
            self.snapshots += 1
            self.resyncs += self.lost
            self.lost = False
        elif self.book is not None:
            self.book.apply_delta(step.bids, step.asks)
            self.applied += 1

    def _contradicted(self) -> bool:
        self.gaps += 1
        self.book, self.lost = None, True
        return False

    def told(self) -> dict[str, Any]:
        bids, asks = ((), ()) if self.book is None else self.book.levels(LEVELS_TOLD)
        return {
            "messages": self.messages,
            "snapshots": self.snapshots,
            "applied": self.applied,
            "gaps": self.gaps,
            "resyncs": self.resyncs,
            "crossed": self.crossed,
            "bids": [list(level) for level in bids],
            "asks": [list(level) for level in asks],
        }


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a recording came to."""

    #: By the venue's symbol, sorted: counts and the best levels left, best first.
    instruments: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Rows in all.
    rows: int = 0
    #: Rows about something other than books.
    other: int = 0
    #: Rows that could not be read.
    malformed: int = 0


def replay(rows: Iterable[CapturedFrame], recording: Recording) -> Replayed:
    """Run rows through a venue's parser and books, in their order."""
    result = Replayed()
    books: dict[tuple[str, str], _Book] = {}
    for row in rows:
        result.rows += 1
        try:
            messages = recording.hear(row)
        except MALFORMED:
            result.malformed += 1
            continue
        if messages is None:
            result.other += 1
            continue
        for message in messages:
            _take(books, message, recording)
    for symbol, topic in _deepest(books):
        result.instruments[symbol] = books[symbol, topic].told()
    return result


def _take(books: dict[tuple[str, str], _Book], message: DepthMessage, recording: Recording) -> None:
    key = (message.symbol, message.topic)
    book = books.setdefault(key, _Book(depth=message.depth))
    book.messages += message.streamed
    for step in message.steps:
        if not book.take(step):
            recording.lose(*key)
            return


def _deepest(books: dict[tuple[str, str], _Book]) -> list[tuple[str, str]]:
    # An instrument has one line: of several books the one that goes deepest, then the first.
    chosen: dict[str, tuple[str, str]] = {}
    for key, book in books.items():
        best = chosen.get(key[0])
        if best is None or book.depth > books[best].depth:
            chosen[key[0]] = key
    return [chosen[symbol] for symbol in sorted(chosen)]
