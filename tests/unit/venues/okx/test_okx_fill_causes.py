"""Whose doing an execution was, by stream and by REST, as the simulator tells it too."""

from decimal import Decimal

import pytest

from counterpoise.domain.orders import FillCause, Side
from counterpoise.exchange.orders import OrderCategory
from counterpoise.simulator.okx import order_rows
from counterpoise.venues.okx import frames, rows


def order_row(category: str) -> frames.OrderRow:
    return frames.OrderRow(
        inst_id="BTC-USDT-SWAP",
        ord_id="1",
        state="filled",
        side="sell",
        sz="1",
        ord_type="market",
        acc_fill_sz="1",
        trade_id="-7",
        fill_sz="1",
        fill_px="50000",
        fill_time="1700000000000",
        fill_fee="-1",
        fill_fee_ccy="USDT",
        fill_pnl="-3",
        exec_type="T",
        category=category,
    )


@pytest.mark.parametrize(
    ("category", "cause"),
    [
        ("normal", FillCause.ORDER),
        ("twap", FillCause.ORDER),
        ("full_liquidation", FillCause.LIQUIDATION),
        ("partial_liquidation", FillCause.LIQUIDATION),
        ("adl", FillCause.ADL),
        ("delivery", FillCause.SETTLEMENT),
        ("", None),
    ],
)
def test_the_stream_says_it_by_the_orders_category(category: str, cause: FillCause | None) -> None:
    fill = rows.fill_in_order(order_row(category), "BTCUSDT", Decimal("0.01"), 5)
    assert fill is not None
    assert fill.cause is cause


@pytest.mark.parametrize(
    ("sub_type", "cause"),
    [
        ("1", FillCause.ORDER),
        ("6", FillCause.ORDER),
        ("100", FillCause.LIQUIDATION),
        ("107", FillCause.LIQUIDATION),
        ("113", FillCause.SETTLEMENT),
        ("125", FillCause.ADL),
        ("128", FillCause.ADL),
        ("", None),
    ],
)
def test_rest_says_it_by_the_sub_type(sub_type: str, cause: FillCause | None) -> None:
    row = frames.FillRow(
        inst_id="BTC-USDT-SWAP",
        trade_id="9",
        ord_id="1",
        bill_id="2",
        fill_px="50000",
        fill_sz="1",
        side="sell",
        ts="1700000000000",
        sub_type=sub_type,
    )
    assert rows.fill(row, "BTCUSDT", Decimal("0.01"), 5).cause is cause


def test_the_simulators_two_ways_of_telling_agree() -> None:
    from counterpoise.venues.okx.convert import CATEGORIES, fill_cause

    for category in OrderCategory:
        streamed = CATEGORIES.get(order_rows._CATEGORIES[category], FillCause.ORDER)
        for side in Side:
            assert fill_cause(order_rows._SUB_TYPES[category][side]) is streamed
