"""A real venue's marks and indexes, as its public stream tells them."""

import math
from decimal import Decimal
from typing import Final

from counterpoise.domain.events import MarkPrice
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.orders import TriggerSource

#: Bands follow the premium with this time constant, as the modelled board's do.
PREMIUM_SECONDS: Final = 30.0


class MirrorBoard:
    """Public figures of every instrument that was told of; KeyError for any other."""

    def __init__(self) -> None:
        self._marks: dict[str, Decimal] = {}
        self._indexes: dict[str, Decimal] = {}
        self._lasts: dict[str, Decimal] = {}
        #: Per instrument: mid - index averaged over about 30 s, quote, and when it was last fed.
        self._premiums: dict[str, tuple[float, int]] = {}

    def hear_mark(self, event: MarkPrice, mid: Decimal | None) -> None:
        """Take a mark; `mid` is the book's now, None = not known."""
        name = event.instrument_id
        self._marks[name] = event.mark
        if event.index is not None:
            self._indexes[name] = event.index
        if mid is None or event.index is None:
            return
        self._lasts[name] = mid
        gap = float_from_decimal(mid - event.index)
        before, fed_ns = self._premiums.get(name, (gap, event.event_ns))
        seconds = max(0, event.event_ns - fed_ns) / NS_PER_SECOND
        keep = math.exp(-seconds / PREMIUM_SECONDS)
        self._premiums[name] = (keep * before + (1.0 - keep) * gap, event.event_ns)

    def has(self, instrument_id: str) -> bool:
        """Whether there is a mark."""
        return instrument_id in self._marks

    def marks(self) -> dict[str, Decimal]:
        """Return all marks, quote per base."""
        return dict(self._marks)

    def mark(self, instrument_id: str) -> Decimal:
        """Return the mark, quote per base."""
        return self._marks[instrument_id]

    def index(self, instrument_id: str) -> Decimal:
        """Return the index, quote per base; the mark where none was told."""
        return self._indexes.get(instrument_id, self._marks[instrument_id])

    def last(self, instrument_id: str) -> Decimal:
        """Return mid at the last mark, quote per base; the mark where no book was known.

        The venue's trades are not followed, so this stands in for its last trade.
        """
        return self._lasts.get(instrument_id, self._marks[instrument_id])

    def premium(self, instrument_id: str) -> Decimal:
        """Return mid - index averaged over about 30 s, quote per base; 0 where not known."""
        return decimal_from_float(self._premiums.get(instrument_id, (0.0, 0))[0])

    def price(self, instrument_id: str, source: TriggerSource) -> Decimal:
        """Return the price a trigger order waits for."""
        match source:
            case TriggerSource.MARK:
                return self.mark(instrument_id)
            case TriggerSource.INDEX:
                return self.index(instrument_id)
            case TriggerSource.LAST:
                return self.last(instrument_id)
