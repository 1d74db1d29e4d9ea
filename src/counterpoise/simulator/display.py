"""What the venue shows of its markets: the truth, unless a fault bends it."""

from collections.abc import Sequence
from decimal import Decimal

from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.quotes import Book


class Display:
    """Books, marks and index as clients see them. Wires read these here and nowhere else."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def bend(self, events: Sequence[ExchangeEvent]) -> Sequence[ExchangeEvent]:
        """Return what clients are told of what happened."""
        return events

    def book(self, instrument_id: str) -> Book:
        """Return the whole shown book. KeyError: unknown instrument."""
        return self._exchange.book(instrument_id)

    def mark(self, instrument_id: str) -> Decimal:
        """Return the shown mark, quote per base. KeyError: unknown instrument."""
        return self._exchange.mark(instrument_id)

    def index(self, instrument_id: str) -> Decimal:
        """Return the shown index, quote per base. KeyError: unknown instrument."""
        return self._exchange.index(instrument_id)
