"""Limits on the whole book, the risk-reducing part, and the changes that carry it out."""

from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.orders import LegChange, LegRole, Side
from counterpoise.strategy import changes, limits, permission
from strategy_world import (
    CORE,
    ETH,
    MARKS,
    PARAMETERS,
    SOL,
    instrument,
    market,
    market_view,
    parameters,
    signals,
)

BETAS = {CORE: 1.0, ETH: 1.0, SOL: 2.0}


def test_half_of_the_offset_counts_and_never_more_than_the_core() -> None:
    legs = {CORE: 1.5, ETH: -1.0}
    assert limits.credited_net(legs, BETAS, (), PARAMETERS) == pytest.approx(1.0)
    assert limits.credited_net(legs, BETAS, (ETH,), PARAMETERS) == pytest.approx(1.5)
    assert limits.credited_net({CORE: -1.0, ETH: 3.0}, BETAS, (), PARAMETERS) == 0.5
    assert limits.credited_net({CORE: 1.0, ETH: 1.0}, BETAS, (), PARAMETERS) == 1.0
    assert limits.credited_net({}, BETAS, (), PARAMETERS) == 0.0


def test_factors_bring_the_book_to_the_limit() -> None:
    assert limits.unhedged_factor(1.6, PARAMETERS) == 0.625
    assert limits.unhedged_factor(0.5, PARAMETERS) == 1.0
    assert limits.unhedged_factor(0.0, PARAMETERS) == 1.0
    assert limits.soft_factor({CORE: 2.0, ETH: -1.6}, PARAMETERS) == pytest.approx(0.75)
    assert limits.soft_factor({CORE: 2.0}, PARAMETERS) == 1.0
    assert limits.soft_factor({}, PARAMETERS) == 1.0


def test_the_distance_limit_is_the_larger_one() -> None:
    assert limits.distance_limit(0.6, PARAMETERS) == 0.25
    # 5 x 2.0 / sqrt(365)
    assert limits.distance_limit(2.0, PARAMETERS) == pytest.approx(0.523424, rel=1e-5)


def test_the_distance_of_a_single_long_leg() -> None:
    # 200,000 long on 100,000: (E - N m) / (N (1 - m)) with m = 0.004
    legs = limits.margin_legs(
        {CORE: 2.0, ETH: 0.0}, Decimal(100_000), market(), signals(), PARAMETERS
    )
    assert legs is not None
    away = limits.liquidation_distance(legs, Decimal(100_000))
    assert away == pytest.approx((100_000 - 800) / (200_000 * 0.996))
    assert limits.distance_factor(legs, Decimal(100_000), 0.25) == 1.0
    factor = limits.distance_factor(legs, Decimal(100_000), 0.6)
    assert factor == pytest.approx(100_000 / 200_000 / (0.6 + 0.4 * 0.004), rel=1e-6)


@pytest.mark.parametrize(
    ("views", "told"),
    [
        ({}, {"volatility_covariance": {ETH: 0.6}}),
        ({}, {"volatility_covariance": {CORE: 0.5}}),
        ({ETH: market_view(ETH, instrument=instrument(ETH, tiers=()))}, {}),
    ],
)
def test_unknown_inputs_give_no_distance(views: dict[str, Any], told: dict[str, Any]) -> None:
    legs = {CORE: 1.0, ETH: -1.0}
    given = limits.margin_legs(legs, Decimal(1), market(views), signals(**told), parameters())
    assert given is None


def test_the_risk_reducing_part_keeps_helpful_cuts_whole() -> None:
    held = {CORE: 1.5, ETH: -1.0}
    part = permission.risk_reducing_part(held, {CORE: 1.0, ETH: -1.2}, BETAS)
    assert part == {CORE: 1.0, ETH: -1.0}


def test_a_hedge_cut_alone_is_not_risk_reducing() -> None:
    held = {CORE: 1.5, ETH: -1.0}
    assert permission.risk_reducing_part(held, {CORE: 1.8, ETH: -0.5}, BETAS) == held


def test_a_hedge_cut_is_shortened_to_what_the_core_cut_frees() -> None:
    held = {CORE: 1.5, ETH: -1.0}
    part = permission.risk_reducing_part(held, {CORE: 1.4, ETH: -0.5}, BETAS)
    assert part == {CORE: 1.4, ETH: pytest.approx(-0.9)}


def test_a_leg_of_unknown_beta_is_left_alone() -> None:
    held = {CORE: 1.0, "ADAUSDT": -0.2}
    part = permission.risk_reducing_part(held, {CORE: 0.5}, BETAS)
    assert part == {CORE: 0.5, "ADAUSDT": -0.2}


def test_an_over_hedged_book_may_not_cut_its_core_alone() -> None:
    held = {CORE: 0.5, ETH: -1.0}
    assert permission.risk_reducing_part(held, {CORE: 0.2, ETH: -1.0}, BETAS) == held


def test_risk_reducing_as_a_set() -> None:
    held = {CORE: 1.5, ETH: -1.0}
    assert permission.is_risk_reducing(held, {CORE: 1.2, ETH: -0.9}, BETAS, 0.0)
    assert not permission.is_risk_reducing(held, {CORE: 1.5, ETH: -0.9}, BETAS, 0.005)
    assert not permission.is_risk_reducing(held, held, BETAS, 0.005)


def gap(held: str, wanted: str, name: str = CORE, **rules: Any) -> changes.LegGap:
    return changes.LegGap(
        instrument=instrument(name, **rules),
        role=LegRole.CORE if name == CORE else LegRole.HEDGE,
        held=Decimal(held),
        wanted=Decimal(wanted),
        mark=MARKS[name],
    )


def of(given: changes.LegGap) -> list[tuple[str, str, bool]]:
    return [
        (change.side.value, str(change.quantity), change.reduce_only)
        for change in changes.leg_changes(given)[0]
    ]


def test_increases_round_toward_zero() -> None:
    assert of(gap("0", "0.12349")) == [("buy", "0.1234", False)]
    assert of(gap("-1", "-1.12349")) == [("sell", "0.1234", False)]


def test_reductions_round_up_one_lot_and_never_beyond_the_position() -> None:
    assert of(gap("1", "0.87659")) == [("sell", "0.1235", True)]
    assert of(gap("-1", "-0.99999")) == [("buy", "0.001", True)]
    assert of(gap("0.0004", "0.0003")) == [("sell", "0.0004", True)]
    assert of(gap("1", "0")) == [("sell", "1", True)]


def test_a_change_of_side_is_a_close_and_an_increase() -> None:
    assert of(gap("1", "-0.5")) == [("sell", "1", True), ("sell", "0.5", False)]
    # One order cannot close it: the other side waits.
    assert of(gap("1", "-0.5", market_quantity_max=Decimal("0.6"))) == [("sell", "0.6", True)]


def test_nothing_to_do_is_nothing() -> None:
    assert of(gap("1", "1")) == []
    assert of(gap("0", "0")) == []


@pytest.mark.parametrize(
    ("wanted", "rules"),
    [
        ("0.00005", {}),
        ("0.0009", {}),
        ("0.002", {"notional_min": Decimal(200)}),
    ],
)
def test_an_increase_below_the_minimum_is_left_out(wanted: str, rules: dict[str, Any]) -> None:
    made, left_out = changes.leg_changes(gap("0", wanted, **rules))
    assert made == ()
    assert [item.code.value for item in left_out] == ["BELOW_MINIMUM"]


def test_an_increase_above_the_maximum_is_cut() -> None:
    given = gap("0", "3", limit_quantity_max=Decimal("2.00005"), notional_min=None)
    made, said = changes.leg_changes(given)
    assert made[0].quantity == Decimal(2)
    assert said[0].code.value == "ABOVE_MAXIMUM"


def test_sending_order() -> None:
    def change(name: str, *, reduce_only: bool) -> LegChange:
        given = gap("1", "0.5", name) if reduce_only else gap("0", "0.5", name)
        return changes.leg_changes(given)[0][0]

    found = changes.ordered(
        {
            CORE: (change(CORE, reduce_only=False), change(CORE, reduce_only=True)),
            SOL: (change(SOL, reduce_only=True), change(SOL, reduce_only=False)),
        }
    )
    assert [(item.instrument_id, item.reduce_only) for item in found] == [
        (CORE, True),
        (SOL, True),
        (SOL, False),
        (CORE, False),
    ]
    assert changes.after_changes(Decimal(1), found[:1]) == Decimal("0.5")
    assert found[0].side is Side.SELL
