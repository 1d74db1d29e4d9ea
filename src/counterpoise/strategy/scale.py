"""How much of the core's base is held: three rules down, slow growth up (section 3)."""

import math
from dataclasses import dataclass

from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.numbers import clip
from counterpoise.strategy.parameters import StrategyParameters

#: Days in a year of a market that never closes.
DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBefore:
    """Where the scale comes from."""

    #: Scale to grow from; None = first decision.
    scale: float | None
    #: When it was set, ns; None = first decision.
    scale_ns: int | None
    #: abs(held core) / (base x equity).
    held_scale: float


def core_volatility(signals: SignalsView, parameters: StrategyParameters) -> float | None:
    """Return max(0.7 fast, medium, slow) of the core, annualised; None if none is known."""
    core = parameters.core_instrument
    fast = signals.volatility_fast.get(core)
    known = [
        volatility
        for volatility in (
            None if fast is None else parameters.volatility_fast_weight * fast,
            signals.volatility_medium.get(core),
            signals.volatility_slow.get(core),
        )
        if volatility is not None
    ]
    return max(known, default=None)


def daily(volatility_annual: float) -> float:
    """Return the volatility of one day."""
    return volatility_annual / math.sqrt(DAYS_PER_YEAR)


def volatility_scale(volatility: float, parameters: StrategyParameters) -> float:
    """Return s_vol = min(1, target / volatility); volatility targeting, never above 1."""
    if volatility <= parameters.volatility_target or not parameters.on("volatility"):
        return 1.0
    return parameters.volatility_target / volatility


def stress_scale(stress_ratio: float | None, parameters: StrategyParameters) -> float:
    """Return s_stress = max(0.3, 1.5 / ratio) above 1.5, else 1; None = rule skipped, 1."""
    start = parameters.stress_ratio_start
    if stress_ratio is None or stress_ratio <= start or not parameters.on("stress"):
        return 1.0
    return max(parameters.stress_scale_min, start / stress_ratio)


def drawdown_scale(drawdown: float, parameters: StrategyParameters) -> float:
    """Return s_drawdown = max(0.15, 1 - drawdown / limit)."""
    if not parameters.on("drawdown"):
        return 1.0
    return max(parameters.drawdown_scale_min, 1.0 - drawdown / parameters.drawdown_limit)


def next_scale(
    wanted: float,
    before: ScaleBefore,
    now_ns: int,
    parameters: StrategyParameters,
    *,
    may_grow: bool,
) -> float:
    """Return the scale: down at once, up by at most `scale_step` per 15 minutes.

    The first one is min(wanted, max(entry scale, held scale)). While nothing may grow the time
    does not count: growth goes on where it stopped. Nor does the time of decisions that were
    skipped or never made: one decision grows by one cycle's part at most, so that an outage is
    not made up for in a single step.
    """
    if not parameters.on("slow_growth"):
        held = before.held_scale if before.scale is None else before.scale
        return wanted if may_grow else min(wanted, held)
    if before.scale is None or before.scale_ns is None:
        return min(wanted, max(parameters.entry_scale, before.held_scale))
    step_ns = parameters.scale_step_minutes * NS_PER_MINUTE
    cycle_ns = int(parameters.cycle_seconds * NS_PER_SECOND)
    elapsed = min(max(now_ns - before.scale_ns, 0), cycle_ns) / step_ns
    growth = parameters.scale_step * elapsed if may_grow else 0.0
    return clip(before.scale + growth, 0.0, wanted)
