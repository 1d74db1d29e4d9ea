"""Signals are wishes from the first moment on, before anybody can carry them out."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from counterpoise.app.unix_signals import WISHES, WISHES_KEPT_MAX, SignalDesk
from counterpoise.domain.events import ControlAction, ControlRequested, Event
from engine_world import START_NS
from scripted_venue import SettableClock


class Engine:
    """Who hears of wishes once it runs."""

    def __init__(self) -> None:
        self.heard: list[ControlAction | str] = []
        self.times: list[int] = []

    def feed(self, event: Event) -> None:
        assert isinstance(event, ControlRequested)
        self.heard.append(event.action)
        self.times.append(event.received_ns)

    def reload(self) -> None:
        self.heard.append("reload")


@contextlib.asynccontextmanager
async def installed(**told: bool) -> AsyncIterator[SignalDesk]:
    made = SignalDesk(SettableClock(START_NS), **told)
    made.install()
    yield made
    loop = asyncio.get_running_loop()
    for number in (*WISHES, signal.SIGHUP):
        loop.remove_signal_handler(number)


@pytest.fixture
async def desk() -> AsyncIterator[SignalDesk]:
    async with installed() as made:
        yield made


async def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)
        # One that is pending already would be the same one.
        await asyncio.sleep(0.02)


async def test_wishes_of_the_start_are_carried_out_in_order_once_it_runs(desk: SignalDesk) -> None:
    engine = Engine()
    await send(signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1)
    desk.open(engine.feed, engine.reload)
    pause, resume = ControlAction.PAUSE, ControlAction.RESUME
    assert engine.heard == ["reload", pause, resume, pause]
    assert engine.times == [START_NS] * 3
    await send(signal.SIGUSR2, signal.SIGHUP)
    assert engine.heard[4:] == [resume, "reload"]
    assert not desk.stop_now.is_set()


async def test_a_stop_before_the_engine_runs_leaves_at_once(desk: SignalDesk) -> None:
    await send(signal.SIGUSR1, signal.SIGTERM)
    assert desk.stop_now.is_set()


async def test_the_second_stop_leaves_at_once(desk: SignalDesk) -> None:
    engine = Engine()
    desk.open(engine.feed, engine.reload)
    await send(signal.SIGINT)
    assert engine.heard == [ControlAction.STOP]
    assert not desk.stop_now.is_set()
    await send(signal.SIGTERM)
    assert engine.heard == [ControlAction.STOP]
    assert desk.stop_now.is_set()


@pytest.mark.parametrize("again", [signal.SIGQUIT, signal.SIGTERM])
async def test_to_close_the_book_is_asked_for_after_a_stop_too(
    desk: SignalDesk, again: signal.Signals
) -> None:
    engine = Engine()
    desk.open(engine.feed, engine.reload)
    await send(signal.SIGTERM, signal.SIGQUIT)
    assert engine.heard == [ControlAction.STOP, ControlAction.FLATTEN_STOP]
    assert not desk.stop_now.is_set()
    await send(again)
    assert len(engine.heard) == 2
    assert desk.stop_now.is_set()


async def test_closing_the_book_waits_for_the_engine(desk: SignalDesk) -> None:
    engine = Engine()
    await send(signal.SIGQUIT)
    assert not desk.stop_now.is_set()
    assert desk.waiting() == ("SIGQUIT",)
    # Whatever else comes, it is not the wish that is forgotten.
    for _ in range(WISHES_KEPT_MAX + 1):
        await send(signal.SIGUSR1)
    desk.open(engine.feed, engine.reload)
    assert engine.heard[0] is ControlAction.FLATTEN_STOP
    assert desk.waiting() == ()
    assert not desk.stop_now.is_set()


@pytest.mark.parametrize("again", [signal.SIGQUIT, signal.SIGTERM])
async def test_closing_the_book_is_given_up_by_a_second_stop(
    desk: SignalDesk, again: signal.Signals
) -> None:
    await send(signal.SIGQUIT, again)
    assert desk.stop_now.is_set()
    assert desk.waiting() == ("SIGQUIT",)


async def test_under_the_policy_to_flatten_any_first_stop_waits_for_the_engine() -> None:
    engine = Engine()
    async with installed(flatten_on_stop=True) as desk:
        await send(signal.SIGTERM, signal.SIGQUIT)
        assert not desk.stop_now.is_set()
        desk.open(engine.feed, engine.reload)
        assert engine.heard == [ControlAction.STOP, ControlAction.FLATTEN_STOP]
        await send(signal.SIGTERM)
        assert desk.stop_now.is_set()


async def test_who_only_looks_on_has_nothing_to_close() -> None:
    async with installed(trades=False, flatten_on_stop=True) as desk:
        await send(signal.SIGQUIT)
        assert desk.stop_now.is_set()


async def test_the_last_wish_is_never_the_one_that_is_forgotten(desk: SignalDesk) -> None:
    engine = Engine()
    for _ in range(WISHES_KEPT_MAX):
        await send(signal.SIGUSR2)
    await send(signal.SIGUSR1)
    desk.open(engine.feed, engine.reload)
    assert len(engine.heard) == WISHES_KEPT_MAX
    assert engine.heard[-1] is ControlAction.PAUSE
