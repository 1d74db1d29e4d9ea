"""Baseline: no hedge, only less of the core, as much as has the same volatility."""

from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.policies import plain


def wish(case: Case) -> Wish:
    """Want `hold_less_fraction` of the core's base, of today's equity.

    The fraction is the volatility to match over the one of the base held unhedged: a comparison
    measures both and sets it.
    """
    parameters = case.inputs.parameters
    leg = plain.core_leg(case) * parameters.hold_less_fraction
    return plain.resized(case, {parameters.core_instrument: leg})
