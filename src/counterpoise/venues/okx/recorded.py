"""Recorded frames of OKX: books read as the market stream reads them, old ones by their checksum.

Recordings from before sequence numbers carry a checksum of the best levels with each message; a
book that does not match it has missed a change.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from counterpoise.domain.events import Level
from counterpoise.market.book import OrderBook
from counterpoise.venues.capture import CapturedFrame
from counterpoise.venues.okx import checksum, frames
from counterpoise.venues.okx.book_sync import BookSequence, Verdict
from counterpoise.venues.replaying import DepthMessage, Step, StepKind

#: Channels of snapshot and changes, by levels per side.
_CHANGING: Final = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50}
#: Channels whose every message is whole.
_WHOLE: Final = {"books5": 5, "bbo-tbt": 1}


class OldBookRow(msgspec.Struct, rename="camel"):
    """A message of a book from before sequence numbers, or of a channel that needs none."""

    asks: tuple[frames.RawLevel, ...]
    bids: tuple[frames.RawLevel, ...]
    checksum: int = checksum.NONE


_OLD_BOOKS: Final = msgspec.json.Decoder(tuple[OldBookRow, ...])

_KINDS: Final = {Verdict.SNAPSHOT: StepKind.SNAPSHOT, Verdict.DELTA: StepKind.DELTA}


class OkxRecording:
    """Book channels of every instrument; implements `replaying.Recording`."""

    def __init__(self) -> None:
        self._sequences: dict[tuple[str, str], BookSequence] = {}
        #: Books without sequence numbers that had their snapshot.
        self._begun: set[tuple[str, str]] = set()

    def hear(self, row: CapturedFrame) -> Sequence[DepthMessage] | None:
        """Return what a frame does to a book."""
        if row.kind != "ws" or row.frame in {"ping", "pong"}:
            return None
        frame = frames.FRAME.decode(row.frame)
        if frame.event or frame.arg is None:
            return None
        channel, symbol = frame.arg.channel, frame.arg.inst_id
        depth = _CHANGING.get(channel) or _WHOLE.get(channel)
        if depth is None:
            return None
        if channel in _WHOLE:
            found = [_whole(each) for each in _OLD_BOOKS.decode(frame.data)]
        else:
            found = self._changes((symbol, channel), frame)
        return [
            DepthMessage(symbol=symbol, topic=channel, depth=depth, steps=steps) for steps in found
        ]

    def lose(self, symbol: str, topic: str) -> None:
        """Take nothing more of a book before its next snapshot."""
        key = (symbol, topic)
        self._begun.discard(key)
        if key in self._sequences:
            self._sequences[key].reset()

    def _changes(self, key: tuple[str, str], frame: frames.Frame) -> list[tuple[Step, ...]]:
        try:
            rows = frames.BOOKS.decode(frame.data)
        except ValueError:
            return self._old_changes(key, frame)
        return [self._change(key, frame.action, row) for row in rows]

    def _change(self, key: tuple[str, str], action: str, row: frames.BookRow) -> tuple[Step, ...]:
        sequence = self._sequences.setdefault(key, BookSequence())
        empty = not row.asks and not row.bids
        verdict = sequence.hear(action, row.prev_seq_id, row.seq_id, empty=empty)
        if verdict is Verdict.GAP:
            self.lose(*key)
            return (Step(kind=StepKind.GAP),)
        kind = _KINDS.get(verdict)
        return () if kind is None else (_step(kind, row.bids, row.asks),)

    def _old_changes(self, key: tuple[str, str], frame: frames.Frame) -> list[tuple[Step, ...]]:
        try:
            rows = _OLD_BOOKS.decode(frame.data)
        except ValueError:
            # Whatever it was is missing now.
            return [self._missing(key)]
        return [self._old_change(key, frame.action, row) for row in rows]

    def _old_change(self, key: tuple[str, str], action: str, row: OldBookRow) -> tuple[Step, ...]:
        if action == "snapshot":
            self._begun.add(key)
            return (_step(StepKind.SNAPSHOT, row.bids, row.asks, row.checksum),)
        if key not in self._begun:
            return ()
        return (_step(StepKind.DELTA, row.bids, row.asks, row.checksum),)

    def _missing(self, key: tuple[str, str]) -> tuple[Step, ...]:
        sequence = self._sequences.get(key)
        had = key in self._begun or (sequence is not None and sequence.last is not None)
        self.lose(*key)
        return (Step(kind=StepKind.GAP),) if had else ()


def _whole(row: OldBookRow) -> tuple[Step, ...]:
    return (_step(StepKind.SNAPSHOT, row.bids, row.asks),)


def _step(
    kind: StepKind,
    bids: tuple[frames.RawLevel, ...],
    asks: tuple[frames.RawLevel, ...],
    told: int = checksum.NONE,
) -> Step:
    return Step(
        kind=kind,
        bids=_levels(bids),
        asks=_levels(asks),
        holds=None if told == checksum.NONE else _matches(told),
    )


def _matches(told: int) -> Callable[[OrderBook], bool]:
    def holds(book: OrderBook) -> bool:
        return checksum.checksum(*book.levels(checksum.LEVELS)) == told

    return holds


def _levels(raw: tuple[frames.RawLevel, ...]) -> tuple[Level, ...]:
    return tuple((level[0], level[1]) for level in raw)
