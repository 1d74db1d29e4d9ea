"""What the process has seen trade and what was charged, for clients that ask afterwards."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    FundingCharged,
    FundingRateChanged,
    TradePrinted,
)
from counterpoise.exchange.quotes import FundingState

#: Trades kept per instrument; the most one request may ask for.
TRADES_MAX: Final = 1_000
#: Settled funding rates kept per instrument.
FUNDINGS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A funding rate as it was charged."""

    #: Fraction per interval.
    rate: Decimal
    #: When it was charged, ns.
    funding_ns: int


class Tape:
    """Trades, book numbers and settled funding rates since the process began."""

    def __init__(self, fundings: Mapping[str, FundingState]) -> None:
        self._trades: dict[str, deque[TradePrinted]] = {}
        # The rate told last for the next funding, by instrument.
        self._next = {
            name: Settled(rate=each.rate, funding_ns=each.funding_ns)
            for name, each in fundings.items()
        }
        self._settled: dict[str, deque[Settled]] = {}
        self._directions: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Take down what is asked for later."""
        for event in events:
            if isinstance(event, TradePrinted):
                self._trade(event)
            elif isinstance(event, FundingRateChanged):
                self._funding(event)
            elif isinstance(event, FundingCharged):
                # What was charged is surer than what was told before.
                charged = Settled(rate=event.rate, funding_ns=event.event_ns)
                self._next[event.instrument_id] = charged
            elif isinstance(event, BookChanged):
                self._numbers[event.instrument_id] = self.book_number(event.instrument_id) + 1

    def book_number(self, instrument_id: str) -> int:
        """Return how often the book changed, 1 = not yet: Bybit's cross-depth `seq`."""
        return self._numbers.get(instrument_id, 1)

    def trades(self, instrument_id: str) -> list[TradePrinted]:
        """Return the last trades, newest first."""
        return list(reversed(self._trades.get(instrument_id, ())))

    def settled(self, instrument_id: str) -> list[Settled]:
        """Return the settled funding rates, newest first."""
        return list(reversed(self._settled.get(instrument_id, ())))

    def direction(self, instrument_id: str) -> str:
        """Return how the last trade's price stood to the one before, in Bybit's words."""
        return self._directions.get(instrument_id, "ZeroPlusTick")

    def _trade(self, event: TradePrinted) -> None:
        trades = self._trades.setdefault(event.instrument_id, deque(maxlen=TRADES_MAX))
        if trades:
            before = self.direction(event.instrument_id)
            if event.price > trades[-1].price:
                direction = "PlusTick"
            elif event.price < trades[-1].price:
                direction = "MinusTick"
            else:
                direction = before if before.startswith("Zero") else f"Zero{before}"
            self._directions[event.instrument_id] = direction
        trades.append(event)

    def _funding(self, event: FundingRateChanged) -> None:
        # The rate told last before its instant is the one that is charged.
        before = self._next.get(event.instrument_id)
        now = Settled(rate=event.rate, funding_ns=event.funding_ns)
        self._next[event.instrument_id] = now
        if before is not None and now.funding_ns > before.funding_ns <= event.event_ns:
            settled = self._settled.setdefault(event.instrument_id, deque(maxlen=FUNDINGS_MAX))
            settled.append(before)
