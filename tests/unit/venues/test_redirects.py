"""A venue that sends us to another host: nothing follows, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from counterpoise.domain.errors import OutcomeUnknown, VenueUnreachable
from counterpoise.domain.events import StreamDown
from counterpoise.venues import history
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.throttle import Allowance
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.connection import StreamSocket, Timing
from counterpoise.venues.okx.account_stream import AccountConversation
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.session import OkxSession
from venue_rigs import WallClock

STATUSES = [301, 302, 303, 307, 308]
TOLD = "HTTP {status} sends us to 127.0.0.2; no redirect is followed"


@dataclass
class Servers:
    """The venue's address, which sends everybody on, and the one it sends them to."""

    port: int = 0
    status: int = 307
    location: str = ""
    #: What the redirect itself says in its body.
    body: str = ""
    asked: list[str] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)


@asynccontextmanager
async def listening(host: str, handler: Callable[..., Any]) -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    made = Servers()

    async def elsewhere(request: web.Request) -> web.Response:
        made.elsewhere.append((request.method, await request.text()))
        data = [{"ordId": "1", "clOrdId": "cp1", "sCode": "0", "ts": "1"}]
        everybody = {"orderId": 1, "clientOrderId": "cp1", "serverTime": 1, "code": "0"}
        return web.json_response(everybody | {"data": data, "result": {"timeNano": "1"}})

    async def sends_on(request: web.Request) -> web.Response:
        made.asked.append(request.method)
        headers = {"Location": made.location} if made.location else {}
        return web.Response(status=made.status, headers=headers, text=made.body)

    async with listening("127.0.0.2", elsewhere) as other:
        made.location = f"http://127.0.0.2:{other}/v1/order?signature=SECRET"
        async with listening("127.0.0.1", sends_on) as made.port:
            yield made


@dataclass(frozen=True)
class Asking:
    """One venue's session and what it can be asked to do."""

    session: Any
    place: Callable[[], Awaitable[Any]]
    cancel: Callable[[], Awaitable[Any]]
    read: Callable[[], Awaitable[Any]]


def _binance(port: int) -> Asking:
    session = BinanceSession(
        BinanceEndpoints.loopback(port),
        BinanceCredentials(api_key="KEY", secret="x"),
        WallClock(),
        Allowance.account_lanes,
        timeout_ms=3_000,
        places_orders=True,
    )
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    named = {"symbol": "BTCUSDT", "origClientOrderId": "cp1"}
    return Asking(
        session,
        lambda: session.change(lambda: session.orders.fapiPrivatePostOrder(order)),
        lambda: session.change(lambda: session.orders.fapiPrivateDeleteOrder(named)),
        lambda: session.read("fapiPrivateV3GetAccount"),
    )


def _okx(port: int) -> Asking:
    session = OkxSession(
        OkxEndpoints.loopback(port),
        OkxCredentials(api_key="KEY", secret="x", passphrase="WORDS"),
        WallClock(),
        timeout_ms=3_000,
    )
    order = {"instId": "BTC-USDT-SWAP", "side": "buy", "ordType": "market", "sz": "1"}
    named = {"instId": "BTC-USDT-SWAP", "clOrdId": "cp1"}
    return Asking(
        session,
        lambda: session.change(lambda: session.orders.privatePostTradeOrder(order)),
        lambda: session.change(lambda: session.orders.privatePostTradeCancelOrder(named)),
        lambda: session.read("privateGetAccountBalance"),
    )


def _bybit(port: int) -> Asking:
    session = BybitSession(
        BybitEndpoints.loopback(port),
        BybitCredentials(api_key="KEY", secret="x"),
        WallClock(),
        timeout_ms=3_000,
    )
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "qty": "1"}
    named = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "cp1"}
    return Asking(
        session,
        lambda: session.send("privatePostV5OrderCreate", order),
        lambda: session.send("privatePostV5OrderCancel", named),
        lambda: session.read("privateGetV5AccountWalletBalance", accountType="UNIFIED"),
    )


VENUES = {"binance": _binance, "okx": _okx, "bybit": _bybit}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("venue", VENUES)
async def test_an_order_that_is_sent_elsewhere_is_unknown_and_was_sent_once(
    servers: Servers, venue: str, status: int
) -> None:
    asking = VENUES[venue](servers.port)
    servers.status = status
    try:
        for change in (asking.place, asking.cancel):
            servers.asked.clear()
            with pytest.raises(OutcomeUnknown, match=TOLD.format(status=status)) as raised:
                await change()
            assert "SECRET" not in str(raised.value)
            assert len(servers.asked) == 1
    finally:
        await asking.session.close()
    assert servers.elsewhere == []


@pytest.mark.parametrize("venue", VENUES)
async def test_a_read_and_the_clock_go_nowhere_else(servers: Servers, venue: str) -> None:
    asking = VENUES[venue](servers.port)
    try:
        for read in (asking.read, asking.session.venue_ms):
            with pytest.raises(VenueUnreachable, match=TOLD.format(status=307)):
                await read()
    finally:
        await asking.session.close()
    assert servers.asked == ["GET", "GET"]
    assert servers.elsewhere == []


@pytest.mark.parametrize("venue", VENUES)
async def test_what_the_redirect_itself_says_is_not_believed(servers: Servers, venue: str) -> None:
    asking = VENUES[venue](servers.port)
    servers.status, servers.location = 300, 'http://{"code":"51008","retCode":110007}/'
    servers.body = (
        '{"code":"0","retCode":0,"orderId":1,"data":[{"ordId":"1","sCode":"0"}],'
        '"result":{"orderId":"1"}}'
    )
    try:
        with pytest.raises(OutcomeUnknown, match="no host we can read"):
            await asking.place()
        servers.location = ""
        with pytest.raises(OutcomeUnknown, match="no host we can read"):
            await asking.place()
    finally:
        await asking.session.close()


async def test_a_client_that_was_closed_and_used_again_follows_none_either(
    servers: Servers,
) -> None:
    asking = VENUES["okx"](servers.port)
    try:
        with pytest.raises(VenueUnreachable):
            await asking.read()
        await asking.session.close()
        for client in (asking.session.orders, asking.session.reads):
            client.open()
        with pytest.raises(VenueUnreachable, match="no redirect is followed"):
            await asking.read()
    finally:
        await asking.session.close()
    assert servers.elsewhere == []


@pytest.mark.parametrize("venue", history.NAMES)
async def test_a_download_goes_nowhere_else(
    servers: Servers, venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "RETRY_SECONDS", 0.0)
    public = history.PublicHistory(venue, address=f"http://127.0.0.1:{servers.port}")
    try:
        with pytest.raises(VenueUnreachable, match=TOLD.format(status=307)):
            await public.now_ms()
    finally:
        await public.close()
    assert servers.elsewhere == []


@pytest.mark.parametrize("status", STATUSES)
async def test_a_login_goes_nowhere_else(servers: Servers, status: int) -> None:
    servers.status = status
    servers.location = servers.location.replace("http", "ws")
    conversation = AccountConversation(
        OkxEndpoints.loopback(servers.port),
        OkxCredentials(api_key="KEY", secret="x", passphrase="WORDS"),
        {},
    )
    told: list[Any] = []
    socket = StreamSocket(conversation, WallClock(), Timing(retry_first=0.02, retry_max=0.1))
    task = asyncio.create_task(socket.run(told.append))
    try:
        async with asyncio.timeout(5):
            while len(servers.asked) < 3:
                assert not task.done(), task.result()
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [type(event) for event in told] == [StreamDown]
    assert told[0].reason == TOLD.format(status=status)
    assert servers.elsewhere == []
