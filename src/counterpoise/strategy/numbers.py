"""Float arithmetic in a fixed order, so that a decision is the same on every machine.

`sum` is not used for floats anywhere in this package: from Python 3.12 on it compensates rounding
and gives other bits than before.
"""

from collections.abc import Mapping


def gross(legs: Mapping[str, float]) -> float:
    """Return the sum of absolute legs, in the order of their names."""
    result = 0.0
    for name in sorted(legs):
        result += abs(legs[name])
    return result


def net_beta(legs: Mapping[str, float], betas: Mapping[str, float]) -> float:
    """Return the sum of leg x beta, in the order of their names; an unknown beta counts as 0."""
    result = 0.0
    for name in sorted(legs):
        result += legs[name] * betas.get(name, 0.0)
    return result


def scaled(legs: Mapping[str, float], factor: float) -> dict[str, float]:
    """Return every leg times `factor`."""
    return {name: legs[name] * factor for name in sorted(legs)}


def sign(value: float) -> int:
    """Return -1, 0 or +1."""
    return (value > 0) - (value < 0)


def clip(value: float, low: float, high: float) -> float:
    """Return `value`, at least `low` and at most `high`."""
    return max(low, min(high, value))
