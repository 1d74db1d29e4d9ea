"""Baseline: nothing is held, and whatever is held is closed."""

from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.policies import plain


def wish(case: Case) -> Wish:
    """Want every position closed."""
    return plain.exactly(case, {}, plain.standing(case))
