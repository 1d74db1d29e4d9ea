"""Whose doing an execution was, in Binance's and Bybit's words, and as the simulator tells it."""

from decimal import Decimal

import pytest

from counterpoise.domain.orders import FillCause
from counterpoise.exchange.orders import OrderCategory
from counterpoise.simulator.binance import order_rows as binance_rows
from counterpoise.simulator.bybit import order_rows as bybit_rows
from counterpoise.venues.binance.convert import fill_cause as binance_cause
from counterpoise.venues.bybit.convert import fill_cause as bybit_cause
from counterpoise.venues.okx import frames, rows

SIMULATED = {
    OrderCategory.NORMAL: FillCause.ORDER,
    OrderCategory.LIQUIDATION: FillCause.LIQUIDATION,
    OrderCategory.PARTIAL_LIQUIDATION: FillCause.LIQUIDATION,
    OrderCategory.ADL: FillCause.ADL,
    OrderCategory.DELISTING: FillCause.SETTLEMENT,
}


@pytest.mark.parametrize(
    ("client_id", "cause"),
    [
        ("autoclose-1700000000000123", FillCause.LIQUIDATION),
        ("adl_autoclose", FillCause.ADL),
        ("settlement_autoclose-77", FillCause.SETTLEMENT),
        ("cp0123456789abcdef0123456789abcd", FillCause.ORDER),
        ("web_autoclose-1", FillCause.ORDER),
        ("", FillCause.ORDER),
    ],
)
def test_binance_says_it_by_the_orders_client_id(client_id: str, cause: FillCause) -> None:
    assert binance_cause(client_id) is cause


@pytest.mark.parametrize(
    ("exec_type", "create_type", "cause"),
    [
        ("Trade", "CreateByUser", FillCause.ORDER),
        ("Trade", "", FillCause.ORDER),
        ("BlockTrade", "CreateByBlock_PassThrough", FillCause.ORDER),
        ("AdlTrade", "", FillCause.ADL),
        ("BustTrade", "CreateByTakeOver_PassThrough", FillCause.LIQUIDATION),
        ("Settle", "", FillCause.SETTLEMENT),
        # A liquidation in steps is an ordinary trade of an order that Bybit made.
        ("Trade", "CreateByLiq", FillCause.LIQUIDATION),
        ("Trade", "CreateByAdl_PassThrough", FillCause.ADL),
    ],
)
def test_bybit_says_it_by_two_types(exec_type: str, create_type: str, cause: FillCause) -> None:
    assert bybit_cause(exec_type, create_type) is cause


@pytest.mark.parametrize("category", list(OrderCategory))
def test_the_simulator_tells_what_the_adapters_read(category: OrderCategory) -> None:
    prefix = binance_rows._VENUE_NAMES.get(category, "")
    assert binance_cause(f"{prefix}123") is SIMULATED[category]
    create_type, exec_type = bybit_rows._CATEGORIES[category]
    assert bybit_cause(exec_type, create_type) is SIMULATED[category]


@pytest.mark.parametrize(
    ("pos", "adl", "rank"),
    [("1", "0", 1), ("1", "1", 1), ("-1", "5", 5), ("1", "", None), ("0", "3", None)],
)
def test_okx_tells_the_place_in_the_queue(pos: str, adl: str, rank: int | None) -> None:
    row = frames.PositionRow(inst_id="BTC-USDT-SWAP", pos=pos, avg_px="100", adl=adl)
    assert rows.position(row, "BTCUSDT", Decimal("0.01")).adl_rank == rank
