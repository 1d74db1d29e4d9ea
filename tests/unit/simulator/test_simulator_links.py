"""Frames reach a client whole and in order, however many wait; who does not read is cut."""

import asyncio

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from counterpoise.simulator.clock import Clock
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.links import WAITING_FRAMES_MAX, Links


async def connected(act):
    """Serve one client: `act(link, client)` is awaited with both ends."""
    clock = Clock(speed=0)
    links = Links(FaultPlan(clock), clock)
    taken = asyncio.get_running_loop().create_future()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        async with links.accept(request) as link:
            taken.set_result(link)
            async for _ in link.messages():
                pass
        return link.socket

    application = web.Application()
    application.router.add_get("/", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"http://127.0.0.1:{port}/",
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=0.1),
            ) as client,
        ):
            return await act(await taken, client)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("lengths", [(0, 1, 125, 126, 127), (65_535, 65_536, 65_537), (300_000, 5)])
def test_frames_of_every_length_in_order(lengths):
    async def act(link, client):
        for number, length in enumerate(lengths):
            link.send(str(number) * length if number % 2 else (b"%d" % number) * length)
        return [await client.receive_str(timeout=5) for _ in lengths]

    got = asyncio.run(connected(act))
    assert got == [str(number) * length for number, length in enumerate(lengths)]


def test_a_close_comes_after_what_was_sent_before():
    async def act(link, client):
        link.send("first")
        assert await client.receive_str(timeout=5) == "first"
        link.close(4004, b"idle")
        await asyncio.sleep(0)
        link.send("too late")
        last = await client.receive(timeout=5)
        return last.type, last.data, last.extra

    assert asyncio.run(connected(act)) == (WSMsgType.CLOSE, 4004, "idle")


def test_a_client_that_leaves_too_much_unread_is_cut():
    async def act(link, client):
        client._response.connection.transport.pause_reading()
        sent = 0
        while not link.socket.closed and sent < 100 * WAITING_FRAMES_MAX:
            for _ in range(200):
                link.send(b"x" * 2_000)
            sent += 200
            await asyncio.sleep(0)
            if link._transport.is_closing():
                return sent
        return None

    sent = asyncio.run(connected(act))
    assert sent is not None
    assert sent >= WAITING_FRAMES_MAX


def test_a_stalled_link_says_nothing_more():
    async def act(link, client):
        link.send("heard")
        assert await client.receive_str(timeout=5) == "heard"
        link.stall()
        link.send("lost")
        await asyncio.sleep(0.05)
        link.cut()
        return (await client.receive(timeout=5)).type

    assert asyncio.run(connected(act)) in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
