"""Recorded frames of Bybit: books read as the market stream reads them, of any depth."""

from collections.abc import Sequence

from counterpoise.domain.events import Level
from counterpoise.venues.bybit import frames
from counterpoise.venues.bybit.book_sync import BookSequence, Verdict
from counterpoise.venues.capture import CapturedFrame
from counterpoise.venues.replaying import DepthMessage, Step, StepKind

_BOOKS = "orderbook."


class BybitRecording:
    """`orderbook.<depth>.<symbol>` topics; implements `replaying.Recording`."""

    def __init__(self) -> None:
        self._sequences: dict[tuple[str, str], BookSequence] = {}

    def hear(self, row: CapturedFrame) -> Sequence[DepthMessage] | None:
        """Return what a frame does to a book."""
        if row.kind != "ws":
            return None
        frame = frames.FRAME.decode(row.frame)
        if not frame.topic.startswith(_BOOKS):
            return None
        depth, _, symbol = frame.topic.removeprefix(_BOOKS).partition(".")
        message = DepthMessage(
            symbol=symbol,
            topic=frame.topic,
            depth=int(depth),
            steps=self._steps(symbol, frame),
        )
        return (message,)

    def lose(self, symbol: str, topic: str) -> None:
        """Take nothing more of a book before its next snapshot."""
        self._sequences[symbol, topic].reset()

    def _steps(self, symbol: str, frame: frames.Frame) -> tuple[Step, ...]:
        sequence = self._sequences.setdefault((symbol, frame.topic), BookSequence())
        try:
            row = frames.BOOK.decode(frame.data)
        except ValueError:
            # Whatever it was is missing now.
            return _gap(sequence)
        verdict = sequence.hear(frame.type, row.u, row.seq)
        if verdict is Verdict.GAP:
            return _gap(sequence)
        if verdict is Verdict.WAITING:
            return ()
        kind = StepKind.SNAPSHOT if verdict is Verdict.SNAPSHOT else StepKind.DELTA
        return (Step(kind=kind, bids=levels(row.b), asks=levels(row.a)),)


def levels(raw: tuple[frames.RawLevel, ...]) -> tuple[Level, ...]:
    """Return a side's levels as events carry them."""
    return tuple((level[0], level[1]) for level in raw)


def _gap(sequence: BookSequence) -> tuple[Step, ...]:
    had = sequence.last is not None
    sequence.reset()
    return (Step(kind=StepKind.GAP),) if had else ()
