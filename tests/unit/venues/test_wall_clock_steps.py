"""The wall clock is set ahead or back: what is signed keeps the venue's time.

Our clock never goes back with it, so the two may be apart for hours.
"""

import json
import time

import pytest

from carried_requests import VENUES, carried
from counterpoise.app.clock import SystemClock
from counterpoise.domain.errors import StampRefused
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.binance.session import STAMPED_BEHIND_MS
from counterpoise.venues.bybit.account_stream import AccountConversation as BybitConversation
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.okx.account_stream import AccountConversation as OkxConversation
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.throttle import Lane
from stamped_orders import journaled

BEHIND_MS = {"okx": 0, "bybit": 0, "binance": STAMPED_BEHIND_MS}

#: Where the wall clock is put, one after the other, seconds.
STEPS = {
    "set back": (-90,),
    "set back by less than anybody allows": (-6,),
    "ahead and mended": (3_600, 0),
    "back, ahead and mended": (-90, 3_600, 0),
    "ahead twice": (600, 3_600, -90),
}


class Wall:
    """The machine's wall clock; whoever asks the module `time` gets it."""

    def __init__(self, patch):
        self.true_ns = time.time_ns
        self.ahead_ns = 0
        patch.setattr(time, "time_ns", lambda: self.true_ns() + self.ahead_ns)
        patch.setattr(time, "time", lambda: time.time_ns() / NS_PER_SECOND)

    def put(self, seconds):
        self.ahead_ns = seconds * NS_PER_SECOND


@pytest.fixture
def wall(monkeypatch):
    return Wall(monkeypatch)


async def reduce(venue, clock):
    """Send a reduction as its performer does: once more after its stamp alone was refused."""
    order = await journaled(clock, quantity="0.05", side=Side.SELL, price=None, reduce_only=True)
    try:
        return await venue.submit(order)
    except StampRefused:
        return await venue.submit(order)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", VENUES)
async def test_a_reduction_is_taken_wherever_the_wall_clock_was_put(name, steps, wall, monkeypatch):
    clock = SystemClock()
    async with carried(name, clock, wall.true_ns, monkeypatch) as (carrier, venue):
        for seconds in STEPS[steps]:
            wall.put(seconds)
            for measured in (False, True):
                if measured:
                    await venue.clock_offset_ns()
                update = await reduce(venue, clock)
                assert update.state is OrderState.ACCEPTED
                late_ms = carrier.venue_ms - carrier.stamp(carrier.orders[-1])
                assert late_ms == pytest.approx(BEHIND_MS[name], abs=200)


@pytest.mark.parametrize("name", VENUES)
async def test_a_clock_that_is_set_back_costs_no_refusal(name, wall, monkeypatch):
    clock = SystemClock()
    async with carried(name, clock, wall.true_ns, monkeypatch) as (carrier, venue):
        wall.put(-90)
        for given in ({"reduce_only": True, "side": Side.SELL}, {}):
            order = await journaled(clock, quantity="0.05", **given)
            assert (await venue.submit(order)).state is OrderState.ACCEPTED
        assert len(carrier.orders) == 2


@pytest.mark.parametrize("name", VENUES)
async def test_an_increase_ends_with_its_approval_in_the_venues_time(name, wall, monkeypatch):
    clock = SystemClock()
    async with carried(name, clock, wall.true_ns, monkeypatch) as (carrier, venue):
        wall.put(3_600)
        clock.now_ns()
        wall.put(-90)
        offset_ns = await venue.clock_offset_ns()
        assert offset_ns == pytest.approx(-3_600 * NS_PER_SECOND, abs=NS_PER_SECOND)
        order = await journaled(clock, quantity="0.05")
        await venue.submit(order)
        sent = carrier.orders[-1]
        window_ms = sent.fields.get("recvWindow") or sent.headers.get("X-BAPI-RECV-WINDOW")
        over_ms = (
            int(sent.headers["expTime"]) if name == "okx" else carrier.stamp(sent) + int(window_ms)
        )
        wanted_ms = (order.approved.expires_ns + offset_ns) // NS_PER_MS
        assert over_ms == pytest.approx(wanted_ms, abs=200)


def logins():
    okx, key = OkxEndpoints.loopback(9), OkxCredentials(api_key="k", secret="s", passphrase="p")
    bybit, other = BybitEndpoints.loopback(9), BybitCredentials(api_key="k", secret="s")
    return {
        "okx": lambda ahead: OkxConversation(okx, key, {}, ahead_ns=ahead),
        "bybit": lambda ahead: BybitConversation(bybit, other, {}, ahead_ns=ahead),
    }


@pytest.mark.parametrize("name", logins())
async def test_a_login_has_the_venues_time(name, wall, monkeypatch):
    clock = SystemClock()
    async with carried(name, clock, wall.true_ns, monkeypatch) as (_, venue):
        for seconds in (-90, 3_600, 0):
            wall.put(seconds)
            await venue.clock_offset_ns()
            conversation = logins()[name](lambda: venue.offset_ns)
            conversation.begin(clock.now_ns())
            (request,) = conversation.requests
            (argument, *more) = json.loads(request)["args"]
            stamped = int(argument["timestamp"]) if name == "okx" else more[0] / 1_000 - 60
            assert stamped == pytest.approx(wall.true_ns() / NS_PER_SECOND, abs=1.5)


async def test_what_a_limit_says_is_read_by_the_venues_time(wall, monkeypatch):
    clock = SystemClock()
    # Half a second before a minute's end by the venue, whose clock is the true one.
    minute_ns = 60 * NS_PER_SECOND
    start_ns = wall.true_ns()
    shift_ns = minute_ns - start_ns % minute_ns - NS_PER_SECOND // 2

    def venue_ns():
        return wall.true_ns() + shift_ns

    wall.put(3_600)
    clock.now_ns()
    async with carried("binance", clock, venue_ns, monkeypatch) as (_, venue):
        wall.put(17)
        await venue.clock_offset_ns()
        session = venue._opened
        session._heed("", 200, {"X-MBX-USED-WEIGHT-1M": "999999999"}, "{}")
        assert session.lanes.closed_seconds(Lane.READS) == pytest.approx(1.0, abs=0.6)
    async with carried("bybit", clock, venue_ns, monkeypatch) as (_, venue):
        await venue.clock_offset_ns()
        session = venue._opened
        told = {
            "X-Bapi-Limit": "10",
            "X-Bapi-Limit-Status": "0",
            "X-Bapi-Limit-Reset-Timestamp": str(venue_ns() // NS_PER_MS + 900),
        }
        session._heed("http://x/v5/position/list", 200, told, "{}")
        assert session.lanes.closed_seconds(Lane.READS) == pytest.approx(0.9, abs=0.2)
