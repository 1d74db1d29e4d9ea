"""A small venue: the demonstration's markets with one day of history."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters

#: 2027-01-15 08:00:00 UTC: a funding instant, so the next is eight hours away.
OPENED_NS = 1_800_000_000 * NS_PER_SECOND


@pytest.fixture(scope="session")
def parameters() -> ExchangeParameters:
    return replace(demo_parameters(7), history_days=1)


@pytest.fixture
def opened_ns() -> int:
    return OPENED_NS


@pytest.fixture
def exchange(parameters: ExchangeParameters) -> Exchange:
    """A venue that has run for 5 s, with an account "a" of 10 000 USDT."""
    venue = Exchange.create(parameters, OPENED_NS)
    venue.open_account("a", Decimal(10_000))
    venue.advance(OPENED_NS + 5 * NS_PER_SECOND)
    return venue
