"""One market's order book: background liquidity from the model and clients' resting orders.

Inside, prices are whole ticks and quantities whole lots. What a client takes out of the
background stays taken and comes back over seconds.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.orders import Side
from counterpoise.exchange.depth import Changes, Depth
from counterpoise.exchange.quotes import BookLevel

#: Half of what was taken out of the background is back after this long.
REFILL_HALF_LIFE_SECONDS: Final = 2.0


@dataclass(slots=True, kw_only=True)
class Resting:
    """A client's order in the book."""

    order_id: str
    account_id: str
    side: Side
    ticks: int
    #: Lots that may still fill.
    lots: int
    #: Smaller came earlier.
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One counterparty of a taker."""

    ticks: int
    lots: int
    #: The client's order that rested; None = the background.
    maker: Resting | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What an order would meet, best price first, and the own orders in its way."""

    matches: tuple[Match, ...]
    own: tuple[Resting, ...]
    #: True = an own order stands before every match.
    own_first: bool = False

    @property
    def lots(self) -> int:
        """Lots that would fill."""
        return sum(match.lots for match in self.matches)


class _BookSide:
    # One side of the book. `sign` is +1 for bids: better prices have larger sign x ticks.

    def __init__(self, sign: int) -> None:
        self.sign = sign
        # The background after what clients took is the row of a depth, or levels of its own
        # [ticks, lots], best first.
        self.depth: Depth | None = None
        self.row = 0
        self._background: list[list[int]] = []
        #: Lots clients took that have not come back yet.
        self.taken = 0
        #: Clients' orders by price, then time.
        self.resting: list[Resting] = []
        #: Background levels stand on multiples of this many ticks and lots.
        self.coarse = (1, 1)
        # What the last change event left its readers with: the row of a depth, or levels.
        self.told: Depth | None = None
        self._published: dict[int, int] = {}

    def refresh(self, depth: Depth, row: int, seconds: float) -> None:
        self.row = row
        if self.taken:
            self.taken = int(self.taken * 0.5 ** (seconds / REFILL_HALF_LIFE_SECONDS))
        left = self.taken
        if not left and self.coarse == (1, 1) and depth.whole(row):
            self.depth = depth
            return
        ticks, lots = depth.levels(row)
        if self.coarse != (1, 1):
            ticks, lots = self._coarsened(ticks, lots)
        background = []
        for at, held in zip(ticks, lots, strict=True):
            gone = min(left, held)
            left -= gone
            rest = (held - gone) // self.coarse[1] * self.coarse[1]
            if rest and at > 0:
                background.append([at, rest])
        self.background = background

    @property
    def background(self) -> list[list[int]]:
        """Copies of the background's levels."""
        if self.depth is None:
            return [list(level) for level in self._background]
        return [list(level) for level in zip(*self.depth.levels(self.row), strict=True)]

    @background.setter
    def background(self, levels: list[list[int]]) -> None:
        self._background = levels
        self.depth = None

    @property
    def published(self) -> dict[int, int]:
        """What readers were left with: lots by ticks."""
        if self.told is None:
            return self._published
        return dict(zip(*self.told.levels(self.row), strict=True))

    @published.setter
    def published(self, levels: dict[int, int]) -> None:
        self._published = levels
        self.told = None

    @property
    def best(self) -> int | None:
        """The background's best price in ticks; None = it is empty."""
        if self.depth is not None:
            return self.depth.touch[self.row]
        return self._background[0][0] if self._background else None

    def changes(self) -> Changes:
        """Return (ticks, lots) that changed since the last call, best first; 0 lots = gone."""
        depth = None if self.resting else self.depth
        if depth is not None and self.told is not None:
            changed = [] if depth is self.told else depth.changes(self.row, self.told)
            self.told = depth
            return changed
        now, before = self.levels(), self.published
        levels = {ticks: lots for ticks, lots in now.items() if before.get(ticks) != lots}
        for ticks in before:
            if ticks not in now:
                levels[ticks] = 0
        self.published = now
        self.told = depth
        return sorted(levels.items(), reverse=self.sign > 0)

    def _coarsened(self, ticks: list[int], lots: list[int]) -> tuple[list[int], list[int]]:
        # Prices go away from the middle, so that the sides never cross.
        step, part = self.coarse
        merged: dict[int, int] = {}
        for at, held in zip(ticks, lots, strict=True):
            moved = self.sign * (self.sign * at // step) * step
            merged[moved] = merged.get(moved, 0) + held
        return list(merged), [max(part, held // part * part) for held in merged.values()]

    def add(self, order: Resting) -> None:
        self.resting.append(order)
        self.resting.sort(key=lambda each: (-self.sign * each.ticks, each.sequence))

    def remove(self, order_id: str) -> None:
        self.resting = [each for each in self.resting if each.order_id != order_id]

    def levels(self) -> dict[int, int]:
        if self.depth is not None:
            merged = dict(zip(*self.depth.levels(self.row), strict=True))
        else:
            merged = {level[0]: level[1] for level in self._background}
        for order in self.resting:
            merged[order.ticks] = merged.get(order.ticks, 0) + order.lots
        return merged

    def sweep(self, limit_ticks: int | None, lots: int, account_id: str | None) -> Sweep:
        # The background stood first at its price; clients follow by time.
        queue: list[tuple[int, int, int, int, Resting | None]] = [
            (-self.sign * ticks, 0, 0, held, None) for ticks, held in self.background
        ]
        queue += [
            (-self.sign * each.ticks, 1, each.sequence, each.lots, each) for each in self.resting
        ]
        matches: list[Match] = []
        own: list[Resting] = []
        left, own_first = lots, False
        for rank, _, _, held, maker in sorted(queue, key=lambda each: each[:3]):
            ticks = -self.sign * rank
            beyond = limit_ticks is not None and self.sign * ticks < self.sign * limit_ticks
            if left == 0 or beyond:
                break
            if maker is not None and maker.account_id == account_id:
                own_first = own_first or not matches
                own.append(maker)
                continue
            part = min(left, held)
            left -= part
            matches.append(Match(ticks=ticks, lots=part, maker=maker))
        return Sweep(matches=tuple(matches), own=tuple(own), own_first=own_first)

    def take_background(self, ticks: int, lots: int) -> None:
        background = self.background
        for level in background:
            if level[0] == ticks:
                assert level[1] >= lots, "more was taken than stood there"
                level[1] -= lots
        self.background = [level for level in background if level[1] > 0]
        self.taken += lots


class OrderBook:
    """Both sides of one market."""

    def __init__(self, instrument_id: str, tick_size: Decimal, lot_size: Decimal) -> None:
        self.instrument_id = instrument_id
        self._tick_size = tick_size
        self._lot_size = lot_size
        self._bids, self._asks = _BookSide(1), _BookSide(-1)
        self._sides = {Side.BUY: self._bids, Side.SELL: self._asks}

    def refresh(self, depth: Depth, place: int, seconds: float) -> None:
        """Put in a step's background, that of the market at a place."""
        self._bids.refresh(depth, depth.row(place, bids=True), seconds)
        self._asks.refresh(depth, depth.row(place, bids=False), seconds)

    def lay(self, side: Side, levels: list[list[int]]) -> None:
        """Put in a side's background as levels [ticks, lots], best first."""
        self._sides[side].background = levels

    def coarsen(self, tick_steps: int, lot_steps: int) -> None:
        """Put the background on multiples of this many ticks and lots from the next refresh on."""
        for side in self._sides.values():
            side.coarse = (tick_steps, lot_steps)

    def coarse_lots(self, lots: int) -> int:
        """Return signed lots cut to whole multiples of the background's lot."""
        part = self._sides[Side.BUY].coarse[1]
        return lots if part == 1 else int(lots / part) * part

    def sweep(
        self, side: Side, limit_ticks: int | None, lots: int, account_id: str | None
    ) -> Sweep:
        """Return what an order of `side` would meet; None = whatever the price. Changes nothing.

        `account_id` None = orders of its own account are like any other's.
        """
        return self._sides[side.opposite].sweep(limit_ticks, lots, account_id)

    def take(self, taker_side: Side, match: Match) -> None:
        """Carry out one match of a taker."""
        side = self._sides[taker_side.opposite]
        if match.maker is None:
            side.take_background(match.ticks, match.lots)
        else:
            self.fill_resting(match.maker, match.lots)

    def fill_resting(self, order: Resting, lots: int) -> None:
        """Take lots out of a resting order; it leaves the book when nothing is left."""
        assert 0 < lots <= order.lots, "more was filled than rested"
        order.lots -= lots
        if order.lots == 0:
            self.remove(order)

    def add(self, order: Resting) -> None:
        """Rest an order."""
        self._sides[order.side].add(order)

    def remove(self, order: Resting) -> None:
        """Take an order out, whatever is left of it."""
        self._sides[order.side].remove(order.order_id)

    def resting(self, side: Side) -> tuple[Resting, ...]:
        """Return clients' orders of a side, best first."""
        return tuple(self._sides[side].resting)

    def best_background(self, side: Side) -> int | None:
        """Return the background's best price in ticks; None = the side is empty."""
        return self._sides[side].best

    def levels(self, side: Side) -> tuple[BookLevel, ...]:
        """Return a side as its readers see it, best first."""
        held = self._sides[side]
        return self._rendered(sorted(held.levels().items(), reverse=held.sign > 0))

    def changes(self) -> tuple[tuple[BookLevel, ...], tuple[BookLevel, ...]]:
        """Return changed (bids, asks) since the last call, quantity 0 = gone, best first."""
        bids = self._bids.changes()
        asks = self._asks.changes()
        return self._rendered(bids), self._rendered(asks)

    def save(self) -> dict[str, Any]:
        """Return the state as JSON-able figures."""
        return {
            side.value: {
                "background": [list(level) for level in held.background],
                "taken": held.taken,
                "resting": [
                    [each.order_id, each.account_id, each.ticks, each.lots, each.sequence]
                    for each in held.resting
                ],
                "published": [list(level) for level in held.published.items()],
            }
            for side, held in self._sides.items()
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        for side, held in self._sides.items():
            state = saved[side.value]
            held.background = [[int(ticks), int(lots)] for ticks, lots in state["background"]]
            held.taken = int(state["taken"])
            held.published = {int(ticks): int(lots) for ticks, lots in state["published"]}
            held.resting = [
                Resting(
                    order_id=str(order_id), account_id=str(account_id), side=side,
                    ticks=int(ticks), lots=int(lots), sequence=int(sequence),
                )
                for order_id, account_id, ticks, lots, sequence in state["resting"]
            ]  # fmt: skip

    def _rendered(self, levels: Changes) -> tuple[BookLevel, ...]:
        tick, lot = self._tick_size, self._lot_size
        return tuple([(ticks * tick, lots * lot) for ticks, lots in levels])
