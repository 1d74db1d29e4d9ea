"""A private stream that lost its subscription while its pings are answered is told as down."""

import asyncio

import pytest

from counterpoise.domain.events import FillReported, StreamAlive, StreamDown, StreamName
from counterpoise.domain.orders import Side

#: From the loss, or from the first trade nobody told, until the stream is told as down, seconds.
TOLD_WITHIN = 40

#: Channels that can be lost alone, in the venue's words; Binance's events come by one key.
CHANNELS = {"okx": ("orders", "positions"), "bybit": ("execution",)}


async def is_down(account) -> StreamDown:
    """Wait for the news; they must come in bounded time."""
    return await account.until(
        lambda event: isinstance(event, StreamDown) and event.stream is StreamName.ACCOUNT,
        seconds=TOLD_WITHIN,
    )


async def hears_again(desk) -> None:
    """Trade until the new connection tells of it."""
    desk.account.clear()
    await desk.account.until(
        lambda event: isinstance(event, StreamAlive) and event.stream is StreamName.ACCOUNT
    )
    order = await desk.order("BTCUSDT", Side.BUY, 2, price_bps=100)
    await desk.venue.submit(order)
    told = await desk.account.until(lambda event: isinstance(event, FillReported))
    assert told.fill.client_order_id == order.intent.client_order_id


async def test_lost_subscriptions_are_told_as_down_and_made_anew(desk):
    # What comes just after a grant is how things were before; so is what REST says first.
    await asyncio.sleep(6)
    desk.rig.fault("lose_subscription")
    # Somebody trades, or the daemon does: nobody tells.
    order = await desk.order("ETHUSDT", Side.BUY, 2, price_bps=100)
    await desk.venue.submit(order)
    down = await is_down(desk.account)
    assert "no pong" not in down.reason
    assert desk.account.of(FillReported) == []
    await hears_again(desk)


@pytest.mark.parametrize("number", range(2))
async def test_one_lost_channel_is_told_as_down(desk, running, number):
    channels = CHANNELS.get(running.name, ())
    if number >= len(channels):
        pytest.skip("the venue has no such channel of its own")
    await asyncio.sleep(6)
    desk.rig.fault("lose_subscription", channels[number])
    await desk.venue.submit(await desk.order("ETHUSDT", Side.BUY, 2, price_bps=100))
    await is_down(desk.account)
    await hears_again(desk)
