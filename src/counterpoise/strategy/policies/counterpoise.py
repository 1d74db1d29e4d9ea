"""The strategy itself: sections 2 to 5, one rule after the other."""

from typing import TypeVar

from counterpoise.strategy import hedge, regime, selection, sizing
from counterpoise.strategy.band import Urgency, trade_reason
from counterpoise.strategy.case import Case, Wish, foreign, foreign_reasons, remembered
from counterpoise.strategy.hedge import ProfitRule
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.selection import Closings, Selection
from counterpoise.strategy.sizing import HedgeSize
from counterpoise.strategy.stops import increase_stops, latency_notes

_Value = TypeVar("_Value")


def wish(case: Case) -> Wish:
    """Size the core, choose and size its hedges, keep the limits, look at the trade band."""
    inputs, book, reasons, waterfall = case.inputs, case.book, case.reasons, case.waterfall
    memory, parameters = inputs.memory, inputs.parameters
    market, signals = inputs.market, inputs.signals
    volatility = case.volatility
    assert volatility is not None, "this policy needs a volatility"
    closings = selection.close_legs(memory, signals, parameters)
    reasons.extend(closings.reasons)
    chosen = selection.choose(memory, closings, book.quantities, market, signals, parameters)
    reasons.extend(chosen.reasons)
    asked = {*book.legs, *memory.profit_taken}
    stressed = regime.stressed_instruments(asked, market, case.regime.regime, parameters)
    profit = hedge.profit_rule(book.legs, book.profits, book.betas, memory, stressed, parameters)
    reasons.extend(profit.reasons)
    reasons.extend(foreign_reasons(case))
    stops = increase_stops(inputs, book, case.regime, chosen)
    reasons.extend(stops)
    reasons.extend(latency_notes(inputs))
    may_grow = not stops and not profit.taken
    core = sizing.size_core(
        inputs, book, case.nav, volatility, waterfall, reasons, may_grow=may_grow
    )
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
    urgency = Urgency(
        demanded=_demanded(case, closings, profit),
        regime_raised=case.regime.raised,
        volatility=volatility,
    )
    sides = {item.instrument_id: item.side for item in chosen.chosen}
    return Wish(
        trade=trade_reason(inputs, book, waterfall.legs, urgency),
        stops=stops,
        sides=sides,
        memory=_memory(case, closings, chosen, profit, sized, reached),
    )


def _demanded(case: Case, closings: Closings, profit: ProfitRule) -> tuple[str, ...]:
    # Held legs that go whatever the band says: closed by their correlation, in profit, of no part
    # of the strategy, or a core on the wrong side.
    core, book = case.inputs.parameters.core_instrument, case.book
    closed = {name for name, side in closings.closed.items() if book.held(name) * side > 0.0}
    wrong = {core} if book.held(core) * case.inputs.parameters.side < 0.0 else set()
    return tuple(sorted({*closed, *foreign(case), *wrong, *profit.taken_now}))


def _memory(
    case: Case,
    closings: Closings,
    chosen: Selection,
    profit: ProfitRule,
    sized: HedgeSize,
    scale: float,
) -> Memory:
    before, rule, frozen = case.inputs.memory, sized.correlation, chosen.frozen
    sides = {item.instrument_id: item.side for item in chosen.chosen}
    sides |= {name: before.incumbent_sides[name] for name in frozen}
    return remembered(
        case,
        scale=scale,
        scale_ns=case.inputs.now_ns,
        correlation_multiplier={
            **_only(before.correlation_multiplier, frozen),
            **rule.multipliers,
        },
        correlation_seen={**_only(before.correlation_seen, frozen), **rule.seen},
        close_counts=_only(closings.close_counts, tuple(sides)),
        closed=closings.closed,
        incumbents=(*(item.instrument_id for item in chosen.chosen), *frozen),
        incumbent_sides=sides,
        challenger_counts=chosen.challenger_counts,
        profit_taken=profit.taken,
    )


def _only(table: dict[str, _Value], names: tuple[str, ...]) -> dict[str, _Value]:
    return {name: table[name] for name in names if name in table}
