"""Which executions of one instant a position message of that instant has in it.

Venues stamp whole milliseconds, and an order that takes two levels of a book fills twice in one:
execution, position, execution, position, all with one stamp. Where the venue numbers its executions
these say which of them a message has, and what is held; an order's end tells no number, so that
what it filled and nothing shows is a matter of quantity there, too. Without numbers only the
quantity tells which executions a message has. Within an instant executions of one direction add up and
messages show how far that went, so that what is counted is whichever went further, and neither is
counted twice, in whatever order they arrive. A message may be stamped a little later than what it
has in it; it belongs to the same instant.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import Position
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_MS

#: A position is stamped this long after the last execution that it has at most.
STAMPS_APART_NS: Final = 50 * NS_PER_MS

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """What executions of one stamp, and the messages that may have them, told of one position."""

    #: The stamp of the last told of it, venue clock, ns.
    event_ns: int
    #: Signed base units held before it.
    before: Decimal
    #: Stamp of the message before, ns: what happened up to then may be in `before` untold.
    since_ns: int
    #: Signed base units of its executions told so far, in the order told; never against `shown`.
    executions: tuple[Decimal, ...] = ()
    #: Signed base units by which its last message differs from `before`.
    shown: Decimal = ZERO

    @property
    def executed(self) -> Decimal:
        """Signed base units of its executions told so far."""
        return sum(self.executions, ZERO)

    @property
    def ahead(self) -> Decimal:
        """Signed base units that its messages show and no execution has told."""
        return self.shown - self.executed if abs(self.shown) > abs(self.executed) else ZERO

    @property
    def quantity(self) -> Decimal:
        """Signed base units held with all that was told of it."""
        return self.before + (self.executed + self.ahead)

    def ahead_at(self, event_ns: int) -> Decimal | None:
        """Return `ahead` if its message may be of a moment between executions of that stamp.

        None = it has all of them, or is too old for any.
        """
        near = max(self.since_ns, self.event_ns - STAMPS_APART_NS - 1) < event_ns <= self.event_ns
        return self.ahead if near else None

    def is_behind(self, quantity: Decimal, event_ns: int) -> bool:
        """Tell whether a message of this quantity and stamp is of a moment before the last told.

        What the venue takes in the very instant of a fill of ours is told by its execution.
        """
        change, told = quantity - self.before, self.executed + self.ahead
        return self.has(event_ns) and change * told >= 0 and abs(change) < abs(told)

    def joins(self, quantity: Decimal, event_ns: int) -> bool:
        """Tell whether a message of this quantity and stamp is one of its messages.

        A later one that goes the other way is of a change of its own, whose execution is to come.
        """
        change = quantity - self.before
        against = change * (self.executed + self.ahead) < 0
        return event_ns == self.event_ns or (self.has(event_ns) and not against)

    def has(self, event_ns: int) -> bool:
        """Tell whether a message of this stamp may be of a moment between its executions."""
        late = self.event_ns < event_ns <= self.event_ns + STAMPS_APART_NS
        return event_ns == self.event_ns or (late and len(self.executions) > 0)


def with_message(instant: Instant | None, held: Decimal, told: Position, since_ns: int) -> Instant:
    """Return the instant of a message that is taken.

    `held` = signed base units before it, `since_ns` = stamp of the message before.
    """
    if instant is None or not instant.joins(told.quantity, told.event_ns):
        instant = Instant(event_ns=told.event_ns, before=held, since_ns=since_ns)
    instant = replace(instant, event_ns=told.event_ns)
    change = told.quantity - instant.before
    if change * instant.executed < 0:
        # Something else turned the position: all that was executed before is in it.
        return replace(instant, before=told.quantity, executions=(), shown=ZERO)
    return replace(instant, shown=change)


def with_fill(
    instant: Instant | None, held: Decimal, fill: Fill, since_ns: int
) -> tuple[Instant, Decimal]:
    """Return the instant of an execution that no message of a later stamp has in it.

    And the signed base units by which it moves the position: what its messages do not show.
    `held` = signed base units before it, `since_ns` = stamp of the message before.
    """
    quantity = fill.signed_quantity
    if instant is None or instant.event_ns < fill.event_ns:
        begun = Instant(event_ns=fill.event_ns, before=held, since_ns=since_ns)
        return replace(begun, executions=(quantity,)), quantity
    if instant.event_ns > fill.event_ns:
        return replace(instant, before=instant.before + quantity), quantity
    return _added(instant, quantity)


def with_earlier_fill(instant: Instant, fill: Fill) -> tuple[Instant, Decimal]:
    """Return the instant of a message after an execution of an earlier stamp.

    And the signed base units by which that moves the position: what the message does not show.
    """
    if instant.ahead_at(fill.event_ns) is None:
        return _known_late(instant, fill), ZERO
    return _added(instant, fill.signed_quantity)


def with_numbered_fill(
    instant: Instant | None, held: Decimal, fill: Fill, moved: Decimal, since_ns: int
) -> Instant | None:
    """Return the instant after an execution whose number says what it moves, `moved` base units.

    What is held less what was before is shown, so that only executions untold are ahead of it.
    None = what was held before is not known. `held` and `since_ns` as of `with_fill`.
    """
    if instant is None or instant.event_ns < fill.event_ns:
        if moved == 0:
            return instant
        instant = Instant(event_ns=fill.event_ns, before=held, since_ns=since_ns)
    elif instant.event_ns > fill.event_ns and instant.ahead_at(fill.event_ns) is None:
        if moved == 0:
            return _known_late(instant, fill)
        return replace(instant, before=instant.before + moved)
    quantity = fill.signed_quantity
    if quantity * (instant.executed + instant.ahead) < 0:
        return replace(instant, before=held, executions=(quantity,), shown=moved)
    executions = (*instant.executions, quantity)
    return replace(instant, executions=executions, shown=instant.shown + moved)


def _known_late(instant: Instant, fill: Fill) -> Instant:
    # It happened before the instant and after the message before: its messages show it, too, and
    # what they show of the instant's own executions is less by that.
    if fill.event_ns <= instant.since_ns:
        return instant
    quantity = fill.signed_quantity
    return replace(instant, before=instant.before + quantity, shown=instant.shown - quantity)


def _added(instant: Instant, quantity: Decimal) -> tuple[Instant, Decimal]:
    if quantity * (instant.executed + instant.ahead) < 0:
        turned = replace(instant, before=instant.quantity, executions=(quantity,), shown=ZERO)
        return turned, quantity
    after = replace(instant, executions=(*instant.executions, quantity))
    return after, after.quantity - instant.quantity
