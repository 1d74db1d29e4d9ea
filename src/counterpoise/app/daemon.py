"""The daemon: opens everything in order, runs until told to stop, closes in reverse.

A crash at any point is safe: the next start reads the ledger and the venue and goes on.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, Protocol

import structlog

from counterpoise.app import (
    address,
    boot,
    database,
    garbage,
    last_run,
    log_writer,
    parameters,
    recording,
    watches,
    wiring,
)
from counterpoise.app.clock import SystemClock
from counterpoise.app.last_run import LastRun
from counterpoise.app.narrator import Narrator
from counterpoise.app.refused_start import RefusedStart
from counterpoise.app.reloading import Reloader
from counterpoise.app.runner import Runner
from counterpoise.app.settings import Settings
from counterpoise.app.unix_signals import SignalDesk
from counterpoise.app.way_out import EXIT_FAILED, WayOut
from counterpoise.app.write_path import Ledger, open_ledger
from counterpoise.domain.account import AccountSnapshot, Attestation
from counterpoise.domain.errors import StartRefused
from counterpoise.domain.records import RunEnded
from counterpoise.engine import actions
from counterpoise.engine.run import ForeignPolicy, Run
from counterpoise.engine.state import State
from counterpoise.execution.performer import Performer
from counterpoise.ledger import controls
from counterpoise.ledger.lease import Lease
from counterpoise.ports import Clock, Feed
from counterpoise.status.server import StatusServer

log = structlog.get_logger(__name__)

#: Calls at work get this long at a stop, seconds.
DRAIN_SECONDS_MAX: Final = 1.0


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
    way_out = WayOut()
    try:
        return asyncio.run(_run(settings, opening, way_out, commanded=commanded))
    finally:
        # Whoever speaks next waits for the same reader: with one that stalls the way out stays
        # armed.
        if log_writer.drain():
            way_out.disarm()


async def _run(settings: Settings, opening: Opening, way_out: WayOut, *, commanded: bool) -> int:
    exit_code = EXIT_FAILED
    try:
        exit_code = await _lives(settings, opening, way_out, commanded=commanded)
    finally:
        # The loop's own threads are waited for from here on, however long a disk hangs.
        way_out.arm(exit_code)
    return exit_code


async def _lives(settings: Settings, opening: Opening, way_out: WayOut, *, commanded: bool) -> int:
    clock = SystemClock()
    desk = SignalDesk(
        clock,
        trades=settings.mode == "trade",
        flatten_on_stop=settings.stop_policy == "flatten",
    )
    desk.install()
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartRefused(f"the state directory cannot be made: {error}") from error
    life = asyncio.ensure_future(
        _live(settings, clock, desk, opening, way_out, commanded=commanded)
    )
    leave = asyncio.ensure_future(desk.stop_now.wait())
    await asyncio.wait({life, leave}, return_when=asyncio.FIRST_COMPLETED)
    leave.cancel()
    if not life.done():
        log.warning("daemon.stopped_at_once")
        life.cancel()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            return await life
    finally:
        if lost := desk.waiting():
            log.critical("stop.not_carried_out", signals=lost, reason="the engine never ran")
    return 130


async def _live(
    settings: Settings,
    clock: SystemClock,
    desk: SignalDesk,
    opening: Opening,
    way_out: WayOut,
    *,
    commanded: bool,
) -> int:
    async with (
        database.opened(settings) as opened,
        RefusedStart(settings, desk, opened.dsn, commanded=commanded) as start,
    ):
        gateway = await opening(settings, clock, fresh=settings.fresh)
        try:
            snapshot = await gateway.venue.account()
            start.account_id = snapshot.account_id
            name = f"{gateway.venue.name}:{snapshot.account_id}"
            async with open_ledger(settings, opened, name, clock, way_out) as ledger:
                await address.tell(settings.state_dir, snapshot.account_id, None)
                return await _trade(
                    settings, gateway, snapshot, ledger, clock, desk, commanded=commanded
                )
        finally:
            await gateway.venue.close()


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
    left = await last_run.read(ledger.database.dsn, snapshot.account_id)
    state, attestation = await _prepare(settings, gateway, snapshot, ledger, left, clock)
    garbage.settle()
    runner = Runner(state, clock)
    switch = watches.dead_man_of(settings, gateway.venue, runner, ledger.lease)
    async with _performing(gateway, ledger, runner, clock) as (performer, stopped):
        for record in recording.run_started(settings, state, attestation, gateway, clock):
            ledger.journal.append(record)
        performer.reconciler.since(*_take_up(state, left, ledger, clock))
        narrator = Narrator(runner, settings, clock)
        runner.watch(narrator.told)
        # Asked anew: the first answer is as old as the lease and the warm-up took.
        await performer.reconciler.reconcile("start")
        if not state.account.complete:
            raise StartRefused("the venue does not answer for the account; try again")
        reloader = Reloader(settings, state, ledger.journal, clock)
        desk.open(runner.feed, reloader.reload)
        async with StatusServer(
            settings.status_host, settings.status_port, narrator.status
        ) as status:
            await address.tell(settings.state_dir, state.run.account_id, status.port)
            narrator.started(status.port)
            watched = watches.of_venue(settings, gateway.venue, runner, clock, switch, attestation)
            if commanded:
                watched["controls"] = controls.watch(
                    ledger.database.dsn, runner.feed, clock=clock, account_id=state.run.account_id
                )
            async with _shadow(settings, gateway, snapshot, attestation, ledger, runner) as hear:
                ended_by = await _until_stopped(
                    gateway, runner, performer, ledger, stopped, watched, hear
                )
        if switch is not None and not state.orders.active:
            await switch.disarm()
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


@asynccontextmanager
async def _performing(
    gateway: wiring.Gateway, ledger: Ledger, runner: Runner, clock: Clock
) -> "AsyncIterator[tuple[Performer, asyncio.Future[actions.StopDaemon]]]":
    # The engine's hands; whichever way the daemon ends, no call outlives them.
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
        observe=runner.state.run.observe,
    )
    runner.attach(performer)
    try:
        yield performer, stopped
    finally:
        await _end_calls(performer, ledger.lease)


async def _end_calls(performer: Performer, lease: Lease) -> None:
    try:
        # Another daemon's orders may be at work by now: a fenced one waits for no answer.
        if not lease.fenced:
            await performer.drain(DRAIN_SECONDS_MAX)
    finally:
        await performer.end()


def _take_up(
    state: State, left: LastRun, ledger: Ledger, clock: SystemClock
) -> tuple[int, int | None]:
    # Goes on from what the record says; returns from when on the venue is asked, and the first
    # decision on record, before which nothing is; ns.
    for ended in boot.take_up_decisions(state, left.pairs, left.decisions, clock):
        ledger.journal.append(ended)
    state.account.transfers = left.transferred
    for row in left.transfers:
        state.transfers_seen[row["transfer_id"]] = None
    for row in left.fills:
        state.account.fills_seen[row["instrument_id"], row["fill_id"]] = None
    kept_ns = None if left.memory is None else left.memory["kept_ns"]
    return boot.asked_from_ns(left.last_fill_ns, kept_ns, clock), left.memory_first_ns


async def _prepare(
    settings: Settings,
    gateway: wiring.Gateway,
    snapshot: AccountSnapshot,
    ledger: Ledger,
    left: LastRun,
    clock: SystemClock,
) -> tuple[State, Attestation]:
    venue, account_id = gateway.venue, snapshot.account_id
    memory = boot.restore_memory(left.memory)
    causes = boot.restore_causes(left.trading_state)
    # A foreign position is on record too; only where we ever ordered is one ours.
    ours = {i: quantity for i, quantity in left.recorded.items() if i in left.ordered}
    universe = boot.universe(settings, snapshot, ours)
    instrument_ids = universe.instrument_ids
    attestation = await boot.attest(venue, settings, snapshot, instrument_ids, ledger.lease)
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
    boot.take_up_positions(state, left.recorded)
    boot.take_up_fills(state, left.unplaced)
    boot.take_up_instants(state, left.instants)
    boot.take_up_intents(state, left.intents)
    boot.take_up_losses(state, left.losses)
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
    performer: Performer,
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
        await _end_calls(performer, ledger.lease)
        if runner.broken.done():
            runner.broken.exception()
