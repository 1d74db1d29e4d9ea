"""Baseline: the core and a hedge in the first candidate, both quantities set once."""

from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.policies import plain


def wish(case: Case) -> Wish:
    """Want core and hedge as of the first decision; without a candidate the core alone."""
    parameters, core, hedge = case.inputs.parameters, plain.core_leg(case), plain.first_hedge(case)
    legs = {parameters.core_instrument: core}
    if hedge is not None:
        legs[hedge] = -core * parameters.policy_hedge_fraction
    return plain.set_once(case, legs)
