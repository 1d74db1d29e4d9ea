"""One account and its market as risk sees them: each figure can be replaced."""

from decimal import Decimal
from typing import Any

from counterpoise.domain.account import OpenOrder, TradingState
from counterpoise.domain.orders import (
    IntentSource,
    LegRole,
    OrderIntent,
    OrderKind,
    OrderState,
    Side,
    TimeInForce,
)
from counterpoise.risk.view import RiskView
from strategy_world import CORE, ETH, MARKS, NOW_NS, SOL, instrument

INSTRUMENTS = {
    name: instrument(name, lot_size=Decimal("0.001"), tick_size=Decimal("0.1"))
    for name in (CORE, ETH, SOL)
}


def view(**changes: Any) -> RiskView:
    """Return a healthy account: equity 100,000, 1.5 core and -1.0 ETH."""
    marks = {name: MARKS[name] for name in (CORE, ETH, SOL)}
    values: dict[str, Any] = {
        "now_ns": NOW_NS,
        "trading_state": TradingState.ACTIVE,
        "core_id": CORE,
        "equity": Decimal(100_000),
        "quantities": {CORE: Decimal("2.5"), ETH: Decimal("-33.333")},
        "marks": marks,
        "marks_last": changes.get("marks", marks),
        "open_orders": (),
        "instruments": INSTRUMENTS,
        "betas": {ETH: Decimal(1), SOL: Decimal(2)},
        "missing": {},
        "ledger_available": True,
        "lease_held": True,
        "latency_ms_p99": 20.0,
        "clock_offset_ms": 3.0,
        "leverage_ceiling": Decimal(3),
        "taker_fee_bps": Decimal(5),
        "slippage_bps": Decimal(10),
    }
    return RiskView(**{**values, **changes})


def intent(name: str = CORE, **changes: Any) -> OrderIntent:
    """Return an intent to buy 0.1 of the core at the mark."""
    side = changes.get("side", Side.BUY)
    values: dict[str, Any] = {
        "client_order_id": "cp" + "0" * 30,
        "decision_id": "0123456789abcdef",
        "instrument_id": name,
        "leg": LegRole.CORE if name == CORE else LegRole.HEDGE,
        "source": IntentSource.CYCLE,
        "side": side,
        "quantity": Decimal("0.1"),
        "kind": OrderKind.LIMIT,
        "price_limit": MARKS[name],
        "time_in_force": TimeInForce.IOC,
        "reduce_only": False,
        "attempt": 0,
        "created_ns": NOW_NS,
    }
    if changes.get("kind") is OrderKind.MARKET:
        values["price_limit"] = None
    return OrderIntent(**{**values, **changes})


def order(name: str = CORE, **changes: Any) -> OpenOrder:
    """Return an open order to buy 0.1 of the core at the mark."""
    values: dict[str, Any] = {
        "client_order_id": "cp" + "1" * 30,
        "venue_order_id": "1",
        "instrument_id": name,
        "side": Side.BUY,
        "quantity": Decimal("0.1"),
        "filled_quantity": Decimal(0),
        "price_limit": MARKS[name],
        "reduce_only": False,
        "state": OrderState.ACCEPTED,
    }
    return OpenOrder(**{**values, **changes})
