"""Drives the engine: every event through one step, every action to the performer, in order."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from counterpoise.domain.events import CycleDue, Event, LeaseHealth, LedgerHealth, Tick
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.engine.state import State
from counterpoise.engine.step import step
from counterpoise.execution.performer import Performer
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.lease import Lease
from counterpoise.ledger.shipper import Shipper
from counterpoise.ports import Clock
from counterpoise.status.server import is_live

log = structlog.get_logger(__name__)

#: Time between ticks, seconds.
TICK_SECONDS: Final = 1.0
#: A timer may fire this late; the rest is waited for in short turns, so never early.
SLOT_MARGIN_NS: Final = 2 * NS_PER_MS
#: The first decision waits this long for every stream to have spoken, seconds.
FIRST_DECISION_SECONDS_MAX: Final = 15.0

Watcher = Callable[[Event, list[actions.Action]], None]


class Runner:
    """The engine's loop. `feed` is called on the event loop's thread and never blocks."""

    def __init__(self, state: State, clock: Clock) -> None:
        self.state = state
        self._clock = clock
        self._performer: Performer | None = None
        self._watchers: list[Watcher] = []
        #: Set when a step broke: the daemon ends.
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: When the last tick was taken, monotonic seconds; None = none yet.
        self.ticked: float | None = None

    def attach(self, performer: Performer) -> None:
        """Give it the performer that its actions go to."""
        self._performer = performer

    def healthy(self) -> bool:
        """Tell whether the risk loop ran lately and nothing in it broke."""
        age = None if self.ticked is None else self._clock.monotonic() - self.ticked
        return is_live(age) and not self.broken.done()

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` after each step (for the terminal's words)."""
        self._watchers.append(watcher)

    def feed(self, event: Event) -> None:
        """Step and perform. A broken invariant ends the daemon: crash rather than guess."""
        assert self._performer is not None, "attach a performer first"
        try:
            done = step(self.state, event)
            self._performer.perform(done)
        except Exception as error:
            self.break_off(error)
            log.critical("engine.broken", told=type(event).__name__, exc_info=True)
            raise
        for watcher in self._watchers:
            watcher(event, done)

    def break_off(self, error: BaseException) -> None:
        """End the daemon because of a defect; the first one counts."""
        if not self.broken.done():
            self.broken.set_exception(error)

    async def tick(self) -> None:
        """Feed a tick a second until cancelled."""
        while True:
            self.feed(Tick(now_ns=self._clock.now_ns()))
            self.ticked = self._clock.monotonic()
            await asyncio.sleep(TICK_SECONDS)

    async def schedule(self) -> None:
        """Feed the first cycle once the streams have spoken, then one per slot of the clock."""
        await self._until_ready()
        now_ns = self._clock.now_ns()
        self.feed(CycleDue(slot_ns=now_ns, now_ns=now_ns))
        while True:
            slot_ns = next_slot(self._clock.now_ns(), self.state.run.cycle_seconds)
            await self._until(slot_ns)
            self.feed(CycleDue(slot_ns=slot_ns, now_ns=self._clock.now_ns()))

    async def mind_health(self, shipper: Shipper, journal: PostgresJournal, lease: Lease) -> None:
        """Feed how ledger and lease are whenever that changes; looked at twice a second.

        A journal that lost its disk counts as a ledger that is away: nothing increases.
        """
        told: tuple[bool, bool, bool] | None = None
        while True:
            available, backlog_seconds = shipper.health()
            available = available and journal.failure is None
            now = (available, lease.may_increase(), lease.fenced)
            if now != told:
                told = now
                now_ns = self._clock.now_ns()
                self.feed(
                    LedgerHealth(
                        available=available,
                        backlog_age_seconds=backlog_seconds,
                        received_ns=now_ns,
                    )
                )
                self.feed(LeaseHealth(held=now[1], fenced=now[2], received_ns=now_ns))
            await asyncio.sleep(TICK_SECONDS / 2)

    async def _until_ready(self) -> None:
        deadline = self._clock.monotonic() + FIRST_DECISION_SECONDS_MAX
        while self._clock.monotonic() < deadline:
            view = self.state.market.view(self._clock.now_ns())
            complete = self.state.account.complete
            if complete and not any(i.missing for i in view.instruments.values()):
                return
            await asyncio.sleep(TICK_SECONDS / 10)

    async def _until(self, slot_ns: int) -> None:
        # A timer may fire early by its resolution; the last milliseconds are taken turn by turn.
        while (left_ns := slot_ns - self._clock.now_ns()) > 0:  # noqa: ASYNC110  it is a clock
            await asyncio.sleep(max(0, left_ns - SLOT_MARGIN_NS) / NS_PER_SECOND)


def next_slot(now_ns: int, cycle_seconds: int) -> int:
    """Return the first multiple of the cycle length after `now_ns`, ns since the epoch."""
    cycle_ns = cycle_seconds * NS_PER_SECOND
    return (now_ns // cycle_ns + 1) * cycle_ns
