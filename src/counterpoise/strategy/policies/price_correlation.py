"""Baseline: the published rule taken literally, a hedge scaled by price correlation.

Where prices correlate above 0.7 the hedge is cut, below 0.3 it is raised. A short hedge offsets
most where prices correlate most, so the rule removes it when it works; leg correlation, with the
side in it, is what `counterpoise` uses instead.
"""

from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.policies import plain
from counterpoise.strategy.reasons import ReasonCode, reason


def wish(case: Case) -> Wish:
    """Want the core at its base and the first candidate against it, x `multiplier`.

    An unknown correlation leaves the multiplier at 1 and says so.
    """
    parameters, core, hedge = case.inputs.parameters, plain.core_leg(case), plain.first_hedge(case)
    legs = {parameters.core_instrument: core}
    if hedge is not None:
        rho = case.inputs.signals.correlation_core_medium.get(hedge)
        if rho is None:
            text = f"The correlation of {hedge} is not known: its hedge is not scaled."
            case.reasons.append(reason(ReasonCode.RULE_SKIPPED, text, rule="price_correlation"))
        factor = 1.0 if rho is None else multiplier(rho, parameters)
        legs[hedge] = -core * parameters.policy_hedge_fraction * factor
    return plain.resized(case, legs)


def multiplier(rho: float, parameters: StrategyParameters) -> float:
    """Return 0.5 at a price correlation >= 0.7, 1.5 at <= 0.3, linear between."""
    low, high = parameters.correlation_restore, parameters.correlation_cut
    least, most = parameters.correlation_cut_multiplier, parameters.price_correlation_raise
    if rho >= high:
        return least
    if rho <= low:
        return most
    return most - (most - least) * (rho - low) / (high - low)
