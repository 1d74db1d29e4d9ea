"""Settings that are numbers of the rules. Names and defaults equal those of the rules' own classes.

`app.parameters` hands them on; `tests/unit/app/test_parameters.py` holds the two sides together.
What each number means stands beside it in `strategy.parameters`, `signals.parameters`,
`risk.guard`, `risk.view` and `market.freshness`; what is allowed is checked there.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings

#: Farthest a limit of an increase may be allowed to lie from the mark, bps.
SLIPPAGE_BPS_MAX: Final = 500


class RuleSettings(BaseSettings):
    """Every number a rule uses; a running daemon takes a tighter one on SIGHUP."""

    # The core (strategy.parameters).
    core_allocation: float = 0.6
    core_leverage: float = 2.5
    core_unhedged_max: float = 1.0
    volatility_target: float = 0.60
    volatility_fast_weight: float = 0.7
    stress_ratio_start: float = 1.5
    stress_scale_min: float = 0.3
    drawdown_limit: float = 0.20
    drawdown_scale_min: float = 0.15
    entry_scale: float = 0.25
    scale_step: float = 0.0025
    scale_step_minutes: float = 15.0

    # The hedge (strategy.parameters).
    hedge_legs: int = 3
    hedge_ratio: float = 1.2
    hedge_credit_max: float = 0.5
    adl_rank_high: int = 4
    hedge_profit_take: float = 1.0
    hedge_profit_part: float = 0.5
    offset_max: float = 0.95
    ridge: float = 0.3
    correlation_cut: float = 0.7
    correlation_restore: float = 0.3
    correlation_cut_multiplier: float = 0.5
    correlation_close: float = 0.9
    correlation_close_cycles: int = 2
    correlation_reopen: float = 0.85
    correlation_hysteresis: float = 0.05
    stress_hedge_gain: float = 0.5
    stress_hedge_span: float = 1.5

    # The choice of hedges (strategy.parameters).
    score_volatility_correlation: float = 0.25
    score_carry_bps: float = 20.0
    score_correlation_stdev: float = 0.5
    holding_days: float = 7.0
    incumbency: float = 0.2
    incumbency_cycles: int = 96
    history_days_min: float = 3.0
    depth_quote_min: float = 0.0
    volume_quote_min: float = 0.0

    # The regime (strategy.parameters).
    regime_stress_elevated: float = 1.2
    regime_stress_stressed: float = 2.0
    regime_correlation_stressed: float = 0.85
    regime_depth_stressed: float = 0.5
    regime_depth_cascade: float = 0.35
    regime_spread_cascade: float = 20.0
    regime_move_cascade: float = 6.0
    regime_calm_cycles: int = 4
    cascade_hold_cycles: int = 2

    # The baselines (strategy.parameters).
    policy_hedge_fraction: float = 2 / 3
    price_correlation_raise: float = 1.5
    hold_less_fraction: float = 0.5

    # Targets and bands (strategy.parameters).
    leverage_soft: float = 2.7
    leg_band: float = 0.3
    net_beta_band: float = 0.3
    downsize_wait: float = 0.03
    limit_slack: float = 0.02
    net_beta_rounding: float = 0.005
    liquidation_distance_min: float = 0.25
    liquidation_sigmas_min: float = 5.0

    # The ceiling and the guard (risk.ceiling, risk.guard).
    leverage_ceiling: Decimal = Decimal(3)
    leverage_trigger: Decimal = Decimal("2.9")
    leverage_target: Decimal = Decimal("2.6")
    net_beta_trigger: Decimal = Decimal("2.0")
    net_beta_target: Decimal = Decimal("1.8")
    distance_trigger: Decimal = Decimal("0.15")
    distance_target: Decimal = Decimal("0.20")

    # Stops that rest at the venue (risk.protection).
    stop_depth: Decimal = Decimal("0.25")
    stop_move_max: Decimal = Decimal("0.5")
    stop_band: Decimal = Decimal("0.02")
    stop_quantity_band: Decimal = Decimal("0.02")

    # Cost of trading, and how far a price may go, bps (risk.view, engine.run).
    fee_bps: float = 5.0
    slippage_bps: float = 2.0
    slippage_bps_increase: Decimal = Decimal(20)
    slippage_bps_reduction: Decimal = Decimal(50)
    slippage_bps_max: Decimal = Field(default=Decimal(100), gt=0, le=SLIPPAGE_BPS_MAX)
    cost_bps: Decimal = Decimal(15)

    # How orders are worked (engine.execution_parameters).
    naked_leg_seconds: Decimal = Decimal(20)
    passive_seconds: Decimal = Decimal(4)
    slippage_bps_elevated: Decimal = Decimal(30)
    slippage_bps_stressed: Decimal = Decimal(40)
    slippage_bps_cascade: Decimal = Decimal(20)
    depth_share_max: Decimal = Decimal("0.5")

    # Age and delay of what is known (market.freshness, risk.view).
    mark_ms_max: int = Field(default=15_000, ge=1, le=60_000)
    book_ms_max: int = Field(default=60_000, ge=1, le=600_000)
    account_ms_max: int = Field(default=15_000, ge=1, le=60_000)
    latency_ms_warn: int = Field(default=100, ge=1, le=30_000)
    latency_ms_max: int = Field(default=200, ge=1, le=30_000)
    clock_offset_ms_max: int = Field(default=500, ge=1, le=5_000)

    # The rolling statistics (signals.parameters).
    horizon_seconds: int = 300
    grid_seconds: int = 5
    half_life_fast_hours: float = 3.0
    half_life_medium_hours: float = 24.0
    half_life_slow_hours: float = 240.0
    half_life_semivolatility_hours: float = 6.0
    shrinkage_floor: float = 0.1
    beta_clip: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOrder:
    """Two limits that contradict each other unless one is below the other."""

    #: Setting that must be lower.
    lower: str
    #: Setting that must be higher.
    higher: str
    #: True = the two may be equal.
    equal: bool = False
    #: What they would do to each other; "" = it is plain.
    why: str = ""


#: What must be more than zero: at zero the guard closes the book, or never acts.
ABOVE_ZERO: Final = ("leverage_target", "net_beta_target", "distance_trigger", "entry_scale")

_FIGHT: Final = "else the guard takes off what decisions put on, again and again"
_DENIED: Final = "else the gate denies every increase priced by it"

#: What the guard and the gate allow must leave room for what decisions aim at.
LIMIT_ORDERS: Final = (
    LimitOrder(lower="leverage_target", higher="leverage_trigger"),
    LimitOrder(lower="leverage_trigger", higher="leverage_ceiling"),
    LimitOrder(lower="leverage_soft", higher="leverage_trigger"),
    LimitOrder(lower="net_beta_target", higher="net_beta_trigger"),
    LimitOrder(lower="core_unhedged_max", higher="net_beta_target", equal=True, why=_FIGHT),
    LimitOrder(lower="distance_trigger", higher="distance_target"),
    LimitOrder(lower="distance_target", higher="liquidation_distance_min", equal=True, why=_FIGHT),
    LimitOrder(lower="slippage_bps_increase", higher="slippage_bps_max", equal=True, why=_DENIED),
    LimitOrder(lower="slippage_bps_elevated", higher="slippage_bps_max", equal=True, why=_DENIED),
    LimitOrder(lower="slippage_bps_stressed", higher="slippage_bps_max", equal=True, why=_DENIED),
    LimitOrder(lower="slippage_bps_cascade", higher="slippage_bps_max", equal=True, why=_DENIED),
)


def not_above_zero(settings: RuleSettings) -> str | None:
    """Return the first limit that must be more than zero and is not; None = there is none."""
    return next((name for name in ABOVE_ZERO if not getattr(settings, name) > 0), None)


def contradiction(settings: RuleSettings) -> LimitOrder | None:
    """Return the first order that the settings break; None = there is none."""
    return next((order for order in LIMIT_ORDERS if not _kept(order, settings)), None)


def _kept(order: LimitOrder, settings: RuleSettings) -> bool:
    lower, higher = (_exact(getattr(settings, name)) for name in (order.lower, order.higher))
    return lower <= higher if order.equal else lower < higher


def _exact(value: Decimal | float) -> Decimal:
    # As it is written, so that 0.1 equals 0.1.
    return value if isinstance(value, Decimal) else Decimal(repr(value))
