"""Every number the strategy uses, named, with its default and what is allowed."""

import math
from dataclasses import dataclass, fields
from typing import Final

#: Stored with every decision; changed whenever a change of code can change a decision.
STRATEGY_VERSION: Final = "1.3.0"

#: The policy that is the strategy; all others are baselines to hold beside it.
COUNTERPOISE: Final = "counterpoise"

#: What `policy` may be.
POLICY_NAMES: Final = (
    COUNTERPOISE,
    "flat",
    "unhedged",
    "static_hedge",
    "price_correlation",
    "constant_mix",
    "minimum_variance",
    "hold_less",
)

#: Rules of the strategy that `rules_off` can switch off, in the order of its document.
RULE_NAMES: Final = (
    "regime_stress",
    "regime_correlation",
    "regime_move",
    "regime_depth",
    "regime_spread",
    "regime_liquidations",
    "volatility",
    "stress",
    "drawdown",
    "slow_growth",
    "incumbency",
    "correlation_close",
    "correlation_cut",
    "volatility_raise",
    "profit",
    "offset_limit",
    "adl_credit",
    "unhedged_limit",
    "liquidation_distance",
    "leverage_soft",
    "trade_band",
    "downsizing",
    "regime_demand",
    "latency",
    "cascade_hold",
    "hedge_data",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyParameters:
    """The rules' numbers (strategy specification sections 2 to 5 and 7).

    Fractions of equity are multiples (1.5 = one and a half times equity), volatilities are
    annualised, correlations and betas are plain numbers, `*_bps` are 1e-4.
    """

    #: Instrument of the core.
    core_instrument: str
    #: "long" or "short": the side the operator chose for the core.
    core_side: str = "long"
    #: Instruments a hedge may be held in, in order of preference at equal scores.
    hedge_candidates: tuple[str, ...] = ()
    #: How it is decided what to hold, one of `POLICY_NAMES`.
    policy: str = COUNTERPOISE
    #: Rules that are switched off, of `RULE_NAMES`; empty = all are on.
    rules_off: tuple[str, ...] = ()

    #: Share of equity given to the core.
    core_allocation: float = 0.6
    #: Leverage of that share; base exposure is allocation x leverage.
    core_leverage: float = 2.5
    #: Core volatility above which the core shrinks.
    volatility_target: float = 0.60
    #: Weight of the fast volatility in the worst of fast, medium and slow.
    volatility_fast_weight: float = 0.7
    #: Stress ratio above which the core shrinks in proportion.
    stress_ratio_start: float = 1.5
    #: Smallest factor of the stress rule.
    stress_scale_min: float = 0.3
    #: Drawdown of unit NAV at which the drawdown rule would reach zero.
    drawdown_limit: float = 0.20
    #: Smallest factor of the drawdown rule.
    drawdown_scale_min: float = 0.15
    #: Scale of the first decision unless more core is held.
    entry_scale: float = 0.25
    #: Most the scale grows per `scale_step_minutes`.
    scale_step: float = 0.0025
    #: Minutes `scale_step` is meant for.
    scale_step_minutes: float = 15.0

    #: Hedge legs held at most.
    hedge_legs: int = 3
    #: Multiplier of the minimum-variance hedge.
    hedge_ratio: float = 1.2
    #: Added to the diagonal of the hedges' correlation matrix.
    ridge: float = 0.3
    #: Leg correlation at and above which a leg is cut to `correlation_cut_multiplier`.
    correlation_cut: float = 0.7
    #: Leg correlation at and below which a leg has its full size.
    correlation_restore: float = 0.3
    #: Size left at `correlation_cut`; linear up to 1 at `correlation_restore`.
    correlation_cut_multiplier: float = 0.5
    #: Leg correlation at and above which a leg is closed after `correlation_close_cycles`.
    correlation_close: float = 0.9
    #: Cycles in a row at `correlation_close` before a leg is closed.
    correlation_close_cycles: int = 2
    #: Leg correlation at and below which a closed leg is eligible again.
    correlation_reopen: float = 0.85
    #: Smallest move of the leg correlation that changes the multiplier.
    correlation_hysteresis: float = 0.05
    #: Extra offset per unit of stress ratio above 1.
    stress_hedge_gain: float = 0.5
    #: Largest stress ratio above 1 that counts for it.
    stress_hedge_span: float = 1.5
    #: Most of the core's exposure the hedges may offset, beta-weighted.
    offset_max: float = 0.95
    #: Share of a hedge's offset that counts in the check on net beta.
    hedge_credit_max: float = 0.5
    #: Place in the queue for auto-deleveraging, 1 (last) to 5 (next), from which none of it counts.
    adl_rank_high: int = 4
    #: Largest core exposure less counted offset, multiples of equity (the unhedged limit).
    core_unhedged_max: float = 1.0
    #: Unrealised profit of a hedge leg, fraction of equity, above which half is realised in stress;
    #: at 1.0 practically never: it cost more than it saved (docs/strategy.md).
    hedge_profit_take: float = 1.0
    #: Part of a leg that is closed then.
    hedge_profit_part: float = 0.5

    #: Weight of the volatility correlation in a candidate's score.
    score_volatility_correlation: float = 0.25
    #: Bps per day of carry less cost that are worth one point of score.
    score_carry_bps: float = 20.0
    #: Weight of the daily correlation's standard deviation in the score.
    score_correlation_stdev: float = 0.5
    #: Days a leg is expected to stay, over which its round trip is spread.
    holding_days: float = 7.0
    #: Score by which a challenger must beat an incumbent.
    incumbency: float = 0.2
    #: Cycles in a row it must do so.
    incumbency_cycles: int = 96
    #: Days of history a candidate needs.
    history_days_min: float = 3.0
    #: Quote notional within 25 bps of mid a candidate needs; 0 = any.
    depth_quote_min: float = 0.0
    #: Quote notional traded in 24 h a candidate needs; 0 = any.
    volume_quote_min: float = 0.0

    #: Stress ratio of ELEVATED.
    regime_stress_elevated: float = 1.2
    #: Stress ratio of STRESSED.
    regime_stress_stressed: float = 2.0
    #: Mean pairwise correlation of STRESSED while fast volatility rises.
    regime_correlation_stressed: float = 0.85
    #: Depth fraction at and below which an instrument's own book is stressed.
    regime_depth_stressed: float = 0.5
    #: Depth fraction of CASCADE, and the part of it that must have gone within 3 minutes.
    regime_depth_cascade: float = 0.35
    #: Spread ratio of CASCADE.
    regime_spread_cascade: float = 20.0
    #: Core move within 5 minutes in fast sigmas of CASCADE.
    regime_move_cascade: float = 6.0
    #: Calmer cycles before the regime falls one step.
    regime_calm_cycles: int = 4
    #: Cycles, the one that sees it included, without new risk after a CASCADE.
    cascade_hold_cycles: int = 2

    #: Smallest core-equivalent move to liquidation, fraction.
    liquidation_distance_min: float = 0.25
    #: The same in daily sigmas of the core; the larger of the two holds.
    liquidation_sigmas_min: float = 5.0
    #: Gross exposure of the targets at most, multiples of equity.
    leverage_soft: float = 2.7
    #: Gap of one leg, fraction of equity, at which all legs trade.
    leg_band: float = 0.3
    #: Gap of net beta exposure, fraction of equity, at which all legs trade.
    net_beta_band: float = 0.3
    #: Fall of the wanted core, fraction of equity, that trades at once.
    downsize_wait: float = 0.03
    #: Part by which the held book must be beyond a limit before it trades for that alone; targets
    #: stand on the limit itself, and every tick would move the book across it.
    limit_slack: float = 0.02
    #: Rise of net beta, fraction of equity, that lot rounding may cause in a reducing set.
    net_beta_rounding: float = 0.005

    #: Hedge notional per unit of core notional in the policies with one hedge of fixed size.
    policy_hedge_fraction: float = 2 / 3
    #: Multiplier of that hedge at a price correlation of `correlation_restore` or less.
    price_correlation_raise: float = 1.5
    #: Part of the core's base that the policy `hold_less` holds.
    hold_less_fraction: float = 0.5

    #: Taker fee.
    fee_bps: float = 5.0
    #: Expected slippage.
    slippage_bps: float = 2.0
    #: p99 feed latency that is worth a warning, ms.
    latency_ms_warn: float = 100.0
    #: p99 feed latency above which nothing increases, ms.
    latency_ms_max: float = 200.0

    def __post_init__(self) -> None:
        validate(self)

    @property
    def side(self) -> int:
        """+1 for a long core, -1 for a short one."""
        return 1 if self.core_side == "long" else -1

    def on(self, rule: str) -> bool:
        """Tell whether a rule of `RULE_NAMES` is switched on."""
        return rule not in self.rules_off

    @property
    def base(self) -> float:
        """Core exposure at scale 1, multiples of equity."""
        return self.core_allocation * self.core_leverage


#: field -> (lowest, highest) allowed, both included.
RANGES: Final[dict[str, tuple[float, float]]] = {
    "core_allocation": (0.4, 0.6),
    "core_leverage": (2.0, 3.0),
    "volatility_target": (0.01, 5.0),
    "volatility_fast_weight": (0.0, 1.0),
    "stress_ratio_start": (1.0, 10.0),
    "stress_scale_min": (0.0, 1.0),
    "drawdown_limit": (0.01, 1.0),
    "drawdown_scale_min": (0.0, 1.0),
    "entry_scale": (0.0, 1.0),
    "scale_step": (0.0, 1.0),
    "scale_step_minutes": (0.1, 1440.0),
    "hedge_legs": (0, 20),
    "hedge_ratio": (0.0, 3.0),
    "ridge": (0.01, 10.0),
    "correlation_cut": (-1.0, 1.0),
    "correlation_restore": (-1.0, 1.0),
    "correlation_cut_multiplier": (0.0, 1.0),
    "correlation_close": (-1.0, 1.0),
    "correlation_close_cycles": (1, 100),
    "correlation_reopen": (-1.0, 1.0),
    "correlation_hysteresis": (0.0, 1.0),
    "stress_hedge_gain": (0.0, 2.0),
    "stress_hedge_span": (0.0, 10.0),
    "offset_max": (0.0, 0.95),
    "hedge_credit_max": (0.0, 0.5),
    "adl_rank_high": (1, 6),
    "core_unhedged_max": (0.1, 1.8),
    "hedge_profit_take": (0.001, 1.0),
    "hedge_profit_part": (0.0, 1.0),
    "score_volatility_correlation": (0.0, 10.0),
    "score_carry_bps": (0.1, 1e6),
    "score_correlation_stdev": (0.0, 10.0),
    "holding_days": (0.01, 3650.0),
    "incumbency": (0.0, 5.0),
    "incumbency_cycles": (1, 1000),
    "history_days_min": (0.0, 365.0),
    "depth_quote_min": (0.0, 1e12),
    "volume_quote_min": (0.0, 1e12),
    "regime_stress_elevated": (0.0, 100.0),
    "regime_stress_stressed": (0.0, 100.0),
    "regime_correlation_stressed": (0.0, 1.0),
    "regime_depth_stressed": (0.0, 1.0),
    "regime_depth_cascade": (0.0, 1.0),
    "regime_spread_cascade": (1.0, 1e6),
    "regime_move_cascade": (0.1, 1e3),
    "regime_calm_cycles": (1, 1000),
    "cascade_hold_cycles": (0, 1000),
    "liquidation_distance_min": (0.0, 1.0),
    "liquidation_sigmas_min": (0.0, 100.0),
    "leverage_soft": (0.1, 3.0),
    "leg_band": (0.0, 3.0),
    "net_beta_band": (0.0, 3.0),
    "downsize_wait": (0.0, 3.0),
    "limit_slack": (0.0, 0.1),
    "net_beta_rounding": (0.0, 0.1),
    "policy_hedge_fraction": (0.0, 2.0),
    "price_correlation_raise": (0.0, 3.0),
    "hold_less_fraction": (0.01, 1.0),
    "fee_bps": (-100.0, 1000.0),
    "slippage_bps": (0.0, 1000.0),
    "latency_ms_warn": (0.0, 1e6),
    "latency_ms_max": (0.0, 1e6),
}

#: (lower field, higher field): the first may not be above the second.
ORDERED: Final[tuple[tuple[str, str], ...]] = (
    ("correlation_restore", "correlation_cut"),
    ("correlation_cut", "correlation_close"),
    ("correlation_reopen", "correlation_close"),
    ("regime_stress_elevated", "regime_stress_stressed"),
    ("regime_depth_cascade", "regime_depth_stressed"),
    ("latency_ms_warn", "latency_ms_max"),
)


def validate(parameters: StrategyParameters) -> None:
    """Check every field. Raises ValueError naming the field, its value and what is allowed."""
    for entry in fields(parameters):
        if entry.name in RANGES:
            _check_range(entry.name, getattr(parameters, entry.name))
    for lower, higher in ORDERED:
        low, high = getattr(parameters, lower), getattr(parameters, higher)
        if low > high:
            raise ValueError(f"{lower}={low!r}: allowed is at most {higher}={high!r}")
    if parameters.correlation_restore == parameters.correlation_cut:
        raise ValueError(
            f"correlation_restore={parameters.correlation_restore!r}: allowed is less than "
            f"correlation_cut={parameters.correlation_cut!r}"
        )
    _check_names(parameters)


def _check_range(name: str, value: float) -> None:
    low, high = RANGES[name]
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name}={value!r}: allowed is {low} to {high}")


def _check_names(parameters: StrategyParameters) -> None:
    if parameters.core_side not in ("long", "short"):
        raise ValueError(f"core_side={parameters.core_side!r}: allowed is 'long' or 'short'")
    if parameters.policy not in POLICY_NAMES:
        raise ValueError(f"policy={parameters.policy!r}: allowed is {', '.join(POLICY_NAMES)}")
    for rule in parameters.rules_off:
        if rule not in RULE_NAMES:
            raise ValueError(f"rules_off={rule!r}: allowed is any of {', '.join(RULE_NAMES)}")
    if not parameters.core_instrument:
        raise ValueError("core_instrument='': allowed is an instrument id")
    names = parameters.hedge_candidates
    if len(set(names)) != len(names) or parameters.core_instrument in names or "" in names:
        raise ValueError(
            f"hedge_candidates={names!r}: allowed are distinct instrument ids without the core's"
        )
