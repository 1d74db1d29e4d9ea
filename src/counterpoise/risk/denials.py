"""Why an increase is refused: a fixed list in order of precedence, which is also its document."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class DenialReason(StrEnum):
    """The first of these that applies is the one given; the order is the precedence."""

    LEASE_NOT_HELD = "LEASE_NOT_HELD"
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"
    TRADING_HALTED = "TRADING_HALTED"
    TRADING_REDUCING = "TRADING_REDUCING"
    CEILING_INVALID = "CEILING_INVALID"
    ACCOUNT_DATA_MISSING = "ACCOUNT_DATA_MISSING"
    ACCOUNT_CONTRADICTORY = "ACCOUNT_CONTRADICTORY"
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN"
    EQUITY_NOT_POSITIVE = "EQUITY_NOT_POSITIVE"
    CLOCK_OFFSET = "CLOCK_OFFSET"
    FEED_LATENCY = "FEED_LATENCY"
    INSTRUMENT_UNKNOWN = "INSTRUMENT_UNKNOWN"
    INSTRUMENT_NOT_LIVE = "INSTRUMENT_NOT_LIVE"
    MARGIN_TIERS_UNKNOWN = "MARGIN_TIERS_UNKNOWN"
    INSTRUMENT_DATA_MISSING = "INSTRUMENT_DATA_MISSING"
    MARK_MISSING = "MARK_MISSING"
    HELD_MARK_MISSING = "HELD_MARK_MISSING"
    ORDER_UNRESOLVED = "ORDER_UNRESOLVED"
    QUANTITY_OFF_GRID = "QUANTITY_OFF_GRID"
    QUANTITY_TOO_SMALL = "QUANTITY_TOO_SMALL"
    QUANTITY_TOO_LARGE = "QUANTITY_TOO_LARGE"
    NOTIONAL_TOO_SMALL = "NOTIONAL_TOO_SMALL"
    PRICE_OFF_GRID = "PRICE_OFF_GRID"
    PRICE_TOO_FAR = "PRICE_TOO_FAR"
    MARGIN_TIER_EXCEEDED = "MARGIN_TIER_EXCEEDED"
    LEVERAGE_EXCEEDED = "LEVERAGE_EXCEEDED"


#: reason -> what it means and what the operator can do.
MEANINGS: Final[dict[DenialReason, str]] = {
    DenialReason.LEASE_NOT_HELD: "This daemon is not the account's only writer.",
    DenialReason.LEDGER_UNAVAILABLE: "Postgres does not take commits; nothing may increase.",
    DenialReason.TRADING_HALTED: "The trading state is HALTED; an operator must resume.",
    DenialReason.TRADING_REDUCING: "The trading state is REDUCING; only reductions go out.",
    DenialReason.CEILING_INVALID: "The configured leverage ceiling is not in (0, 3].",
    DenialReason.ACCOUNT_DATA_MISSING: "Account data is missing or stale.",
    DenialReason.ACCOUNT_CONTRADICTORY: "Account or order figures contradict each other.",
    DenialReason.EQUITY_UNKNOWN: "Equity at mark cannot be computed.",
    DenialReason.EQUITY_NOT_POSITIVE: "Equity is zero or less: leverage is infinite.",
    DenialReason.CLOCK_OFFSET: "The clock differs too much from the venue's, or is not measured.",
    DenialReason.FEED_LATENCY: "The p99 feed latency is above its limit, or not measured.",
    DenialReason.INSTRUMENT_UNKNOWN: "The instrument's rules are not known.",
    DenialReason.INSTRUMENT_NOT_LIVE: "The venue does not take orders in the instrument now.",
    DenialReason.MARGIN_TIERS_UNKNOWN: "The instrument's margin tiers are not known.",
    DenialReason.INSTRUMENT_DATA_MISSING: "An input of the instrument is missing or stale.",
    DenialReason.MARK_MISSING: "The instrument has no fresh mark.",
    DenialReason.HELD_MARK_MISSING: "Another held or ordered instrument has no fresh mark.",
    DenialReason.ORDER_UNRESOLVED: "An earlier order in the instrument is unresolved.",
    DenialReason.QUANTITY_OFF_GRID: "The quantity is not a multiple of the lot size.",
    DenialReason.QUANTITY_TOO_SMALL: "The quantity is below the venue's minimum.",
    DenialReason.QUANTITY_TOO_LARGE: "The quantity is above the venue's maximum for its kind.",
    DenialReason.NOTIONAL_TOO_SMALL: "The notional is below the venue's minimum.",
    DenialReason.PRICE_OFF_GRID: "The price limit is not a positive multiple of the tick size.",
    DenialReason.PRICE_TOO_FAR: "The price limit pays more than the slippage cap over the mark.",
    DenialReason.MARGIN_TIER_EXCEEDED: "The position could leave the venue's last margin tier.",
    DenialReason.LEVERAGE_EXCEEDED: "Worst-case leverage would be above the ceiling.",
}


#: Reasons that may pass by themselves within seconds, as data come and marks move.
PASSING: Final[frozenset[DenialReason]] = frozenset(
    {
        DenialReason.ACCOUNT_DATA_MISSING,
        DenialReason.ACCOUNT_CONTRADICTORY,
        DenialReason.EQUITY_UNKNOWN,
        DenialReason.CLOCK_OFFSET,
        DenialReason.FEED_LATENCY,
        DenialReason.INSTRUMENT_DATA_MISSING,
        DenialReason.MARK_MISSING,
        DenialReason.HELD_MARK_MISSING,
        DenialReason.PRICE_TOO_FAR,
        DenialReason.MARGIN_TIER_EXCEEDED,
        DenialReason.LEVERAGE_EXCEEDED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal by the gate, with the figures that spoke."""

    #: The first reason that applied.
    reason: DenialReason
    #: One sentence with the figures in it.
    message: str
    #: Figure name -> value as text.
    figures: dict[str, str] = field(default_factory=dict)


def document() -> str:
    """Return the text of `docs/denials.md`."""
    lines = [
        "# Denials",
        "",
        "Why the gate refuses an order that may increase exposure. The first reason that applies,",
        "in this order, is the one recorded. Reductions are never refused.",
        "",
        "A cycle's increases are judged together as well, before the first of them is sent: if one",
        "would be refused, none goes out (`denied together` in the decision's end), and the refusal",
        "is recorded once. A reason marked as passing is waited for before that, for seconds only.",
        "",
        "| reason | passes | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{reason.value}` | {'yes' if reason in PASSING else ''} | {MEANINGS[reason]} |"
        for reason in DenialReason
    ]
    return "\n".join(lines) + "\n"
