"""The background of all books after one step, and how it differs from the one before.

Most books nobody trades on: their levels stay in two arrays from step to step, and only those
that changed ever become objects.
"""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from counterpoise.exchange.constants import Integers

#: Changed levels of a side: (ticks, lots), best first; 0 lots = gone.
Changes = list[tuple[int, int]]

_NONE: Final[Changes] = []


class Depth:
    """Levels of every side, a row each: the bids of all markets, then their asks."""

    def __init__(self, ticks: Integers, lots: Integers) -> None:
        """Take arrays of shape (2, markets, levels), best first; they are not changed later."""
        self._markets = int(ticks.shape[1])
        #: Prices and quantities by row and level.
        self.ticks = ticks.reshape(2 * self._markets, -1)
        self.lots = lots.reshape(2 * self._markets, -1)
        #: Best price of every row, ticks.
        self.touch: list[int] = self.ticks[:, 0].tolist()
        #: Rows that are not as the arrays say, (ticks, lots): levels were taken away.
        self._cut: dict[int, tuple[list[int], list[int]]] = {}
        # A price below one tick cannot be shown; the lowest stands last.
        self._whole: list[bool] = (self.ticks[:, -1] > 0).tolist()
        self._since: Depth | None = None
        self._changes: dict[int, Changes] = {}

    def row(self, place: int, *, bids: bool) -> int:
        """Return the row of a market's side."""
        return place if bids else self._markets + place

    def whole(self, row: int) -> bool:
        """Tell whether a row is as the arrays say and may be compared."""
        return self._whole[row]

    def levels(self, row: int) -> tuple[list[int], list[int]]:
        """Return prices in ticks and quantities in lots of a row, best first."""
        cut = self._cut.get(row)
        if cut is not None:
            return cut
        return self.ticks[row].tolist(), self.lots[row].tolist()

    def cut(self, row: int, kept: npt.NDArray[np.bool_]) -> None:
        """Take away the levels of a row that are not kept."""
        self._whole[row] = False
        self._cut[row] = (self.ticks[row][kept].tolist(), self.lots[row][kept].tolist())

    def changes(self, row: int, since: "Depth") -> Changes:
        """Return what changed in a row that is whole, and was in an earlier depth."""
        if self._since is not since:
            self._changes = self._compared(since)
            self._since = since
            # Or every depth would keep all before it.
            since.forget()
        return self._changes.get(row, _NONE)

    def forget(self) -> None:
        """Let go of what was compared."""
        self._since = None
        self._changes = {}

    def _compared(self, since: "Depth") -> dict[int, Changes]:
        # Levels that are the same at the same place cannot be the counterpart of others, since
        # a price stands once in a row.
        differs = (self.ticks != since.ticks) | (self.lots != since.lots)
        counts = differs.sum(axis=1)
        rows = np.flatnonzero(counts)
        ends = [0, *np.cumsum(counts[rows]).tolist()]
        ticks, lots = self.ticks[differs].tolist(), self.lots[differs].tolist()
        ticks_before = since.ticks[differs].tolist()
        lots_before = since.lots[differs].tolist()
        found: dict[int, Changes] = {}
        for row, (start, end) in zip(rows.tolist(), pairwise(ends), strict=True):
            now = ticks[start:end]
            if now == ticks_before[start:end]:
                found[row] = list(zip(now, lots[start:end], strict=True))
                continue
            before = dict(zip(ticks_before[start:end], lots_before[start:end], strict=True))
            after = dict(zip(now, lots[start:end], strict=True))
            changed = [each for each in after.items() if before.get(each[0]) != each[1]]
            changed += [(at, 0) for at in before if at not in after]
            changed.sort(reverse=row < self._markets)
            found[row] = changed
        return found
