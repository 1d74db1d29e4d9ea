"""With the private stream down, Binance's own limits let the account be seen often enough."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import asyncio_throttle.throttler
import pytest

from counterpoise.app.dead_man import DeadMan
from counterpoise.domain.events import AccountReconciled
from counterpoise.execution.reconciler import Reconciler
from counterpoise.venues import throttle as lanes
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.orders import BinanceVenue
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.throttle import DOCUMENTED, READS_UNTIL, WEIGHTS, Allowance
from virtual_loop import VirtualClock, VirtualLoop

MARKETS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT")
ROUND_TRIP_SECONDS = 0.05
ANSWERS: dict[str, Any] = {
    "fapiPrivateV3GetAccount": {
        "assets": [{"asset": "USDT", "walletBalance": "1", "marginBalance": "1", "updateTime": 1}]
    },
    "fapiPublicGetExchangeInfo": {"rateLimits": []},
    "fapiPrivatePostCountdownCancelAll": {},
}


class Client:
    """Answers every method after a round trip, and notes when it was asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: Virtual seconds and method of each request.
        self.asked: list[tuple[float, str]] = []

    def __getattr__(self, method: str) -> Callable[[object], Awaitable[Any]]:
        async def ask(_parameters: object) -> Any:
            self.asked.append((self._loop.time(), method))
            await asyncio.sleep(ROUND_TRIP_SECONDS)
            return ANSWERS.get(method, [])

        return ask

    def times(self, method: str) -> list[float]:
        return [at for at, asked in self.asked if asked == method]

    def heaviest_minute(self) -> int:
        """Return the most weight that any sixty seconds held."""
        weighed = [(at, WEIGHTS.get(method, 1)) for at, method in self.asked]
        return max(
            sum(weight for at, weight in weighed if begin <= at < begin + 60)
            for begin, _ in weighed
        )


async def again_and_again(seconds: float, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    while True:
        await work()
        await asyncio.sleep(seconds)


def longest_gap(times: list[float]) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise(times))


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> VirtualLoop:
    virtual = VirtualLoop()
    clock = SimpleNamespace(monotonic=virtual.time)
    monkeypatch.setattr(asyncio_throttle.throttler, "time", clock)
    monkeypatch.setattr(lanes, "time", clock)
    return virtual


async def an_outage(loop: VirtualLoop, seconds: float) -> tuple[Client, list[float]]:
    """Return what was asked, and when the account was known, from the first minute on."""
    clock = VirtualClock(loop, 1_790_000_000_000_000_000)
    credentials = BinanceCredentials(api_key="k", secret="s")
    venue = BinanceVenue(BinanceEndpoints.production(), credentials, clock)
    session = BinanceSession(
        venue._endpoints, credentials, clock, Allowance.account_lanes, timeout_ms=1_000
    )
    await session.close()
    client = session.reads = Client(loop)
    venue._session = session
    venue._followed = set(MARKETS)
    assert session.lanes.limits == DOCUMENTED.account_lanes()
    known: list[float] = []

    def feed(event: object) -> None:
        if isinstance(event, AccountReconciled):
            known.append(loop.time())

    reconciler = Reconciler(venue=venue, clock=clock, feed=feed)
    permit = SimpleNamespace(fenced=False, may_increase=lambda: True)
    tasks = [
        asyncio.ensure_future(work)
        for work in (
            DeadMan(venue, lambda: True, permit, seconds=60).run(),
            again_and_again(10, venue.triggers),
            again_and_again(10, lambda: session.row("fapiPublicGetExchangeInfo")),
        )
    ]
    # A quiet daemon that holds legs; then its stream goes, and it asks each five seconds.
    await asyncio.sleep(61)
    for _ in range(int(seconds / 5)):
        tasks.append(asyncio.ensure_future(reconciler.reconcile("stream_down")))
        await asyncio.sleep(5)
    for task in tasks:
        assert not task.done() or task.exception() is None
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return client, [61.0, *known]


def test_the_account_is_known_each_ten_seconds_without_its_stream(loop: VirtualLoop) -> None:
    client, known = loop.run_until_complete(an_outage(loop, 300))
    loop.close()
    # All that is asked beside it was asked as well.
    asked = Counter(method for _, method in client.asked)
    assert asked["fapiPrivateGetOpenAlgoOrders"] > 300 / 11
    assert asked["fapiPublicGetExchangeInfo"] > 300 / 12
    assert longest_gap(known) < 10
    # The countdown is 60 s: one call that is lost may be tried again in time.
    assert longest_gap(client.times("fapiPrivatePostCountdownCancelAll")) < 25
    # And Binance never hears so much in a minute that reads are closed, which leaves the cancels'.
    assert client.heaviest_minute() < READS_UNTIL * DOCUMENTED.weight_minute
