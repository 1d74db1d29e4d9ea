"""Whichever way a daemon ends, no call to the venue outlives it."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from counterpoise.app import daemon
from counterpoise.domain.errors import LeaseLost
from counterpoise.domain.events import CycleDue, Event, OrderUpdate
from counterpoise.domain.orders import JournaledOrder, OrderState
from counterpoise.engine import actions
from counterpoise.ledger.journal import MemoryJournal
from engine_world import START_NS, ready
from scripted_venue import ScriptedVenue, SettableClock


def an_increase() -> actions.Submit:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    return next(a for a in world.done if isinstance(a, actions.Submit))


class HangingVenue(ScriptedVenue):
    """Takes orders and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.gave_up = False

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        self.submitted.append(order)
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.gave_up = True
        raise AssertionError("nobody answers")


class Rim:
    """What surrounds the engine, with the engine itself left out."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.state = SimpleNamespace(instruments={}, run=SimpleNamespace(observe=False))
        self.performer: Any = None

    def attach(self, performer: object) -> None:
        self.performer = performer

    def feed(self, event: Event) -> None:
        self.told.append(event)

    def break_off(self, error: BaseException) -> None:
        self.broken.set_exception(error)

    async def wait(self, *_: object) -> None:
        await asyncio.Event().wait()

    tick = schedule = mind_health = run = supervise = wait


@pytest.mark.parametrize("way", ["stop", "lease", "defect", "at once"])
async def test_an_order_on_its_way_is_told_as_unknown_and_given_up(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "DRAIN_SECONDS_MAX", 0.1)
    venue, rim = HangingVenue(), Rim()
    clock = SettableClock(START_NS)
    lease = SimpleNamespace(fenced=False, may_increase=lambda: True)
    beating: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gateway = SimpleNamespace(venue=venue, market_feed=lambda _: rim, account_feed=lambda _: rim)
    ledger = SimpleNamespace(
        journal=MemoryJournal(clock),
        lease=lease,
        beating=beating,
        shipping=asyncio.get_running_loop().create_future(),
        database=rim,
        shipper=None,
    )

    async def live() -> actions.StopDaemon:
        async with daemon._performing(
            cast("Any", gateway), cast("Any", ledger), cast("Any", rim), clock
        ) as (performer, stopped):
            return await daemon._until_stopped(
                cast("Any", gateway),
                cast("Any", rim),
                performer,
                cast("Any", ledger),
                stopped,
                {},
                rim.feed,
            )

    life = asyncio.ensure_future(live())
    await asyncio.sleep(0)
    order, stop = an_increase(), actions.StopDaemon(reason="r", exit_code=0)
    rim.performer.perform([order])
    await venue.asked.wait()
    if way == "stop":
        rim.performer.perform([stop])
        assert await life == stop
    elif way == "lease":
        lease.fenced = True
        beating.set_exception(LeaseLost("taken"))
        with pytest.raises(LeaseLost):
            await life
    elif way == "defect":
        rim.break_off(AssertionError("our bug"))
        with pytest.raises(AssertionError, match="our bug"):
            await life
    else:
        life.cancel()
        with pytest.raises(asyncio.CancelledError):
            await life
    assert venue.gave_up
    assert [(e.state, e.code) for e in rim.told if isinstance(e, OrderUpdate)] == [
        (OrderState.SUBMITTED, None),
        (OrderState.UNKNOWN, "STOPPED"),
    ]
    # What comes late starts nothing.
    rim.performer.perform([an_increase()])
    await asyncio.sleep(0.05)
    assert len(venue.submitted) == 1
