"""The simulator's protocol of a venue and the real adapter's client, in one process and virtual time.

ccxt signs and reads, the simulator checks and answers as it does on a socket; between them stands
no network but a `Fate` for each request.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import aiohttp
import multidict
import yarl
from aiohttp import web
from asyncio_throttle import throttler
from ccxt.async_support.base import exchange as ccxt_client
from ccxt.base import exchange as ccxt_base

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.exchange import Exchange
from counterpoise.ports import Clock
from counterpoise.simulator import clock as simulator_clock
from counterpoise.simulator.binance import auth as binance_auth
from counterpoise.simulator.binance import rest as binance_rest
from counterpoise.simulator.bybit import limits as bybit_limits
from counterpoise.simulator.bybit import rest as bybit_rest
from counterpoise.simulator.clock import Clock as VenueClock
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.links import Links
from counterpoise.simulator.okx import errors as okx_errors
from counterpoise.simulator.okx import limits as okx_limits
from counterpoise.simulator.venue import RunningVenue
from counterpoise.simulator.venues import VenueName, make_wire
from counterpoise.simulator.wire import Floor
from counterpoise.venues import throttle as lanes

#: Port of a server that is never connected to.
PORT: Final = 1
#: What each venue calls the one account.
_ACCOUNTS: Final = {
    VenueName.OKX: "70000001",
    VenueName.BINANCE: "sim",
    VenueName.BYBIT: "70000001",
}
#: A day asks for more than Binance allows a minute only because a minute of it passes in a moment.
WEIGHT_MINUTE: Final = 1_000_000

# Everything that looks at a clock by itself between the adapter and the exchange model.
_CLOCKED: Final = (
    throttler, ccxt_base, simulator_clock, lanes,
    okx_errors, okx_limits, binance_auth, binance_rest, bybit_limits, bybit_rest,
)  # fmt: skip


def key_of(name: VenueName) -> Credentials:
    """Return the key of a venue's account."""
    return Credentials(
        api_key="virtualkey",
        secret="virtual-secret",
        passphrase="virtual-pass",
        account_id=_ACCOUNTS[name],
    )


class _Time:
    """The module `time` by another clock."""

    def __init__(self, clock: Clock) -> None:
        self.time_ns = clock.now_ns
        self.monotonic = clock.monotonic
        self.time = lambda: clock.now_ns() / NS_PER_SECOND

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _MarketClock(VenueClock):
    """Market time is the day's time; nothing has to be granted."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(speed=0)
        self._day = clock

    def now_ns(self) -> int:
        return self._day.now_ns()


class _Nothing:
    """A store that keeps nothing: the venue outlives every daemon."""

    def accepted(self) -> list[bytes]:
        return []

    def append(self, at_ns: int, bodies: list[bytes]) -> None:
        """Forget commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the simulator's REST looks at."""

    method: str
    url: yarl.URL
    body: str
    headers: multidict.CIMultiDict[str]

    @property
    def path(self) -> str:
        """The path alone."""
        return self.url.path

    @property
    def raw_path(self) -> str:
        """Path and query as sent."""
        return self.url.raw_path_qs

    @property
    def query(self) -> Mapping[str, str]:
        """The query's fields."""
        return self.url.query

    @property
    def rel_url(self) -> Any:
        """The address."""
        return self.url

    @property
    def remote(self) -> str:
        """Whose it is."""
        return "127.0.0.1"

    async def text(self) -> str:
        """Return the body."""
        return self.body


#: Decides what becomes of a request and returns the answer, or raises as a socket would.
Fate = Callable[[Request], Awaitable[web.StreamResponse]]


class VirtualWire:
    """One venue's server over an exchange model."""

    def __init__(self, name: VenueName, exchange: Exchange, clock: Clock, *, seed: int) -> None:
        self.name = name
        self.exchange = exchange
        market_clock = _MarketClock(clock)
        self.faults = FaultPlan(market_clock, seed=seed)
        self.running = RunningVenue(_Nothing(), exchange, self.faults)  # type: ignore[arg-type]
        floor = Floor(
            venue=self.running,
            credentials=key_of(name),
            faults=self.faults,
            links=Links(self.faults, market_clock),
            weight_minute=WEIGHT_MINUTE,
        )
        self.wire: Any = make_wire(name, floor)
        self.running.listeners.append(self.wire.hear)

    def push_to(self, push: Callable[[bytes], None]) -> None:
        """Send every private push there instead of to sockets."""
        self.wire._account._sessions = _PUSHED[self.name](push)

    def snapshot(self) -> list[bytes]:
        """Return what a new private connection gets at once, and OKX's every five seconds."""
        if self.name is not VenueName.OKX:
            return []
        account = self.wire._account
        return [
            each
            for topic in account._sessions.listening("private")
            for each in account._channels.private_snapshot(topic)
        ]

    async def serve(self, request: Request) -> web.StreamResponse:
        """Answer a request as the simulator does."""
        answer: web.StreamResponse = await self.wire._rest.serve(request)
        return answer


class _OkxPushed:
    def __init__(self, push: Callable[[bytes], None]) -> None:
        from counterpoise.simulator.okx.sockets import Topic

        self._push = push
        swaps = (("instType", "SWAP"),)
        self._topics = [
            Topic("private", "orders", swaps),
            Topic("private", "positions", swaps),
            Topic("private", "account", ()),
        ]

    def listening(self, _path: str) -> list[Any]:
        return self._topics

    def push(self, _topic: Any, frame: bytes) -> None:
        self._push(frame)


class _BinancePushed:
    has_users = True

    def __init__(self, push: Callable[[bytes], None]) -> None:
        from counterpoise.simulator.binance.sockets import _ENCODER

        self._push, self._encode = push, _ENCODER.encode

    def push_user(self, payload: object, key: str | None = None) -> None:
        self._push(self._encode(payload))


class _BybitPushed:
    def __init__(self, push: Callable[[bytes], None]) -> None:
        from counterpoise.simulator.bybit.topics import private_topic

        self._push = push
        self._topics = [private_topic(n) for n in ("order", "execution", "position", "wallet")]

    def listening(self, *channels: str) -> list[Any]:
        return [each for each in self._topics if each is not None and each.channel in channels]

    def push(self, _topic: Any, frame: bytes) -> None:
        self._push(frame)


_PUSHED: Final[Mapping[VenueName, Any]] = {
    VenueName.OKX: _OkxPushed,
    VenueName.BINANCE: _BinancePushed,
    VenueName.BYBIT: _BybitPushed,
}


class _Session:
    """aiohttp's session as ccxt uses it: each request has its fate instead of a connection."""

    def __init__(self, fate: Fate) -> None:
        self.headers: dict[str, str] = {}
        for method in ("get", "post", "put", "delete"):
            setattr(self, method, partial(_answered, fate, method.upper()))

    async def close(self) -> None:
        """Nothing was opened."""


@asynccontextmanager
async def _answered(
    fate: Fate, method: str, url: yarl.URL, *, data: bytes | None, headers: Any, **_: Any
) -> AsyncIterator[Any]:
    request = Request(
        method=method,
        url=url,
        body="" if data is None else data.decode(),
        headers=multidict.CIMultiDict(headers),
    )
    answer: Any = await fate(request)
    body = answer.body or b""

    async def text(errors: str = "strict") -> str:
        return bytes(body).decode(errors=errors)

    yield SimpleNamespace(
        text=text, headers=answer.headers, status=answer.status, reason=answer.reason
    )


@contextmanager
def in_virtual_time(clock: Clock, fate: Fate) -> Iterator[None]:
    """Let every client of ccxt meet this fate, and client and server live by this clock."""

    opened: list[Any] = []

    def open_session(client: Any, lazy: bool = False) -> None:  # noqa: FBT001, FBT002
        if client.session is None:
            client.own_session = False
            client.session = _Session(fate)
            opened.append(client)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(ccxt_client.Exchange, "open", open_session))
        for module in _CLOCKED:
            stack.enter_context(mock.patch.object(module, "time", _Time(clock)))
        try:
            yield
        finally:
            # A client of a daemon that was killed is closed by nobody.
            for client in opened:
                client.session = None


def refused_connection() -> aiohttp.ClientConnectorError:
    """Return what a client gets that reaches nobody."""
    key: Any = SimpleNamespace(ssl=False, host="127.0.0.1", port=PORT, is_ssl=False)
    return aiohttp.ClientConnectorError(key, OSError(111, "Connection refused"))
