"""Carrying out one decision: phases in order, legs within a phase together.

A phase starts when every order of the one before is over. Reductions come first; when both sides
grow the hedges fill before the core, when both shrink the core before the hedges, and the second
of them is scaled by what the first really filled, so that no leg is left naked by a thin book.
What stands naked after the last phase is completed or unwound in further phases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from counterpoise.domain import rounding
from counterpoise.domain.orders import IntentSource, LegChange, LegRole
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.pairing import Pair
from counterpoise.engine.run import NAKED_NS_MAX

#: Orders of one leg that may end without filling whole before the leg is given up.
MISSES_MAX: Final = 3
#: Orders one leg is split into, those that are tried again included.
ORDERS_PER_LEG_MAX: Final = 20
#: A restart goes on with the next multiple of this, far above what a run can have sent, so that
#: no client order id comes twice even if the record lacks the last ones.
ATTEMPTS_PER_RUN: Final = 1_000

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


@dataclass(slots=True, kw_only=True)
class LegProgress:
    """How far one leg of a plan is."""

    #: What was decided.
    change: LegChange
    #: Base units to trade now: `change.quantity`, scaled when its phase starts.
    quantity: Decimal
    #: Base units filled.
    filled: Decimal = ZERO
    #: Orders sent.
    orders: int = 0
    #: Orders that ended without filling whole.
    misses: int = 0
    #: Misses at which it is given up.
    misses_max: int = MISSES_MAX
    #: The order at work; None = none.
    working_id: str | None = None
    #: True = the order at work waits in the book.
    resting: bool = False
    #: Until then it may wait in the book, ns; None = it has not waited yet.
    passive_until_ns: int | None = None
    #: True = it waits: a reduction for a position to be read again or a resting order to end, an
    #: increase until all of its plan's may be sent.
    held: bool = False
    #: It waits for a resting order until then at most, ns; 0 = it has not waited yet.
    held_until_ns: int = 0
    #: Nothing more will be sent for it.
    closed: bool = False

    @property
    def remaining(self) -> Decimal:
        """Base units still to trade."""
        return max(ZERO, self.quantity - self.filled)


@dataclass(slots=True, kw_only=True)
class PairProgress:
    """How naked a plan's pair has stood and what is done about it."""

    #: What was held and decided.
    pair: Pair
    #: Net beta exposure beyond the plan x seconds that may stand, quote x seconds.
    budget: Decimal
    #: What has stood so far.
    stood: Decimal = ZERO
    #: Exposure beyond the plan when last looked at, quote, and when, ns.
    naked: Decimal = ZERO
    looked_ns: int = 0
    #: When the last phase was over and what is left was looked at, ns; None = not yet.
    repairs_ns: int | None = None
    #: Since when it has been known to stand alone after the last phase, ns; None = it does not.
    stands_ns: int | None = None
    #: Since when the account has shown less than its increases executed, ns; None = it does not.
    denied_ns: int | None = None
    #: Rounds of completing and of unwinding begun.
    completings: int = 0
    unwindings: int = 0
    #: True = a round that reduces was begun.
    reduced: bool = False
    #: True = completing was tried after the budget was used up.
    last_tried: bool = False
    #: No round begins before, ns.
    next_ns: int = 0
    #: True = taken up by a restart.
    resumed: bool = False
    #: Base units that increases which ended before it filled, by instrument.
    increased_before: dict[str, Decimal] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """Rounds of what is being done now."""
        return self.unwindings or self.completings

    @property
    def used_up(self) -> bool:
        """True = the legs stood alone for as long as they may; a restart cannot know how long."""
        alone_ns = 0 if self.stands_ns is None else self.looked_ns - self.stands_ns
        return self.resumed or self.stood >= self.budget or alone_ns >= NAKED_NS_MAX

    @property
    def used_up_again(self) -> bool:
        """True = they stood alone for twice as long."""
        return self.stood >= 2 * self.budget

    @property
    def seconds(self) -> Decimal:
        """Seconds the whole leading leg would have stood alone for the same exposure."""
        return (self.stood / self.pair.notional).quantize(Decimal("0.001"))

    def look(self, naked: Decimal, now_ns: int) -> None:
        """Count what stood since the last look, and take what stands now."""
        if self.looked_ns and now_ns > self.looked_ns:
            self.stood += self.naked * (now_ns - self.looked_ns) / NS_PER_SECOND
        self.naked, self.looked_ns = naked, now_ns


@dataclass(slots=True, kw_only=True)
class Plan:
    """One decision under way."""

    decision_id: str
    source: IntentSource
    #: Legs by phase.
    phases: list[list[LegProgress]]
    started_ns: int
    #: Index of the phase at work.
    phase: int = 0
    #: When the phase at work began, ns.
    phase_ns: int = 0
    #: Phases of the decision itself; those behind repair its pair.
    phases_decided: int = 0
    #: Number of the next order per instrument, part of its client order id.
    attempts: dict[str, int] = field(default_factory=dict)
    #: The first number where an instrument has none yet.
    attempts_from: int = 0
    #: Client order ids sent, oldest first.
    order_ids: list[str] = field(default_factory=list)
    orders_sent: int = 0
    orders_filled: int = 0
    #: What went otherwise than planned, in words for the record.
    notes: list[str] = field(default_factory=list)
    #: True = increases are dropped (guard, pause, stop).
    reductions_only: bool = False
    #: None = no leg of it ever stands alone.
    pair: PairProgress | None = None

    @property
    def legs(self) -> list[LegProgress]:
        """Every leg of every phase that was decided."""
        return [leg for phase in self.phases[: self.phases_decided] for leg in phase]

    @property
    def done(self) -> bool:
        """True = every phase is over."""
        return self.phase >= len(self.phases)

    @property
    def leads(self) -> bool:
        """True = no increase of an earlier phase is there to be followed at once."""
        return not any(not leg.change.reduce_only for p in self.phases[: self.phase] for leg in p)

    @property
    def grows(self) -> bool:
        """True = an increase of the decision has filled or is at work."""
        increases = [leg for leg in self.legs if not leg.change.reduce_only]
        return any(leg.filled > 0 or leg.working_id is not None for leg in increases)

    @property
    def repairing(self) -> bool:
        """True = the phase at work completes or unwinds the pair."""
        return self.phases_decided <= self.phase < len(self.phases)

    def attempt(self, instrument_id: str) -> int:
        """Return the number of the next order in an instrument."""
        return self.attempts.get(instrument_id, self.attempts_from)

    def repair(self, changes: tuple[LegChange, ...], now_ns: int, *, misses_max: int) -> None:
        """Add a phase behind the last one and begin it."""
        legs = [LegProgress(change=c, quantity=c.quantity, misses_max=misses_max) for c in changes]
        self.phases.append(legs)
        self.phase = len(self.phases) - 1
        self.phase_ns = now_ns

    def note(self, words: str) -> None:
        """Keep a remark once."""
        if words not in self.notes:
            self.notes.append(words)


def attempts_after(last: int | None) -> int:
    """Return the first number a restart may use after `last`; None = none was used."""
    return 0 if last is None else (last // ATTEMPTS_PER_RUN + 1) * ATTEMPTS_PER_RUN


def make_plan(
    decision_id: str, source: IntentSource, changes: tuple[LegChange, ...], now_ns: int
) -> Plan:
    """Return the plan of a decision whose changes come in the order they are to be traded."""
    phases = _phases(source, changes)
    return Plan(
        decision_id=decision_id,
        source=source,
        phases=phases,
        phases_decided=len(phases),
        started_ns=now_ns,
        phase_ns=now_ns,
    )


def enter_phase(
    plan: Plan, lot_sizes: Mapping[str, Decimal], weights: Mapping[str, Decimal]
) -> None:
    """Scale the legs of the phase that starts by what the leg kind before it filled.

    `weights` is net beta exposure per base unit; an instrument without one counts by its part.
    """
    if plan.source is not IntentSource.CYCLE or plan.phase == 0 or plan.repairing:
        return
    legs, before = plan.phases[plan.phase], plan.phases[plan.phase - 1]
    if legs[0].change.reduce_only != before[0].change.reduce_only:
        return
    fraction = completion(before, weights)
    if fraction == ONE:
        return
    for leg in legs:
        if leg.closed:
            # Dropped before: there is nothing to scale.
            continue
        lot = lot_sizes[leg.change.instrument_id]
        leg.quantity = rounding.quantize_toward_zero(leg.change.quantity * fraction, lot)
        leg.closed = leg.quantity == 0
        plan.note(f"{leg.change.instrument_id} scaled to {fraction:.4f}: leg before part filled")


def completion(legs: list[LegProgress], weights: Mapping[str, Decimal]) -> Decimal:
    """Return the filled fraction of a phase, its legs weighed by their exposure; 0 to 1.

    The smallest fraction of any leg where a weight is missing.
    """
    whole = filled = ZERO
    for leg in legs:
        weight = abs(weights.get(leg.change.instrument_id, ZERO))
        if not weight:
            return min(min(ONE, leg.filled / leg.change.quantity) for leg in legs)
        whole += leg.change.quantity * weight
        filled += min(leg.filled, leg.change.quantity) * weight
    return filled / whole if whole else ONE


def _phases(source: IntentSource, changes: tuple[LegChange, ...]) -> list[list[LegProgress]]:
    # The guard and a flatten send everything at once: there is nothing to wait for.
    phases: list[list[LegProgress]] = []
    key: tuple[bool, LegRole] | None = None
    for change in changes:
        this = (change.reduce_only, change.leg)
        if not phases or (source is IntentSource.CYCLE and this != key):
            phases.append([])
        key = this
        phases[-1].append(LegProgress(change=change, quantity=change.quantity))
    return phases
