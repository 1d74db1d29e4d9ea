"""What a venue tells of its limits is what the adapter counts by."""

import asyncio
import time
from dataclasses import replace

from counterpoise.domain.orders import Side
from counterpoise.simulator import client
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.orders import BinanceVenue
from counterpoise.venues.throttle import Lane
from venue_rigs import WallClock

#: Weight a minute of a Binance that several clients share.
SHARED_WEIGHT = 400


async def test_the_lanes_are_those_of_the_venue(desk, running):
    await desk.venue.attest(["BTCUSDT", "ETHUSDT"])
    await desk.venue.submit(await desk.order("BTCUSDT", Side.BUY, 1, price_bps=20))
    limits = desk.venue._session.lanes.limits
    told = {
        # A million of weight a minute is what the suite's venue was told to allow.
        "binance": {"reads": 800_000, "candles": 208_333, "increases": 150, "cancels": 25_000},
        "bybit": {"reads": 25, "candles": 40, "increases": 6, "cancels": 8},
        # A loopback OKX counts no reads; its account may send 1,000 orders in two seconds, and
        # one instrument 60 of them.
        "okx": {"increases": 40},
    }[running.name]
    assert {name: getattr(limits, name) for name in told} == told


async def test_the_weight_somebody_else_used_up_is_left_alone_until_the_next_minute(tmp_path):
    port = client.ensure_running(
        tmp_path, seed=5, fresh=True, venue="binance", weight_minute=SHARED_WEIGHT
    )
    key = client.credentials(tmp_path)
    endpoints = BinanceEndpoints.loopback(port)
    credentials = BinanceCredentials(api_key=key.api_key, secret=key.secret)
    ours, other = (BinanceVenue(endpoints, credentials, WallClock()) for _ in range(2))
    try:
        if time.time() % 60 > 40:
            await asyncio.sleep(61 - time.time() % 60)
        await ours.open()
        await other.open()
        assert ours._session.lanes.limits.reads == SHARED_WEIGHT * 8 // 10
        # Somebody else does not mind lanes.
        lanes = other._session.lanes
        lanes.allow(replace(lanes.limits, reads=SHARED_WEIGHT * 10, reads_at_once=0))
        spent = other._session.reads
        for _ in range(9):
            await spent.fapiPrivateGetOpenOrders({})
        assert ours._session.lanes.closed_seconds(Lane.READS) == 0
        # The next answer tells us what the other one used.
        await ours._session.row("fapiPublicGetTime")
        left = ours._session.lanes.closed_seconds(Lane.READS)
        assert 0 < left <= 61
        assert ours._session.lanes.closed_seconds(Lane.CANDLES) > 0
        # Cancels are never held back, and an order that is over is no error.
        await asyncio.wait_for(ours.cancel("BTCUSDT", "cpnone"), 5)
    finally:
        await ours.close()
        await other.close()
        client.stop(tmp_path)
