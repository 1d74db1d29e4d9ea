"""Who watches: the clock, the market's state, the heartbeat and the dead man's switch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import web

from counterpoise.app import heartbeat, listing_watch
from counterpoise.app.clock_watch import ClockWatch
from counterpoise.app.dead_man import DeadMan
from counterpoise.app.runner import Runner
from counterpoise.domain.account import TradingState
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import MarkPrice, Tick
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.engine.trading_state import Cause
from counterpoise.execution.performer import Performer
from engine_world import MARKS, START_NS, make_state
from scripted_venue import ScriptedVenue, SettableClock
from virtual_loop import VirtualLoop


class Quiet:
    """A performer that does nothing."""

    def perform(self, done: list[actions.Action]) -> None:
        """Take note of nothing."""


class SteppingClock(SettableClock):
    """Wall and monotonic time that a test moves apart."""

    def __init__(self, now_ns: int) -> None:
        super().__init__(now_ns)
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def after(self, seconds: float) -> None:
        self.seconds += seconds
        self.ns += int(seconds * NS_PER_SECOND)


def made_runner(clock: SettableClock) -> Runner:
    runner = Runner(make_state(), clock)
    runner.attach(cast("Performer", Quiet()))
    return runner


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  it is a condition
            await asyncio.sleep(0.01)


# The clock


async def test_a_clock_far_from_the_venues_lets_nothing_increase_and_comes_back() -> None:
    venue, clock = ScriptedVenue(), SteppingClock(START_NS)
    runner = made_runner(clock)
    ahead: list[int] = []
    watch = ClockWatch(venue, runner, clock, every_seconds=60, give_way=ahead.append)
    venue.offset_ns = 501 * NS_PER_MS
    await watch.measure()
    assert runner.state.causes == {Cause.CLOCK}
    assert runner.state.trading_state is TradingState.REDUCING
    venue.offset_ns = -500 * NS_PER_MS
    await watch.measure()
    assert runner.state.causes == set()
    assert runner.state.clock_offset_ms == -500
    assert ahead == [-501 * NS_PER_MS, 500 * NS_PER_MS]


async def test_without_an_answer_for_too_long_the_clock_is_unknown() -> None:
    venue, clock = ScriptedVenue(), SteppingClock(START_NS)
    runner = made_runner(clock)
    watch = ClockWatch(venue, runner, clock, every_seconds=60, give_way=lambda _: None)
    await watch.measure()
    venue.clock_error = VenueUnreachable("away")
    for _ in range(5):
        clock.after(60)
        await watch.measure()
        runner.feed(Tick(now_ns=clock.now_ns()))
    assert runner.state.causes == set()
    clock.after(1)
    runner.feed(Tick(now_ns=clock.now_ns()))
    assert runner.state.causes == {Cause.CLOCK}
    assert runner.state.clock_offset_ms is None


async def test_it_is_measured_at_intervals_and_at_once_when_something_hints_at_a_step() -> None:
    venue, clock = ScriptedVenue(), SteppingClock(START_NS)
    runner = made_runner(clock)
    watch = ClockWatch(venue, runner, clock, every_seconds=60, give_way=lambda _: None)
    clock.after(59)
    assert not watch.is_due()
    clock.after(1)
    assert watch.is_due()
    await watch.measure()
    clock.after(6)
    assert not watch.is_due()
    # The wall clock stepped by 150 ms, the monotonic one did not.
    clock.ns += 150 * NS_PER_MS
    assert watch.is_due()
    await watch.measure()
    assert not watch.is_due()
    # Messages arrive 200 ms before they were sent: our clock, not the network.
    clock.after(6)
    runner.feed(
        MarkPrice(
            instrument_id="BTCUSDT",
            mark=MARKS["BTCUSDT"],
            index=None,
            event_ns=clock.now_ns() + 200 * NS_PER_MS,
            received_ns=clock.now_ns(),
        )
    )
    assert watch.is_due()


# Markets


async def test_a_market_that_closes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_watch, "ASK_SECONDS", 0.01)
    venue, clock = ScriptedVenue(), SettableClock(START_NS)
    runner = made_runner(clock)
    venue.states["BTCUSDT"] = InstrumentState.SUSPENDED
    task = asyncio.create_task(listing_watch.watch(venue, runner, clock))
    try:
        await until(lambda: Cause.CORE in runner.state.causes)
        venue.states.clear()
        await until(lambda: Cause.CORE not in runner.state.causes)
    finally:
        task.cancel()


# The heartbeat


class Watchdog:
    """A real HTTP server that counts calls and answers as a test wants."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 200
        self.hold: asyncio.Event | None = None
        self.url = ""

    async def answer(self, _request: web.Request) -> web.Response:
        self.calls += 1
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.status)


@asynccontextmanager
async def watchdog() -> AsyncIterator[Watchdog]:
    dog = Watchdog()
    application = web.Application()
    handler: Callable[[web.Request], Awaitable[web.Response]] = dog.answer
    application.router.add_get("/ping/secret-7", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    dog.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ping/secret-7"
    try:
        yield dog
    finally:
        if dog.hold is not None:
            dog.hold.set()
        await runner.cleanup()


async def test_the_watchdog_is_called_while_the_risk_loop_ticks_and_not_when_it_is_frozen() -> None:
    clock = SteppingClock(START_NS)
    runner = made_runner(clock)
    async with watchdog() as dog:
        task = asyncio.create_task(heartbeat.beat(dog.url, runner.healthy, every_seconds=0.02))
        try:
            await asyncio.sleep(0.1)
            assert dog.calls == 0, "a loop that never ticked is not healthy"
            runner.ticked = clock.monotonic()
            await until(lambda: dog.calls >= 3)
            # The loop stands still: its last tick grows old.
            clock.after(5.1)
            await asyncio.sleep(0.05)
            before = dog.calls
            await asyncio.sleep(0.15)
            assert dog.calls == before
            runner.ticked = clock.monotonic()
            await until(lambda: dog.calls > before)
            runner.break_off(AssertionError("our bug"))
            await asyncio.sleep(0.05)
            before = dog.calls
            await asyncio.sleep(0.15)
            assert dog.calls == before, "a broken engine is not healthy though it ticked just now"
        finally:
            task.cancel()


async def test_a_failing_watchdog_is_logged_once_and_its_address_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            said.append((event, fields))

        info = warning

    monkeypatch.setattr(heartbeat, "log", Log())
    async with watchdog() as dog:
        dog.status = 500
        task = asyncio.create_task(heartbeat.beat(dog.url, lambda: True, every_seconds=0.01))
        try:
            await until(lambda: dog.calls >= 4)
            assert said == [("heartbeat.failed", {"error": "HTTP 500"})]
            dog.status = 204
            await until(lambda: len(said) == 2)
            assert said[1] == ("heartbeat.answered", {})
        finally:
            task.cancel()
    gone = asyncio.create_task(heartbeat.beat(dog.url, lambda: True, every_seconds=0.01))
    try:
        await until(lambda: len(said) == 3)
        await asyncio.sleep(0.05)
    finally:
        gone.cancel()
    assert len(said) == 3
    assert "secret-7" not in str(said)


async def test_a_watchdog_that_hangs_holds_nothing_up() -> None:
    async with watchdog() as dog:
        dog.hold = asyncio.Event()
        task = asyncio.create_task(heartbeat.beat(dog.url, lambda: True, every_seconds=0.01))
        try:
            await until(lambda: dog.calls == 1)
            began = asyncio.get_running_loop().time()
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert asyncio.get_running_loop().time() - began < 1
            assert dog.calls == 1, "one request at a time"
        finally:
            task.cancel()


# The dead man's switch


class Permit:
    """The account's lease, as a test wants it."""

    def __init__(self) -> None:
        self.held = True
        self.fenced = False

    def may_increase(self) -> bool:
        return self.held and not self.fenced


async def test_the_switch_is_armed_again_only_while_the_risk_loop_is_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("counterpoise.app.dead_man.REFRESH_FRACTION", 0.0002)
    monkeypatch.setattr("counterpoise.app.dead_man.RETRY_FRACTION", 0.0002)
    venue, healthy = ScriptedVenue(), [False]
    switch = DeadMan(venue, lambda: healthy[0], Permit(), seconds=60)
    task = asyncio.create_task(switch.run())
    try:
        await asyncio.sleep(0.05)
        assert venue.armed == []
        healthy[0] = True
        await until(lambda: len(venue.armed) >= 2)
        assert set(venue.armed) == {60}
        healthy[0] = False
        await asyncio.sleep(0.03)
        before = len(venue.armed)
        await asyncio.sleep(0.05)
        assert len(venue.armed) == before
    finally:
        task.cancel()
    await switch.disarm()
    assert venue.armed[-1] == 0
    await switch.disarm()
    assert venue.armed.count(0) == 1


async def test_a_switch_whose_answer_was_lost_counts_as_armed() -> None:
    venue = ScriptedVenue()
    venue.arm_error = VenueUnreachable("lost")
    switch = DeadMan(venue, lambda: True, Permit(), seconds=60)
    task = asyncio.create_task(switch.run())
    await until(lambda: switch.armed)
    task.cancel()
    await switch.disarm()
    assert switch.armed, "nobody answered: it may still fire"


@pytest.mark.parametrize("fenced", [True, False])
async def test_without_the_lease_the_switch_is_not_touched_it_may_be_another_daemons(
    monkeypatch: pytest.MonkeyPatch, *, fenced: bool
) -> None:
    monkeypatch.setattr("counterpoise.app.dead_man.REFRESH_FRACTION", 0.0002)
    monkeypatch.setattr("counterpoise.app.dead_man.RETRY_FRACTION", 0.0002)
    venue, permit = ScriptedVenue(), Permit()
    switch = DeadMan(venue, lambda: True, permit, seconds=60)
    task = asyncio.create_task(switch.run())
    try:
        await until(lambda: len(venue.armed) >= 2)
        permit.held, permit.fenced = False, fenced
        await asyncio.sleep(0.03)
        before = len(venue.armed)
        await asyncio.sleep(0.05)
        # Without the database it is still ours to keep alive; after another took over it is not.
        assert (len(venue.armed) == before) is fenced
    finally:
        task.cancel()
    await switch.disarm()
    assert 0 not in venue.armed
    assert switch.armed


def test_a_switch_that_was_not_armed_is_tried_again_before_its_time_is_over() -> None:
    clock = VirtualLoop()
    tried: list[float] = []
    healthy = [True]

    class Lossy(ScriptedVenue):
        async def arm_dead_man(self, seconds: int) -> bool:
            tried.append(clock.time())
            if 1 < len(tried) < 6:
                raise VenueUnreachable("lost")
            return await super().arm_dead_man(seconds)

    async def watch() -> None:
        task = asyncio.create_task(DeadMan(Lossy(), lambda: healthy[0], Permit(), seconds=60).run())
        await asyncio.sleep(70)
        # A moment in which the loop was slow costs no half of the time.
        healthy[0] = False
        await asyncio.sleep(20)
        healthy[0] = True
        await asyncio.sleep(10)
        task.cancel()

    clock.run_until_complete(watch())
    clock.close()
    assert [round(at) for at in tried] == [0, 15, 21, 27, 33, 39, 54, 69, 90]
