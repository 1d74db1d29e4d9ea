"""Baseline: the core alone, its quantity set once."""

from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.policies import plain


def wish(case: Case) -> Wish:
    """Want the core at its base as of the first decision."""
    return plain.set_once(case, {case.inputs.parameters.core_instrument: plain.core_leg(case)})
