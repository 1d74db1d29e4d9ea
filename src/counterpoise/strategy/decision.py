"""What a decision is made of and what it says."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from counterpoise.domain.account import AccountView, TradingState
from counterpoise.domain.orders import LegChange, LegRole
from counterpoise.market.view import MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.reasons import Reason


class DecisionAction(StrEnum):
    """What came of an evaluation."""

    #: There are changes to carry out.
    TRADED = "traded"
    #: The book is good as it is.
    UNCHANGED = "unchanged"
    #: An input is missing: hold.
    SKIPPED = "skipped"
    #: There were changes, and none may go out.
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInputs:
    """Everything a decision may know. Equal inputs give an equal decision on any machine."""

    #: Names the decision.
    decision_id: str
    #: The moment, ns.
    now_ns: int
    #: Marks, books and funding.
    market: MarketView
    #: Equity and positions.
    account: AccountView
    #: Volatility, correlation and beta.
    signals: SignalsView
    #: What the decision before left.
    memory: Memory
    #: The rules' numbers.
    parameters: StrategyParameters
    #: What the daemon may do now.
    trading_state: TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLeg:
    """Where one leg should stand."""

    #: Core or hedge.
    role: LegRole
    #: Signed base units, on the lot grid.
    quantity: Decimal
    #: Signed notional wanted before rounding, multiples of equity.
    notional_fraction: float
    #: Signed notional held, multiples of equity.
    held_fraction: float
    #: Slope on the core's return; None = unknown.
    beta: float | None
    #: Leg correlation with the core's PnL; None = unknown, or the core.
    leg_correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallStep:
    """What one rule did to the legs, signed multiples of equity."""

    #: Name of the rule.
    rule: str
    #: Legs before it.
    before: dict[str, float]
    #: Legs after it.
    after: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One evaluation: what to do, why, and what to remember."""

    #: The name it was given.
    decision_id: str
    #: What came of it.
    action: DecisionAction
    #: In the order the rules spoke; never empty.
    reasons: tuple[Reason, ...]
    #: Instrument -> where it should stand; empty when skipped.
    targets: dict[str, TargetLeg] = field(default_factory=dict)
    #: In the order they are to be sent: core then hedge reductions, hedge then core increases.
    changes: tuple[LegChange, ...] = ()
    #: Changes that were wanted and may not go out now.
    would_have: tuple[LegChange, ...] = ()
    #: From the base to the targets, rule by rule.
    waterfall: tuple[WaterfallStep, ...] = ()
    #: One sentence for a person.
    summary: str
    #: To be given to the next decision.
    memory: Memory
