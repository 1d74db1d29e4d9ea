"""The sequence rule of Bybit's `orderbook` topics (venues.md 5.2).

Each depth of an instrument has numbers of its own: `u` grows by one per message. Bybit promises
no more than the snapshots do, but every recording of deltas is contiguous, and a number that was
left out is a change that never arrived. `seq` is shared by all depths and never goes back.
Source: Bybit v5 "Orderbook" (stream).
"""

from enum import Enum, auto
from typing import Final

#: `u` of the snapshot Bybit sends after its service was restarted.
RESTARTED: Final = 1


class Verdict(Enum):
    """What to do with one message of a book."""

    #: The whole book: take it.
    SNAPSHOT = auto()
    #: Follows without a gap: apply it.
    DELTA = auto()
    #: Something is missing; the book is unknown until the next snapshot.
    GAP = auto()
    #: The snapshot is still awaited; this cannot be applied.
    WAITING = auto()


class BookSequence:
    """The last number of one book, None while its snapshot is awaited."""

    def __init__(self) -> None:
        self.last: int | None = None
        self._cross_sequence = 0

    def reset(self) -> None:
        """Forget everything, as at a new subscription."""
        self.last = None

    def hear(self, kind: str, update: int, cross_sequence: int) -> Verdict:
        """Judge a message by its `type`, `u` and `seq`.

        A snapshot may come at any time and replaces the book. Level 1 has nothing else, and says
        the last one again, number and all, after 3 s without a change. Number 1 is a whole book
        whatever it calls itself: the service was restarted.
        """
        if kind == "snapshot" or update == RESTARTED:
            self.last, self._cross_sequence = update, cross_sequence
            return Verdict.SNAPSHOT
        if self.last is None:
            return Verdict.WAITING
        if update != self.last + 1 or cross_sequence < self._cross_sequence:
            return Verdict.GAP
        self.last, self._cross_sequence = update, cross_sequence
        return Verdict.DELTA
