"""The simulator's process: opens the venue, listens on loopback, runs it by the wall clock."""

import asyncio
import logging
import os
import signal
import socket
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

from aiohttp import web

from counterpoise.simulator import files
from counterpoise.simulator.admin import Admin
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.okx.account_streams import AccountStreams
from counterpoise.simulator.okx.auth import Credentials
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.channels import Channels, Sequencer
from counterpoise.simulator.okx.market_streams import MarketStreams
from counterpoise.simulator.okx.rest import Rest
from counterpoise.simulator.okx.sockets import Sessions
from counterpoise.simulator.store import Store
from counterpoise.simulator.venue import RunningVenue

#: How often the market is brought up to the wall clock, seconds; the market's own step is 0.25 s.
TICK_SECONDS: Final = 0.125
#: How often silent sessions are looked for, in ticks.
_IDLE_TICKS: Final = 8
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

    def __init__(self, venue: RunningVenue, credentials: Credentials) -> None:
        exchange = venue.exchange
        self.venue = venue
        self.faults = FaultPlan()
        desk = Desk(
            venue=venue,
            account_id=credentials.account_id,
            listed={
                each.instrument.instrument_id: each for each in exchange.parameters.instruments
            },
            maker_fee_bps=exchange.parameters.maker_fee_bps,
            taker_fee_bps=exchange.parameters.taker_fee_bps,
        )
        # Milliseconds grow faster than the numbers taken, so a restart begins above the last.
        sequencer = Sequencer(exchange.now_ns // 1_000_000)
        channels = Channels(desk, sequencer)
        self.sessions = Sessions(credentials, channels)
        self.market_streams = MarketStreams(desk, self.sessions, channels, sequencer)
        self.account_streams = AccountStreams(desk, self.sessions, channels)
        self._rest = Rest(desk, credentials, self.faults)
        self._admin = Admin(desk, self.sessions, self.market_streams, self.faults)
        venue.listeners += [self.account_streams.hear, self.market_streams.hear]

    def application(self) -> web.Application:
        """Return the HTTP application."""
        application = web.Application(client_max_size=REQUEST_BYTES_MAX)
        application.add_routes(self._admin.routes())
        for path in ("public", "private", "business"):
            application.router.add_get(f"/ws/v5/{path}", self._socket)
        application.router.add_route("*", "/{tail:.*}", self._rest.serve)
        return application

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        return await self.sessions.serve(request, request.path.rsplit("/", 1)[1])

    async def run(self, stopped: asyncio.Event) -> None:
        """Bring the market up to the wall clock until told to stop."""
        ticks = 0
        while not stopped.is_set():
            self.venue.advance(time.time_ns())
            self.account_streams.tick()
            self.market_streams.tick()
            self.venue.keep_if_due()
            ticks += 1
            if ticks % _IDLE_TICKS == 0:
                await self.sessions.close_idle()
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


def _open_venue(
    store: Store, state_dir: Path, *, seed: int, wallet: Decimal
) -> tuple[RunningVenue, Credentials]:
    venue = RunningVenue.open(store, seed=seed, now_ns=time.time_ns())
    credentials = files.read_credentials(state_dir) or files.make_credentials(state_dir)
    if credentials.account_id not in venue.exchange.account_ids():
        venue.open_account(credentials.account_id, wallet)
    return venue, credentials


async def serve(
    state_dir: Path, *, port: int = 0, seed: int, fresh: bool = False, wallet: Decimal
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
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    venue, credentials = _open_venue(store, state_dir, seed=seed, wallet=wallet)
    simulator = Simulator(venue, credentials)
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
        await simulator.sessions.close()
        await runner.cleanup()
        venue.keep()
        store.close()
        _LOG.info("simulator.stopped")
        assert held is not None, "the directory is ours until here"
