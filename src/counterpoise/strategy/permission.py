"""What may go out when nothing may increase: the part of the wish that lowers risk as a set.

A set is risk-reducing if gross exposure falls and abs(net beta exposure) does not rise; cutting a
hedge alone is a reduction and is not risk-reducing. Legs are signed multiples of equity.
"""

from collections.abc import Mapping

from counterpoise.strategy.numbers import gross, net_beta, sign


def clip_to_reductions(held: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    """Return `wanted` with every leg between zero and what is held."""
    result: dict[str, float] = {}
    for name in sorted(held):
        target, now = wanted.get(name, 0.0), held[name]
        inside = target * now > 0.0
        result[name] = sign(now) * min(abs(target), abs(now)) if inside else 0.0
    return result


def risk_reducing_part(
    held: Mapping[str, float], wanted: Mapping[str, float], betas: Mapping[str, float]
) -> dict[str, float]:
    """Return the largest part of `wanted`'s reductions that is risk-reducing as a set.

    Cuts that move net beta away from zero are shortened by one common factor until abs(net beta)
    is what is held, all others are kept whole; so nothing is done that was not wanted. A leg of
    unknown beta is not cut.
    """
    cut = clip_to_reductions(held, wanted)
    for name in sorted(cut):
        if name not in betas:
            cut[name] = held[name]
    before, after = net_beta(held, betas), net_beta(cut, betas)
    if abs(after) <= abs(before):
        return cut
    direction = sign(after)
    harmful = {
        name: (cut[name] - held[name]) * betas[name]
        for name in sorted(cut)
        if name in betas and (cut[name] - held[name]) * betas[name] * direction > 0.0
    }
    moved = abs(net_beta(harmful, dict.fromkeys(harmful, 1.0)))
    over = abs(after) - abs(before)
    factor = max(moved - over, 0.0) / moved if moved > 0.0 else 1.0
    return {
        name: held[name] + (cut[name] - held[name]) * factor if name in harmful else cut[name]
        for name in sorted(cut)
    }


def is_risk_reducing(
    held: Mapping[str, float],
    after: Mapping[str, float],
    betas: Mapping[str, float],
    net_beta_rounding: float,
) -> bool:
    """Tell whether going from `held` to `after` lowers risk as a set.

    Lot rounding may raise abs(net beta) by at most `net_beta_rounding`. An unknown beta counts 0;
    `risk_reducing_part` leaves such a leg alone.
    """
    rise = abs(net_beta(after, betas)) - abs(net_beta(held, betas))
    return gross(after) < gross(held) and rise <= net_beta_rounding
