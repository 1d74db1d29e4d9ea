"""The sequence rule of OKX's `books` channel (venues.md 5.2; the checksum is dead)."""

from enum import Enum, auto


class Verdict(Enum):
    """What to do with one message of a book."""

    #: The whole book: take it.
    SNAPSHOT = auto()
    #: Follows without a gap: apply it.
    DELTA = auto()
    #: Nothing changed; the book is still true.
    IDLE = auto()
    #: Something is missing; the book is unknown until the next snapshot.
    GAP = auto()
    #: The snapshot is still awaited; this cannot be applied.
    WAITING = auto()


class BookSequence:
    """The last sequence number of one book, None while its snapshot is awaited."""

    def __init__(self) -> None:
        self.last: int | None = None

    def reset(self) -> None:
        """Forget everything, as at a new subscription."""
        self.last = None

    def hear(self, action: str, previous: int, sequence: int, *, empty: bool) -> Verdict:
        """Judge a message by `prevSeqId` and `seqId`.

        A sequence that goes back while `previous` fits is OKX's reset at maintenance and is
        accepted; equal numbers with no levels are its keep-alive.
        """
        if action == "snapshot":
            self.last = sequence
            return Verdict.SNAPSHOT
        if self.last is None:
            return Verdict.WAITING
        if previous != self.last:
            return Verdict.GAP
        self.last = sequence
        return Verdict.IDLE if empty and sequence == previous else Verdict.DELTA
