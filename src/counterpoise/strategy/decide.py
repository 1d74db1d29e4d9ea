"""decide(inputs) -> Decision: the strategy, one rule after the other."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.account import TradingState
from counterpoise.domain.orders import LegChange
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.strategy import hedge, nav, outcome, permission, regime, selection, sizing
from counterpoise.strategy.band import Urgency, trade_reason
from counterpoise.strategy.book import Book, Waterfall, held_book
from counterpoise.strategy.decision import Decision, DecisionAction, DecisionInputs
from counterpoise.strategy.outcome import Wish
from counterpoise.strategy.reasons import Reason, ReasonCode, reason
from counterpoise.strategy.scale import core_volatility
from counterpoise.strategy.stops import hold_reason, increase_stops, latency_notes


def decide(inputs: DecisionInputs) -> Decision:
    """Evaluate every rule once and say what to do, why, and what to remember.

    Pure: equal inputs give an equal decision, byte for byte once encoded. Missing data of the
    account or the core gives SKIPPED, with the memory unchanged but for transfers to remember.
    """
    hold = hold_reason(inputs)
    equity, volatility = inputs.account.equity, core_volatility(inputs.signals, inputs.parameters)
    if hold is not None or equity is None or volatility is None:
        return _skipped(inputs, hold or reason(ReasonCode.CORE_STALE))
    reasons: list[Reason] = []
    waterfall = Waterfall()
    wish = _wish(inputs, equity, volatility, waterfall, reasons)
    urgency = Urgency(
        demanded=_demanded(inputs, wish),
        regime_raised=wish.regime.raised,
        volatility=volatility,
    )
    band = trade_reason(inputs, wish.book, waterfall.legs, urgency)
    reasons.append(band)
    if band.code is ReasonCode.BAND_NOT_REACHED:
        return _finish(inputs, wish, waterfall, reasons, (), ())
    wanted, left_out = outcome.changes_to(inputs, wish.book, waterfall.legs)
    if not wish.stops:
        reasons.extend(left_out)
        return _finish(inputs, wish, waterfall, reasons, wanted, ())
    allowed: tuple[LegChange, ...] = ()
    if inputs.trading_state is not TradingState.HALTED:
        allowed = _risk_reducing(inputs, wish.book, waterfall)
    would_have = tuple(change for change in wanted if change not in allowed)
    if would_have:
        reasons.append(reason(ReasonCode.INCREASES_SUPPRESSED))
    return _finish(inputs, wish, waterfall, reasons, allowed, would_have)


def _skipped(inputs: DecisionInputs, why: Reason) -> Decision:
    pending = inputs.memory.transfers_pending + inputs.account.transfers
    return Decision(
        decision_id=inputs.decision_id,
        action=DecisionAction.SKIPPED,
        reasons=(why,),
        summary=f"Skipped: {why.text}",
        memory=replace(inputs.memory, transfers_pending=pending),
    )


def _wish(
    inputs: DecisionInputs,
    equity: Decimal,
    volatility: float,
    waterfall: Waterfall,
    reasons: list[Reason],
) -> Wish:
    memory, parameters = inputs.memory, inputs.parameters
    market, signals = inputs.market, inputs.signals
    book = held_book(equity, inputs.account, market, signals, parameters)
    transfers = memory.transfers_pending + inputs.account.transfers
    units = nav.advance(memory, equity, transfers)
    seen = regime.observe(market, signals, parameters)
    state = regime.advance(memory, seen, parameters)
    reasons.extend(state.reasons)
    closings = selection.close_legs(memory, signals, parameters)
    reasons.extend(closings.reasons)
    chosen = selection.choose(memory, closings, book.quantities, market, signals, parameters)
    reasons.extend(chosen.reasons)
    stressed = regime.stressed_instruments(market, state.regime, parameters)
    profit = hedge.profit_rule(book.legs, book.profits, book.betas, memory, stressed, parameters)
    reasons.extend(profit.reasons)
    for name in _foreign(inputs, book):
        text = f"{name} is held and is no part of the strategy."
        reasons.append(reason(ReasonCode.FOREIGN_POSITION, text, leg=name))
    stops = increase_stops(inputs, book, state, chosen)
    reasons.extend(stops)
    reasons.extend(latency_notes(inputs))
    may_grow = not stops and not profit.taken
    core = sizing.size_core(inputs, book, units, volatility, waterfall, reasons, may_grow=may_grow)
    if profit.core_cap is not None and abs(core.leg) > profit.core_cap:
        capped = parameters.side * profit.core_cap
        waterfall.put("profit_core", parameters.core_instrument, capped)
    sized = sizing.size_hedges(inputs, book, chosen, profit, waterfall, reasons)
    if profit.taken_now:
        sizing.keep_net_beta(book, waterfall, inputs)
    reached = core.scale
    if profit.taken:
        # A profit cut lowers the scale to what the core realises then; growth starts from there.
        wanted = abs(waterfall.legs[parameters.core_instrument])
        reached = min(reached, wanted / parameters.base)
    reasons.extend(sizing.apply_limits(inputs, book, volatility, waterfall))
    return Wish(
        book=book,
        nav=units,
        regime=state,
        closings=closings,
        selection=chosen,
        profit=profit,
        hedge=sized,
        scale=reached,
        stops=stops,
    )


def _risk_reducing(
    inputs: DecisionInputs, book: Book, waterfall: Waterfall
) -> tuple[LegChange, ...]:
    # The part of the wish that lowers risk as a set, after rounding too; empty = none.
    legs = permission.risk_reducing_part(book.legs, waterfall.legs, book.betas)
    changes, _ = outcome.changes_to(inputs, book, legs)
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
    inputs: DecisionInputs,
    wish: Wish,
    waterfall: Waterfall,
    reasons: list[Reason],
    changes: tuple[LegChange, ...],
    would_have: tuple[LegChange, ...],
) -> Decision:
    action = DecisionAction.UNCHANGED
    if changes:
        action = DecisionAction.TRADED
    elif would_have or inputs.trading_state is TradingState.HALTED:
        action = DecisionAction.BLOCKED
    elif reasons[-1].code is not ReasonCode.BAND_NOT_REACHED:
        reasons.append(reason(ReasonCode.ON_TARGET))
    return Decision(
        decision_id=inputs.decision_id,
        action=action,
        reasons=tuple(reasons),
        targets=outcome.targets(inputs, wish, waterfall),
        changes=changes,
        would_have=would_have,
        waterfall=waterfall.steps(),
        summary=outcome.summary(action, wish, waterfall, reasons, changes),
        memory=outcome.memory(inputs, wish, waterfall, changes),
    )


def _demanded(inputs: DecisionInputs, wish: Wish) -> tuple[str, ...]:
    # Held legs that go whatever the band says: closed by their correlation, in profit, of no part
    # of the strategy, or a core on the wrong side.
    core = inputs.parameters.core_instrument
    closed = {
        name for name, side in wish.closings.closed.items() if wish.book.held(name) * side > 0.0
    }
    wrong = {core} if wish.book.held(core) * inputs.parameters.side < 0.0 else set()
    foreign = _foreign(inputs, wish.book)
    return tuple(sorted({*closed, *foreign, *wrong, *wish.profit.taken_now}))


def _foreign(inputs: DecisionInputs, book: Book) -> tuple[str, ...]:
    known = {inputs.parameters.core_instrument, *inputs.parameters.hedge_candidates}
    return tuple(sorted(set(book.legs) - known))
