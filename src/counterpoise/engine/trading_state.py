"""What holds the daemon back, and the trading state that follows from it.

A state is never set: causes are added and removed, and the strictest one speaks.
"""

from enum import StrEnum
from typing import Final

from counterpoise.domain.account import TradingState


class Cause(StrEnum):
    """Why the daemon may do less than everything."""

    #: A person paused it or asked for a flatten; persisted, left by `resume`.
    OPERATOR = "operator"
    #: Postgres takes no commits.
    DATABASE = "database"
    #: The lease is not held for certain.
    LEASE = "lease"
    #: The account's stream is down, or what it missed is not known yet.
    ACCOUNT = "account"
    #: A person asked for a flatten that is not done; persisted until nothing is held.
    FLATTENING = "flattening"
    #: Our positions or cash and the venue's differ; left by a clean reconciliation.
    DRIFT = "drift"
    #: An order or position that is not ours is on the account.
    FOREIGN = "foreign"
    #: A stop is under way.
    STOPPING = "stopping"
    #: An invariant broke; persisted, left by `resume --from-halt`.
    INVARIANT = "invariant"


#: Causes that allow no strategy orders at all.
HALTING: Final = frozenset({Cause.INVARIANT})

#: Causes that a restart must find again.
PERSISTED: Final = frozenset({Cause.OPERATOR, Cause.INVARIANT, Cause.FLATTENING})


def trading_state(causes: frozenset[Cause]) -> TradingState:
    """Return the state that a set of causes allows."""
    if causes & HALTING:
        return TradingState.HALTED
    return TradingState.REDUCING if causes else TradingState.ACTIVE
