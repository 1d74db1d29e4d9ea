"""What every venue's adapter promises about orders the venue holds back until a mark is reached."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.errors import PriceRefused, VenueRejected
from counterpoise.domain.events import FillReported, OrderUpdate
from counterpoise.domain.orders import OrderState, Side

CORE = "BTCUSDT"


@pytest.fixture(autouse=True)
async def none_left(desk):
    assert desk.venue.has_triggers
    await drop_all(desk)
    yield
    await drop_all(desk)


async def drop_all(desk) -> None:
    for each in await desk.venue.triggers():
        await desk.venue.cancel_trigger(each.instrument_id, each.client_order_id)


async def until(ask: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await ask()):  # noqa: ASYNC110  the venue is asked
            await asyncio.sleep(0.05)
        return found


async def held_long(desk, lots: int = 10) -> Decimal:
    await desk.venue.submit(await desk.order(CORE, Side.BUY, lots, price_bps=300))
    lot = desk.rules[CORE].lot_size

    async def held() -> bool:
        positions = (await desk.venue.account()).positions
        return any(p.instrument_id == CORE and p.quantity == lot * lots for p in positions)

    await until(held)
    return lot * lots


async def test_a_stop_waits_under_our_id_and_reserves_nothing(desk):
    quantity = await held_long(desk)
    stop = await desk.order(CORE, Side.SELL, 10, reduce_only=True, trigger_bps=-2000)
    update = await desk.venue.place_trigger(stop)
    key = stop.intent.client_order_id
    assert (update.client_order_id, update.state) == (key, OrderState.ACCEPTED)
    (listed,) = await desk.venue.triggers()
    assert (listed.client_order_id, listed.side, listed.quantity) == (key, Side.SELL, quantity)
    assert (listed.trigger_price, listed.reduce_only) == (stop.intent.trigger_price, True)
    found = await desk.venue.find_trigger(CORE, key)
    assert (found.client_order_id, found.state) == (key, OrderState.ACCEPTED)
    assert (await desk.venue.account()).open_orders == ()
    # The whole position can be closed beside it, and it ends with the position.
    await desk.venue.submit(await desk.order(CORE, Side.SELL, 10, reduce_only=True))
    if not desk.rig.stops_end_with_position:
        await desk.venue.cancel_trigger(CORE, key)

    async def over() -> bool:
        return (await desk.venue.find_trigger(CORE, key)).state is OrderState.CANCELED

    await until(over)
    assert await desk.venue.triggers() == ()


async def test_a_dropped_stop_is_told_canceled_and_dropping_it_again_is_no_error(desk):
    await held_long(desk)
    stop = await desk.order(CORE, Side.SELL, 10, reduce_only=True, trigger_bps=-2000)
    await desk.venue.place_trigger(stop)
    key = stop.intent.client_order_id
    await desk.venue.cancel_trigger(CORE, key)
    await desk.venue.cancel_trigger(CORE, key)
    found = await desk.venue.find_trigger(CORE, key)
    assert (found.state, found.filled_quantity) == (OrderState.CANCELED, 0)


async def test_an_id_that_never_was_is_not_found(desk):
    assert await desk.venue.find_trigger(CORE, "cp" + "9" * 30) is None


async def test_a_stop_its_mark_has_passed_is_refused(desk):
    await held_long(desk)
    stop = await desk.order(CORE, Side.SELL, 10, reduce_only=True, trigger_bps=200)
    with pytest.raises(VenueRejected):
        await desk.venue.place_trigger(stop)
    assert await desk.venue.triggers() == ()


async def test_a_stop_dropped_behind_us_is_missing_from_the_list(desk):
    await held_long(desk)
    stop = await desk.order(CORE, Side.SELL, 10, reduce_only=True, trigger_bps=-2000)
    await desk.venue.place_trigger(stop)
    desk.rig.fault("cancel_behind")
    assert await desk.venue.triggers() == ()
    found = await desk.venue.find_trigger(CORE, stop.intent.client_order_id)
    assert found.state is OrderState.CANCELED


async def test_what_a_stop_executes_is_told_under_its_id_by_stream_and_list(desk):
    quantity = await held_long(desk)
    stop = await desk.order(CORE, Side.SELL, 10, reduce_only=True, trigger_bps=-50)
    key = stop.intent.client_order_id
    desk.account.clear()
    await desk.venue.place_trigger(stop)
    # Deeper than the way back up that another test may have left behind.
    desk.rig.shock("BTCUSDT", "-0.06", 2)
    await desk.account.until(
        lambda event: (
            isinstance(event, OrderUpdate)
            and event.client_order_id == key
            and event.state is OrderState.FILLED
        )
    )
    told = [e.fill for e in desk.account.of(FillReported) if e.fill.client_order_id == key]
    assert sum(fill.quantity for fill in told) == quantity
    since_ns = min(fill.event_ns for fill in told)
    listed = [f for f in await desk.venue.fills_since(since_ns) if f.client_order_id == key]
    assert {f.fill_id for f in listed} == {f.fill_id for f in told}
    found = await desk.venue.find_trigger(CORE, key)
    assert (found.state, found.filled_quantity) == (OrderState.FILLED, quantity)
    assert (await desk.venue.account()).positions == ()
    desk.rig.shock("BTCUSDT", "0.06", 2)


async def test_a_price_outside_the_band_is_told_as_such_and_a_market_order_goes(desk):
    await held_long(desk)
    outside = await desk.order(CORE, Side.SELL, 10, price_bps=-3000, reduce_only=True)
    if desk.rig.refuses_prices:
        with pytest.raises(PriceRefused):
            await desk.venue.submit(outside)
        outside = await desk.order(CORE, Side.SELL, 10, reduce_only=True)
    assert (await desk.venue.submit(outside)).venue_order_id

    async def flat() -> bool:
        return (await desk.venue.account()).positions == ()

    await until(flat)


async def test_what_a_stranger_has_okx_hold_back_is_listed_whatever_its_kind(desk, running):
    if running.name != "okx":
        pytest.skip("the others list what waits without asking by kind")
    # The account's owner, by hand: without an id, and not reduce-only.
    hand = desk.venue._session.orders
    mark = desk.mark(CORE)
    common = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "sz": "3"}
    above, below = (str((mark * Decimal(part)).quantize(1)) for part in ("1.2", "0.8"))
    orders = [
        {"ordType": "trigger", "triggerPx": above, "triggerPxType": "mark", "orderPx": "-1"},
        {
            "ordType": "conditional",
            "tpTriggerPx": below,
            "tpTriggerPxType": "mark",
            "tpOrdPx": "-1",
        },
    ]
    made = []
    for each in orders:
        answer = await hand.privatePostTradeOrderAlgo({**common, **each})
        made.append(answer["data"][0]["algoId"])
    try:
        listed = {each.venue_order_id: each for each in await desk.venue.triggers()}
        assert set(listed) == set(made)
        for algo_id, price in zip(made, (above, below), strict=True):
            found = listed[algo_id]
            assert (found.client_order_id, found.reduce_only) == (None, False)
            assert (found.side, found.quantity) == (Side.BUY, Decimal("0.03"))
            assert found.trigger_price == Decimal(price)
    finally:
        over = [{"instId": "BTC-USDT-SWAP", "algoId": each} for each in made]
        await hand.privatePostTradeCancelAlgos(over)
    assert await desk.venue.triggers() == ()
