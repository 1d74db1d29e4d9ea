"""Liquidation prints are measured against the minutes of their own last day."""

from decimal import Decimal

import pytest

from counterpoise.domain.events import LiquidationPrinted
from counterpoise.domain.orders import Side
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.market.liquidations import LIQUIDATION_MINUTES, Liquidations
from counterpoise.market.state import Market
from strategy_world import CORE, ETH, instrument

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_700_000_040 * SECOND  # On a full minute.


def printed(minutes, quote=10.0):
    tracker = Liquidations()
    for minute in range(minutes):
        tracker.record(START + minute * MINUTE, quote + minute)
    return tracker


def test_nothing_is_known_before_the_first_print():
    tracker = Liquidations()
    assert tracker.last_minute(START) is None
    assert tracker.high(START) is None


def test_the_last_minute_is_the_last_sixty_seconds():
    tracker = Liquidations()
    tracker.record(START, 100.0)
    tracker.record(START + 30 * SECOND, 20.0)
    tracker.record(START + 30 * SECOND, 3.0)
    assert tracker.last_minute(START + 59 * SECOND) == 123.0
    assert tracker.last_minute(START + 60 * SECOND) == 23.0
    assert tracker.last_minute(START + 90 * SECOND) == 0.0


def test_a_print_from_the_past_counts_with_the_newest():
    tracker = Liquidations()
    tracker.record(START + 30 * SECOND, 20.0)
    tracker.record(START, 1.0)
    assert tracker.last_minute(START + 85 * SECOND) == 21.0


def test_the_high_is_known_after_an_hour_and_leaves_the_open_minute_out():
    tracker = printed(60)
    assert tracker.high(START + 59 * MINUTE) is None
    # 60 minutes of 10 to 69: nearest rank 60 of 60.
    tracker.record(START + 60 * MINUTE, 1e9)
    assert tracker.high(START + 60 * MINUTE) == 69.0
    assert tracker.high(START + 61 * MINUTE) == 1e9


def test_the_second_highest_of_a_full_day_and_quiet_minutes_are_zero():
    tracker = Liquidations()
    tracker.record(START, 5.0)
    tracker.record(START + 700 * MINUTE, 7.0)
    tracker.record(START + 800 * MINUTE, 9.0)
    now = START + LIQUIDATION_MINUTES * MINUTE
    # 99.9 % of 1,440 is the 1,439th: one minute stands above it.
    assert tracker.high(now) == 7.0
    assert tracker.high(now + 701 * MINUTE) == 0.0
    assert tracker.high(now + 900 * MINUTE) == 0.0


def test_the_market_tells_prints_of_its_own_instruments():
    market = Market([instrument(CORE), instrument(ETH)], FreshnessLimits())
    view = market.view(START)
    assert (view.liquidations_quote, view.liquidations_quote_high) == (None, None)

    def liquidated(name, quantity, received_ns):
        market.apply(
            LiquidationPrinted(
                instrument_id=name,
                side=Side.SELL,
                quantity=Decimal(quantity),
                price=Decimal(100),
                event_ns=received_ns,
                received_ns=received_ns,
            )
        )

    liquidated(CORE, "2", START)
    liquidated(ETH, "0.5", START + SECOND)
    liquidated("ADAUSDT", "100", START + SECOND)
    liquidated(ETH, "0", START + SECOND)
    view = market.view(START + 2 * SECOND)
    assert view.liquidations_quote == pytest.approx(250.0)
    assert market.view(START + 60 * MINUTE).liquidations_quote_high == pytest.approx(250.0)
