"""Equity and leverage at mark: worked figures."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.orders import Fill, Side
from counterpoise.risk import equity, leverage
from risk_world import view
from strategy_world import CORE, ETH, MARKS, NOW_NS

HELD = {CORE: Decimal(2), ETH: Decimal(-30), "OLD": Decimal(0)}
ANCHOR = equity.EquityAnchor(
    venue_equity=Decimal(100_000),
    marks=dict(MARKS),
    quantities=HELD,
    anchor_ns=NOW_NS,
)


def fill(**changes: Any) -> Fill:
    values: dict[str, Any] = {
        "fill_id": "1",
        "instrument_id": CORE,
        "client_order_id": None,
        "venue_order_id": "1",
        "side": Side.SELL,
        "quantity": Decimal(1),
        "price": Decimal(60_500),
        "fee": Decimal(30),
        "fee_currency": "USDT",
        "liquidity": None,
        "realised_pnl": None,
        "event_ns": NOW_NS,
        "received_ns": NOW_NS,
    }
    return Fill(**{**values, **changes})


def test_own_equity_is_wallet_and_profit_at_mark() -> None:
    entries = {CORE: Decimal(59_000), ETH: Decimal(2_900)}
    own = equity.equity_at_mark(Decimal(100_000), HELD, entries, MARKS)
    assert own == Decimal(100_000) + 2000 - 3000
    assert equity.equity_at_mark(None, HELD, entries, MARKS) is None
    assert equity.equity_at_mark(Decimal(1), HELD, {CORE: Decimal(1)}, MARKS) is None
    assert equity.equity_at_mark(Decimal(1), HELD, entries, {CORE: Decimal(1)}) is None
    assert equity.equity_at_mark(Decimal(1), {}, {}, {}) == 1


def test_the_venue_figure_is_carried_by_marks_fills_and_cash() -> None:
    later = MARKS | {CORE: Decimal(61_000), ETH: Decimal(3_010)}
    assert equity.equity_from_anchor(ANCHOR, later) == Decimal(100_000) + 2000 - 300
    # One of two sold at 60,500 while the mark is 61,000: 500 less, and the fee.
    sold = equity.equity_from_anchor(ANCHOR, later, (fill(),), Decimal(7))
    assert sold == Decimal(101_700) - 500 - 30 + 7


def test_a_missing_mark_makes_it_unknown() -> None:
    assert equity.equity_from_anchor(ANCHOR, {CORE: Decimal(1)}) is None
    assert equity.equity_from_anchor(replace(ANCHOR, marks={}), MARKS) is None
    flat = replace(ANCHOR, quantities={})
    assert equity.equity_from_anchor(flat, {}, (fill(),)) is None
    assert equity.equity_from_anchor(flat, {}) == 100_000


def test_the_lower_figure_counts() -> None:
    assert equity.equity(Decimal(2), Decimal(1)) == 1
    assert equity.equity(None, Decimal(1)) is None
    assert equity.equity(Decimal(1), None) is None


def test_exposures() -> None:
    gross = leverage.gross_exposure(HELD, MARKS)
    assert gross == Decimal(210_000)
    assert leverage.net_exposure(HELD, MARKS) == Decimal(30_000)
    assert leverage.gross_exposure(HELD, {}) is None
    assert leverage.net_exposure(HELD, {}) is None
    seen = view(quantities=HELD, betas={ETH: Decimal("1.5")})
    assert leverage.net_beta_exposure(seen) == Decimal(120_000) - Decimal(135_000)
    assert leverage.net_beta_exposure(replace(seen, betas={})) is None
    assert leverage.net_beta_exposure(replace(seen, marks_last={})) is None


@pytest.mark.parametrize(
    ("gross", "worth", "expected", "infinite"),
    [
        (Decimal(200), Decimal(100), Decimal(2), False),
        (Decimal(200), Decimal(0), None, True),
        (Decimal(200), Decimal(-1), None, True),
        (Decimal(0), Decimal(0), None, False),
        (None, Decimal(100), None, False),
        (Decimal(200), None, None, False),
    ],
)
def test_leverage_tells_infinite_from_unknown(
    gross: Decimal | None, worth: Decimal | None, expected: Decimal | None, *, infinite: bool
) -> None:
    assert leverage.leverage(gross, worth) == expected
    assert leverage.is_infinite(gross, worth) is infinite
