"""The simulator's process: opens the venue, listens on loopback, runs it by the wall clock."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from aiohttp import web

from counterpoise.exchange.events import ExchangeEvent
from counterpoise.simulator import files
from counterpoise.simulator.acts import ActRefused, Acts
from counterpoise.simulator.admin import Admin
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.links import Links
from counterpoise.simulator.store import Store
from counterpoise.simulator.striking import Striker
from counterpoise.simulator.venue import RunningVenue
from counterpoise.simulator.venues import VenueName, make_wire, parameters
from counterpoise.simulator.wire import Floor

#: How often the market is brought up to the wall clock, seconds; the market's own step is 0.25 s.
TICK_SECONDS: Final = 0.125
#: Another simulator that is just ending is waited for this long, seconds.
LOCK_SECONDS_MAX: Final = 2.0
#: Largest request body, bytes.
REQUEST_BYTES_MAX: Final = 1 << 20
#: Open requests are given this long when the process ends, seconds.
SHUTDOWN_SECONDS: Final = 1.0

_LOG: Final = logging.getLogger("counterpoise.simulator")


class AlreadyRunning(Exception):
    """Another simulator works in the same state directory."""


class Simulator:
    """One venue, its key and everything that speaks about it."""

    def __init__(self, floor: Floor, name: VenueName) -> None:
        self.venue = floor.venue
        self.faults = floor.faults
        self.links = floor.links
        self._wire = make_wire(name, floor)
        self._acts = Acts(floor, self._wire)
        self._admin = Admin(floor, self._wire, self._acts, self.turn)
        self._striker = Striker(floor.faults, self._wire)
        floor.venue.listeners.append(self._show)

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

    def turn(self) -> None:
        """Bring market, faults and streams up to the present of the venue's clock."""
        self.venue.catch_up()
        for fault, instrument_id in self.faults.due_acts():
            try:
                self._acts.carry_out(fault, instrument_id)
            except ActRefused as refusal:
                _LOG.warning("simulator.act_refused kind=%s: %s", fault.kind, refusal)
        self._wire.tick()
        self.venue.keep_if_due()

    async def run(self, stopped: asyncio.Event) -> None:
        """Turn by the clock until told to stop."""
        while not stopped.is_set():
            if not self.venue.clock.lock_step:
                self.turn()
            await asyncio.sleep(TICK_SECONDS)


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


def _open_floor(
    store: Store, state_dir: Path, *, name: VenueName, seed: int, wallet: Decimal
) -> Floor:
    clock = Clock()
    venue = RunningVenue.open(
        store, seed=seed, now_ns=clock.now_ns(), parameters=parameters(name), clock=clock
    )
    credentials = files.read_credentials(state_dir) or files.make_credentials(state_dir)
    if credentials.account_id not in venue.exchange.account_ids():
        venue.open_account(credentials.account_id, wallet)
    faults = FaultPlan(clock, seed=seed)
    return Floor(venue=venue, credentials=credentials, faults=faults, links=Links(faults, clock))


async def serve(
    state_dir: Path,
    *,
    port: int = 0,
    seed: int,
    fresh: bool = False,
    wallet: Decimal,
    name: VenueName = VenueName.OKX,
) -> None:
    """Run a simulator until SIGTERM or SIGINT.

    `seed` decides the market of a directory that has none yet, `wallet` is the cash (quote) of
    an account that has to be opened. `fresh` puts what is there aside first. `port` 0 = the one
    used before if it is free, else any. Raises AlreadyRunning, StateUnreadable.
    """
    held = _take_directory(state_dir)
    port_before = files.last_port(state_dir)
    if fresh:
        files.set_aside(state_dir)
    store = Store(files.store_path(state_dir))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    floor = _open_floor(store, state_dir, name=name, seed=seed, wallet=wallet)
    simulator = Simulator(floor, name)
    runner = web.AppRunner(
        simulator.application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    listener = _listen(port, port_before)
    await web.SockSite(runner, listener).start()
    bound = int(listener.getsockname()[1])
    files.write_port(state_dir, port=bound, started_ns=time.time_ns())
    _LOG.info("simulator.listening port=%d pid=%d", bound, os.getpid())
    try:
        await simulator.run(stopped)
    finally:
        files.port_path(state_dir).unlink(missing_ok=True)
        await simulator.links.close()
        await runner.cleanup()
        floor.venue.keep()
        store.close()
        _LOG.info("simulator.stopped")
        assert held is not None, "the directory is ours until here"
