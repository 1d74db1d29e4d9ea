"""A daemon's core and rim, a modelled venue and a bad day, all in virtual time, from one seed."""

import asyncio
import contextlib
import copy
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import structlog

from counterpoise.app import boot, configuration, listing_watch, parameters
from counterpoise.app.runner import Runner
from counterpoise.app.settings import Settings
from counterpoise.domain import rounding
from counterpoise.domain.errors import CounterpoiseError, VenueError
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.records import Record
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.engine.run import Run
from counterpoise.engine.same_instant import STAMPS_APART_NS
from counterpoise.engine.state import State
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import OrderRefused
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.execution.performer import Performer
from counterpoise.signals.state import Signals
from counterpoise.simulator.venues import VenueName
from counterpoise.simulator.venues import parameters as venue_parameters
from memory_record import CrashableJournal, MemoryReader
from modelled_venue import ModelledVenue, Trouble
from virtual_loop import VirtualClock
from virtual_wire import key_of

#: The instruments of the world, core first.
NAMES: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CASH_START: Final = Decimal(10_000)
#: Every day meets a funding in the midst of its trouble.
FUNDING_NS: Final = 62_153 * 8 * 3_600 * NS_PER_SECOND
OPENED_NS: Final = FUNDING_NS - 135 * NS_PER_SECOND
#: Days of candles the signals are warmed with.
WARM_DAYS: Final = 4
#: Virtual seconds from one step of the market to the next.
STEP_SECONDS: Final = 1.0
CYCLE_SECONDS: Final = 15
#: The trouble lasts this long, then everything must come to its end within the quiet, seconds.
TROUBLE_SECONDS: Final = 75.0
#: Binance may carry out a reduction for 55 s after it was sent.
QUIET_SECONDS: Final = 95.0
#: What befalls account, daemon and market, and how often in proportion.
BEFALLS: Final = {
    "kill": 10, "shock": 8, "database": 4, "lease": 2, "transfer": 2, "withdrawal": 2,
    "liquidation": 1, "adl": 2, "market ends": 1, "nothing": 2,
}  # fmt: skip
#: A withdrawal leaves leverage below this.
WITHDRAWAL_LEVERAGE: Final = Decimal("2.6")
#: Of the markets that end, this part are a hedge's.
HEDGES_END: Final = 0.7
#: A start that the venue does not answer is tried again after this, seconds.
START_AGAIN_SECONDS: Final = 1.0


class AlwaysHeld:
    """The lease, which can be lost for a while."""

    def __init__(self) -> None:
        self.held = True
        self.fenced = False

    def may_increase(self) -> bool:
        """Return whether increases may be sent."""
        return self.held


class Shipping:
    """The shipper's health, as the journal has it."""

    def __init__(self, journal: CrashableJournal) -> None:
        self._journal = journal

    def health(self) -> tuple[bool, float]:
        """Return whether Postgres takes commits."""
        return self._journal.available, 0.0


@dataclass(slots=True, kw_only=True)
class World:
    """What one seed made of the day."""

    seed: int
    name: VenueName
    exchange: Exchange
    venue: ModelledVenue
    clock: VirtualClock
    #: The record, across all lives of the daemon.
    kept: list[Record]
    #: Highest gross / equity at the venue.
    leverage_max: Decimal = Decimal(0)
    #: What was done to it, in words.
    story: list[str] = field(default_factory=list)
    lives: int = 0
    #: What ended a life that nobody ended.
    broken: list[str] = field(default_factory=list)
    #: Marks of every step of the market: (venue clock, ns, quote per base by instrument).
    marks: list[tuple[int, dict[str, Decimal]]] = field(default_factory=list)
    #: When the trouble was over, ns; 0 = it is not.
    quiet_ns: int = 0
    #: The last life.
    daemon: "VirtualDaemon | None" = None


class VirtualDaemon:
    """One life of the daemon: the real engine, performer, resolver and reconciler."""

    def __init__(self, world: World, epoch: int, settings: Settings) -> None:
        self._world = world
        self._settings = settings
        self._epoch = epoch
        self.journal = CrashableJournal(world.clock, world.kept)
        self.permit = AlwaysHeld()
        self.runner: Runner | None = None
        self._performer: Performer | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        """Begin to live."""
        self._begin(self._live())

    def kill(self) -> None:
        """End as by kill -9: what was not synced is gone, what was sent is on its way."""
        self._world.venue.forget()
        for task in self._tasks:
            task.cancel()
        if self._performer is not None:
            for task in list(self._performer._tasks):
                task.cancel()
        self.journal.crash()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._world.broken.append(repr(task.exception()))

    async def _live(self) -> None:
        while True:
            try:
                await self._open()
            except (VenueError, CounterpoiseError):
                await asyncio.sleep(START_AGAIN_SECONDS)
            else:
                return

    async def _open(self) -> None:
        world, reader = self._world, MemoryReader(self._world.kept)
        # What is listed no more is taken out of the configuration by whoever starts it again.
        listed = tuple(name for name in _listed(world) if name != NAMES[0])
        settings = self._settings.model_copy(update={"hedge_candidates": listed})
        memory = boot.restore_memory(reader.memory_last())
        venue = await world.venue.adapter()
        followed = (settings.core_instrument, *settings.hedge_candidates)
        instruments = await venue.instruments(followed)
        state = boot.new_state(settings, run_of(self._epoch, settings, world), instruments, memory)
        state.causes |= boot.restore_causes(reader.trading_state_last())
        boot.take_up_positions(state, reader.positions())
        boot.take_up_instants(state, reader.last_instants(STAMPS_APART_NS))
        boot.take_up_intents(state, reader.open_intents())
        boot.take_up_losses(state, reader.losses())
        state.signals = copy.deepcopy(SIGNALS[world.seed % len(SIGNALS)])
        runner = Runner(state, world.clock)
        performer = Performer(
            venue=venue,
            journal=self.journal,
            permit=self.permit,
            clock=world.clock,
            feed=runner.feed,
            on_stop=self._stopped,
            on_broken=runner.break_off,
        )
        runner.attach(performer)
        account_id = world.venue.account_id
        pairs = reader.unfinished_pairs(account_id)
        decisions = reader.unfinished_decisions(account_id)
        for ended in boot.take_up_decisions(state, pairs, decisions, world.clock):
            self.journal.append(ended)
        self._remember(state, reader)
        asked_from_ns = boot.asked_from_ns(*reader.asked_from_ns(), world.clock)
        performer.reconciler.since(asked_from_ns, reader.memory_first_ns())
        self.runner, self._performer = runner, performer
        try:
            await performer.reconciler.reconcile("start")
            if not state.account.complete:
                raise VenueError("the venue does not answer")
        except VenueError:
            self.runner = self._performer = None
            raise
        symbols = {i: (venue.venue_symbol(i), venue.contract_size(i)) for i in followed}
        self._begin(world.venue.listen(runner.feed, symbols).run())
        self._begin(runner.tick())
        self._begin(runner.schedule())
        self._begin(runner.mind_health(Shipping(self.journal), self.journal, self.permit))  # type: ignore[arg-type]
        self._begin(self._mind(runner))
        self._begin(listing_watch.watch(venue, runner, world.clock))

    def _remember(self, state: State, reader: MemoryReader) -> None:
        from counterpoise.domain import records

        state.account.transfers = reader.transfers_since_memory()
        for row in reader.all(records.TransferSeen):
            state.transfers_seen[row.transfer_id] = None
        for fill in reader.all(records.FillSeen):
            state.account.fills_seen[fill.instrument_id, fill.fill_id] = None

    async def _mind(self, runner: Runner) -> None:
        await runner.broken

    def _stopped(self, action: actions.StopDaemon) -> None:
        self._world.broken.append(f"stopped by itself: {action.reason}")


def run_of(epoch: int, settings: Settings, world: World) -> Run:
    """Return what a life works by."""
    return Run(
        run_id=f"run{epoch}",
        account_id=world.venue.account_id,
        venue=world.name.value,
        epoch=epoch,
        observe=False,
        cycle_seconds=CYCLE_SECONDS,
        slippage_bps_increase=settings.slippage_bps_increase,
        slippage_bps_reduction=settings.slippage_bps_reduction,
        leverage_ceiling=parameters.leverage_ceiling(settings),
        taker_fee_bps=world.exchange.parameters.taker_fee_bps,
        flatten_on_stop=False,
        account_age_ms_max=settings.account_ms_max,
        clock_offset_ms=0.0,
        limits=parameters.risk_limits(settings),
        execution=parameters.execution_parameters(settings),
        has_triggers=True,
        protection=parameters.protection_parameters(settings),
    )


# -- the day ---------------------------------------------------------------------------------


def venue_of(seed: int) -> VenueName:
    """Return the venue a seed's day is at."""
    return random.Random(f"venue {seed}").choice(list(VenueName))


async def live_through(
    seed: int, name: VenueName | None = None, depth: float | None = None
) -> World:
    """Play a seed's day to its quiet end, at its venue and depth or at others."""
    draw = random.Random(seed)
    loop = asyncio.get_running_loop()
    name = name or venue_of(seed)
    depth = depth or depth_of(seed)
    parameters = market(name, seed % len(SIGNALS), depth, executions_of(seed))
    exchange = Exchange.create(parameters, OPENED_NS)
    account_id = key_of(name).account_id
    exchange.open_account(account_id, CASH_START)
    for instrument_id in NAMES:
        exchange.set_leverage(account_id, instrument_id, Decimal(3))
    # The deposit lies so far back that no start asks for it.
    exchange.advance(OPENED_NS + 90 * NS_PER_SECOND)
    clock = VirtualClock(loop, exchange.now_ns)
    venue = ModelledVenue(name, exchange, clock, random.Random(seed + 1), lag_ms=lag_of(seed))
    world = World(seed=seed, name=name, exchange=exchange, venue=venue, clock=clock, kept=[])
    with venue.in_virtual_time():
        await _live(world, draw)
    return world


async def _live(world: World, draw: random.Random) -> None:
    venue, clock, loop = world.venue, world.clock, asyncio.get_running_loop()
    venue.watchers.append(lambda: _watch(world))
    market_task = loop.create_task(venue.run(STEP_SECONDS))
    daemon = _next_life(world, SETTINGS[0])
    venue.trouble = trouble(draw)
    world.story.append(f"{world.name.value}, trouble {venue.trouble}")
    end = loop.time() + TROUBLE_SECONDS
    while loop.time() < end:
        await asyncio.sleep(draw.uniform(0.5, 9.0))
        daemon = await _befall(world, daemon, draw)
    venue.trouble = Trouble()
    world.quiet_ns = clock.now_ns()
    daemon.journal.available = daemon.permit.held = True
    await asyncio.sleep(QUIET_SECONDS)
    # Not in the middle of a cycle: what it trades needs a moment, and so do the stops after it.
    into_slot = clock.now_ns() / NS_PER_SECOND % CYCLE_SECONDS
    await asyncio.sleep((CYCLE_SECONDS - 2 - into_slot) % CYCLE_SECONDS)
    market_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await market_task
    venue.advance()
    if daemon.runner is not None and daemon.runner.broken.done():
        world.broken.append(repr(daemon.runner.broken.exception()))
    daemon.kill()


def _watch(world: World) -> None:
    state = world.exchange.account(world.venue.account_id)
    gross = sum((abs(p.quantity) * p.mark for p in state.positions.values()), Decimal(0))
    leverage = gross / state.equity if state.equity > 0 else Decimal(99)
    world.leverage_max = max(world.leverage_max, leverage)
    marks = {name: world.exchange.mark(name) for name in _listed(world)}
    world.marks.append((world.clock.now_ns(), marks))


def _next_life(world: World, settings: Settings) -> VirtualDaemon:
    world.lives += 1
    daemon = world.daemon = VirtualDaemon(world, world.lives, settings)
    daemon.start()
    return daemon


async def _befall(world: World, daemon: VirtualDaemon, draw: random.Random) -> VirtualDaemon:
    what = draw.choices(list(BEFALLS), list(BEFALLS.values()))[0]
    world.story.append(f"{world.clock.monotonic():.1f} {what}")
    match what:
        case "kill":
            daemon.kill()
            await asyncio.sleep(draw.uniform(0.2, 3.0))
            return _next_life(world, draw.choice(SETTINGS))
        case "shock":
            name, fraction = draw.choice(_listed(world)), draw.uniform(-0.03, 0.03)
            world.exchange.shock(name, fraction, draw.uniform(1.0, 5.0))
        case "liquidation" | "adl" | "market ends" | "withdrawal":
            _seized(world, what, draw)
        case "database":
            daemon.journal.available = False
            await asyncio.sleep(draw.uniform(0.5, 6.0))
            daemon.journal.available = True
        case "lease":
            daemon.permit.held = False
            await asyncio.sleep(draw.uniform(0.5, 3.0))
            daemon.permit.held = True
        case "transfer":
            world.venue.advance()
            world.venue.tell(
                world.exchange.transfer(world.venue.account_id, Decimal(draw.randint(50, 500)))
            )
    return daemon


def _listed(world: World) -> list[str]:
    return [each.instrument_id for each in world.exchange.instruments()]


def _seized(world: World, what: str, draw: random.Random) -> None:
    # What the venue does to the account by itself, or its owner behind the daemon's back.
    exchange = world.exchange
    world.venue.advance()
    held = sorted(exchange.account(world.venue.account_id).positions.items())
    if what == "withdrawal":
        # Never so much that it alone carried the book past the guard.
        account = exchange.account(world.venue.account_id)
        gross = sum((abs(p.quantity) * p.mark for _, p in held), Decimal(0))
        room = account.equity - gross / WITHDRAWAL_LEVERAGE
        change = min(Decimal(draw.randint(50, 400)), room.quantize(Decimal("0.01")))
        if change > 0:
            with contextlib.suppress(OrderRefused):
                world.venue.tell(exchange.transfer(world.venue.account_id, -change))
    elif what == "market ends":
        # Announced first; the core's announcement is taken back, a hedge's is not.
        name = draw.choice(NAMES[1:]) if draw.random() < HEDGES_END else NAMES[0]
        if name not in _listed(world) or len(_listed(world)) < len(NAMES):
            return
        world.story.append(f"    {name}")
        exchange.set_instrument_state(name, InstrumentState.CLOSING)
        after = draw.uniform(5.0, 40.0)
        asyncio.get_running_loop().call_later(after, _end_of_market, world, name)
    elif held and what == "adl":
        name, position = draw.choice(held)
        lot = exchange.instrument(name).lot_size
        part = Decimal(repr(round(draw.uniform(0.1, 1.0), 2)))
        quantity = max(lot, rounding.quantize_toward_zero(abs(position.quantity) * part, lot))
        world.venue.tell(exchange.force_reduce(world.venue.account_id, name, quantity=quantity))
    elif held:
        world.venue.tell(exchange.force_liquidate(world.venue.account_id))


def _end_of_market(world: World, name: str) -> None:
    if name not in _listed(world):
        return
    world.venue.advance()
    world.story.append(f"{world.clock.monotonic():.1f} {name} ends")
    if name == NAMES[0]:
        world.exchange.set_instrument_state(name, InstrumentState.LIVE)
    else:
        world.venue.tell(world.exchange.delist(name))


def trouble(draw: random.Random) -> Trouble:
    """Return a mix: some of what can go wrong, each now and then or often."""
    mixed = Trouble()
    most = {
        "request_lost": 0.3,
        "answer_lost": 0.3,
        "request_late": 0.3,
        "answer_empty": 0.2,
        "answer_unknown": 0.3,
        "unreachable": 0.3,
        "refused": 0.2,
        "partial": 0.6,
        "read_failed": 0.15,
        "slow": 0.3,
        "listed_late_seconds": 2.0,
        "positions_lag": 0.7,
        "position_left_out": 0.3,
        "push_stale": 0.4,
        "push_lost": 0.3,
        "push_twice": 0.5,
        "push_late": 0.4,
        "stream_breaks": 0.03,
    }
    for name in draw.sample(sorted(most), draw.randint(1, 6)):
        mixed = replace(mixed, **{name: draw.uniform(0.2, 1.0) * most[name]})
    return mixed


def depth_of(seed: int) -> float:
    """Return how deep a seed's books are, 1 = as the venue's; thin ones fill level by level."""
    draw = random.Random(seed + 2)
    return 1.0 if draw.random() < 1 / 2 else float(10 ** draw.uniform(-2, 0))


def lag_of(seed: int) -> int:
    """Return how much later than its executions a seed's venue stamps a position, ms."""
    draw = random.Random(seed + 4)
    return 0 if draw.random() < 1 / 2 else draw.randint(1, 30)


def executions_of(seed: int) -> int:
    """Return how many executions of one instant a seed's matches come in at most."""
    draw = random.Random(seed + 3)
    return 1 if draw.random() < 1 / 2 else draw.randint(2, 6)


def market(
    name: VenueName, number: int, depth: float = 1.0, executions: int = 1
) -> ExchangeParameters:
    """Return a venue's markets under its own rules, cheap to step: three, once a second."""
    whole = venue_parameters(name, demo=False)(number + 1)
    kept = [e for e in whole.instruments if e.instrument.instrument_id in NAMES]
    return replace(
        whole,
        instruments=tuple(replace(e, depth_quote=e.depth_quote * depth) for e in kept),
        step_ms=int(STEP_SECONDS * 1_000),
        executions_per_match=executions,
        history_days=WARM_DAYS,
        book_levels=10,
    )


def warmed(number: int) -> Signals:
    """Return signals that have seen a market's history."""
    # Every venue's markets move alike.
    exchange = Exchange.create(market(VenueName.OKX, number), OPENED_NS)
    settings = SETTINGS[0]
    strategy = parameters.strategy_parameters(settings)
    signals = Signals(
        strategy.core_instrument,
        strategy.side,
        NAMES,
        parameters.signal_parameters(settings),
    )
    signals.warm(
        {
            name: [
                (row.open_ns, 300, float(row.close))
                for row in exchange.candles(
                    name,
                    300,
                    OPENED_NS - WARM_DAYS * 86_400 * NS_PER_SECOND,
                    OPENED_NS,
                    kind="mark",
                )
                if row.confirmed
            ]
            for name in NAMES
        }
    )
    return signals


def _settings(core_allocation: float) -> Settings:
    with contextlib.suppress(RuntimeError):
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(50),
            cache_logger_on_first_use=False,
        )
    return configuration.load(
        "demo",
        state_dir=Path("/nonexistent"),
        hedge_candidates=NAMES[1:],
        cycle_seconds=CYCLE_SECONDS,
        passive_seconds=Decimal(2),
        core_allocation=core_allocation,
        latency_ms_max=5_000,
    )


#: A restart comes with one of these: the book is to be larger or smaller than it is.
SETTINGS: Final = [_settings(part) for part in (0.6, 0.4, 0.5)]
#: Few markets, many days: a seed's market is one of these, its day is its own.
SIGNALS: Final = [warmed(number) for number in range(4)]
