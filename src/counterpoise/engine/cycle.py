"""One cycle's decision: what went in, what came out, and how to compute it again.

`recompute` is the whole of strategy and risk for a cycle. The live daemon calls it once and stores
both sides; a replay calls it on the stored inputs and compares.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.arithmetic import counted_in_money
from counterpoise.domain.orders import ApprovedOrder, LegChange, Side
from counterpoise.engine import pricing
from counterpoise.risk import gate
from counterpoise.risk.denials import Denial
from counterpoise.risk.view import RiskView
from counterpoise.strategy import decide as strategy_decide
from counterpoise.strategy.decision import Decision, DecisionInputs
from counterpoise.strategy.memory import Regime


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleInputs:
    """Everything a cycle's rules were given."""

    decision: DecisionInputs
    risk: RiskView
    #: The account as the venue names it; part of every client order id.
    account_id: str
    #: Farthest price of an increase from mid, bps.
    slippage_bps_increase: Decimal
    #: Farthest price of a reduction from mid, bps.
    slippage_bps_reduction: Decimal
    #: Farthest price of an increase by the regime the decision finds, bps; one that is not there
    #: has `slippage_bps_increase`.
    slippage_bps_regimes: dict[Regime, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What the gate said of one change at the decision; it is asked again before a send."""

    instrument_id: str
    side: Side
    #: Base units asked for.
    quantity: Decimal
    reduce_only: bool
    #: Quote; None = market.
    price_limit: Decimal | None
    #: Base units allowed; 0 = denied or nothing to reduce.
    quantity_approved: Decimal
    #: Worst-case gross / equity after it; None = denied, or a reduction that needs none.
    leverage_worst: Decimal | None
    #: `DenialReason` value; None = approved.
    denial: str | None
    #: The figures that spoke; "" = approved.
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleOutputs:
    """Everything a cycle's rules answered."""

    decision: Decision
    review: tuple[Reviewed, ...]


@counted_in_money
def recompute(inputs: CycleInputs) -> CycleOutputs:
    """Decide, price and review; a pure function of its argument."""
    decision = strategy_decide.decide(inputs.decision)
    review = _review(inputs, decision.changes, decision.memory.regime)
    return CycleOutputs(decision=decision, review=review)


def _review(
    inputs: CycleInputs, changes: tuple[LegChange, ...], regime: Regime
) -> tuple[Reviewed, ...]:
    market = inputs.decision.market
    increase_bps = inputs.slippage_bps_regimes.get(regime, inputs.slippage_bps_increase)
    intents = [
        pricing.make_intent(
            change,
            market.instruments[change.instrument_id],
            account_id=inputs.account_id,
            decision_id=inputs.decision.decision_id,
            attempt=0,
            cap_bps=(inputs.slippage_bps_reduction if change.reduce_only else increase_bps),
            now_ns=inputs.decision.now_ns,
        )
        for change in changes
    ]
    # What is more than one order may carry goes out in several; each passes the gate by itself.
    answers = gate.review(tuple(intents), gate.in_parts(inputs.risk))
    return tuple(
        Reviewed(
            instrument_id=intent.instrument_id,
            side=intent.side,
            quantity=intent.quantity,
            reduce_only=intent.reduce_only,
            price_limit=intent.price_limit,
            quantity_approved=_approved_quantity(answer),
            leverage_worst=answer.leverage_worst if isinstance(answer, ApprovedOrder) else None,
            denial=answer.reason.value if isinstance(answer, Denial) else None,
            message=answer.message if isinstance(answer, Denial) else "",
        )
        for intent, answer in zip(intents, answers, strict=True)
    )


def _approved_quantity(answer: ApprovedOrder | Denial | None) -> Decimal:
    return answer.quantity if isinstance(answer, ApprovedOrder) else Decimal(0)
