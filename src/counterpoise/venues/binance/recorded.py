"""Recorded frames of Binance: books read as the market stream reads them.

A book begins with an answer to a request for its depth, which the recording has as a row of kind
"http"; one that comes while the book is whole is kept for the next gap.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from counterpoise.domain.events import Level
from counterpoise.venues.binance import frames
from counterpoise.venues.binance.book_sync import BookSync, Verdict
from counterpoise.venues.capture import CapturedFrame
from counterpoise.venues.replaying import DepthMessage, Step, StepKind

#: What the changes of a whole book are called here, and the levels of its snapshots.
_CHANGES: Final = "depth"
_CHANGES_DEPTH: Final = 1_000
#: Streams whose every message is whole: "btcusdt@depth20@100ms".
_WHOLE: Final = re.compile(r"@depth(5|10|20)(@|$)")
_DEPTH_PATH: Final = re.compile(r"/fapi/v\d+/depth$")


class _Event(msgspec.Struct):
    # A combined stream wraps its messages and says which stream it is.
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    kind: str = msgspec.field(name="e", default="")


_EVENT: Final = msgspec.json.Decoder(_Event)


class BinanceRecording:
    """`@depth` streams and their snapshots; implements `replaying.Recording`."""

    def __init__(self) -> None:
        self._books: dict[str, BookSync] = {}
        #: Snapshots that came while their book was whole.
        self._spare: dict[str, frames.DepthSnapshot] = {}

    def hear(self, row: CapturedFrame) -> Sequence[DepthMessage] | None:
        """Return what a row does to a book."""
        if row.kind == "http":
            return self._answer(row)
        event = _EVENT.decode(row.frame)
        stream = event.stream or urlsplit(row.url).path
        frame = event.data or row.frame
        kind = _EVENT.decode(frame).kind if event.stream else event.kind
        if kind != "depthUpdate":
            return None
        update = frames.DEPTH.decode(frame)
        whole = _WHOLE.search(stream)
        if whole is not None:
            levels = int(whole[1])
            return (_told(update.symbol, f"depth{levels}", levels, (_whole(update),)),)
        steps = self._change(update)
        return (_told(update.symbol, _CHANGES, _CHANGES_DEPTH, steps),)

    def lose(self, symbol: str, topic: str) -> None:
        """Take nothing more of a book before its next snapshot."""
        if topic == _CHANGES:
            self._books[symbol].reset()

    def _answer(self, row: CapturedFrame) -> Sequence[DepthMessage] | None:
        address = urlsplit(row.url)
        symbols = parse_qs(address.query).get("symbol")
        if not _DEPTH_PATH.search(address.path) or not symbols:
            return None
        symbol = symbols[0].upper()
        snapshot = frames.SNAPSHOT.decode(row.frame)
        book = self._books.setdefault(symbol, BookSync())
        if book.last is not None:
            self._spare[symbol] = snapshot
            return None
        steps = _seeded(book, snapshot)
        return (_told(symbol, _CHANGES, _CHANGES_DEPTH, steps, streamed=False),)

    def _change(self, update: frames.DepthUpdate) -> tuple[Step, ...]:
        book = self._books.setdefault(update.symbol, BookSync())
        verdict = book.hear(update)
        if verdict is Verdict.DELTA:
            return (_delta(update),)
        if verdict is not Verdict.GAP:
            return ()
        spare = self._spare.pop(update.symbol, None)
        found = () if spare is None else _seeded(book, spare)
        return (Step(kind=StepKind.GAP), *found)


def _seeded(book: BookSync, snapshot: frames.DepthSnapshot) -> tuple[Step, ...]:
    waiting = book.seed(snapshot.last_update_id)
    if waiting is None:
        return ()
    whole = Step(kind=StepKind.SNAPSHOT, bids=_levels(snapshot.bids), asks=_levels(snapshot.asks))
    return (whole, *map(_delta, waiting))


def _told(
    symbol: str, topic: str, depth: int, steps: tuple[Step, ...], *, streamed: bool = True
) -> DepthMessage:
    return DepthMessage(symbol=symbol, topic=topic, depth=depth, streamed=streamed, steps=steps)


def _whole(update: frames.DepthUpdate) -> Step:
    return Step(kind=StepKind.SNAPSHOT, bids=_levels(update.bids), asks=_levels(update.asks))


def _delta(update: frames.DepthUpdate) -> Step:
    return Step(kind=StepKind.DELTA, bids=_levels(update.bids), asks=_levels(update.asks))


def _levels(raw: tuple[frames.RawLevel, ...]) -> tuple[Level, ...]:
    return tuple((level[0], level[1]) for level in raw)
