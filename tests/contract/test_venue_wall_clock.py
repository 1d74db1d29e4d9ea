"""The wall clock is set back, or ahead and mended, under a daemon whose own clock goes on."""

import time

import pytest

from counterpoise.app.clock import SystemClock
from counterpoise.domain.orders import OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.execution.sends import stamped_anew
from venue_rigs import RIGS

CORE = "BTCUSDT"


class Unfenced:
    fenced = False

    def may_increase(self):
        return True


@pytest.fixture
def rig(running):
    """The venue's rig, on the clock a daemon has."""
    if running.name == "paper":
        pytest.skip("a paper account signs nothing")
    return RIGS[running.name](running, SystemClock())


@pytest.fixture
def wall(monkeypatch):
    """Puts this process's wall clock so many seconds ahead; the venue's process has its own."""
    true_ns = time.time_ns

    def put(seconds):
        monkeypatch.setattr(time, "time_ns", lambda: true_ns() + seconds * NS_PER_SECOND)
        monkeypatch.setattr(time, "time", lambda: true_ns() / NS_PER_SECOND + seconds)

    return put


@pytest.mark.parametrize("steps", [(-90,), (-90, 3_600, 0), (3_600, -90)])
async def test_what_lowers_risk_is_taken_wherever_the_wall_clock_was_put(desk, wall, steps):
    resting = await desk.order(CORE, Side.BUY, 1, price_bps=-150, time_in_force=TimeInForce.GTC)
    await desk.venue.submit(resting)
    await desk.venue.submit(await desk.order(CORE, Side.BUY, len(steps) * 3, price_bps=100))
    for seconds in steps:
        wall(seconds)
        # Before and after the clock is measured anew.
        for lots in (2, 1):
            reduction = await desk.order(CORE, Side.SELL, lots, reduce_only=True)
            told = await stamped_anew(lambda: desk.venue.submit(reduction), Unfenced())  # noqa: B023
            assert told.state is OrderState.ACCEPTED
            await desk.venue.clock_offset_ns()
    key = resting.intent.client_order_id
    await stamped_anew(lambda: desk.venue.cancel(CORE, key), Unfenced())
    snapshot = await desk.venue.account()
    assert (snapshot.open_orders, snapshot.positions) == ((), ())


async def test_a_clock_that_was_set_back_refuses_no_increase(desk, wall):
    wall(-90)
    increase = await desk.order(CORE, Side.BUY, 1, price_bps=100)
    assert (await desk.venue.submit(increase)).state is OrderState.ACCEPTED
