"""Funding rates that were charged since the process began (docs-v5 "Get funding rate history")."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.exchange.events import ExchangeEvent, FundingCharged, FundingRateChanged
from counterpoise.exchange.quotes import FundingState

#: Rates kept per instrument; the most one request may ask for.
KEPT_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """A funding rate as it was charged."""

    #: Fraction per interval.
    rate: Decimal
    #: When it was charged, ns.
    funding_ns: int


class Fundings:
    """A memory of funding rates."""

    def __init__(self, upcoming: Mapping[str, FundingState] | None = None) -> None:
        # The rate told last for the next funding, by instrument.
        self._next = {
            name: Charged(rate=each.rate, funding_ns=each.funding_ns)
            for name, each in (upcoming or {}).items()
        }
        self._charged: dict[str, deque[Charged]] = {}

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Take note of rates whose instant came."""
        for event in events:
            if isinstance(event, FundingCharged):
                # What was charged is surer than what was told before.
                charged = Charged(rate=event.rate, funding_ns=event.event_ns)
                self._next[event.instrument_id] = charged
            elif isinstance(event, FundingRateChanged):
                self._turn(event)

    def charged(self, instrument_id: str) -> list[Charged]:
        """Return the charged rates, newest first."""
        return list(reversed(self._charged.get(instrument_id, ())))

    def _turn(self, event: FundingRateChanged) -> None:
        before = self._next.get(event.instrument_id)
        self._next[event.instrument_id] = Charged(rate=event.rate, funding_ns=event.funding_ns)
        if before is not None and before.funding_ns <= event.event_ns:
            rows = self._charged.setdefault(event.instrument_id, deque(maxlen=KEPT_MAX))
            rows.append(before)
