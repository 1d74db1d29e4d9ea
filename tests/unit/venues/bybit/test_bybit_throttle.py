"""What Bybit's answers tell of a path's limit, and what becomes of our lanes."""

import time

import pytest
from aiohttp import web

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.orders import Side
from counterpoise.venues.bybit import throttle
from counterpoise.venues.bybit.throttle import SHUT_OUT_SECONDS, VENUE_LIMITS
from counterpoise.venues.throttle import Lane, Lanes

CREATE = "https://api.bybit.com/v5/order/create"
CANCEL = "https://api.bybit.com/v5/order/cancel"
POSITIONS = "https://api.bybit.com/v5/position/list?category=linear"
NOW_MS = 1_800_000_000_000


def told(most: object, left: object, reset_ms: int = NOW_MS + 400) -> dict[str, str]:
    return {
        "X-Bapi-Limit": str(most),
        "X-Bapi-Limit-Status": str(left),
        "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
    }


@pytest.mark.parametrize(
    ("url", "headers", "increases", "cancels", "closed"),
    [
        (CREATE, told(10, 9), 6, 8, {}),
        # What is left of ten is the reductions'.
        (CREATE, told(10, 4), 6, 8, {Lane.INCREASES: 0.4}),
        # An account that may more.
        (CREATE, told(20, 19), 12, 8, {}),
        (CREATE, told(1, 1), 1, 8, {}),
        (CANCEL, told(20, 0), 6, 16, {}),
        (POSITIONS, told(50, 1), 6, 8, {}),
        (POSITIONS, told(50, 0), 6, 8, {Lane.READS: 0.4}),
        # A clock that is far off is not waited for.
        (POSITIONS, told(50, 0, NOW_MS + 90_000), 6, 8, {Lane.READS: 1.5}),
        (CREATE, {}, 6, 8, {}),
        (CREATE, {"X-Bapi-Limit": "lots", "X-Bapi-Limit-Status": "0"}, 6, 8, {}),
    ],
)
def test_what_the_headers_of_a_path_do(url, headers, increases, cancels, closed):
    lanes = Lanes(VENUE_LIMITS)
    throttle.heed(lanes, url, 200, headers, "{}", NOW_MS)
    assert (lanes.limits.increases, lanes.limits.cancels) == (increases, cancels)
    for lane in Lane:
        assert lanes.closed_seconds(lane) == pytest.approx(closed.get(lane, 0), abs=0.2)


async def test_an_address_that_was_shut_out_is_silent_for_ten_minutes_and_still_reduces(
    venue, stub, journal_order
):
    stub.answers["/v5/account/info"] = lambda _: web.Response(
        status=403, text="403, Access too frequent"
    )
    lanes = venue._session.lanes
    with pytest.raises(VenueUnreachable):
        await venue._session.read("privateGetV5AccountInfo")
    assert lanes.closed_seconds(Lane.READS) == pytest.approx(SHUT_OUT_SECONDS, abs=2)
    asked = len(stub.requests)
    with pytest.raises(VenueUnreachable, match="nothing was sent"):
        await venue.account()
    assert len(stub.requests) == asked
    reduction = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    await venue.submit(reduction)
    assert stub.sent("/v5/order/create")[0]["reduceOnly"] is True


async def test_the_lane_of_increases_follows_the_account(venue, stub, journal_order):
    answer = stub.answers["/v5/order/create"]
    stub.answers["/v5/order/create"] = lambda fields: web.json_response(
        answer(fields), headers=told(100, 99, time.time_ns() // 1_000_000)
    )
    await venue.submit(await journal_order(quantity="1"))
    assert venue._session.lanes.limits.increases == 60
