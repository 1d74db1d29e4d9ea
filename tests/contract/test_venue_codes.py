"""What a venue's codes and broken answers mean for an order, each provoked on a real server.

The table itself is the venue's `errors`; here the way from the wire through ccxt to the meaning is
what is tested, and that the meaning is true: an order that was refused is not there, one whose
outcome is unknown is there or is not.
"""

import contextlib

import pytest

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    VenueError,
    VenueRejected,
)
from counterpoise.domain.events import OrderUpdate
from counterpoise.domain.orders import OrderState, Side, TimeInForce

CORE = "BTCUSDT"


async def outcome(desk, order) -> VenueError:
    with pytest.raises(VenueError) as refusal:
        await desk.venue.submit(order)
    return refusal.value


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("reject_increases", VenueRejected),
        ("duplicate_client_id", OutcomeUnknown),
        ("rate_limited", VenueRejected),
        ("unavailable", OutcomeUnknown),
        ("unknown_outcome", OutcomeUnknown),
        ("maintenance", OutcomeUnknown),
        ("drop_after_read", OutcomeUnknown),
        ("http_200_empty", OutcomeUnknown),
    ],
)
async def test_an_answer_means_what_the_table_says(desk, kind, meaning):
    code = desk.rig.codes.get(kind)
    refused = kind in {"reject_increases", "duplicate_client_id"}
    assert (code is None) is (meaning is OutcomeUnknown and not refused)
    path = "" if refused else desk.rig.order_path
    desk.rig.fault(kind, path)
    order = await desk.order(CORE, Side.BUY, 2, price_bps=100)
    found = await outcome(desk, order)
    desk.rig.fault("clear")
    assert type(found) is meaning, found
    if code is not None:
        assert found.code == code
        assert await desk.venue.find_order(CORE, order.intent.client_order_id) is None


async def test_a_suspended_instrument_refuses(desk):
    desk.rig.fault("instrument_state", symbol=CORE, value="suspend")
    try:
        order = await desk.order(CORE, Side.BUY, 2, price_bps=100)
        found = await outcome(desk, order)
    finally:
        desk.rig.fault("instrument_state", symbol=CORE, value="live")
    assert isinstance(found, VenueRejected)
    assert not isinstance(found, PositionDoubtful)


async def test_a_reduction_without_a_position_doubts_the_position(desk):
    found = await outcome(desk, await desk.order(CORE, Side.SELL, 5, reduce_only=True))
    assert (type(found), found.code) == (PositionDoubtful, desk.rig.nothing_to_reduce_code)


async def test_a_reduction_on_the_positions_own_side_doubts_it_too(desk):
    opening = await desk.order(CORE, Side.BUY, 5, price_bps=100)
    await desk.venue.submit(opening)
    await desk.account.until(
        lambda event: isinstance(event, OrderUpdate) and event.state is OrderState.FILLED
    )
    found = await outcome(desk, await desk.order(CORE, Side.BUY, 5, reduce_only=True))
    assert (type(found), found.code) == (PositionDoubtful, desk.rig.same_side_code)


async def test_an_order_that_ended_is_found_in_the_list_of_those(desk):
    order = await desk.order(CORE, Side.BUY, 1, price_bps=-150)
    since_ns = order.intent.created_ns - 10**9
    await desk.venue.submit(order)
    key = order.intent.client_order_id
    await desk.account.until(
        lambda event: isinstance(event, OrderUpdate) and event.state is OrderState.CANCELED
    )
    found = await desk.venue.find_ended(CORE, key, since_ns)
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.CANCELED, 0)
    assert await desk.venue.find_ended(CORE, "cpneverwas", since_ns) is None


async def test_an_order_that_still_rests_is_not_among_those_that_ended(desk):
    order = await desk.order(CORE, Side.BUY, 1, price_bps=-150, time_in_force=TimeInForce.GTC)
    await desk.venue.submit(order)
    key = order.intent.client_order_id
    try:
        assert await desk.venue.find_ended(CORE, key, order.intent.created_ns - 10**9) is None
        assert await desk.venue.find_order(CORE, key) is not None
    finally:
        with contextlib.suppress(VenueError):
            await desk.venue.cancel(CORE, key)
