"""Margin and funding arithmetic against published figures (venues.md 1.6 and 2)."""

from decimal import Decimal

import pytest

from counterpoise.domain.instruments import MarginTier
from counterpoise.exchange import funding, margin
from counterpoise.exchange.rules import FundingFormula
from counterpoise.exchange.wallet import Holding, traded

D = Decimal


def tier(notional_max: str | None, maintenance: str, deduction: str = "0") -> MarginTier:
    return MarginTier(
        notional_max=None if notional_max is None else D(notional_max),
        maintenance_margin_fraction=D(maintenance),
        initial_margin_fraction=D("0.01"),
        maintenance_margin_deduction=D(deduction),
    )


LADDER = (tier("1000", "0.01"), tier("5000", "0.02"), tier(None, "0.05"))


def test_okx_swap_sample_agrees() -> None:
    # V8: one contract of 0.01 BTC, leverage setting 3.
    mark, quantity = D("49547.20230999925"), D("0.01")
    notional = mark * quantity
    tiers = (tier(None, "0.004"),)
    assert margin.maintenance_margin(tiers, notional) == D("1.98188809239997")
    assert margin.initial_margin(tiers, notional, D(3)) == pytest.approx(
        D("165.15734103333082"), abs=D("1e-13")
    )
    holding, realised = traded(Holding(instrument_id="BTCUSDT"), quantity, D("49502.0"), 1)
    assert realised == 0
    assert holding.unrealised_pnl(mark) == pytest.approx(D("0.4520231"), abs=D("1e-9"))


def test_tier_of_the_whole_notional_counts() -> None:
    assert margin.maintenance_margin(LADDER, D(1000)) == 10
    assert margin.maintenance_margin(LADDER, D("1000.01")) == D("20.0002")
    assert margin.maintenance_margin(LADDER, D(6000)) == 300


def test_deduction_keeps_the_ladder_continuous() -> None:
    # V4: 0.5 % up to 250 000 with 50 off, 1 % up to 1 000 000 with 1 300 off.
    tiers = (tier("250000", "0.005", "50"), tier("1000000", "0.01", "1300"))
    assert margin.maintenance_margin(tiers, D(250_000)) == 1_200
    assert margin.maintenance_margin(tiers, D(500_000)) == 3_700


def test_initial_margin_is_never_below_the_tier() -> None:
    assert margin.initial_margin(LADDER, D(900), D(3)) == 300
    assert margin.initial_margin(LADDER, D(900), D(200)) == 9


@pytest.mark.parametrize(
    ("quantity", "entry", "others", "maintenance", "deduction", "expected"),
    [
        # V1: cross, two positions; `others` = wallet + PnL of the other - its maintenance margin.
        ("3683.979", "1456.84", "1407887.62856", "0.1", "135365", "1153.26"),
        ("109.488", "32481.98", "730737.617", "0.025", "16300", "26316.89"),
        # V2: the same wallet with one position.
        ("3683.979", "1456.84", "1535443.01", "0.1", "135365", "1114.78"),
        ("109.488", "32481.98", "1535443.01", "0.025", "16300", "18778.73"),
    ],
)
def test_liquidation_price_vectors(
    quantity: str, entry: str, others: str, maintenance: str, deduction: str, expected: str
) -> None:
    tiers = (tier(None, maintenance, deduction),)
    price = margin.liquidation_price(tiers, D(quantity), D(entry), D(others), D(entry))
    assert price is not None
    assert price.quantize(D("0.01")) == D(expected)


@pytest.mark.parametrize("quantity", [D(2), D(-2), D(30), D(-30), D(80), D(-80)])
def test_equity_equals_maintenance_at_the_liquidation_price(quantity: Decimal) -> None:
    entry, others = D(100), abs(quantity) * 30
    price = margin.liquidation_price(LADDER, quantity, entry, others, entry)
    assert price is not None
    equity = others + quantity * (price - entry)
    maintenance = margin.maintenance_margin(LADDER, abs(quantity) * price)
    assert equity == pytest.approx(maintenance, abs=D("1e-18"))


def test_short_is_liquidated_where_the_requirement_jumps() -> None:
    # At 125 the notional leaves the second tier: equity 200 covers 100 but not 250.
    assert margin.liquidation_price(LADDER, D(-40), D(100), D(1200), D(100)) == 125


def test_long_is_liquidated_in_the_first_tier_it_falls_through() -> None:
    # Solved with the third tier 73.68, which it is still in; lower solutions do not matter.
    price = margin.liquidation_price(LADDER, D(80), D(100), D(2400), D(100))
    assert price == pytest.approx(D("73.684210526"), abs=D("1e-9"))


def test_no_liquidation_price_when_cash_covers_a_fall_to_zero() -> None:
    assert margin.liquidation_price(LADDER, D(1), D(100), D(500), D(100)) is None


@pytest.mark.parametrize(
    ("premium", "hours", "expected"),
    [
        ("0", 8, "0.0001"),
        ("0.001", 8, "0.0005"),
        ("0.0003", 4, "0.00005"),
        ("-0.002", 8, "-0.0015"),
        ("0.001", 1, "0.0005"),
        ("0.05", 8, "0.0075"),
        ("-0.05", 8, "-0.0075"),
    ],
)
def test_funding_rate_vectors(premium: str, hours: int, expected: str) -> None:
    assert funding.funding_rate(FundingFormula.OKX, D(premium), hours, rate_max=D("0.0075")) == D(
        expected
    )


def test_funding_sign_and_amount() -> None:
    # 20 000 notional at 0.01 % costs a long 2 each time, and earns a short 2.
    assert funding.funding_payment(D("0.2"), D(100_000), D("0.0001")) == D(-2)
    assert funding.funding_payment(D("-0.2"), D(100_000), D("0.0001")) == D(2)
    assert funding.funding_payment(D("0.2"), D(100_000), D("-0.0001")) == D(2)


def test_position_averages_up_realises_down_and_flips() -> None:
    flat = Holding(instrument_id="BTCUSDT")
    one, _ = traded(flat, D(1), D(100), 1)
    two, realised = traded(one, D(1), D(110), 2)
    assert (two.quantity, two.entry_price, realised, two.opened_ns) == (2, D(105), 0, 1)
    half, realised = traded(two, D("-0.5"), D(115), 3)
    assert (half.quantity, half.entry_price, realised) == (D("1.5"), D(105), 5)
    flipped, realised = traded(half, D(-2), D(95), 4)
    assert (flipped.quantity, flipped.entry_price, realised) == (D("-0.5"), D(95), -15)
    assert (flipped.realised_pnl, flipped.opened_ns) == (0, 4)
    closed, realised = traded(flipped, D("0.5"), D(96), 5)
    assert (closed.quantity, closed.entry_price, realised) == (0, 0, D("-0.5"))
