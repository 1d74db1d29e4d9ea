"""decide(inputs) -> Decision: what the chosen policy wants, and what may be done of it."""

from dataclasses import replace

from counterpoise.domain.account import TradingState
from counterpoise.domain.arithmetic import counted_in_money
from counterpoise.domain.orders import LegChange
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.strategy import outcome, permission
from counterpoise.strategy.case import Case, Wish, open_case
from counterpoise.strategy.decision import Decision, DecisionAction, DecisionInputs
from counterpoise.strategy.policies import POLICIES
from counterpoise.strategy.reasons import HELD_CODES, Reason, ReasonCode, reason
from counterpoise.strategy.scale import core_volatility
from counterpoise.strategy.stops import hold_reason


@counted_in_money
def decide(inputs: DecisionInputs) -> Decision:
    """Evaluate every rule of the policy once and say what to do, why, and what to remember.

    Pure: equal inputs give an equal decision, byte for byte once encoded. Missing data of the
    account or the core gives SKIPPED, with the memory unchanged but for transfers to remember.
    """
    policy = POLICIES[inputs.parameters.policy]
    volatility = core_volatility(inputs.signals, inputs.parameters)
    hold = hold_reason(
        inputs, volatility_known=volatility is not None or not policy.needs_volatility
    )
    equity = inputs.account.equity
    if hold is not None or equity is None:
        return _skipped(inputs, hold or reason(ReasonCode.EQUITY_UNKNOWN))
    case = open_case(inputs, equity, volatility)
    wish = policy.wish(case)
    case.reasons.append(wish.trade)
    if wish.trade.code in HELD_CODES:
        return _finish(case, wish, (), ())
    wanted, left_out = outcome.changes_to(case.inputs, case.book, case.waterfall.legs, wish.exact)
    if not wish.stops:
        case.reasons.extend(left_out)
        return _finish(case, wish, wanted, ())
    allowed: tuple[LegChange, ...] = ()
    if inputs.trading_state is not TradingState.HALTED:
        allowed = _risk_reducing(case)
    would_have = tuple(change for change in wanted if change not in allowed)
    if would_have:
        case.reasons.append(reason(ReasonCode.INCREASES_SUPPRESSED))
    return _finish(case, wish, allowed, would_have)


def _skipped(inputs: DecisionInputs, why: Reason) -> Decision:
    pending = inputs.memory.transfers_pending + inputs.account.transfers
    return Decision(
        decision_id=inputs.decision_id,
        action=DecisionAction.SKIPPED,
        reasons=(why,),
        summary=f"Skipped: {why.text}",
        memory=replace(inputs.memory, transfers_pending=pending),
    )


def _risk_reducing(case: Case) -> tuple[LegChange, ...]:
    # The part of the wish that lowers risk as a set, after rounding too; empty = none.
    inputs, book, waterfall = case.inputs, case.book, case.waterfall
    legs = permission.risk_reducing_part(book.legs, waterfall.legs, book.betas)
    changes, _ = outcome.changes_to(inputs, book, legs, {})
    after = dict(book.legs)
    for change in changes:
        mark = inputs.market.instruments[change.instrument_id].mark
        assert mark is not None, "only instruments with a mark are held"
        moved = float_from_decimal(change.quantity * change.side.sign * mark / book.equity)
        after[change.instrument_id] += moved
    slack = inputs.parameters.net_beta_rounding
    if not permission.is_risk_reducing(book.legs, after, book.betas, slack):
        return ()
    waterfall.apply("permission", {**dict.fromkeys(waterfall.legs, 0.0), **legs})
    return changes


def _finish(
    case: Case,
    wish: Wish,
    changes: tuple[LegChange, ...],
    would_have: tuple[LegChange, ...],
) -> Decision:
    reasons = case.reasons
    action = DecisionAction.UNCHANGED
    if changes:
        action = DecisionAction.TRADED
    elif would_have or case.inputs.trading_state is TradingState.HALTED:
        action = DecisionAction.BLOCKED
    elif reasons[-1].code not in HELD_CODES:
        reasons.append(reason(ReasonCode.ON_TARGET))
    return Decision(
        decision_id=case.inputs.decision_id,
        action=action,
        reasons=tuple(reasons),
        targets=outcome.targets(case, wish),
        changes=changes,
        would_have=would_have,
        waterfall=case.waterfall.steps(),
        summary=outcome.summary(action, case, changes),
        memory=outcome.memory(case, wish, changes),
    )
