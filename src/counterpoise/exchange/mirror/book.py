"""A real order book that a modelled account trades in.

What the account took out of a level stays taken until the venue shows another quantity there: the
same liquidity is never met twice. What it takes moves nobody else's prices, and its own resting
orders stand behind everything that is shown at their price.
"""

from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.events import BookDelta, BookSnapshot, Level
from counterpoise.domain.orders import Side
from counterpoise.exchange.book import Match, OrderBook, Sweep
from counterpoise.market import book as market_book

#: Levels of a side that can be met; a book deeper than this counts as this deep.
LEVELS_MAX: Final = 400


class MirrorBook(OrderBook):
    """The levels a venue shows, less what was taken of them, and the account's resting orders."""

    def __init__(self, instrument_id: str, tick_size: Decimal, lot_size: Decimal) -> None:
        super().__init__(instrument_id, tick_size, lot_size)
        self._tick, self._lot = tick_size, lot_size
        self._shown: market_book.OrderBook | None = None
        self._quantity_unit = Decimal(1)
        #: True = the background is what is shown now.
        self._laid = False
        #: By side of the level and ticks: lots that were shown when it was taken from, and taken.
        self._taken: dict[Side, dict[int, tuple[int, int]]] = {each: {} for each in Side}

    @property
    def known(self) -> bool:
        """Whether the venue's book is known now."""
        return self._shown is not None

    def show(self, event: BookSnapshot) -> None:
        """Take a whole book. A level that did not change stays taken from."""
        self._shown = market_book.OrderBook(event.quantity_unit)
        self._quantity_unit = event.quantity_unit
        self._apply(event.bids, event.asks, whole=True)

    def change(self, event: BookDelta) -> None:
        """Take changed levels; without a book to change, nothing."""
        if self._shown is not None:
            self._apply(event.bids, event.asks, whole=False)

    def lose(self) -> None:
        """Forget what was shown: nothing can be met until the next whole book."""
        self._shown = None
        self._laid = False

    def best(self, side: Side) -> Decimal | None:
        """Return the best price shown, quote per base; None = none, or the book is not known."""
        if self._shown is None:
            return None
        return self._shown.best_bid() if side is Side.BUY else self._shown.best_ask()

    def crosses(self, side: Side, ticks: int) -> bool:
        """Tell whether what is shown has moved to or through the price of a resting order."""
        opposite = self.best(side.opposite)
        return opposite is not None and side.sign * (ticks * self._tick - opposite) >= 0

    def sweep(
        self, side: Side, limit_ticks: int | None, lots: int, account_id: str | None
    ) -> Sweep:
        """Return what an order of `side` would meet; None = whatever the price."""
        self._lay()
        return super().sweep(side, limit_ticks, lots, account_id)

    def take(self, taker_side: Side, match: Match) -> None:
        """Carry out one match of a taker, and remember what is gone of the level."""
        if match.maker is None:
            taken = self._taken[taker_side.opposite]
            before = taken.get(match.ticks)
            shown = self._lots_shown(taker_side.opposite, match.ticks, match.lots)
            taken[match.ticks] = (
                (shown, match.lots) if before is None else (before[0], before[1] + match.lots)
            )
        super().take(taker_side, match)

    def best_background(self, side: Side) -> int | None:
        """Return the best price shown that is not taken, ticks; None = the side is empty."""
        self._lay()
        return super().best_background(side)

    def save(self) -> dict[str, Any]:
        """Return the resting orders as JSON-able figures: what is shown is the venue's to tell."""
        saved = super().save()
        for side in saved.values():
            side.update({"background": [], "taken": 0, "published": []})
        return saved

    def _apply(self, bids: tuple[Level, ...], asks: tuple[Level, ...], *, whole: bool) -> None:
        assert self._shown is not None, "there is a book to change"
        self._laid = False
        try:
            apply = self._shown.apply_snapshot if whole else self._shown.apply_delta
            apply(bids, asks)
        except ValueError:
            # Half changed: not known until the next whole book, as for the market's own state.
            self.lose()

    def _lay(self) -> None:
        # The background is made only when somebody wants to trade: books change all the time.
        if self._laid:
            return
        self._laid = True
        shown = ((), ()) if self._shown is None else self._shown.levels(LEVELS_MAX)
        for side, levels in zip((Side.BUY, Side.SELL), shown, strict=True):
            taken, kept = self._taken[side], {}
            background = []
            for price, quantity in levels:
                ticks = int(Decimal(price) / self._tick)
                lots = int(Decimal(quantity) * self._quantity_unit / self._lot)
                gone = taken.get(ticks)
                if gone is not None and gone[0] == lots:
                    kept[ticks] = gone
                    lots -= gone[1]
                if lots > 0:
                    background.append([ticks, lots])
            if self._shown is not None:
                self._taken[side] = kept
            self.lay(side, background)

    def _lots_shown(self, side: Side, ticks: int, least: int) -> int:
        # What the venue shows at a level; whoever takes the first part of it sees all of it.
        for at, lots in self._sides[side].background:
            if at == ticks:
                return lots
        return least
