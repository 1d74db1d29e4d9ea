"""Baseline: core and hedge at constant multiples of equity, traded back beyond the trade band."""

from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.policies import plain


def wish(case: Case) -> Wish:
    """Want the multiples of `static_hedge`, of today's equity."""
    parameters, core, hedge = case.inputs.parameters, plain.core_leg(case), plain.first_hedge(case)
    legs = {parameters.core_instrument: core}
    if hedge is not None:
        legs[hedge] = -core * parameters.policy_hedge_fraction
    return plain.resized(case, legs)
