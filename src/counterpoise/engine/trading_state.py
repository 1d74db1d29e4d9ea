"""What holds the daemon back, and the trading state that follows from it.

A state is never set: causes are added and removed, and the strictest one speaks.
"""

from enum import StrEnum
from typing import Final

from counterpoise.domain.account import TradingState


class Cause(StrEnum):
    """Why the daemon may do less than everything."""

    #: A person paused it or asked for a flatten, also before a stop; persisted, left by `resume`.
    OPERATOR = "operator"
    #: Postgres takes no commits.
    DATABASE = "database"
    #: The lease is not held for certain.
    LEASE = "lease"
    #: The account's stream is down, or what it missed is not known yet.
    ACCOUNT = "account"
    #: A flatten that was asked for, or that a stop begins with, is not done; persisted until
    #: nothing is held and no increase may still fill.
    FLATTENING = "flattening"
    #: Our positions or cash and the venue's differ; left by a clean reconciliation.
    DRIFT = "drift"
    #: An order or position that is not ours is on the account.
    FOREIGN = "foreign"
    #: The clock differs too much from the venue's, or has not been measured for too long.
    CLOCK = "clock"
    #: Account, key or instruments are not set up any more as they were at the start of the run.
    ATTESTATION = "attestation"
    #: The venue does not take ordinary orders in the core's instrument.
    CORE = "core"
    #: A stop is under way.
    STOPPING = "stopping"
    #: An invariant broke; persisted, left by `resume --from-halt`.
    INVARIANT = "invariant"


#: Cause -> what it means and what ends it, for `counterpoise resume --explain`.
MEANINGS: Final[dict[Cause, tuple[str, str]]] = {
    Cause.OPERATOR: ("A person paused it.", "`counterpoise resume`"),
    Cause.DATABASE: ("Postgres takes no commits.", "by itself, once Postgres answers"),
    Cause.LEASE: (
        "This daemon is not certainly the account's only writer.",
        "by itself, once its heartbeat reaches Postgres",
    ),
    Cause.ACCOUNT: (
        "The account's stream is down, or what it missed is not known yet.",
        "by itself, once the stream is back and the venue answered for the account",
    ),
    Cause.FLATTENING: (
        "A flatten is not done.",
        "by itself, once nothing is held or may still fill; `counterpoise resume` gives it up",
    ),
    Cause.DRIFT: (
        "Executions, funding and transfers do not explain the account.",
        "by itself, with the next reconciliation that adds up; read the incident",
    ),
    Cause.FOREIGN: (
        "Orders or positions on the account are not the daemon's.",
        "by itself, once they are gone; COUNTERPOISE_FOREIGN says what else may be done",
    ),
    Cause.CLOCK: (
        "The clock is too far from the venue's, or not measured.",
        "by itself, once it is measured near enough; synchronise it (NTP)",
    ),
    Cause.ATTESTATION: (
        "Account, key or instruments are not set up as they were at the start; read the incident.",
        "by itself, once they are again; a restart takes them as they are",
    ),
    Cause.CORE: (
        "The venue does not take ordinary orders in the core's instrument, or announced its end.",
        "by itself, once the instrument is live again",
    ),
    Cause.STOPPING: ("A stop is under way.", "the daemon ends"),
    Cause.INVARIANT: (
        "An invariant broke: a defect of ours, or figures that cannot be.",
        "read the incident, then `counterpoise resume --from-halt`",
    ),
}

#: Causes that allow no strategy orders at all.
HALTING: Final = frozenset({Cause.INVARIANT})

#: Causes that a restart must find again.
PERSISTED: Final = frozenset({Cause.OPERATOR, Cause.INVARIANT, Cause.FLATTENING})


def trading_state(causes: frozenset[Cause]) -> TradingState:
    """Return the state that a set of causes allows."""
    if causes & HALTING:
        return TradingState.HALTED
    return TradingState.REDUCING if causes else TradingState.ACTIVE
