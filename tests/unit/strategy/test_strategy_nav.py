"""Unit NAV: transfers are no profit."""

from decimal import Decimal

from counterpoise.strategy import nav
from counterpoise.strategy.memory import Memory, forget_high_water
from strategy_world import grown


def test_the_first_unit_costs_one() -> None:
    first = nav.advance(Memory.first(), Decimal(500), Decimal(0))
    assert (first.unit_count, first.unit_nav, first.drawdown) == (Decimal(500), Decimal(1), 0.0)


def test_a_loss_is_a_drawdown_and_a_profit_a_new_high() -> None:
    lost = nav.advance(grown(), Decimal(90_000), Decimal(0))
    assert (lost.unit_nav, lost.nav_high_water) == (Decimal("0.9"), Decimal(1))
    assert lost.drawdown == 0.1
    won = nav.advance(grown(), Decimal(110_000), Decimal(0))
    assert (won.nav_high_water, won.drawdown) == (Decimal("1.1"), 0.0)


def test_a_deposit_buys_units_and_hides_no_loss() -> None:
    # 100,000 lost 10 % and 45,000 came in: half as many units again, the same NAV.
    after = nav.advance(grown(), Decimal(135_000), Decimal(45_000))
    assert (after.unit_count, after.unit_nav) == (Decimal(150_000), Decimal("0.9"))
    assert after.drawdown == 0.1


def test_a_withdrawal_is_no_drawdown() -> None:
    after = nav.advance(grown(), Decimal(50_000), Decimal(-50_000))
    assert (after.unit_count, after.drawdown) == (Decimal(50_000), 0.0)


def test_a_deposit_into_an_empty_account_starts_anew() -> None:
    after = nav.advance(grown(), Decimal(1000), Decimal(1000))
    assert (after.unit_count, after.unit_nav, after.drawdown) == (Decimal(1000), Decimal(1), 0.0)


def test_the_operator_can_forget_the_high_water_mark() -> None:
    low = grown(unit_nav=Decimal("0.8"))
    assert forget_high_water(low).nav_high_water == Decimal("0.8")
