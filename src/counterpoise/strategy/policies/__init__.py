"""Ways to decide what to hold, chosen by the parameter `policy`; the baselines are policies too.

Whatever a policy wants goes through lot rounding, the trading state, the gate and the guard.
"""

from collections.abc import Mapping
from typing import Final

from counterpoise.strategy.case import Policy
from counterpoise.strategy.policies import (
    constant_mix,
    counterpoise,
    flat,
    hold_less,
    minimum_variance,
    price_correlation,
    static_hedge,
    unhedged,
)

#: Name -> policy; the names are `strategy.parameters.POLICY_NAMES`.
POLICIES: Final[Mapping[str, Policy]] = {
    "counterpoise": Policy(wish=counterpoise.wish, needs_volatility=True),
    "flat": Policy(wish=flat.wish),
    "unhedged": Policy(wish=unhedged.wish),
    "static_hedge": Policy(wish=static_hedge.wish),
    "price_correlation": Policy(wish=price_correlation.wish),
    "constant_mix": Policy(wish=constant_mix.wish),
    "minimum_variance": Policy(wish=minimum_variance.wish),
    "hold_less": Policy(wish=hold_less.wish),
}
