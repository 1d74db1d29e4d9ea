"""Options of a rehearsal, and the clock they choose."""

from decimal import Decimal

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.simulator import rehearse
from counterpoise.simulator.clock import Clock

OPENED_NS = 1_795_305_600 * NS_PER_SECOND


@pytest.mark.parametrize("text", ["much", "0", "-5", "Infinity", "NaN"])
def test_cash_is_a_positive_amount(text):
    with pytest.raises(rehearse.OptionWrong, match=f"--wallet {text}: allowed"):
        rehearse.money(text)
    assert rehearse.money("12.5") == Decimal("12.5")


@pytest.mark.parametrize("speed", [-1.0, 10_001.0, float("nan")])
def test_a_speed_has_bounds(speed):
    with pytest.raises(rehearse.OptionWrong, match="--speed"):
        rehearse.market_speed(speed)


def test_lock_step_time_is_granted_and_nothing_else():
    clock = Clock(speed=0, opened_ns=OPENED_NS)
    assert clock.now_ns() == OPENED_NS
    assert clock.grant(1.5) == clock.now_ns() == OPENED_NS + 1_500_000_000
    with pytest.raises(ValueError, match="does not run back"):
        clock.grant(-1)
    with pytest.raises(ValueError, match="runs by itself"):
        Clock().grant(1)


def test_a_jump_moves_what_is_told_and_not_the_market():
    clock = Clock(speed=0, opened_ns=OPENED_NS)
    clock.jump_ns = 90 * NS_PER_SECOND
    assert (clock.now_ns(), clock.told_ns()) == (OPENED_NS, OPENED_NS + 90 * NS_PER_SECOND)
    assert clock.stamp_age_seconds(OPENED_NS) == 90
