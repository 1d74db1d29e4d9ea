"""Update ids of books: they grow by irregular steps and leave ids to events nobody is told of."""

from typing import Final

#: Ids between two book events; a snapshot taken in between carries one of them.
BETWEEN: Final = 2


class UpdateNumbers:
    """The last id taken per symbol.

    An event runs from `U` to `u`; `U` is not `pu + 1`, so that only `pu` proves continuity. A
    snapshot between two events carries an id that the next event's range includes, as on the
    real venue: the first event to apply has `U <= lastUpdateId <= u`.
    """

    def __init__(self, first: int) -> None:
        self._first = first
        self._last: dict[str, int] = {}

    def last(self, symbol: str) -> int:
        """Return the last event's final id."""
        return self._last.setdefault(symbol, self._first)

    def snapshot(self, symbol: str) -> int:
        """Return the id of a snapshot taken now."""
        return self.last(symbol) + BETWEEN + 1

    def following(self, symbol: str, levels: int) -> tuple[int, int]:
        """Take the ids of the next event and return its first and final one."""
        last = self.last(symbol)
        first = last + BETWEEN
        # A multiplicative hash: irregular, and the same for the same numbers.
        final = first + levels + (last * 2_654_435_761 >> 11) % 90
        self._last[symbol] = final
        return first, final
