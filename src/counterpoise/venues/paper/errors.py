"""What the modelled venue's refusals mean to the daemon."""

from typing import Final

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    PriceRefused,
    VenueError,
    VenueRejected,
)
from counterpoise.exchange.orders import OrderRefused, RefusalReason

_DOUBTFUL: Final = frozenset(
    {RefusalReason.REDUCE_ONLY_NO_POSITION, RefusalReason.REDUCE_ONLY_SAME_SIDE}
)

#: Code of a request that reached the model after its approval was over.
LATE: Final = "APPROVAL_OVER"


def code_of(reason: RefusalReason) -> str:
    """Return the code the record has for a refusal."""
    return reason.value.upper()


def refusal(refused: OrderRefused) -> VenueError:
    """Return a refused request as every venue's refusals are told."""
    words = f"paper: {refused.reason.value} ({refused.message})"
    code = code_of(refused.reason)
    if refused.reason is RefusalReason.CLIENT_ORDER_ID_DUPLICATE:
        # The copy was refused; the order that has the id may be alive.
        return OutcomeUnknown(words, code=code)
    if refused.reason in _DOUBTFUL:
        return PositionDoubtful(words, code=code)
    if refused.reason is RefusalReason.PRICE_OUT_OF_BAND:
        return PriceRefused(words, code=code)
    return VenueRejected(words, code=code)
