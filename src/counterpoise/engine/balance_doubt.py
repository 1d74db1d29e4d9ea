"""When a balance of the venue's is believed against what fills, funding and marks make of it.

An answer may be half of one: a list of currencies without ours, a figure of 0. Equity decides how
much is held, and an equity that is gone closes the book; what really moves it that far is told by
executions, bills or marks as well, or goes on being told by every later balance.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.units import NS_PER_SECOND

#: Equity that nothing explains, as a fraction of what is known, before a balance is doubted.
JUMP_FRACTION: Final = Decimal("0.2")
#: What every balance has said for this long is believed, ns.
BELIEVED_NS: Final = 5 * NS_PER_SECOND
#: ... if none was silent for longer than this meanwhile: the first one counts anew then, ns.
SILENT_NS_MAX: Final = 60 * NS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceDoubt:
    """A balance that says something else than what is known, and is not believed yet."""

    #: Equity it comes to, quote.
    told: Decimal
    #: Equity as it is known, quote; None = not known before.
    known: Decimal | None
    #: When the first one that said so arrived, our clock, ns.
    since_ns: int
    #: When the last one did, our clock, ns.
    last_ns: int


def is_jump(known: Decimal | None, told: Decimal | None, *, holds: bool) -> bool:
    """Tell whether equity would go where nothing explains it; quote.

    None = not known, with which nothing can be held against the other. `holds` = something is
    held: then nothing, or less, is no equity to begin with.
    """
    if told is None:
        return False
    if known is None:
        return holds and told <= 0
    return known != 0 and abs(told - known) > JUMP_FRACTION * abs(known)


def doubted(
    before: BalanceDoubt | None, known: Decimal | None, told: Decimal, received_ns: int
) -> BalanceDoubt | None:
    """Return what is left to doubt of a balance that jumps; None = it is believed now."""
    since_ns = received_ns
    if before is not None and received_ns - before.last_ns <= SILENT_NS_MAX:
        since_ns = before.since_ns
    if received_ns - since_ns >= BELIEVED_NS:
        return None
    return BalanceDoubt(told=told, known=known, since_ns=since_ns, last_ns=received_ns)
