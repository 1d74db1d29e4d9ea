"""Where stops lie: beyond the guard, short of liquidation, against the position."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.instruments import MarginTier
from counterpoise.domain.orders import LegRole, Side
from counterpoise.risk.guard import GuardParameters
from counterpoise.risk.protection import ProtectionParameters, stop_move, stop_targets
from risk_world import INSTRUMENTS, view
from strategy_world import CORE, ETH

#: No maintenance margin, so that liquidation is where equity is gone.
FREE = (
    MarginTier(
        notional_max=None,
        maintenance_margin_fraction=Decimal(0),
        initial_margin_fraction=Decimal("0.01"),
    ),
)
RULES = {name: replace(rules, tiers=FREE) for name, rules in INSTRUMENTS.items()}
GUARD = GuardParameters()
STOPS = ProtectionParameters()
MARKS = {CORE: Decimal(50_000), ETH: Decimal(2_000)}


def book(**changes):
    values = {
        "quantities": {CORE: Decimal(4)},
        "marks": MARKS,
        "instruments": RULES,
        "equity": Decimal(100_000),
    }
    return view(**{**values, **changes})


def test_the_move_lies_a_quarter_of_the_way_from_the_guard_to_liquidation() -> None:
    # Long at 2x: leverage is 2.9 after x = (290 - 200) / (580 - 200) = 0.2368; all is gone at 0.5,
    # and the distance to it is 0.15 at 0.35, later than that.
    guard = Decimal(90) / Decimal(380)
    expected = guard + Decimal("0.25") * (Decimal("0.5") - guard)
    found = stop_move(book(), GUARD, STOPS)
    assert found is not None
    assert abs(found - expected) < Decimal("1e-9")
    target = stop_targets(book(), GUARD, STOPS)[CORE]
    assert (target.side, target.quantity, target.leg) == (Side.SELL, Decimal(4), LegRole.CORE)
    assert target.trigger_price == Decimal("34868.5")


def test_a_short_stops_above_the_mark_and_its_ratio_scales_the_move() -> None:
    held = {CORE: Decimal(1), ETH: Decimal(-20)}
    volatilities = {CORE: Decimal("0.5"), ETH: Decimal("0.75")}
    seen = book(quantities=held, volatilities=volatilities)
    move = stop_move(seen, GUARD, replace(STOPS, stop_move_max=Decimal("0.9")))
    found = stop_targets(seen, GUARD, replace(STOPS, stop_move_max=Decimal("0.9")))
    assert move is not None
    core = 1 - found[CORE].trigger_price / MARKS[CORE]
    hedge = found[ETH].trigger_price / MARKS[ETH] - 1
    assert abs(core - min(move, Decimal("0.9"))) < Decimal("1e-5")
    assert abs(hedge - min(move * Decimal("1.5"), Decimal("0.9"))) < Decimal("1e-4")
    assert found[ETH].side is Side.BUY


def test_no_stop_lies_farther_than_the_maximum() -> None:
    (target,) = stop_targets(book(quantities={CORE: Decimal("0.1")}), GUARD, STOPS).values()
    assert target.trigger_price == Decimal("25000.0")


def test_a_guard_that_should_act_already_still_leaves_a_floor_ahead() -> None:
    (target,) = stop_targets(book(quantities={CORE: Decimal("6.2")}), GUARD, STOPS).values()
    assert Decimal(40_000) < target.trigger_price < MARKS[CORE]


@pytest.mark.parametrize(
    "changes",
    [
        {"equity": None},
        {"equity": Decimal(-1)},
        {"quantities": {}},
        {"marks": {}},
        {"instruments": {}},
        {"unmanaged": frozenset({CORE})},
        # Liquidation is due.
        {"quantities": {CORE: Decimal("0.0001")}},
    ],
)
def test_there_is_none_where_it_cannot_be_told_or_placed(changes) -> None:
    assert stop_targets(book(**changes), GUARD, STOPS) == {}


def test_a_stop_carries_no_more_than_one_market_order_may() -> None:
    rules = {**RULES, CORE: replace(RULES[CORE], market_quantity_max=Decimal("1.5"))}
    (target,) = stop_targets(book(instruments=rules), GUARD, STOPS).values()
    assert target.quantity == Decimal("1.5")


@pytest.mark.parametrize(
    ("name", "value"),
    [("stop_depth", "0"), ("stop_depth", "1"), ("stop_move_max", "1"), ("stop_band", "NaN")],
)
def test_a_number_out_of_bounds_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}={value}"):
        ProtectionParameters(**{name: Decimal(value)})
