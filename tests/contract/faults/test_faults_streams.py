"""Faults of streams and connections, as raw clients of each venue meet them."""

from decimal import Decimal

import pytest
import websockets

from fault_venues import STEP_SECONDS, FaultDesk

BTC = "BTC/USDT:USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def bid(desk: FaultDesk) -> str:
    """Rest a bid two hundredths under the market; return its client id."""
    best, tick = (await desk.book(BTC))["bids"][0][0], desk.tick(BTC)
    return await desk.place(BTC, "buy", 20 * desk.lot(BTC), best * Decimal("0.98") // tick * tick)


# --- private events -------------------------------------------------------------------------


async def test_a_private_event_comes_late(desk: FaultDesk) -> None:
    live, canceled = desk.faulty.states
    async with desk.orders() as socket:
        desk.fault("late_private", path_contains=desk.faulty.orders_channel, seconds=5)
        client_id = await bid(desk)
        assert await socket.orders() == []
        assert desk.known(client_id)
        desk.process.advance(4.5)
        assert await socket.orders() == []
        desk.process.advance(0.75)
        assert await socket.orders(1) == [(client_id, live)]
        await desk.cancel(BTC, client_id)
        assert await socket.orders(1) == [(client_id, canceled)]


async def test_a_private_event_comes_twice(desk: FaultDesk) -> None:
    live, canceled = desk.faulty.states
    async with desk.orders() as socket:
        desk.fault("duplicate_private", path_contains=desk.faulty.orders_channel)
        client_id = await bid(desk)
        assert await socket.orders(2) == [(client_id, live)] * 2
        await desk.cancel(BTC, client_id)
        assert await socket.orders(1) == [(client_id, canceled)]


async def test_private_events_change_places(desk: FaultDesk) -> None:
    live, canceled = desk.faulty.states
    async with desk.orders() as socket:
        desk.fault("reorder_private", path_contains=desk.faulty.orders_channel)
        client_id = await bid(desk)
        await desk.cancel(BTC, client_id)
        assert await socket.orders(2) == [(client_id, canceled), (client_id, live)]


async def test_a_private_event_is_lost(desk: FaultDesk) -> None:
    _, canceled = desk.faulty.states
    async with desk.orders() as socket:
        desk.fault("lose_private", path_contains=desk.faulty.orders_channel)
        client_id = await bid(desk)
        await desk.cancel(BTC, client_id)
        assert await socket.orders(1) == [(client_id, canceled)]
        assert desk.order_of(client_id)["state"] == "canceled"


# --- connections ----------------------------------------------------------------------------


async def test_a_silent_socket_answers_pings(desk: FaultDesk) -> None:
    async with desk.books(BTC) as public, desk.orders() as private:
        desk.fault("silent_streams", duration_seconds=30)
        for _ in range(8):
            desk.process.advance(STEP_SECONDS)
        client_id = await bid(desk)
        assert await public.waiting() == []
        assert await private.orders() == []
        assert await public.is_answering()
        assert await private.is_answering()
        desk.process.advance(30)
        await desk.cancel(BTC, client_id)
        assert [desk.faulty.chain(frame) for frame in await public.waiting(1)][-1] is not None
        assert await private.orders(1) == [(client_id, desk.faulty.states[1])]


async def test_a_half_open_socket_answers_nothing_and_is_cut(desk: FaultDesk) -> None:
    async with desk.books(BTC) as socket:
        assert desk.fault("half_open", duration_seconds=20) == {"kind": "half_open", "stalled": 1}
        desk.process.advance(10)
        assert await socket.waiting() == []
        assert not await socket.is_answering()
        async with desk.books(BTC) as another:
            desk.process.advance(2)
            assert await another.waiting(1) != []
        desk.process.advance(10)
        assert (await socket.ended()).rcvd is None


async def test_a_storm_cuts_every_connection_again_and_again(desk: FaultDesk) -> None:
    desk.fault("reconnect_storm", duration_seconds=10, seconds=3)
    for _ in range(3):
        async with desk.books(BTC) as socket:
            assert await socket.is_answering()
            desk.process.advance(3)
            assert (await socket.ended()).rcvd is None
    desk.process.advance(3)
    async with desk.books(BTC) as socket:
        desk.process.advance(6)
        assert await socket.is_answering()


async def test_every_connection_is_cut_once(desk: FaultDesk) -> None:
    async with desk.books(BTC) as public, desk.orders() as private:
        assert desk.fault("cut_streams")["cut"] == 2
        assert (await public.ended()).rcvd is None
        assert (await private.ended()).rcvd is None
    async with desk.orders() as socket:
        assert await socket.is_answering()


async def test_a_subscription_is_lost_without_a_word(desk: FaultDesk) -> None:
    async with desk.orders() as socket:
        found = desk.fault("lose_subscription", path_contains=desk.faulty.orders_channel)
        assert found["forgotten"] == 1
        client_id = await bid(desk)
        assert await socket.orders() == []
        assert await socket.is_answering()
        async with desk.orders() as another:
            await desk.cancel(BTC, client_id)
            assert await another.orders(1) == [(client_id, desk.faulty.states[1])]
        assert await socket.orders() == []


async def test_sockets_are_told_of_an_upgrade_where_the_venue_does_so(desk: FaultDesk) -> None:
    if desk.faulty.notice is None:
        status, answer = desk.process.attempt("/_control", {"kind": "upgrade_notice"})
        assert status == 400
        assert f"upgrade_notice does not exist at {desk.process.venue}: " in answer["error"]
        assert "order cut_streams" in answer["error"]
        return
    async with desk.orders() as socket:
        assert desk.fault("upgrade_notice")["notified"] == 1
        notice = await socket.frame()
        assert (notice["event"], notice["code"]) == ("notice", desk.faulty.notice)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.frame()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
