"""From signals to wanted legs: the core, its hedges, the limits. Legs are multiples of equity."""

from collections.abc import Iterable
from dataclasses import dataclass

from counterpoise.strategy import hedge, limits, regime, scale
from counterpoise.strategy.book import Book, Waterfall
from counterpoise.strategy.candidates import Candidate
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.memory import Regime
from counterpoise.strategy.nav import UnitNav
from counterpoise.strategy.numbers import net_beta, scaled, sign
from counterpoise.strategy.reasons import Reason, ReasonCode, reason
from counterpoise.strategy.selection import Selection
from counterpoise.strategy.weights import minimum_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSize:
    """The core's size."""

    #: Scale of this decision.
    scale: float
    #: Signed multiple of equity.
    leg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSize:
    """The hedges' size and what the rules remember."""

    #: The correlation rule's state.
    correlation: hedge.CorrelationRule
    #: Legs that carry a weight, sorted.
    active: tuple[str, ...]


def size_core(
    inputs: DecisionInputs,
    book: Book,
    nav: UnitNav,
    volatility: float,
    waterfall: Waterfall,
    reasons: list[Reason],
    *,
    may_grow: bool,
) -> CoreSize:
    """Return C = s x base x scale (section 3)."""
    parameters, signals = inputs.parameters, inputs.signals
    core, full = parameters.core_instrument, parameters.side * parameters.base
    waterfall.put("base", core, full)
    wanted = scale.volatility_scale(volatility, parameters)
    waterfall.put("volatility", core, full * wanted)
    if wanted < 1.0:
        text = f"Core volatility {volatility:.3f} is above {parameters.volatility_target}."
        reasons.append(
            reason(ReasonCode.VOLATILITY_ABOVE_TARGET, text, volatility=volatility, factor=wanted)
        )
    stress = scale.stress_scale(signals.stress_ratio, parameters)
    if signals.stress_ratio is None and parameters.on("stress"):
        text = "The stress ratio is not known: core and hedge are not adjusted for it."
        reasons.append(reason(ReasonCode.RULE_SKIPPED, text, rule="stress"))
    elif stress < 1.0:
        ratio = signals.stress_ratio or 0.0
        text = f"Stress ratio {ratio:.3f} cuts the core to {stress:.3f}."
        reasons.append(reason(ReasonCode.STRESS_REDUCTION, text, stress_ratio=ratio, factor=stress))
    wanted = wanted * stress
    waterfall.put("stress", core, full * wanted)
    drawdown = scale.drawdown_scale(nav.drawdown, parameters)
    if drawdown < 1.0:
        text = f"Drawdown {nav.drawdown:.4f} cuts the core to {drawdown:.3f}."
        reasons.append(
            reason(ReasonCode.DRAWDOWN_REDUCTION, text, drawdown=nav.drawdown, factor=drawdown)
        )
    wanted = wanted * drawdown
    waterfall.put("drawdown", core, full * wanted)
    before = _scale_before(inputs, book, reasons)
    now = scale.next_scale(wanted, before, inputs.now_ns, parameters, may_grow=may_grow)
    waterfall.put("growth", core, full * now)
    if before.scale is None:
        text = f"First scale {now:.3f} of {wanted:.3f} wanted."
        reasons.append(reason(ReasonCode.FIRST_SCALE, text, scale=now, wanted=wanted))
    elif now < wanted:
        text = f"Scale {now:.3f} grows towards {wanted:.3f}."
        reasons.append(reason(ReasonCode.SCALE_GROWING, text, scale=now, wanted=wanted))
    return CoreSize(scale=now, leg=full * now)


def size_hedges(
    inputs: DecisionInputs,
    book: Book,
    selection: Selection,
    profit: hedge.ProfitRule,
    waterfall: Waterfall,
    reasons: list[Reason],
) -> HedgeSize:
    """Put the hedge legs beside the core of `waterfall` (section 4)."""
    parameters, signals = inputs.parameters, inputs.signals
    core = waterfall.legs[parameters.core_instrument]
    sides = {item.instrument_id: item.side for item in selection.chosen}
    weights, dropped = minimum_variance(sorted(sides), sides, signals, parameters)
    for name in dropped:
        text = f"{name} has a weight of the wrong sign."
        reasons.append(reason(ReasonCode.HEDGE_WRONG_SIGN, text, leg=name))
    if not weights and not selection.frozen:
        reasons.append(reason(ReasonCode.HEDGE_NONE))
    rule = hedge.correlation_rule(_active(selection, weights), inputs.memory, parameters)
    reasons.extend(rule.reasons)
    sizes = {name: -core * weights[name] * parameters.hedge_ratio for name in sorted(weights)}
    _stand(waterfall, "minimum_variance", core, sizes, inputs)
    sizes = {name: sizes[name] * rule.multipliers[name] for name in sorted(sizes)}
    _stand(waterfall, "correlation", core, sizes, inputs)
    raise_by = hedge.volatility_multiplier(signals.stress_ratio, parameters)
    if raise_by > 1.0 and sizes:
        text = f"Hedges x {raise_by:.3f} for adverse volatility."
        reasons.append(reason(ReasonCode.HEDGE_VOLATILITY_RAISE, text, factor=raise_by))
    sizes = scaled(sizes, raise_by)
    _stand(waterfall, "volatility_raise", core, sizes, inputs)
    capped = hedge.apply_caps(sizes, profit.caps, book.legs)
    for name in sorted(capped):
        if capped[name] != sizes[name] and name not in profit.taken_now:
            text = f"{name} is in profit and not increased in this regime."
            if not book.held(name):
                text = f"{name} is gone, its profit was taken: not opened again in this stress."
            figures: dict[str, float | str] = {
                "leg": name,
                "profit_fraction": book.profits.get(name, 0.0),
                "wanted": sizes[name],
            }
            reasons.append(reason(ReasonCode.HEDGE_PROFIT_HELD, text, **figures))
    _stand(waterfall, "profit", core, capped, inputs)
    frozen = _frozen(book, selection, core, inputs)
    _stand(waterfall, "frozen", core, {**capped, **frozen}, inputs)
    sizes = _limited(capped, frozen, core, book, inputs)
    if sizes != capped:
        text = f"Hedges are scaled down to offset at most {parameters.offset_max} of the core."
        offsets = hedge.offset(capped, book.betas, sign(core))
        reasons.append(reason(ReasonCode.HEDGE_OFFSET_LIMITED, text, offset=offsets))
    _stand(waterfall, "offset_limit", core, {**sizes, **frozen}, inputs)
    return HedgeSize(correlation=rule, active=tuple(sorted(weights)))


def keep_net_beta(book: Book, waterfall: Waterfall, inputs: DecisionInputs) -> None:
    """Cut the core until taking a profit does not raise abs(net beta) (section 4).

    Never below the core that the hedges offset to `offset_max`.
    """
    parameters = inputs.parameters
    name = parameters.core_instrument
    core = waterfall.legs[name]
    held, wanted = net_beta(book.legs, book.betas), net_beta(waterfall.legs, book.betas)
    over = abs(wanted) - abs(held)
    if over <= 0.0 or sign(wanted) != sign(core):
        return
    hedges = {leg: size for leg, size in waterfall.legs.items() if leg != name}
    offsets = max(hedge.offset(hedges, book.betas, sign(core)), 0.0)
    least = offsets / parameters.offset_max if parameters.offset_max > 0.0 else 0.0
    smaller = max(abs(core) - over, least, 0.0)
    waterfall.put("profit_core", name, sign(core) * min(smaller, abs(core)))


def apply_limits(
    inputs: DecisionInputs, book: Book, volatility: float, waterfall: Waterfall
) -> tuple[Reason, ...]:
    """Scale all legs by one factor for each limit they break (section 5, items 2 and 3)."""
    reasons = [
        *_limit_net_beta(inputs, book, waterfall),
        *_limit_distance(inputs, book, volatility, waterfall),
    ]
    parameters = inputs.parameters
    factor = limits.soft_factor(waterfall.legs, parameters)
    if factor < 1.0:
        text = f"Gross is above {parameters.leverage_soft} of equity: all legs x {factor:.3f}."
        reasons.append(reason(ReasonCode.LEVERAGE_SOFT, text, factor=factor))
        waterfall.apply("leverage_soft", scaled(waterfall.legs, factor))
    return tuple(reasons)


def _limit_net_beta(inputs: DecisionInputs, book: Book, waterfall: Waterfall) -> list[Reason]:
    parameters, reasons = inputs.parameters, []
    if not parameters.on("unhedged_limit"):
        return []
    without = uncredited(inputs, waterfall.legs)
    without.pop(parameters.core_instrument, None)
    for name in sorted(without):
        text = f"The offset of {name} counts nothing: {without[name]}."
        reasons.append(reason(ReasonCode.HEDGE_UNCREDITED, text, leg=name, cause=without[name]))
    net = limits.credited_net(waterfall.legs, book.betas, without, parameters)
    factor = limits.unhedged_factor(net, parameters)
    if factor < 1.0:
        text = f"Core less counted hedge is {net:.3f} of equity: all legs x {factor:.3f}."
        reasons.append(reason(ReasonCode.NET_BETA_LIMITED, text, net=net, factor=factor))
        waterfall.apply("net_beta", scaled(waterfall.legs, factor))
    return reasons


def _limit_distance(
    inputs: DecisionInputs, book: Book, volatility: float, waterfall: Waterfall
) -> list[Reason]:
    parameters = inputs.parameters
    if not parameters.on("liquidation_distance"):
        return []
    limit = limits.distance_limit(volatility, parameters)
    given = (waterfall.legs, book.equity, inputs.market, inputs.signals, parameters)
    if limits.surely_distant(*given, limit):
        return []
    legs = limits.margin_legs(*given)
    if legs is None:
        text = "A leg's volatility or margin tiers are unknown: liquidation distance not checked."
        return [reason(ReasonCode.RULE_SKIPPED, text, rule="liquidation_distance")]
    factor = limits.distance_factor(legs, book.equity, limit)
    if factor >= 1.0:
        return []
    text = f"Liquidation must be {limit:.3f} away: all legs x {factor:.3f}."
    waterfall.apply("liquidation_distance", scaled(waterfall.legs, factor))
    return [reason(ReasonCode.LIQUIDATION_DISTANCE, text, limit=limit, factor=factor)]


def uncredited(inputs: DecisionInputs, names: Iterable[str]) -> dict[str, str]:
    """Return those of `names` whose offset counts nothing, and why.

    A missing input, a book in CASCADE, or a place near the front of the venue's queue for
    auto-deleveraging: such a hedge may be gone when it is wanted. An unknown place counts.
    """
    parameters, ranks = inputs.parameters, inputs.account.adl_ranks
    found: dict[str, str] = {}
    for name in names:
        view = inputs.market.instruments.get(name)
        if view is None:
            continue
        if view.missing:
            found[name] = ", ".join(view.missing)
        elif regime.book_regime(view, parameters) is Regime.CASCADE:
            found[name] = "its book is in a cascade"
        elif ranks.get(name, 0) >= parameters.adl_rank_high and parameters.on("adl_credit"):
            found[name] = f"ADL rank {ranks[name]}"
    return found


def _scale_before(inputs: DecisionInputs, book: Book, reasons: list[Reason]) -> scale.ScaleBefore:
    # A core smaller than the decision before can have left it was cut by the guard, the venue or
    # a person: growth restarts from what is held.
    memory, parameters = inputs.memory, inputs.parameters
    held = max(book.held(parameters.core_instrument) * parameters.side, 0.0) / parameters.base
    before = memory.scale
    quantity = book.quantities.get(parameters.core_instrument, 0) * parameters.side
    if before is not None and quantity < memory.core_quantity_floor and held < before:
        text = f"The core holds {held:.3f} of its base, {before:.3f} was planned."
        reasons.append(reason(ReasonCode.CORE_WAS_CUT, text, held_scale=held, scale=before))
        before = held
    return scale.ScaleBefore(scale=before, scale_ns=memory.scale_ns, held_scale=held)


def _active(selection: Selection, weights: dict[str, float]) -> tuple[Candidate, ...]:
    return tuple(item for item in selection.chosen if item.instrument_id in weights)


def _frozen(
    book: Book, selection: Selection, core: float, inputs: DecisionInputs
) -> dict[str, float]:
    # A leg that cannot be sized stays as it is, or shrinks with the core.
    held = abs(book.held(inputs.parameters.core_instrument))
    factor = min(abs(core) / held, 1.0) if held > 0.0 else 1.0
    return {name: book.legs[name] * factor for name in selection.frozen}


def _limited(
    hedges: dict[str, float],
    frozen: dict[str, float],
    core: float,
    book: Book,
    inputs: DecisionInputs,
) -> dict[str, float]:
    # The frozen legs' offset is taken off what the others may offset.
    if not inputs.parameters.on("offset_limit"):
        return hedges
    if core == 0.0:
        return dict.fromkeys(sorted(hedges), 0.0)
    used = hedge.offset(frozen, book.betas, sign(core)) / abs(core)
    most = max(inputs.parameters.offset_max - used, 0.0)
    return hedge.limit_offset(hedges, book.betas, core, most)


def _stand(
    waterfall: Waterfall,
    rule: str,
    core: float,
    hedges: dict[str, float],
    inputs: DecisionInputs,
) -> None:
    waterfall.apply(rule, {inputs.parameters.core_instrument: core, **hedges})
