"""One moment of a small market, for tests of the strategy: each figure can be replaced."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import msgspec

from counterpoise.domain.account import AccountView, TradingState
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.decision import Decision, DecisionInputs
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters

NOW_NS = 1_790_000_100 * NS_PER_SECOND
CYCLE_NS = 15 * NS_PER_MINUTE
CORE, ETH, SOL, XRP = "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"
MARKS = {
    CORE: Decimal(60000),
    ETH: Decimal(3000),
    SOL: Decimal(150),
    XRP: Decimal("0.5"),
}
TIERS = (
    MarginTier(
        notional_max=Decimal(1_000_000),
        maintenance_margin_fraction=Decimal("0.004"),
        initial_margin_fraction=Decimal("0.01"),
    ),
    MarginTier(
        notional_max=None,
        maintenance_margin_fraction=Decimal("0.01"),
        initial_margin_fraction=Decimal("0.02"),
    ),
)
#: Parameters at which each rule's figures can be counted by hand; the defaults have tests of their
#: own (`test_strategy_golden`, `test_strategy_parameters`).
PARAMETERS = StrategyParameters(
    core_instrument=CORE,
    hedge_candidates=(ETH, SOL, XRP),
    scale_step=0.02,
    incumbency=0.05,
    incumbency_cycles=2,
    hedge_profit_take=0.02,
    leg_band=0.15,
    net_beta_band=0.2,
)


def instrument(name: str, **changes: Any) -> Instrument:
    """Return an instrument with a fine grid."""
    values: dict[str, Any] = {
        "instrument_id": name,
        "base": name.removesuffix("USDT"),
        "quote": "USDT",
        "settle": "USDT",
        "tick_size": Decimal("0.0001"),
        "lot_size": Decimal("0.0001") if name == CORE else Decimal("0.001"),
        "quantity_min": Decimal("0.001"),
        "notional_min": Decimal(5),
        "tiers": TIERS,
    }
    return Instrument(**{**values, **changes})


def market_view(name: str, **changes: Any) -> InstrumentView:
    """Return one instrument's market: complete, deep and calm."""
    mark = changes.get("mark", MARKS[name])
    values: dict[str, Any] = {
        "instrument": instrument(name),
        "mark": mark,
        "index": mark,
        "bid": MARKS[name],
        "ask": MARKS[name] * Decimal("1.0001"),
        "depth_quote": Decimal(1_000_000),
        "funding_rate": Decimal("0.0001"),
        "funding_ns": NOW_NS + CYCLE_NS,
        "funding_interval_hours": Decimal(8),
        "mark_age_ms": 100,
        "book_age_ms": 100,
        "depth_fraction": 1.0,
        "spread_ratio": 1.0,
        "missing": (),
    }
    told = {**values, **changes}
    # Thin for long enough, and fast, unless a test says otherwise.
    told.setdefault("depth_fraction_high", told["depth_fraction"])
    told.setdefault("depth_fall_fraction", told["depth_fraction"])
    return InstrumentView(**told)


def market(views: dict[str, InstrumentView] | None = None, **changes: Any) -> MarketView:
    """Return the market; `views` replaces instruments by name."""
    every = {name: market_view(name) for name in MARKS} | (views or {})
    values: dict[str, Any] = {
        "now_ns": NOW_NS,
        "instruments": every,
        "latency_ms_p50": 5.0,
        "latency_ms_p99": 20.0,
        "liquidations_quote": 1_000.0,
        "liquidations_quote_high": 5_000_000.0,
    }
    return MarketView(**{**values, **changes})


def signals(**changes: Any) -> SignalsView:
    """Return calm signals: core volatility 0.5, every hedge correlated 0.8 with everything."""
    names = tuple(MARKS)
    hedges = names[1:]
    flat = dict.fromkeys(hedges, 0.8)
    volatility = {CORE: 0.5, ETH: 0.6, SOL: 0.8, XRP: 0.7}
    values: dict[str, Any] = {
        "core_id": CORE,
        "sampled_ns": NOW_NS,
        "horizon_seconds": 300,
        "history_days": dict.fromkeys(names, 30.0),
        "volatility_fast": dict(volatility),
        "volatility_medium": dict(volatility),
        "volatility_slow": dict(volatility),
        "semivolatility_adverse": 0.5,
        "stress_ratio": 1.0,
        "correlation": {
            row: {column: 1.0 if row == column else 0.8 for column in names} for row in names
        },
        "volatility_covariance": dict(volatility),
        "beta": {CORE: 1.0} | {name: 0.8 * volatility[name] / 0.5 for name in hedges},
        "correlation_core_fast": dict(flat),
        "correlation_core_medium": dict(flat),
        "volatility_correlation": dict.fromkeys(hedges, 0.0),
        "correlation_daily_stdev": dict.fromkeys(hedges, 0.1),
        "correlation_mean_fast": 0.8,
        "absorption_ratio": 0.8,
        "volatility_fast_rising": False,
        "core_move_sigmas": 1.0,
    }
    return SignalsView(**{**values, **changes})


def account(
    equity: Decimal | int | None = 100_000,
    legs: dict[str, float] | None = None,
    **changes: Any,
) -> AccountView:
    """Return an account; `legs` are signed multiples of equity, entered at the current marks."""
    worth = Decimal(equity) if equity is not None else None
    quantities = {
        name: (Decimal(repr(leg)) * (worth or Decimal(0)) / MARKS[name]).quantize(Decimal("0.0001"))
        for name, leg in (legs or {}).items()
    }
    values: dict[str, Any] = {
        "equity": worth,
        "wallet_balance": worth,
        "quantities": quantities,
        "entry_prices": {name: MARKS[name] for name in quantities},
        "transfers": Decimal(0),
        "age_ms": 50,
        "missing": (),
    }
    return AccountView(**{**values, **changes})


def inputs(**changes: Any) -> DecisionInputs:
    """Return the inputs of a decision; parts are replaced by name."""
    values: dict[str, Any] = {
        "decision_id": "0123456789abcdef",
        "now_ns": NOW_NS,
        "market": market(),
        "account": account(),
        "signals": signals(),
        "memory": Memory.first(),
        "parameters": PARAMETERS,
        "trading_state": TradingState.ACTIVE,
    }
    return DecisionInputs(**{**values, **changes})


def grown(**changes: Any) -> Memory:
    """Return the memory of a full-scale book with three short hedges."""
    values: dict[str, Any] = {
        "scale": 1.0,
        "scale_ns": NOW_NS - CYCLE_NS,
        "core_fraction": 1.5,
        "incumbents": (ETH, SOL, XRP),
        "incumbent_sides": {ETH: -1, SOL: -1, XRP: -1},
        "correlation_multiplier": {ETH: 1.0, SOL: 1.0, XRP: 1.0},
        "correlation_seen": {ETH: -0.8, SOL: -0.8, XRP: -0.8},
        "unit_count": Decimal(100_000),
        "unit_nav": Decimal(1),
        "nav_high_water": Decimal(1),
        "equity": Decimal(100_000),
    }
    return Memory(**{**values, **changes})


def codes(decision: Decision) -> list[str]:
    """Return the reason codes in order."""
    return [item.code.value for item in decision.reasons]


def encoded(value: object) -> bytes:
    """Return the canonical JSON of a value."""
    return msgspec.json.encode(value, order="sorted")


def parameters(**changes: Any) -> StrategyParameters:
    """Return the parameters with some replaced."""
    known = {entry.name for entry in fields(StrategyParameters)}
    assert set(changes) <= known, "unknown parameter"
    return replace(PARAMETERS, **changes)
