"""The simulator's process: opens the venue, listens on loopback, runs it by the wall clock."""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

from counterpoise.domain import units
from counterpoise.exchange.events import ExchangeEvent
from counterpoise.simulator import files
from counterpoise.simulator.acts import ActRefused, Acts
from counterpoise.simulator.admin import Admin
from counterpoise.simulator.fault_kinds import CLOCK_JUMP_SECONDS, FaultKind
from counterpoise.simulator.faults import Fault
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.opening import Opening, open_floor, schedule
from counterpoise.simulator.striking import Striker
from counterpoise.simulator.venue import Listener
from counterpoise.simulator.venues import VenueName, make_wire
from counterpoise.simulator.wire import Floor

#: How often the market is brought up to the wall clock, seconds; the market's own step is 0.25 s,
#: and one with shorter steps is turned twice a step.
TICK_SECONDS: Final = 0.125
#: Another simulator that is just ending is waited for this long, seconds.
LOCK_SECONDS_MAX: Final = 2.0
#: Largest request body, bytes.
REQUEST_BYTES_MAX: Final = 1 << 20
#: New objects after which the youngest are looked through for cycles; a turn makes many, which
#: end with it.
GARBAGE_AFTER: Final = 100_000
#: Open requests are given this long when the process ends, seconds.
SHUTDOWN_SECONDS: Final = 1.0

_LOG: Final = logging.getLogger("counterpoise.simulator")


class AlreadyRunning(Exception):
    """Another simulator works in the same state directory."""


class Simulator:
    """One venue, its key and everything that speaks about it."""

    def __init__(self, floor: Floor, name: VenueName, log: Listener | None = None) -> None:
        self.venue = floor.venue
        self.faults = floor.faults
        self.links = floor.links
        self._wire = make_wire(name, floor)
        self._acts = Acts(floor, self._wire)
        self._admin = Admin(floor, self._wire, self._acts, self, name.value)
        self._striker = Striker(floor.faults, self._wire)
        schedule(floor, self._wire.instrument_of, name)
        floor.venue.listeners += [*([] if log is None else [log]), self._show]
        if floor.faults.restored:
            # What lasts is shown from the first answer on, also where time stands still.
            self.turn()

    def application(self) -> web.Application:
        """Return the HTTP application."""
        application = web.Application(
            client_max_size=REQUEST_BYTES_MAX, middlewares=[self._striker.middleware()]
        )
        application.add_routes(self._admin.routes())
        self._wire.add_routes(application)
        return application

    def _show(self, events: Sequence[ExchangeEvent]) -> None:
        self._wire.hear(self.venue.display.bend(events))

    def turn(self, steps_max: int | None = None) -> bool:
        """Bring market, faults and streams up to the present of the venue's clock.

        `steps_max` = by no more steps of the market than this. Returns whether it is there.
        """
        clock = self.venue.clock
        present = self.venue.catch_up(steps_max)
        jump = self.faults.takes(FaultKind.CLOCK_JUMP)
        clock.jump_ns = 0 if jump is None else _jump_ns(jump)
        for fault, instrument_id in self.faults.due_acts():
            try:
                self._acts.carry_out(fault, instrument_id)
            except ActRefused as refusal:
                _LOG.warning("simulator.act_refused kind=%s: %s", fault.kind, refusal)
        bent = self.venue.display.turn()
        if bent:
            self._wire.hear(bent)
        self._wire.tick()
        self.links.tick()
        self.venue.keep_if_due()
        return present

    def grant(self, seconds: float) -> int:
        """Let a lock-step market run on, turn by turn; return its time, ns. ValueError: no."""
        clock = self.venue.clock
        end_ns = clock.now_ns() + round(seconds * units.NS_PER_SECOND)
        # Turns end on the market's grid, so one long grant and many short ones are the same.
        step_ns = self.venue.exchange.parameters.step_ms * units.NS_PER_MS
        clock.grant(0)
        while clock.now_ns() < end_ns:
            step_end_ns = (clock.now_ns() // step_ns + 1) * step_ns
            clock.grant((min(step_end_ns, end_ns) - clock.now_ns()) / units.NS_PER_SECOND)
            self.turn()
        return clock.now_ns()

    async def run(self, stopped: asyncio.Event, state_dir: Path) -> None:
        """Turn by the clock until told to stop, or nobody can want it any more."""
        step_ms = self.venue.exchange.parameters.step_ms
        pause = min(TICK_SECONDS, step_ms / 2_000)
        while not stopped.is_set():
            # Late: step by step, and what is pushed leaves in between.
            present = self.venue.clock.lock_step or self.turn(steps_max=1)
            if not files.lock_path(state_dir).exists():
                _LOG.warning("simulator.orphaned state_dir=%s", state_dir)
                return
            await asyncio.sleep(pause if present else 0)


def settle_memory() -> None:
    """Look for cycles seldom, and never in what the process was opened with."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 20)


def _jump_ns(fault: Fault) -> int:
    return round(float(fault.value or CLOCK_JUMP_SECONDS) * units.NS_PER_SECOND)


def _take_directory(state_dir: Path) -> object:
    # A simulator that is ending frees its directory in a moment.
    state_dir.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        held = files.lock(state_dir)
        if held is not None:
            return held
        if time.monotonic() > deadline:
            raise AlreadyRunning(f"another simulator works in {state_dir}")
        time.sleep(0.05)


def _listen(port: int, port_before: int | None) -> socket.socket:
    # Any free port will do, but clients that remember the one before are served there if it
    # is still free.
    wishes = [port] if port else [*([port_before] if port_before else []), 0]
    for wish in wishes:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wish))
        except OSError:
            listener.close()
            if wish == wishes[-1]:
                raise
            continue
        return listener
    raise AssertionError("the last wish is bound or raises")


async def serve(
    state_dir: Path,
    opening: Opening,
    *,
    port: int = 0,
    fresh: bool = False,
    ready: Callable[[dict[str, str]], None] | None = None,
) -> None:
    """Run a simulator until SIGTERM, SIGINT, or its state directory is gone.

    `fresh` puts what is there aside first. `port` 0 = the one used before if it is free, else
    any. `ready` is called once with where it listens and its key. Raises AlreadyRunning,
    StateUnreadable, FaultUnknown.
    """
    held = _take_directory(state_dir)
    port_before = files.last_port(state_dir)
    if fresh:
        files.set_aside(state_dir)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    floor, store = open_floor(state_dir, opening)
    simulator = Simulator(floor, opening.venue, _log_into(opening.event_log))
    settle_memory()
    runner = web.AppRunner(
        simulator.application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    listener = _listen(port, port_before)
    await web.SockSite(runner, listener).start()
    bound = int(listener.getsockname()[1])
    files.write_port(state_dir, port=bound, started_ns=time.time_ns())
    _LOG.info("simulator.listening venue=%s port=%d pid=%d", opening.venue, bound, os.getpid())
    if ready is not None:
        ready(_card(opening.venue, bound, floor.credentials))
    try:
        await simulator.run(stopped, state_dir)
    finally:
        files.port_path(state_dir).unlink(missing_ok=True)
        await simulator.links.close()
        await runner.cleanup()
        if files.store_path(state_dir).exists():
            floor.venue.keep()
        store.close()
        _LOG.info("simulator.stopped")
        assert held is not None, "the directory is ours until here"


def _card(venue: VenueName, port: int, key: Credentials) -> dict[str, str]:
    return {
        "venue": venue.value,
        "rest": f"http://127.0.0.1:{port}",
        "ws": f"ws://127.0.0.1:{port}",
        "api_key": key.api_key,
        "secret": key.secret,
        "password": key.passphrase,
    }


def _log_into(path: Path | None) -> Listener | None:
    if path is None:
        return None
    log = path.open("wb")
    encoder = msgspec.json.Encoder(order="sorted")

    def write(events: Sequence[ExchangeEvent]) -> None:
        for event in events:
            log.write(encoder.encode({"event": type(event).__name__, "data": event}) + b"\n")
        log.flush()

    return write
