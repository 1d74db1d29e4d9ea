"""The daemon: opens everything in order, runs until told to stop, closes in reverse.

A crash at any point is safe: the next start reads the ledger and the venue and goes on.
"""

import asyncio
import contextlib
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

import structlog

from counterpoise import __version__
from counterpoise.app import boot, garbage, parameters, recording, watches, wiring
from counterpoise.app.clock import SystemClock
from counterpoise.app.database import Database, open_database
from counterpoise.app.heads import HeadPublisher, signing_key
from counterpoise.app.narrator import Narrator
from counterpoise.app.reloading import Reloader
from counterpoise.app.runner import Runner
from counterpoise.app.settings import Settings
from counterpoise.app.unix_signals import SignalDesk
from counterpoise.domain.account import AccountSnapshot, Attestation
from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.domain.records import RunEnded
from counterpoise.engine import actions
from counterpoise.engine.run import ForeignPolicy, Run
from counterpoise.engine.state import State
from counterpoise.execution.performer import Performer
from counterpoise.ledger import controls
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.lease import Lease
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from counterpoise.ports import Clock, Feed
from counterpoise.status.server import StatusServer

log = structlog.get_logger(__name__)

#: What the spool of the last run still held must be in Postgres within this, seconds.
HAND_OVER_SECONDS_MAX: Final = 30.0
#: Records of the last moments get this long to reach Postgres at a stop, seconds.
FLUSH_SECONDS_MAX: Final = 2.0
#: Calls at work get this long at a stop, seconds.
DRAIN_SECONDS_MAX: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The write path, open."""

    database: Database
    shipper: Shipper
    journal: PostgresJournal
    lease: Lease
    #: Moves records to Postgres; ends only by a defect or a dead disk.
    shipping: "asyncio.Future[None]"
    #: Prolongs the lease; ends when another daemon took it.
    beating: "asyncio.Future[None]"


class Opening(Protocol):
    """Opens an account's adapters."""

    async def __call__(self, settings: Settings, clock: Clock, *, fresh: bool) -> wiring.Gateway:
        """Return them opened. Raises StartRefused or the `VenueError` family."""
        ...


def run(
    settings: Settings, *, opening: Opening = wiring.open_gateway, commanded: bool = True
) -> int:
    """Run the daemon and return its exit code; StartRefused and the like are the caller's.

    `commanded` = operators' commands in the database are meant for it.
    """
    return asyncio.run(_run(settings, opening, commanded=commanded))


async def _run(settings: Settings, opening: Opening, *, commanded: bool) -> int:
    clock = SystemClock()
    desk = SignalDesk(clock)
    desk.install()
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    life = asyncio.ensure_future(_live(settings, clock, desk, opening, commanded=commanded))
    leave = asyncio.ensure_future(desk.stop_now.wait())
    await asyncio.wait({life, leave}, return_when=asyncio.FIRST_COMPLETED)
    leave.cancel()
    if not life.done():
        log.warning("daemon.stopped_at_once")
        life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await life
    return 130


async def _live(
    settings: Settings,
    clock: SystemClock,
    desk: SignalDesk,
    opening: Opening,
    *,
    commanded: bool,
) -> int:
    with open_database(settings) as database:
        gateway = await opening(settings, clock, fresh=settings.fresh)
        try:
            snapshot = await gateway.venue.account()
            async with _open_ledger(settings, database, gateway, snapshot, clock) as ledger:
                return await _trade(
                    settings, gateway, snapshot, ledger, clock, desk, commanded=commanded
                )
        finally:
            await gateway.venue.close()


@asynccontextmanager
async def _open_ledger(
    settings: Settings,
    database: Database,
    gateway: wiring.Gateway,
    snapshot: AccountSnapshot,
    clock: SystemClock,
) -> AsyncIterator[Ledger]:
    key = signing_key(settings)
    # The lease comes first: nothing of another daemon's is touched without it.
    name = f"{gateway.venue.name}:{snapshot.account_id}"
    lease = Lease(database.dsn, name, clock)
    await lease.acquire()
    # From now on: the warm-up may take longer than a heartbeat is believed.
    beating = asyncio.ensure_future(lease.run())
    spool = Spool(settings.state_dir / "spool")
    shipper = Shipper(spool, database.dsn, clock, chain_name=name)
    journal = PostgresJournal(spool, shipper, clock)
    shipping = asyncio.ensure_future(shipper.run())
    publisher = HeadPublisher(shipper.sealer, settings.checkpoints, key, clock)
    publishing = asyncio.ensure_future(publisher.run())
    try:
        if not await journal.flush(HAND_OVER_SECONDS_MAX):
            raise LedgerUnavailable(
                "what the last run left in the local spool could not be handed to Postgres"
            )
        yield Ledger(
            database=database,
            shipper=shipper,
            journal=journal,
            lease=lease,
            shipping=shipping,
            beating=beating,
        )
    finally:
        if not await journal.flush(FLUSH_SECONDS_MAX):
            log.warning("spool.kept", reason="Postgres did not take everything; the next run will")
        journal.close()
        await publisher.publish()
        for task in (shipping, beating, publishing):
            task.cancel()
        await asyncio.gather(shipping, beating, publishing, return_exceptions=True)
        spool.close()
        await lease.release()


async def _trade(
    settings: Settings,
    gateway: wiring.Gateway,
    snapshot: AccountSnapshot,
    ledger: Ledger,
    clock: SystemClock,
    desk: SignalDesk,
    *,
    commanded: bool,
) -> int:
    state, attestation = await _prepare(settings, gateway, snapshot, ledger, clock)
    garbage.settle()
    runner = Runner(state, clock)
    switch = watches.dead_man_of(settings, gateway.venue, runner)
    stopped: asyncio.Future[actions.StopDaemon] = asyncio.get_running_loop().create_future()

    def on_stop(action: actions.StopDaemon) -> None:
        if not stopped.done():
            stopped.set_result(action)

    performer = Performer(
        venue=gateway.venue,
        journal=ledger.journal,
        permit=ledger.lease,
        clock=clock,
        feed=runner.feed,
        on_stop=on_stop,
        on_broken=runner.break_off,
        observe=state.run.observe,
    )
    runner.attach(performer)
    for record in recording.run_started(settings, state, attestation, gateway, clock):
        ledger.journal.append(record)
    performer.reconciler.since(_take_up(state, ledger, clock))
    narrator = Narrator(runner, settings, clock)
    runner.watch(narrator.told)
    # Asked anew: the first answer is as old as the lease and the warm-up took.
    await performer.reconciler.reconcile("start")
    if not state.account.complete:
        raise StartRefused("the venue does not answer for the account; try again")
    reloader = Reloader(settings, state, ledger.journal, clock)
    desk.open(runner.feed, reloader.reload)
    async with StatusServer(settings.status_host, settings.status_port, narrator.status) as status:
        _write_address(settings, status.port)
        narrator.started(status.port)
        watched = watches.of_venue(settings, gateway.venue, runner, clock, switch, attestation)
        if commanded:
            watched["controls"] = controls.watch(
                ledger.database.dsn, runner.feed, clock=clock, account_id=state.run.account_id
            )
        async with _shadow(settings, gateway, snapshot, attestation, ledger, runner) as hear:
            ended_by = await _until_stopped(gateway, runner, ledger, stopped, watched, hear)
    if switch is not None and not state.orders.active:
        await switch.disarm()
    await performer.drain(DRAIN_SECONDS_MAX)
    ledger.journal.append(
        RunEnded(
            run_id=state.run.run_id,
            reason=ended_by.reason,
            exit_code=ended_by.exit_code,
            ended_ns=clock.now_ns(),
        )
    )
    narrator.stopped(ended_by)
    return ended_by.exit_code


def _take_up(state: State, ledger: Ledger, clock: SystemClock) -> int:
    # Goes on from what the record says; returns from when on the venue is asked, ns.
    with LedgerReader(ledger.database.dsn) as reader:
        account_id = state.run.account_id
        for ended in boot.take_up_decisions(state, reader, account_id, clock):
            ledger.journal.append(ended)
        kept = reader.memory_last(account_id)
        asked_from_ns = boot.asked_from_ns(
            reader.last_fill_ns(account_id), None if kept is None else kept["kept_ns"], clock
        )
        state.account.transfers = reader.transfers_since_memory(account_id)
        for row in reader.transfers(limit=boot.FILLS_REMEMBERED, account_id=account_id):
            state.transfers_seen[row["transfer_id"]] = None
        for row in reader.fills(limit=boot.FILLS_REMEMBERED, account_id=account_id):
            state.account.fills_seen[row["instrument_id"], row["fill_id"]] = None
    return asked_from_ns


async def _prepare(
    settings: Settings,
    gateway: wiring.Gateway,
    snapshot: AccountSnapshot,
    ledger: Ledger,
    clock: SystemClock,
) -> tuple[State, Attestation]:
    venue, account_id = gateway.venue, snapshot.account_id
    with LedgerReader(ledger.database.dsn) as reader:
        recorded = {row["instrument_id"]: row["quantity"] for row in reader.positions(account_id)}
        memory = boot.restore_memory(reader.memory_last(account_id))
        causes = boot.restore_causes(reader.trading_state_last(account_id))
        intents = reader.open_intents(account_id)
        losses = reader.losses(account_id)
        unplaced = reader.fills_unplaced(account_id)
        # A foreign position is on record too; only where we ever ordered is one ours.
        ordered = reader.instruments_ordered(account_id)
    ours = {i: quantity for i, quantity in recorded.items() if i in ordered}
    universe = boot.universe(settings, snapshot, ours)
    instrument_ids = universe.instrument_ids
    attestation = await boot.attest(venue, settings, snapshot, instrument_ids)
    instruments = [terms.rules for terms in attestation.instruments]
    run_ = Run(
        run_id=uuid.uuid4().hex,
        account_id=account_id,
        venue=venue.name,
        epoch=ledger.lease.epoch,
        observe=settings.mode == "observe",
        cycle_seconds=settings.cycle_seconds,
        slippage_bps_increase=settings.slippage_bps_increase,
        slippage_bps_reduction=settings.slippage_bps_reduction,
        leverage_ceiling=parameters.leverage_ceiling(settings),
        taker_fee_bps=attestation.taker_fee_bps or Decimal(repr(settings.fee_bps)),
        flatten_on_stop=settings.stop_policy == "flatten",
        account_age_ms_max=settings.account_ms_max,
        clock_offset_ms=attestation.clock_offset_ms,
        limits=parameters.risk_limits(settings),
        execution=parameters.execution_parameters(settings),
        foreign=ForeignPolicy(settings.foreign),
        unmanaged=universe.unmanaged,
        has_triggers=venue.has_triggers,
        protection=parameters.protection_parameters(settings) if venue.has_triggers else None,
    )
    state = boot.new_state(settings, run_, instruments, memory)
    state.causes |= causes
    state.market.set_clock_offset(round(attestation.clock_offset_ms * 1e6))
    boot.take_up_positions(state, recorded)
    boot.take_up_fills(state, unplaced)
    boot.take_up_intents(state, intents)
    boot.take_up_losses(state, losses)
    log.info("warming.started", instruments=len(instrument_ids))
    state.signals.warm(await boot.warm_candles(venue, instrument_ids, clock.now_ns()))
    log.info("warming.done")
    return state, attestation


@asynccontextmanager
async def _shadow(
    settings: Settings,
    gateway: wiring.Gateway,
    snapshot: AccountSnapshot,
    attestation: Attestation,
    ledger: Ledger,
    runner: Runner,
) -> AsyncIterator[Feed]:
    # Who hears the market: the engine, and after it the twin if there is to be one.
    if not settings.shadow:
        yield runner.feed
        return
    from counterpoise.app.shadow import keeping

    twin = keeping.Shadow(
        keeping.twin_dir(settings), ledger.journal, runner.state.run.run_id, SystemClock()
    )
    dsn = ledger.database.dsn
    await twin.start(
        lambda: keeping.introduced(settings, gateway.endpoints, snapshot, attestation, dsn)
    )
    watching = asyncio.ensure_future(twin.run())
    try:
        yield twin.heard_by(runner.feed)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await twin.stop()


async def _until_stopped(
    gateway: wiring.Gateway,
    runner: Runner,
    ledger: Ledger,
    stopped: "asyncio.Future[actions.StopDaemon]",
    watched: Mapping[str, Coroutine[Any, Any, None]],
    hear: Feed,
) -> actions.StopDaemon:
    instrument_ids = tuple(runner.state.instruments)
    works = {
        "market stream": gateway.market_feed(instrument_ids).run(hear),
        "account stream": gateway.account_feed(instrument_ids).run(runner.feed),
        "database": ledger.database.supervise(),
        "health": runner.mind_health(ledger.shipper, ledger.journal, ledger.lease),
        "ticks": runner.tick(),
        "cycles": runner.schedule(),
        **watched,
    }
    tasks: dict[asyncio.Future[Any], str] = {
        asyncio.ensure_future(work): name for name, work in works.items()
    }
    try:
        names = {**tasks, ledger.shipping: "shipping", ledger.beating: "lease"}
        waited: set[asyncio.Future[Any]] = {stopped, runner.broken, *names}
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if stopped in done:
            return stopped.result()
        for future in done:
            # Raises what broke; a task that ends by itself is as broken as one that raises.
            future.result()
        ended = ", ".join(names[future] for future in done if future in names)
        raise StartRefused(f"{ended} ended by itself; this is a defect")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if runner.broken.done():
            runner.broken.exception()


def _write_address(settings: Settings, status_port: int) -> None:
    # For other commands of this checkout: who runs, and where it answers.
    path = settings.state_dir / "daemon.json"
    beside = path.with_suffix(".new")
    beside.write_text(
        json.dumps(
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "status_port": status_port,
                "version": __version__,
            }
        )
    )
    beside.replace(path)
