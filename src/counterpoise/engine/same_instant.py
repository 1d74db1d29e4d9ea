"""Which executions of one instant a position message of that instant has in it.

Venues stamp whole milliseconds, and an order that takes two levels of a book fills twice in one:
execution, position, execution, position, all with one stamp. Without numbers only the quantity
tells which executions a message has. Within an instant executions of one direction add up and
messages show how far that went, so that what is counted is whichever went further, and neither is
counted twice, in whatever order they arrive.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from counterpoise.domain.account import Position
from counterpoise.domain.orders import Fill

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """What executions and messages of one stamp told of one position."""

    #: Venue clock, ns.
    event_ns: int
    #: Signed base units held before it.
    before: Decimal
    #: Stamp of what `before` was told with, ns.
    since_ns: int
    #: Signed base units of its executions told so far; never against `shown`.
    executed: Decimal = ZERO
    #: Signed base units by which its last message differs from `before`.
    shown: Decimal = ZERO

    @property
    def ahead(self) -> Decimal:
        """Signed base units that its messages show and no execution has told."""
        return self.shown - self.executed if abs(self.shown) > abs(self.executed) else ZERO

    @property
    def quantity(self) -> Decimal:
        """Signed base units held with all that was told of it."""
        return self.before + (self.executed + self.ahead)

    def is_behind(self, quantity: Decimal) -> bool:
        """Tell whether a message of this quantity is of a moment before the last one told.

        What the venue takes in the very instant of a fill of ours is told by its execution.
        """
        change, told = quantity - self.before, self.executed + self.ahead
        return change * told >= 0 and abs(change) < abs(told)


def with_message(instant: Instant | None, known: Position, told: Position) -> Instant:
    """Return the instant of a message that is taken; `known` = the position before it."""
    if instant is None or instant.event_ns != told.event_ns:
        instant = Instant(event_ns=told.event_ns, before=known.quantity, since_ns=known.event_ns)
    change = told.quantity - instant.before
    if change * instant.executed < 0:
        # Something else turned the position: all that was executed before is in it.
        return replace(instant, before=told.quantity, executed=ZERO, shown=ZERO)
    return replace(instant, shown=change)


def with_fill(instant: Instant | None, known: Position, fill: Fill) -> tuple[Instant, Decimal]:
    """Return the instant of an execution that no message of a later stamp has in it.

    And the signed base units by which it moves the position: what its messages do not show.
    """
    quantity = fill.signed_quantity
    if instant is None or instant.event_ns < fill.event_ns:
        begun = Instant(event_ns=fill.event_ns, before=known.quantity, since_ns=known.event_ns)
        return replace(begun, executed=quantity), quantity
    if instant.event_ns > fill.event_ns:
        return replace(instant, before=instant.before + quantity), quantity
    if quantity * (instant.executed + instant.ahead) < 0:
        turned = replace(instant, before=instant.quantity, executed=quantity, shown=ZERO)
        return turned, quantity
    after = replace(instant, executed=instant.executed + quantity)
    return after, after.quantity - instant.quantity


def without(instant: Instant, fill: Fill) -> Instant:
    """Return the instant after an execution of an earlier stamp that its message has in it."""
    quantity, ahead = fill.signed_quantity, instant.ahead
    if fill.event_ns <= instant.since_ns or quantity * ahead <= 0:
        return instant
    part = quantity if abs(quantity) < abs(ahead) else ahead
    return replace(instant, before=instant.before + part, shown=instant.shown - part)
