"""What the market told since the process began: the last trades and the funding rates charged."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.exchange.events import (
    ExchangeEvent,
    FundingCharged,
    FundingRateChanged,
    TradePrinted,
)
from counterpoise.exchange.quotes import FundingState

#: Trades and rates kept per instrument.
KEPT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRow:
    """One charged funding."""

    instrument_id: str
    #: Fraction per interval.
    rate: Decimal
    #: Quote per base, at the instant it was charged.
    mark: Decimal
    #: When it was charged, ns.
    funding_ns: int


class Tape:
    """A memory of market events."""

    def __init__(self, fundings: Mapping[str, FundingState]) -> None:
        self._trades: dict[str, deque[TradePrinted]] = {
            each: deque(maxlen=KEPT_MAX) for each in fundings
        }
        self._fundings: dict[str, deque[FundingRow]] = {
            each: deque(maxlen=KEPT_MAX) for each in fundings
        }
        # The rate told last for the next funding, and when that is.
        self._next = {name: (each.rate, each.funding_ns) for name, each in fundings.items()}

    def hear(self, events: Sequence[ExchangeEvent], mark: Callable[[str], Decimal]) -> None:
        """Take note of trades, and of rates whose instant came."""
        for event in events:
            if isinstance(event, TradePrinted):
                self._trades[event.instrument_id].append(event)
            elif isinstance(event, FundingCharged):
                # What was charged is surer than what was told before.
                _, funding_ns = self._next[event.instrument_id]
                self._next[event.instrument_id] = (event.rate, funding_ns)
            elif isinstance(event, FundingRateChanged):
                self._rate(event, mark)

    def trades(self, instrument_id: str) -> tuple[TradePrinted, ...]:
        """Return the last trades, oldest first."""
        return tuple(self._trades[instrument_id])

    def fundings(self, instrument_id: str) -> tuple[FundingRow, ...]:
        """Return the last charged rates, oldest first."""
        return tuple(self._fundings[instrument_id])

    def _rate(self, event: FundingRateChanged, mark: Callable[[str], Decimal]) -> None:
        rate, funding_ns = self._next[event.instrument_id]
        self._next[event.instrument_id] = (event.rate, event.funding_ns)
        if funding_ns <= event.event_ns:
            self._fundings[event.instrument_id].append(
                FundingRow(
                    instrument_id=event.instrument_id,
                    rate=rate,
                    mark=mark(event.instrument_id),
                    funding_ns=funding_ns,
                )
            )
