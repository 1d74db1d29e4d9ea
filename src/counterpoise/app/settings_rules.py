"""Settings that are numbers of the rules. Names and defaults equal those of the rules' own classes.

`app.parameters` hands them on; `tests/unit/app/test_parameters.py` holds the two sides together.
What each number means stands beside it in `strategy.parameters`, `signals.parameters`,
`risk.guard`, `risk.view` and `market.freshness`; what is allowed is checked there.
"""

from decimal import Decimal

from pydantic_settings import BaseSettings


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
    slippage_bps_max: Decimal = Decimal(100)
    cost_bps: Decimal = Decimal(15)

    # How orders are worked (engine.execution_parameters).
    naked_leg_seconds: Decimal = Decimal(20)
    passive_seconds: Decimal = Decimal(4)
    slippage_bps_elevated: Decimal = Decimal(30)
    slippage_bps_stressed: Decimal = Decimal(40)
    slippage_bps_cascade: Decimal = Decimal(20)
    depth_share_max: Decimal = Decimal("0.5")

    # Age and delay of what is known (market.freshness, risk.view).
    mark_ms_max: int = 15_000
    book_ms_max: int = 60_000
    account_ms_max: int = 15_000
    latency_ms_warn: int = 100
    latency_ms_max: int = 200
    clock_offset_ms_max: int = 500

    # The rolling statistics (signals.parameters).
    horizon_seconds: int = 300
    grid_seconds: int = 5
    half_life_fast_hours: float = 3.0
    half_life_medium_hours: float = 24.0
    half_life_slow_hours: float = 240.0
    half_life_semivolatility_hours: float = 6.0
    shrinkage_floor: float = 0.1
    beta_clip: float = 3.0
