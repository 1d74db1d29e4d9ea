"""What every venue's adapter promises about cash, clocks, closed markets and silent streams."""

import asyncio
import time
from decimal import Decimal

import pytest

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import MarkPrice, StreamAlive, StreamDown, StreamName
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.execution.sends import stamped_anew

CORE = "BTCUSDT"


class Unfenced:
    fenced = False

    def may_increase(self):
        return True


async def test_deposits_and_withdrawals_are_told_once_each_by_their_id(desk):
    since_ns = time.time_ns() - NS_PER_SECOND
    before = (await desk.venue.account()).balance.wallet_balance
    known = {each.transfer_id for each in await desk.venue.transfers_since(since_ns)}
    desk.rig.fault("transfer", value="250.5")
    desk.rig.fault("transfer", value="-40")
    found = [
        each for each in await desk.venue.transfers_since(since_ns) if each.transfer_id not in known
    ]
    assert [each.transfer for each in found] == [Decimal("250.5"), Decimal(-40)]
    assert len({each.transfer_id for each in found}) == 2
    again = await desk.venue.transfers_since(since_ns)
    assert [each.transfer_id for each in again[-2:]] == [each.transfer_id for each in found]
    after = (await desk.venue.account()).balance.wallet_balance
    assert after - before == Decimal("210.5")
    later_ns = max(each.event_ns for each in found) + NS_PER_SECOND
    assert await desk.venue.transfers_since(later_ns) == ()


async def test_trading_is_no_transfer(desk):
    since_ns = time.time_ns()
    before = len(await desk.venue.transfers_since(since_ns))
    order = await desk.order(CORE, Side.BUY, 5, price_bps=100)
    await desk.venue.submit(order)
    await desk.flatten()
    assert len(await desk.venue.transfers_since(since_ns)) == before


async def test_the_account_is_named_anew_each_time(desk):
    assert await desk.venue.account_id() == (await desk.venue.account()).account_id


async def test_a_clock_that_jumped_is_measured(desk):
    assert abs(await desk.venue.clock_offset_ns()) < 250 * NS_PER_MS
    desk.rig.fault("clock_jump", value="1.5", duration_seconds=3)
    measured = await desk.venue.clock_offset_ns()
    assert measured == pytest.approx(1.5 * NS_PER_SECOND, abs=250 * NS_PER_MS)
    await asyncio.sleep(3.2)
    assert abs(await desk.venue.clock_offset_ns()) < 250 * NS_PER_MS


async def test_a_clock_that_jumped_does_not_silence_what_lowers_risk(desk):
    resting = await desk.order(CORE, Side.BUY, 1, price_bps=-150, time_in_force=TimeInForce.GTC)
    await desk.venue.submit(resting)
    held = await desk.order(CORE, Side.BUY, 3, price_bps=100)
    await desk.venue.submit(held)
    reduction = await desk.order(CORE, Side.SELL, 3, reduce_only=True)
    for seconds in ("120", "-240"):
        desk.rig.fault("clock_jump", value=seconds, duration_seconds=20)
        # As of before the step: the venue refuses the stamp of what is sent next.
        if seconds == "120":
            key = resting.intent.client_order_id
            await stamped_anew(lambda: desk.venue.cancel(CORE, key), Unfenced())  # noqa: B023
        else:
            told = await stamped_anew(lambda: desk.venue.submit(reduction), Unfenced())
            assert told.state is OrderState.ACCEPTED
        assert abs(await desk.venue.clock_offset_ns()) > 60 * NS_PER_SECOND
    snapshot = await desk.venue.account()
    assert (snapshot.open_orders, snapshot.positions) == ((), ())
    desk.rig.fault("clear")
    assert abs(await desk.venue.clock_offset_ns()) < 250 * NS_PER_MS


async def test_what_a_market_takes_is_told_and_what_is_not_listed_is_gone(desk):
    names = [CORE, "LTCUSDT", "NOSUCHUSDT"]
    live, gone = InstrumentState.LIVE, InstrumentState.DELISTED
    assert await desk.venue.instrument_states(names) == dict(
        zip(names, (live, live, gone), strict=True)
    )
    told = {"closing": "closing", "suspend": "suspended"}
    if desk.rig.has_post_only_state:
        told["post_only"] = "post_only"
    for value, state in told.items():
        desk.rig.fault("instrument_state", symbol="LTCUSDT", value=value)
        assert (await desk.venue.instrument_states(["LTCUSDT"]))["LTCUSDT"].value == state
    desk.rig.fault("instrument_state", symbol="LTCUSDT", value="live")
    assert (await desk.venue.instrument_states(["LTCUSDT"]))["LTCUSDT"] is live


async def test_an_armed_switch_cancels_what_rests_and_a_disarmed_one_does_not(desk):
    if not await desk.venue.arm_dead_man(0):
        pytest.skip("the venue has no such switch")
    order = await desk.order(CORE, Side.BUY, 1, price_bps=-150, time_in_force=TimeInForce.GTC)
    await desk.venue.submit(order)
    assert await desk.venue.arm_dead_man(10)
    assert await desk.venue.arm_dead_man(0)
    await asyncio.sleep(11)
    assert len((await desk.venue.account()).open_orders) == 1
    assert await desk.venue.arm_dead_man(10)
    async with asyncio.timeout(15):
        while (await desk.venue.account()).open_orders:  # noqa: ASYNC110  a venue's answer
            await asyncio.sleep(0.25)


async def test_a_switch_that_cannot_be_armed_says_so(desk):
    if not await desk.venue.arm_dead_man(0):
        pytest.skip("the venue has no such switch")
    with pytest.raises((VenueRejected, VenueUnreachable)):
        await desk.venue.arm_dead_man(5)


async def test_inputs_that_fall_silent_on_living_sockets_are_told_as_down(rig, desk):
    heard, account = type(desk.market)(), type(desk.account)()
    feeds = [
        asyncio.create_task(
            rig.make_market_feed(desk.symbols, rhythm=rig.impatient).run(heard.append)
        ),
        asyncio.create_task(
            rig.make_account_feed(desk.symbols, rhythm=rig.impatient).run(account.append)
        ),
    ]
    try:
        await heard.of_all(MarkPrice, set(desk.rules))
        await account.until(lambda event: isinstance(event, StreamAlive))
        rig.fault("silent_streams", duration_seconds=16)
        beating = [(StreamName.MARKS, heard)]
        if rig.account_beats:
            beating.append((StreamName.ACCOUNT, account))
        for name, where in beating:
            await where.until(
                lambda event, name=name: isinstance(event, StreamDown) and event.stream is name,
                seconds=20,
            )
        heard.clear()
        await heard.of_all(MarkPrice, set(desk.rules), seconds=30)
    finally:
        for feed in feeds:
            feed.cancel()
        await asyncio.gather(*feeds, return_exceptions=True)
