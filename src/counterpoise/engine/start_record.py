"""What the record and the executions told since make of a position when a daemon starts.

A process that died leaves positions and executions on record, and either may lack the other's last
row. What the venue holds is explained if any order of these rows leads to it; anything else moved
while nobody looked.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.orders import Fill

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInstant:
    """The last moment that a position has on record, and what was executed from it on.

    Messages of one moment may come in any order and be cut off anywhere: what was held before it
    and all its executions are certain, a row in between is not.
    """

    #: Venue clock, ns: the last row's stamp less what positions are stamped after executions.
    since_ns: int
    #: Signed base units on record with an earlier stamp; 0 = none is.
    before: Decimal
    #: Signed base units of executions on record from then on, by fill id.
    executions: dict[str, Decimal] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class StartRecord:
    """Executions that may explain the positions of a start, until these are explained."""

    #: Told before the positions of the start were explained, in the order told.
    fills: list[Fill] = field(default_factory=list)
    #: By instrument.
    instants: dict[str, RecordedInstant] = field(default_factory=dict)
    #: True = they are not explained yet.
    open: bool = True

    def told_fill(self, fill: Fill) -> None:
        """Keep an execution that may explain."""
        if self.open:
            self.fills.append(fill)

    def settle(self) -> None:
        """Forget everything: what is held is explained, or said to be not."""
        self.open = False
        self.fills.clear()
        self.instants.clear()

    def possible(self, instrument_id: str, recorded: Decimal) -> set[Decimal]:
        """Return signed base units that rows and executions lead to from the recorded position.

        Executions told now may be in it already: any end part of them explains.
        """
        fills = sorted(self.fills, key=lambda fill: fill.event_ns)
        fills = [fill for fill in fills if fill.instrument_id == instrument_id]
        told = [fill.signed_quantity for fill in fills]
        found = {recorded + sum(told[i:], ZERO) for i in range(len(told) + 1)}
        instant = self.instants.get(instrument_id)
        if instant is not None:
            since = {f.fill_id: f.signed_quantity for f in fills if f.event_ns >= instant.since_ns}
            found.add(instant.before + sum((instant.executions | since).values(), ZERO))
        return found
