"""The smallest order a venue takes, in money."""

from dataclasses import replace
from decimal import Decimal

from engine_world import instrument


def test_the_smallest_order_is_a_whole_lot_of_the_least_notional() -> None:
    rules = instrument("ETHUSDT", tick="0.01", lot="0.001")
    mark = Decimal(2_500)
    assert rules.order_notional_min(mark) == Decimal("2.5")
    assert replace(rules, notional_min=Decimal("5.1")).order_notional_min(mark) == Decimal("7.5")
    assert replace(rules, notional_min=Decimal(5)).order_notional_min(mark) == 5
    assert replace(rules, quantity_min=Decimal("0.05")).order_notional_min(mark) == 125
