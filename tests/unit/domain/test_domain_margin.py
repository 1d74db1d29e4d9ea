"""Maintenance margin and distance to liquidation against the venues' published figures."""

from decimal import Decimal

import pytest

from counterpoise.domain import margin
from counterpoise.domain.instruments import MarginTier
from counterpoise.domain.margin import JointMove, MarginLeg


def tier(fraction: str, notional_max: int | None = None, deduction: str = "0") -> MarginTier:
    return MarginTier(
        notional_max=None if notional_max is None else Decimal(notional_max),
        maintenance_margin_fraction=Decimal(fraction),
        initial_margin_fraction=Decimal(1),
        maintenance_margin_deduction=Decimal(deduction),
    )


def leg(notional: str, *tiers: MarginTier, ratio: str = "1") -> MarginLeg:
    return MarginLeg(
        notional=Decimal(notional), volatility_ratio=Decimal(ratio), tiers=tiers or (tier("0.01"),)
    )


#: Binance's ladder: the deduction makes the margin continuous (venues.md 1.6, V4).
LADDER = (
    tier("0.004", 50_000),
    tier("0.005", 250_000, "50"),
    tier("0.01", 1_000_000, "1300"),
    tier("0.025", 10_000_000, "16300"),
)


@pytest.mark.parametrize(
    ("notional", "expected"),
    [
        ("0", "0"),
        ("50000", "200"),
        ("50001", "200.005"),
        ("264000", "1340"),
        ("20000000", "483700"),
    ],
)
def test_maintenance_margin_by_tier(notional: str, expected: str) -> None:
    assert margin.maintenance_margin(Decimal(notional), LADDER) == Decimal(expected)


def test_without_tiers_nothing_can_be_said() -> None:
    with pytest.raises(ValueError, match="at least one margin tier"):
        margin.maintenance_margin(Decimal(1), ())


WALLET = Decimal("1535443.01")
ETH = (Decimal("3683.979"), Decimal("1456.84"), Decimal("1335.18"), tier("0.10", None, "135365"))
BTC = (Decimal("109.488"), Decimal("32481.98"), Decimal("31967.27"), tier("0.025", None, "16300"))


@pytest.mark.parametrize(
    ("moved", "held", "expected"),
    [
        (ETH, (), "1114.78"),
        (BTC, (), "18778.73"),
        (ETH, (BTC,), "1153.26"),
        (BTC, (ETH,), "26316.89"),
    ],
)
def test_binance_liquidation_prices(moved, held, expected) -> None:
    # One instrument moves, the other stands still (volatility ratio 0).
    every = [(moved, "1"), *((other, "0") for other in held)]
    equity = WALLET + sum(item[0] * (item[2] - item[1]) for item, _ in every)
    legs = [
        MarginLeg(notional=item[0] * item[2], volatility_ratio=Decimal(ratio), tiers=(item[3],))
        for item, ratio in every
    ]
    for move in JointMove:
        away = margin.liquidation_distance(equity, legs, move)
        assert round(moved[2] * (1 - away), 2) == Decimal(expected)


def test_a_bybit_short_with_extra_margin() -> None:
    # 1 short at 20,000, 400 + 3,000 of margin, maintenance 100 whatever the price: 23,300.
    fixed = tier("0", None, "-100")
    away = margin.liquidation_distance(Decimal(3400), [leg("-20000", fixed)], JointMove.TOGETHER)
    assert 20_000 * (1 + away) == 23_300


def test_an_okx_swap_position_keeps_its_tiers_rate_without_a_deduction() -> None:
    # One contract of 0.01 BTC at a mark of 49,547.20230999925: 0.4 %.
    notional = Decimal("0.01") * Decimal("49547.20230999925")
    kept = margin.maintenance_margin(notional, (tier("0.004"),))
    assert round(kept, 14) == Decimal("1.98188809239997")


@pytest.mark.parametrize(
    ("side", "equity", "expected"),
    [(1, "400", "19700"), (-1, "3400", "23300"), (1, "200", "19900")],
)
def test_bybit_isolated_positions(side: int, equity: str, expected: str) -> None:
    # 1 at 20,000 with 50x and 0.5 %: 100 to keep whatever the price.
    fixed = tier("0", None, "-100")
    held = [leg(str(20_000 * side), fixed)]
    away = margin.liquidation_distance(Decimal(equity), held, JointMove.TOGETHER)
    assert 20_000 * (1 - side * away) == Decimal(expected)


@pytest.mark.parametrize("signs", [(1, -1), (1, 1), (-1, -1), (-1, 1)])
def test_a_crash_and_a_squeeze_are_measured_whichever_side_is_held(signs: tuple[int, int]) -> None:
    legs = [
        leg(str(150 * signs[0]), tier("0.01")),
        leg(str(100 * signs[1]), tier("0.01"), ratio="3"),
    ]
    together = margin.liquidation_distance(Decimal(60), legs, JointMove.TOGETHER)
    independent = margin.liquidation_distance(Decimal(60), legs, JointMove.INDEPENDENT)
    # 150 + 300 lost per unit of move together, their root-sum-square when independent; the
    # maintenance margin moves with the price.
    assert together == margin.distance_worst(Decimal(60), legs) < independent
    assert Decimal("0.12") < together < Decimal("0.14")
    assert Decimal("0.16") < independent < Decimal("0.19")


def test_together_adds_losses_and_independent_takes_their_root_sum_square() -> None:
    legs = [leg("300", tier("0")), leg("-200", tier("0"), ratio="2")]
    together = margin.liquidation_distance(Decimal(70), legs, JointMove.TOGETHER)
    assert together == Decimal("0.1")
    independent = margin.liquidation_distance(Decimal(50), legs, JointMove.INDEPENDENT)
    assert round(independent, 20) == Decimal("0.1")
    assert margin.distance_worst(Decimal(70), legs) == Decimal("0.1")


def test_a_long_leg_loses_no_more_than_its_all() -> None:
    legs = [leg("100", tier("0"), ratio="4"), leg("-100", tier("0"))]
    # The long leg is worth nothing from 0.25 on; the short one loses the rest.
    away = margin.liquidation_distance(Decimal(150), legs, JointMove.TOGETHER)
    assert round(away, 20) == Decimal("0.5")


def test_a_distance_that_is_never_reached_is_the_largest() -> None:
    assert margin.liquidation_distance(Decimal(200), [leg("100")], JointMove.TOGETHER) == 2
    assert margin.liquidation_distance(Decimal(1), [], JointMove.INDEPENDENT) == 2
    nothing = [leg("0"), leg("0", ratio="0")]
    assert margin.liquidation_distance(Decimal(1), nothing, JointMove.INDEPENDENT) == 2


def test_equity_below_margin_is_no_distance() -> None:
    assert margin.liquidation_distance(Decimal(1), [leg("100")], JointMove.TOGETHER) == 0


def test_a_jump_of_the_tier_can_be_the_liquidation() -> None:
    # OKX: the whole short moves to the next tier's rate at 1,100, a move of 0.1; equity of 160
    # less 100 meets a margin of 11, then of 110.
    jump = (tier("0.01", 1100), tier("0.1"))
    away = margin.liquidation_distance(Decimal(160), [leg("-1000", *jump)], JointMove.TOGETHER)
    assert away == Decimal("0.1")


def test_a_move_out_of_a_tier_saves_a_long_leg_only_if_it_gets_there() -> None:
    tiers = (tier("0.01", 900), tier("0.1"))
    # Before 0.1: 1,000 x + 100 (1 - x) = 150 -> x = 0.0556.
    away = margin.liquidation_distance(Decimal(150), [leg("1000", *tiers)], JointMove.TOGETHER)
    assert round(away, 4) == Decimal("0.0556")


def test_scaling_keeps_a_distance() -> None:
    legs = [leg("300"), leg("-200", ratio="2")]
    assert margin.scale_to_distance(Decimal(100), legs, Decimal("0.05")) == 1
    factor = margin.scale_to_distance(Decimal(70), legs, Decimal("0.25"))
    assert 0 < factor < 1
    smaller = [leg(str(item.notional * factor), ratio=str(item.volatility_ratio)) for item in legs]
    away = margin.distance_worst(Decimal(70), smaller)
    assert Decimal("0.25") <= away < Decimal("0.2500001")
    assert margin.scale_to_distance(Decimal(0), legs, Decimal("0.1")) == 0
