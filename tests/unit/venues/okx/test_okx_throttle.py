"""Reductions keep their way free, whatever floods the lanes and however long the venue hangs."""

import asyncio
from decimal import Decimal

from aiohttp import web

from counterpoise.domain.orders import Side
from counterpoise.venues.okx.endpoints import OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue
from counterpoise.venues.okx.throttle import VENUE_LIMITS
from counterpoise.venues.throttle import IN_FLIGHT_MAX, Lanes

ORDER = "/api/v5/trade/order"
CANCEL = "/api/v5/trade/cancel-order"
#: More than the order client has sockets.
FLOOD = 150
#: Orders OKX takes per two seconds and instrument.
VENUE_ORDERS = 60


async def test_a_flood_of_increases_and_cancels_leaves_reductions_their_sockets(
    stub, clock, credentials, journal_order
):
    released = asyncio.Event()

    async def answer(request, sent):
        row = {"ordId": "77", "clOrdId": sent["clOrdId"], "sCode": "0", "sMsg": "", "ts": "1"}
        if request.path == CANCEL or sent.get("reduceOnly") is not True:
            await released.wait()
        return web.json_response({"code": "0", "msg": "", "data": [row]})

    stub.answers[ORDER] = stub.answers[CANCEL] = answer
    venue = OkxVenue(OkxEndpoints.loopback(stub.port), credentials, clock, timeout_ms=60_000)
    await venue.open()
    increase = await journal_order(quantity="1")
    reduction = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    asked = len(stub.requests)
    flood = [asyncio.create_task(venue.submit(increase)) for _ in range(FLOOD)]
    flood += [asyncio.create_task(venue.cancel("BTCUSDT", f"cp{n}")) for n in range(FLOOD)]
    try:
        async with asyncio.timeout(20):
            while len(stub.requests) < asked + 2 * IN_FLIGHT_MAX:  # noqa: ASYNC110  the server counts
                await asyncio.sleep(0.01)
            # Every one of the flood hangs; a reduction is answered all the same.
            for _ in range(5):
                await venue.submit(reduction)
        # What found no place among those at work was given up; nothing of it was sent.
        over = [task.exception() for task in flood if task.done()]
        assert {getattr(error, "code", error) for error in over} <= {"LANE_BUSY"}
        assert len(stub.sent(ORDER)) == IN_FLIGHT_MAX + 5
        assert len(stub.sent(CANCEL)) == IN_FLIGHT_MAX
    finally:
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        released.set()
        await venue.close()


async def test_increases_never_use_up_what_the_venue_allows():
    lanes = Lanes(VENUE_LIMITS)
    passed = 0

    async def increase():
        nonlocal passed
        async with lanes.order(reduce_only=False):
            passed += 1

    flood = [asyncio.create_task(increase()) for _ in range(FLOOD)]
    await asyncio.sleep(0.3)
    assert passed == VENUE_LIMITS.increases
    # Of OKX's 60 orders in two seconds a third is left for reductions, which no lane counts.
    assert VENUE_ORDERS - VENUE_LIMITS.increases >= 20
    for _ in range(FLOOD):
        async with asyncio.timeout(5), lanes.order(reduce_only=True):
            pass
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_an_increase_that_waited_beyond_its_approval_is_not_sent(stub, venue, journal_order):
    lanes = venue._session.lanes
    order = await journal_order(quantity="1")
    held = [lanes._increases_at_work.acquire() for _ in range(IN_FLIGHT_MAX)]
    await asyncio.gather(*held)
    late = asyncio.create_task(venue.submit(order))
    await asyncio.sleep(0.05)
    venue._clock.ahead_ns = 5_000_000_000
    lanes._increases_at_work.release()
    result = (await asyncio.gather(late, return_exceptions=True))[0]
    assert getattr(result, "code", None) == "APPROVAL_EXPIRED"
    assert stub.sent(ORDER) == []


async def test_a_waiting_order_goes_out_post_only(stub, venue, journal_order):
    async def answer(request, sent):
        row = {"ordId": "77", "clOrdId": sent["clOrdId"], "sCode": "0", "sMsg": "", "ts": "1"}
        return web.json_response({"code": "0", "msg": "", "data": [row]})

    stub.answers[ORDER] = answer
    order = await journal_order(quantity="1", post_only=True)
    await venue.submit(order)
    assert stub.sent(ORDER)[0]["ordType"] == "post_only"
    assert order.approved.quantity == Decimal(1)
