"""What a simulator is opened with, and the floor that comes of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from counterpoise.domain import units
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios.bars import fitted
from counterpoise.exchange.scenarios.script import Scenario, ScenarioFault
from counterpoise.simulator import files
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.fault_kinds import check_venue
from counterpoise.simulator.faults import Fault, FaultPlan
from counterpoise.simulator.links import Links
from counterpoise.simulator.store import StateUnreadable, Store
from counterpoise.simulator.venue import RunningVenue
from counterpoise.simulator.venues import VenueName, parameters
from counterpoise.simulator.wire import Floor

#: Cash of a new account, quote, if none is asked for.
WALLET_START: Final = Decimal(10_000)
#: When a lock-step market opens if nothing is said, ns: the same instant for every run, a minute
#: before a funding so that a short rehearsal meets one.
LOCK_STEP_OPENED_NS: Final = (1_767_225_600 - 60) * units.NS_PER_SECOND
#: Name the fault plan is stored under.
_FAULTS: Final = "faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a simulator is opened with."""

    #: Whose protocol is spoken.
    venue: VenueName = VenueName.OKX
    #: Decides a new market's path and every draw of a fault.
    seed: int
    #: Cash of an account that has to be opened, quote.
    wallet: Decimal = WALLET_START
    #: Market seconds per second of the wall clock; 0 = lock-step.
    speed: float = 1.0
    #: When a new market opens, ns; None = now, or at a fixed instant in lock-step.
    opened_ns: int | None = None
    #: What plays; None = the ordinary market.
    scenario: Scenario | None = None
    #: Market seconds a new market has been open for when the first client comes: a scenario is
    #: joined there. An account of the venue begins then, too.
    start_at_seconds: float = 0.0
    #: True = the demonstration's rules instead of the venue's own.
    demo: bool = False
    #: True = the key follows from the seed and nothing is made to survive the process.
    ephemeral: bool = False
    #: Where every event is written, one canonical JSON line each; None = nowhere.
    event_log: Path | None = None
    #: Weight of requests a minute that a venue which counts it allows; None = the venue's own.
    weight_minute: int | None = None


class FaultUnknown(ValueError):
    """A scenario schedules a fault the simulator does not know; the message names it."""


def open_floor(state_dir: Path, opening: Opening) -> tuple[Floor, Store]:
    """Return the floor of a state directory, opened as it was left or anew.

    StateUnreadable: the directory is another venue's. FaultUnknown: see there.
    """
    store = Store(files.store_path(state_dir), durable=not opening.ephemeral)
    kept = store.value("venue") or (VenueName.OKX.value if store.whole() else None)
    if kept not in (None, opening.venue.value):
        store.close()
        raise StateUnreadable(f"{state_dir} is a state of {kept}; start it with --fresh")
    store.put("venue", opening.venue.value)
    is_new = store.whole() is None
    clock = _clock(store, opening)
    faults = _faults(store, opening, clock)
    start_ns = round(opening.start_at_seconds * units.NS_PER_SECOND) if is_new else 0
    venue = RunningVenue.open(
        store,
        seed=opening.seed,
        now_ns=clock.now_ns() - start_ns,
        parameters=_markets(opening),
        scenario=opening.scenario,
        faults=faults,
    )
    if start_ns:
        venue.advance(venue.exchange.now_ns + start_ns)
        venue.keep()
    if opening.speed != 1:
        clock.restart(venue.exchange.now_ns)
    seed = opening.seed if opening.ephemeral else None
    credentials = files.read_credentials(state_dir) or files.make_credentials(state_dir, seed=seed)
    if credentials.account_id not in venue.exchange.account_ids():
        venue.open_account(credentials.account_id, opening.wallet)
    floor = Floor(
        venue=venue,
        credentials=credentials,
        faults=faults,
        links=Links(faults, clock),
        weight_minute=opening.weight_minute,
    )
    return floor, store


def _faults(store: Store, opening: Opening, clock: Clock) -> FaultPlan:
    # The draws are of the seed the venue was opened with, whatever this start was given.
    def keep(saved: bytes, ordered: bool) -> None:  # noqa: FBT001  (the plan calls it)
        write = store.put if ordered else store.put_lightly
        write(_FAULTS, saved.decode())

    faults = FaultPlan(clock, seed=int(store.value("seed") or opening.seed), keep=keep)
    saved = store.value(_FAULTS)
    if saved is not None:
        try:
            faults.restore(saved.encode())
        except msgspec.DecodeError as wrong:
            store.close()
            raise StateUnreadable(f"faults: {wrong}; start it with --fresh") from wrong
    return faults


def _markets(opening: Opening) -> Callable[[int], ExchangeParameters]:
    # Of real bars only the markets that have some, and they open where their bars do.
    made = parameters(opening.venue, demo=opening.demo)
    bars = None if opening.scenario is None else opening.scenario.bars
    return made if bars is None else lambda seed: fitted(made(seed), bars)


def _clock(store: Store, opening: Opening) -> Clock:
    opened_ns = opening.opened_ns
    if opened_ns is None and opening.speed == 0:
        opened_ns = LOCK_STEP_OPENED_NS
    if opened_ns is not None:
        opened_ns += round(opening.start_at_seconds * units.NS_PER_SECOND)
    if opening.speed != 1 and store.whole() is not None:
        # A market that does not follow the wall clock goes on where it was left.
        opened_ns = 0
    if opened_ns is None and opening.speed != 1:
        # Real bars begin with a whole bar of the clock: open on one, so that they begin at once.
        bars = None if opening.scenario is None else opening.scenario.bars
        grid_ns = (1 if bars is None else bars.step_seconds) * units.NS_PER_SECOND
        opened_ns = time.time_ns() // grid_ns * grid_ns
    return Clock(speed=opening.speed, opened_ns=opened_ns)


def schedule(floor: Floor, instrument_of: Callable[[str], str | None], venue: VenueName) -> None:
    """Arm the faults of the scenario that are to come or last. FaultUnknown: see there.

    Once in a venue's life: what is left of them is written down with all others.
    """
    exchange = floor.venue.exchange
    if exchange.scenario is None or floor.faults.restored:
        return
    for each in exchange.scenario.faults:
        fault = _fault(each)
        due_ns = exchange.opened_ns + round(each.at_seconds * units.NS_PER_SECOND)
        named = instrument_of(fault.symbol) if fault.symbol else ""
        if named is None:
            raise FaultUnknown(f"{each.kind}: symbol={fault.symbol!r} is not listed")
        try:
            check_venue(fault.kind, venue.value)
        except ValueError as absent:
            raise FaultUnknown(str(absent)) from absent
        lasts_ns = round((each.duration_seconds or 0) * units.NS_PER_SECOND)
        if due_ns + lasts_ns >= exchange.now_ns:
            floor.faults.add(fault, named, from_ns=due_ns)


def _fault(each: ScenarioFault) -> Fault:
    count = each.count
    if count is None:
        count = 1 if each.duration_seconds is None else 0
    body = {
        **dict(each.arguments),
        "kind": each.kind,
        "probability": each.probability,
        "count": count,
        "duration_seconds": each.duration_seconds,
    }
    if "value" in body:
        body["value"] = str(body["value"])
    try:
        return msgspec.convert(body, Fault)
    except msgspec.ValidationError as wrong:
        raise FaultUnknown(f"fault at {each.at_seconds:g} s: {wrong}") from wrong
