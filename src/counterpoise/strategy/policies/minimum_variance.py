"""Baseline: minimum-variance hedge of all candidates, without volatility, stress and drawdown."""

from counterpoise.strategy import weights
from counterpoise.strategy.candidates import signals_missing
from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.policies import plain
from counterpoise.strategy.reasons import ReasonCode, reason


def wish(case: Case) -> Wish:
    """Want the core at its base and -C b in every candidate that can be sized, against the core.

    A held candidate that cannot be sized stays as it is; one whose weight has the wrong sign is
    not held.
    """
    inputs, parameters = case.inputs, case.inputs.parameters
    core = plain.core_leg(case)
    legs = {parameters.core_instrument: core}
    sides: dict[str, int] = {}
    for name in parameters.hedge_candidates:
        missing = signals_missing(name, inputs.market, inputs.signals, parameters)
        if not missing:
            sides[name] = -parameters.side
            continue
        text = f"{name} may not hedge: {missing}."
        case.reasons.append(reason(ReasonCode.CANDIDATE_INELIGIBLE, text, leg=name))
        if name in case.book.legs:
            legs[name] = case.book.legs[name]
    found, dropped = weights.minimum_variance(sorted(sides), sides, inputs.signals, parameters)
    for name in dropped:
        text = f"{name} has a weight of the wrong sign."
        case.reasons.append(reason(ReasonCode.HEDGE_WRONG_SIGN, text, leg=name))
    legs |= {name: -core * found[name] for name in sorted(found)}
    return plain.resized(case, legs)
