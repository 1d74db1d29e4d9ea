"""Carrying out one decision: phases in order, legs within a phase together.

A phase starts when every order of the one before is over. Reductions come first; when both sides
grow the hedges fill before the core, when both shrink the core before the hedges, and the second
of them is scaled by what the first really filled, so that no leg is left naked by a thin book.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from counterpoise.domain import rounding
from counterpoise.domain.orders import IntentSource, LegChange, LegRole

#: Orders sent for one leg of one decision.
ATTEMPTS_MAX: Final = 3

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
    attempts: int = 0
    #: The order at work; None = none.
    working_id: str | None = None
    #: Nothing more will be sent for it.
    closed: bool = False

    @property
    def remaining(self) -> Decimal:
        """Base units still to trade."""
        return max(ZERO, self.quantity - self.filled)


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
    orders_sent: int = 0
    orders_filled: int = 0
    #: What went otherwise than planned, in words for the record.
    notes: list[str] = field(default_factory=list)
    #: True = increases are dropped (guard, pause, stop).
    reductions_only: bool = False

    @property
    def legs(self) -> list[LegProgress]:
        """Every leg of every phase."""
        return [leg for phase in self.phases for leg in phase]

    @property
    def done(self) -> bool:
        """True = every phase is over."""
        return self.phase >= len(self.phases)

    def note(self, words: str) -> None:
        """Keep a remark once."""
        if words not in self.notes:
            self.notes.append(words)


def make_plan(
    decision_id: str, source: IntentSource, changes: tuple[LegChange, ...], now_ns: int
) -> Plan:
    """Return the plan of a decision whose changes come in the order they are to be traded."""
    return Plan(
        decision_id=decision_id,
        source=source,
        phases=_phases(source, changes),
        started_ns=now_ns,
        phase_ns=now_ns,
    )


def enter_phase(plan: Plan, lot_sizes: dict[str, Decimal]) -> None:
    """Scale the legs of the phase that starts by what the leg kind before it filled."""
    if plan.source is not IntentSource.CYCLE or plan.phase == 0:
        return
    legs, before = plan.phases[plan.phase], plan.phases[plan.phase - 1]
    if legs[0].change.reduce_only != before[0].change.reduce_only:
        return
    fraction = completion(before)
    if fraction == ONE:
        return
    for leg in legs:
        lot = lot_sizes[leg.change.instrument_id]
        leg.quantity = rounding.quantize_toward_zero(leg.change.quantity * fraction, lot)
        leg.closed = leg.quantity == 0
        plan.note(f"{leg.change.instrument_id} scaled to {fraction:.4f}: leg before part filled")


def completion(legs: list[LegProgress]) -> Decimal:
    """Return the smallest filled fraction of a phase's legs, 0 to 1."""
    return min(
        (min(ONE, leg.filled / leg.change.quantity) for leg in legs),
        default=ONE,
    )


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
