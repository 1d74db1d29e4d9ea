"""Binance's sequence rule of a book: buffer the stream, seed by REST, then `pu` follows `u`.

A message tells of the updates after its `pu` up to its `u`. A snapshot holds everything up to its
`lastUpdateId`, so the first message to apply is the one with `pu` <= `lastUpdateId` <= `u`: that
contains the documented rule (`U` <= `lastUpdateId` <= `u`) and the snapshot taken exactly between
two messages. Quantities are absolute, so updates a snapshot already has do no harm.
Source: USD-M "How to manage a local order book correctly".
"""

from collections import deque
from enum import Enum, auto
from typing import Final

from counterpoise.venues.binance.frames import DepthUpdate

#: Messages kept while a snapshot is awaited: a minute and a half of the fastest stream; the oldest
#: go first, and a snapshot older than what is left is asked for again.
BUFFERED_MAX: Final = 1_000


class Verdict(Enum):
    """What to do with a message of a book."""

    #: Follows without a gap: apply it.
    DELTA = auto()
    #: The snapshot has it already.
    OLD = auto()
    #: Something is missing; the book is unknown until the next snapshot.
    GAP = auto()
    #: The snapshot is still awaited; the message was kept for it.
    WAITING = auto()


class BookSync:
    """One book: the last update applied, or the messages that wait for a snapshot."""

    def __init__(self) -> None:
        #: Last update of the book; None = a snapshot is awaited.
        self.last: int | None = None
        self._seeded = False
        self._waiting: deque[DepthUpdate] = deque(maxlen=BUFFERED_MAX)

    @property
    def has_waiting(self) -> bool:
        """True if messages wait for a snapshot."""
        return bool(self._waiting)

    def reset(self) -> None:
        """Forget everything, as at a new subscription."""
        self.last = None
        self._seeded = False
        self._waiting.clear()

    def hear(self, update: DepthUpdate) -> Verdict:
        """Judge a message; after a GAP it is the first of those that wait for a snapshot."""
        if self.last is None:
            self._waiting.append(update)
            return Verdict.WAITING
        verdict = self._judge(update)
        if verdict is Verdict.GAP:
            self.reset()
            self._waiting.append(update)
        return verdict

    def seed(self, last_update_id: int) -> tuple[DepthUpdate, ...] | None:
        """Take a snapshot; return the messages to apply to it.

        None = it is older than the messages that wait, and another one is needed.
        """
        waiting = tuple(self._waiting)
        self.last, self._seeded = last_update_id, True
        found: list[DepthUpdate] = []
        for update in waiting:
            verdict = self._judge(update)
            if verdict is Verdict.GAP:
                self.last, self._seeded = None, False
                return None
            if verdict is Verdict.DELTA:
                found.append(update)
        self._waiting.clear()
        return tuple(found)

    def _judge(self, update: DepthUpdate) -> Verdict:
        assert self.last is not None, "a snapshot is needed to judge a message by"
        if self._seeded:
            if update.final < self.last:
                return Verdict.OLD
            follows = update.previous <= self.last
        else:
            follows = update.previous == self.last
        if not follows:
            return Verdict.GAP
        self.last, self._seeded = update.final, False
        return Verdict.DELTA
