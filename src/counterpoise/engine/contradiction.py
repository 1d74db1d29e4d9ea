"""When the venue's whole answer is believed against what it told before.

Venues do not promise that an answer holds what they have pushed already: it may come from a copy
that lags, or lack a position altogether. What an answer proves newer by its own stamp is taken at
once; what it only denies is a contradiction, and is believed when a later answer says it too.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import Position
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine.run import CLOCKS_APART_NS

#: An answer may be this much older than its question, and our measure of the venue's clock wrong.
ANSWER_LAG_NS: Final = 2_500 * NS_PER_MS
#: Two answers that contradict what is known count as two if they were asked for this far apart.
CONFIRM_NS: Final = NS_PER_SECOND
#: A contradiction that nothing newer answers is believed then at the latest, whatever the venue's
#: clock seems to be.
CONTRADICTED_NS_MAX: Final = 2 * ANSWER_LAG_NS

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """What an answer says of a position against what is known, and is not believed yet."""

    #: Signed base units by the answer.
    quantity: Decimal
    #: When the first answer that said so was asked for, venue clock, ns.
    asked_ns: int
    #: When it arrived, our clock, ns.
    since_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A position that is flat because answers lacked it; no message told its end."""

    #: Signed base units whose end no execution has told yet.
    quantity: Decimal
    #: Venue clock when the last of those answers was asked for, ns.
    asked_ns: int


def is_newer(told: Position, known: Position, last: Position | None) -> bool:
    """Tell whether a message is at least as new as what is known of its position.

    `last` = the message before; `known` may have counted executions since. Venues stamp whole
    milliseconds, in which executions' numbers decide; with equal numbers a later message is taken:
    what the venue seizes has no number of its own (`is_before_seizure`).
    """
    ours, theirs = known.trade_sequence, told.trade_sequence
    if ours is not None and theirs is not None and 0 < theirs < ours:
        # Its stamp is of when it was made, which may be later than what it has in it.
        return False
    if told.event_ns > known.event_ns:
        return True
    if ours is None or theirs is None or ours == theirs:
        # With the number of an execution counted ahead of it, it is older than that by its stamp.
        counted = ours is not None and ours == theirs
        ahead = counted and (last is None or told.event_ns > last.event_ns)
        return told.event_ns == known.event_ns or ahead
    return theirs > ours


def is_before_seizure(told: Position, last: Position | None) -> bool:
    """Tell whether a message is of a moment before the last one, of the same number and stamp.

    Between two of them lies no execution of ours. What the venue seizes only takes away, so the
    smaller position is the later one.
    """
    if last is None or told.trade_sequence is None:
        return False
    same = told.trade_sequence == last.trade_sequence and told.event_ns == last.event_ns
    return same and abs(told.quantity) > abs(last.quantity)


def is_believed(
    known: Position, held: Contradiction | None, theirs: Decimal, asked_ns: int, received_ns: int
) -> bool:
    """Tell whether an answer that denies what is known is believed now.

    What changed shortly before the answer was asked for (`asked_ns`, venue clock) it may not have.
    Two answers are as far apart as their questions: one that is long under way is no newer for it.
    """
    if held is None or held.quantity != theirs:
        return False
    # Nor farther than their arrivals, should the measure of the venue's clock have jumped.
    age_ns = min(asked_ns - held.asked_ns, received_ns - held.since_ns)
    if age_ns >= CONTRADICTED_NS_MAX:
        return True
    return age_ns >= CONFIRM_NS and known.event_ns <= asked_ns - ANSWER_LAG_NS


def emptied(known: Position) -> Position:
    """Return a position as flat; its stamps stay those of the last that was really told."""
    return replace(
        known, quantity=ZERO, entry_price=None, unrealised_pnl=None, liquidation_price=None
    )


def restamped(told: Position, known: Position) -> Position:
    """Return what an answer tells of a position, as new as what is known and it agrees with."""
    return replace(
        told,
        event_ns=max(told.event_ns, known.event_ns),
        trade_sequence=max(
            (n for n in (told.trade_sequence, known.trade_sequence) if n is not None), default=None
        ),
    )


def explained(absence: Absence, fill: Fill) -> Absence | None:
    """Return what is left of an absence that an execution explains; None = it explains nothing."""
    closes = absence.quantity * fill.side.sign < 0
    if not closes or fill.event_ns > absence.asked_ns + CLOCKS_APART_NS:
        return None
    left = max(ZERO, abs(absence.quantity) - fill.quantity)
    return replace(absence, quantity=left.copy_sign(absence.quantity))
