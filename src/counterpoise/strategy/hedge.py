"""How large each hedge leg is (section 4): weights, correlation, volatility, offset, profit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from counterpoise.strategy.candidates import Candidate
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.numbers import clip, net_beta, scaled
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.reasons import Reason, ReasonCode, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationRule:
    """The correlation multiplier of every chosen leg, with its memory."""

    #: Leg -> m_corr.
    multipliers: dict[str, float]
    #: Leg -> leg correlation it was computed from.
    seen: dict[str, float]
    #: What changed.
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitRule:
    """What the profit rule asks for; quantities are multiples of equity."""

    #: Leg -> largest unsigned size.
    caps: dict[str, float]
    #: Largest unsigned core; None = no limit from this rule.
    core_cap: float | None
    #: Legs whose profit is taken now, sorted.
    taken_now: tuple[str, ...]
    #: Those and the ones taken before in this stress, sorted.
    taken: tuple[str, ...]
    #: What was done.
    reasons: tuple[Reason, ...]


def correlation_multiplier(rho: float, parameters: StrategyParameters) -> float:
    """Return m_corr: 0.5 at rho >= 0.7, 1 at rho <= 0.3, linear between."""
    low, high = parameters.correlation_restore, parameters.correlation_cut
    cut = parameters.correlation_cut_multiplier
    if rho >= high:
        return cut
    if rho <= low:
        return 1.0
    return 1.0 - (1.0 - cut) * (rho - low) / (high - low)


def correlation_rule(
    chosen: Sequence[Candidate], memory: Memory, parameters: StrategyParameters
) -> CorrelationRule:
    """Return every leg's m_corr, recomputed only when its correlation moved by 0.05."""
    if not parameters.on("correlation_cut"):
        full = {item.instrument_id: 1.0 for item in chosen}
        return CorrelationRule(multipliers=full, seen={}, reasons=())
    multipliers: dict[str, float] = {}
    seen: dict[str, float] = {}
    reasons: list[Reason] = []
    for item in sorted(chosen, key=lambda entry: entry.instrument_id):
        name, rho = item.instrument_id, item.leg_correlation
        before = memory.correlation_multiplier.get(name)
        last = memory.correlation_seen.get(name)
        moved = last is None or abs(rho - last) >= parameters.correlation_hysteresis
        if before is not None and last is not None and not moved:
            multipliers[name], seen[name] = before, last
            continue
        now = correlation_multiplier(rho, parameters)
        multipliers[name], seen[name] = now, rho
        was = 1.0 if before is None else before
        if now == was:
            continue
        code = ReasonCode.HEDGE_CORRELATION_RESTORED
        if now < was:
            code = ReasonCode.HEDGE_CORRELATION_CUT
        text = f"{name} multiplier {was:.2f} -> {now:.2f} at leg correlation {rho:.3f}."
        reasons.append(reason(code, text, leg=name, leg_correlation=rho, multiplier=now))
    return CorrelationRule(multipliers=multipliers, seen=seen, reasons=tuple(reasons))


def volatility_multiplier(stress_ratio: float | None, parameters: StrategyParameters) -> float:
    """Return m_vol = 1 + 0.5 clip(stress ratio - 1, 0, 1.5); None = rule skipped, 1."""
    if stress_ratio is None or not parameters.on("volatility_raise"):
        return 1.0
    over = clip(stress_ratio - 1.0, 0.0, parameters.stress_hedge_span)
    return 1.0 + parameters.stress_hedge_gain * over


def offset(hedges: Mapping[str, float], betas: Mapping[str, float], core_sign: int) -> float:
    """Return the hedges' beta exposure against the core, + offsets it."""
    return -core_sign * net_beta(hedges, betas)


def limit_offset(
    hedges: Mapping[str, float], betas: Mapping[str, float], core: float, offset_max: float
) -> dict[str, float]:
    """Return the hedges scaled so that they offset at most `offset_max` of abs(core)."""
    now = offset(hedges, betas, 1 if core > 0 else -1)
    most = offset_max * abs(core)
    if now <= most:
        return dict(hedges)
    return scaled(hedges, most / now)


def profit_rule(
    held: Mapping[str, float],
    profits: Mapping[str, float],
    betas: Mapping[str, float],
    memory: Memory,
    stressed: Collection[str],
    parameters: StrategyParameters,
) -> ProfitRule:
    """Return the caps the profit rule sets ("the hedge protects, it does not earn").

    `held` and `profits` are multiples of equity; `stressed` names the instruments for which the
    market's regime or their own book's is STRESSED or CASCADE. There a hedge leg in profit is never
    increased; above `hedge_profit_take` half of it is realised, and the core is cut by the offset
    that goes with it, so that net beta does not rise. Until the stress is over, those legs and the
    core do not grow, nor is one of them opened again that is gone (venues take the winning hedge
    first). A leg whose entry is unknown has no profit known, and says so.
    """
    if not parameters.on("profit"):
        return ProfitRule(caps={}, core_cap=None, taken_now=(), taken=(), reasons=())
    core = parameters.core_instrument
    caps: dict[str, float] = {}
    now: list[str] = []
    reasons: list[Reason] = []
    freed: dict[str, float] = {}
    for name in sorted(held):
        if name == core or name not in stressed:
            continue
        if name not in profits:
            text = f"The entry of {name} is not known: its profit is not looked at."
            reasons.append(reason(ReasonCode.RULE_SKIPPED, text, rule="profit", leg=name))
        profit = profits.get(name, 0.0)
        if profit > 0.0 or name in memory.profit_taken:
            caps[name] = abs(held[name])
        if profit > parameters.hedge_profit_take:
            caps[name] = abs(held[name]) * (1.0 - parameters.hedge_profit_part)
            freed[name] = held[name] * parameters.hedge_profit_part
            now.append(name)
            text = f"{name} realises half of a profit of {profit:.4f} of equity."
            reasons.append(
                reason(ReasonCode.HEDGE_PROFIT_TAKEN, text, leg=name, profit_fraction=profit)
            )
    before = {name for name in memory.profit_taken if name in stressed}
    caps |= dict.fromkeys(sorted(before - held.keys() - {core}), 0.0)
    for name in memory.profit_taken:
        if name not in stressed:
            text = f"The stress of {name} is over: it and the core may grow again."
            reasons.append(reason(ReasonCode.HEDGE_REENTRY, text, leg=name))
    taken = tuple(sorted({*before, *now}))
    core_held = held.get(core, 0.0)
    cap: float | None = None
    if taken:
        lost = max(offset(freed, betas, 1 if core_held > 0 else -1), 0.0)
        cap = max(abs(core_held) - lost, 0.0)
    return ProfitRule(
        caps=caps, core_cap=cap, taken_now=tuple(now), taken=taken, reasons=tuple(reasons)
    )


def apply_caps(
    hedges: Mapping[str, float], caps: Mapping[str, float], held: Mapping[str, float]
) -> dict[str, float]:
    """Return the hedges, each at most its cap; a capped leg does not change its side."""
    result: dict[str, float] = {}
    for name in sorted(hedges):
        wanted = hedges[name]
        if name not in caps:
            result[name] = wanted
        elif caps[name] == 0.0 or wanted * held.get(name, 0.0) < 0:
            result[name] = 0.0
        else:
            result[name] = clip(wanted, -caps[name], caps[name])
    return result
