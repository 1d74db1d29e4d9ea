"""Which positions an account may hold in an instrument, and what its own orders do to each other."""

from enum import StrEnum

from counterpoise.domain.orders import Side


class PositionMode(StrEnum):
    """How many positions an account has per instrument."""

    #: One signed position.
    ONE_WAY = "one_way"
    #: A long one and a short one beside each other.
    HEDGE = "hedge"


class PositionSide(StrEnum):
    """Which of an instrument's positions is meant."""

    #: The one signed position of one-way mode.
    NET = "net"
    #: The long one of hedge mode.
    LONG = "long"
    #: The short one of hedge mode.
    SHORT = "short"

    @property
    def opening(self) -> Side | None:
        """The only side that grows it; None = both may."""
        return {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}.get(self)


class SelfTradeMode(StrEnum):
    """What happens when a taker meets an order of its own account; the taker's mode governs."""

    #: They trade with each other.
    NONE = "none"
    #: The order in the book goes.
    CANCEL_MAKER = "cancel_maker"
    #: The taker's rest goes.
    CANCEL_TAKER = "cancel_taker"
    #: Both go.
    CANCEL_BOTH = "cancel_both"


def position_key(instrument_id: str, position_side: PositionSide) -> str:
    """Return the name of a position: the instrument's own, with the side behind it in hedge mode."""
    if position_side is PositionSide.NET:
        return instrument_id
    return f"{instrument_id}:{position_side.value}"
