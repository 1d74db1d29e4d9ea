"""Every code a decision may give as a reason, and what it means. One list, also in the docs."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class ReasonCode(StrEnum):
    """Fixed names; the ledger stores them, so none is ever renamed."""

    CORE_STALE = "CORE_STALE"
    ACCOUNT_STALE = "ACCOUNT_STALE"
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN"
    EQUITY_NOT_POSITIVE = "EQUITY_NOT_POSITIVE"
    HELD_MARK_MISSING = "HELD_MARK_MISSING"
    TRADING_HALTED = "TRADING_HALTED"
    TRADING_REDUCING = "TRADING_REDUCING"
    RULE_SKIPPED = "RULE_SKIPPED"
    REGIME_RAISED = "REGIME_RAISED"
    REGIME_LOWERED = "REGIME_LOWERED"
    VOLATILITY_ABOVE_TARGET = "VOLATILITY_ABOVE_TARGET"
    STRESS_REDUCTION = "STRESS_REDUCTION"
    DRAWDOWN_REDUCTION = "DRAWDOWN_REDUCTION"
    FIRST_SCALE = "FIRST_SCALE"
    SCALE_GROWING = "SCALE_GROWING"
    CORE_WAS_CUT = "CORE_WAS_CUT"
    CANDIDATE_INELIGIBLE = "CANDIDATE_INELIGIBLE"
    HEDGE_CHOSEN = "HEDGE_CHOSEN"
    HEDGE_REPLACED = "HEDGE_REPLACED"
    HEDGE_NONE = "HEDGE_NONE"
    HEDGE_WRONG_SIGN = "HEDGE_WRONG_SIGN"
    HEDGE_CORRELATION_CUT = "HEDGE_CORRELATION_CUT"
    HEDGE_CORRELATION_RESTORED = "HEDGE_CORRELATION_RESTORED"
    HEDGE_CLOSED = "HEDGE_CLOSED"
    HEDGE_REOPENED = "HEDGE_REOPENED"
    HEDGE_VOLATILITY_RAISE = "HEDGE_VOLATILITY_RAISE"
    HEDGE_OFFSET_LIMITED = "HEDGE_OFFSET_LIMITED"
    HEDGE_PROFIT_HELD = "HEDGE_PROFIT_HELD"
    HEDGE_PROFIT_TAKEN = "HEDGE_PROFIT_TAKEN"
    HEDGE_STALE = "HEDGE_STALE"
    FOREIGN_POSITION = "FOREIGN_POSITION"
    NET_BETA_LIMITED = "NET_BETA_LIMITED"
    LIQUIDATION_DISTANCE = "LIQUIDATION_DISTANCE"
    LEVERAGE_SOFT = "LEVERAGE_SOFT"
    LATENCY_WARNING = "LATENCY_WARNING"
    LATENCY_HIGH = "LATENCY_HIGH"
    CASCADE_HOLD = "CASCADE_HOLD"
    INCREASES_SUPPRESSED = "INCREASES_SUPPRESSED"
    BAND_NOT_REACHED = "BAND_NOT_REACHED"
    BAND_LEG = "BAND_LEG"
    BAND_NET_BETA = "BAND_NET_BETA"
    DOWNSIZE = "DOWNSIZE"
    LIMIT_DEMANDS = "LIMIT_DEMANDS"
    REGIME_DEMANDS = "REGIME_DEMANDS"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    ABOVE_MAXIMUM = "ABOVE_MAXIMUM"
    ON_TARGET = "ON_TARGET"
    HEDGE_REENTRY = "HEDGE_REENTRY"
    HEDGE_UNCREDITED = "HEDGE_UNCREDITED"
    POLICY_CHANGED = "POLICY_CHANGED"
    POLICY_SET = "POLICY_SET"
    POLICY_WAITS = "POLICY_WAITS"
    POLICY_CUT = "POLICY_CUT"
    POLICY_TRADES = "POLICY_TRADES"
    POLICY_HELD = "POLICY_HELD"


#: code -> one sentence for the operator.
MEANINGS: Final[dict[ReasonCode, str]] = {
    ReasonCode.CORE_STALE: "An input of the core is missing or stale: everything is held.",
    ReasonCode.ACCOUNT_STALE: "The account's own data is missing or stale: everything is held.",
    ReasonCode.EQUITY_UNKNOWN: "Equity cannot be computed: everything is held.",
    ReasonCode.EQUITY_NOT_POSITIVE: "Equity is zero or less: the guard closes, nothing is sized.",
    ReasonCode.HELD_MARK_MISSING: "A held instrument never had a mark: everything is held.",
    ReasonCode.TRADING_HALTED: "The trading state is HALTED: nothing is sent.",
    ReasonCode.TRADING_REDUCING: "The trading state is REDUCING: only risk-reducing sets go out.",
    ReasonCode.RULE_SKIPPED: "A rule was skipped because an input of it is not known.",
    ReasonCode.REGIME_RAISED: "The regime rose, at once.",
    ReasonCode.REGIME_LOWERED: "The regime fell one step after enough calmer cycles.",
    ReasonCode.VOLATILITY_ABOVE_TARGET: "Core volatility is above its target: the core is smaller.",
    ReasonCode.STRESS_REDUCTION: "The stress ratio is high: the core is smaller.",
    ReasonCode.DRAWDOWN_REDUCTION: "Unit NAV is below its high-water mark: the core is smaller.",
    ReasonCode.FIRST_SCALE: "No scale was known: it starts at the entry scale or the held core.",
    ReasonCode.SCALE_GROWING: "The scale is below what the rules allow and grows slowly.",
    ReasonCode.CORE_WAS_CUT: "The core is smaller than planned: growth restarts from what is held.",
    ReasonCode.CANDIDATE_INELIGIBLE: "A hedge candidate lacks history, data or correlation.",
    ReasonCode.HEDGE_CHOSEN: "A hedge leg entered the book.",
    ReasonCode.HEDGE_REPLACED: "A hedge leg lost its place to a better one.",
    ReasonCode.HEDGE_NONE: "No candidate can hedge: the core stands alone under its own limit.",
    ReasonCode.HEDGE_WRONG_SIGN: "A leg's weight had the wrong sign: dropped, the rest re-solved.",
    ReasonCode.HEDGE_CORRELATION_CUT: "A leg moves with the core: its size was cut.",
    ReasonCode.HEDGE_CORRELATION_RESTORED: "A leg offsets the core again: its size was restored.",
    ReasonCode.HEDGE_CLOSED: "A leg moved with the core too closely for too long: closed.",
    ReasonCode.HEDGE_REOPENED: "A closed leg is eligible again.",
    ReasonCode.HEDGE_VOLATILITY_RAISE: "Adverse volatility rose: more offset is wanted.",
    ReasonCode.HEDGE_OFFSET_LIMITED: "The hedges would offset too much of the core: scaled down.",
    ReasonCode.HEDGE_PROFIT_HELD: (
        "A hedge leg in profit, or gone after its profit was taken, is not increased in this regime."
    ),
    ReasonCode.HEDGE_PROFIT_TAKEN: "Half of a hedge leg's profit is realised, the core cut first.",
    ReasonCode.HEDGE_STALE: "An input of a held hedge leg is missing: it and the core do not grow.",
    ReasonCode.FOREIGN_POSITION: "A position is not part of the strategy: closed if it has a mark.",
    ReasonCode.NET_BETA_LIMITED: "Too little hedge counts for the core: all legs scaled down.",
    ReasonCode.LIQUIDATION_DISTANCE: "Liquidation would be too near: all legs scaled down.",
    ReasonCode.LEVERAGE_SOFT: "Gross exposure is above the soft limit: all legs scaled down.",
    ReasonCode.LATENCY_WARNING: "Feed latency is above its warning level.",
    ReasonCode.LATENCY_HIGH: "Feed latency is above its limit: nothing increases.",
    ReasonCode.CASCADE_HOLD: "A cascade was seen in the last cycles: nothing increases.",
    ReasonCode.INCREASES_SUPPRESSED: "Changes that would add risk were left out.",
    ReasonCode.BAND_NOT_REACHED: "Every gap is inside the trade band: held.",
    ReasonCode.BAND_LEG: "A leg's gap reached its band: all legs trade.",
    ReasonCode.BAND_NET_BETA: "The gap in net beta exposure reached its band: all legs trade.",
    ReasonCode.DOWNSIZE: "The rules want clearly less core: all legs trade.",
    ReasonCode.LIMIT_DEMANDS: "The held book breaks a limit or a leg must go: all legs trade.",
    ReasonCode.REGIME_DEMANDS: "The regime rose and the book is too large for it: all legs trade.",
    ReasonCode.BELOW_MINIMUM: "A change is below the venue's minimum: left out.",
    ReasonCode.ABOVE_MAXIMUM: "A change is above the venue's maximum: cut to it.",
    ReasonCode.ON_TARGET: "Nothing is to be done: the book is on target.",
    ReasonCode.HEDGE_REENTRY: "The stress is over: a leg whose profit was taken may grow again.",
    ReasonCode.HEDGE_UNCREDITED: "A hedge leg's offset counts nothing: data, book or ADL rank.",
    ReasonCode.POLICY_CHANGED: "Another policy decided before: what it remembered is dropped.",
    ReasonCode.POLICY_SET: "The policy set its quantities, once.",
    ReasonCode.POLICY_WAITS: "The policy cannot set its quantities yet: everything is held.",
    ReasonCode.POLICY_CUT: "A leg was cut below its set quantity: it stays there.",
    ReasonCode.POLICY_TRADES: "A leg is off the policy's set quantity: traded.",
    ReasonCode.POLICY_HELD: "Every leg is at the policy's set quantity: held.",
}

#: Codes that say why no leg trades.
HELD_CODES: Final = frozenset(
    {ReasonCode.BAND_NOT_REACHED, ReasonCode.POLICY_HELD, ReasonCode.POLICY_WAITS}
)

#: Codes that say whether the legs trade; every decision that is not skipped has one.
TRADE_CODES: Final = HELD_CODES | {
    ReasonCode.BAND_LEG,
    ReasonCode.BAND_NET_BETA,
    ReasonCode.DOWNSIZE,
    ReasonCode.LIMIT_DEMANDS,
    ReasonCode.REGIME_DEMANDS,
    ReasonCode.POLICY_TRADES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule's word in a decision."""

    #: Which rule spoke.
    code: ReasonCode
    #: One sentence with the figures in it.
    text: str
    #: The figures themselves; floats are fractions or quote amounts as their names say.
    figures: dict[str, float | str] = field(default_factory=dict)


def reason(code: ReasonCode, text: str = "", **figures: float | str) -> Reason:
    """Return a reason; without `text` it is the code's general meaning."""
    return Reason(code=code, text=text or MEANINGS[code], figures=dict(sorted(figures.items())))
