"""Parameters: every range and relation is refused by name."""

import math

import pytest

from counterpoise.strategy.parameters import ORDERED, RANGES, StrategyParameters
from strategy_world import CORE, ETH, PARAMETERS, parameters


def test_defaults_are_the_specified_ones() -> None:
    assert PARAMETERS.base == pytest.approx(1.5)
    assert PARAMETERS.side == 1
    assert parameters(core_side="short").side == -1
    assert (PARAMETERS.offset_max, PARAMETERS.leverage_soft) == (0.95, 2.7)


@pytest.mark.parametrize("name", sorted(RANGES))
def test_a_value_outside_its_range_is_refused_by_name(name: str) -> None:
    low, high = RANGES[name]
    for value in (low - 1, high + 1, math.nan):
        with pytest.raises(ValueError, match=rf"^{name}=.*allowed is"):
            parameters(**{name: value})


@pytest.mark.parametrize(("lower", "higher"), ORDERED)
def test_thresholds_keep_their_order(lower: str, higher: str) -> None:
    # The other side of the pair is held at the lowest value its range allows.
    low = {name: RANGES[name][0] for name in (lower, higher)}
    with pytest.raises(ValueError, match="allowed is at most"):
        parameters(**{higher: low[higher], lower: RANGES[lower][1]})


def test_correlation_thresholds_must_differ() -> None:
    with pytest.raises(ValueError, match=r"^correlation_restore=0.7: allowed is less than"):
        parameters(correlation_restore=0.7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"core_side": "up"}, "core_side='up'"),
        ({"core_instrument": ""}, "core_instrument=''"),
        ({"hedge_candidates": (ETH, ETH)}, "hedge_candidates="),
        ({"hedge_candidates": (CORE,)}, "hedge_candidates="),
        ({"hedge_candidates": ("",)}, "hedge_candidates="),
    ],
)
def test_names_are_checked(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parameters(**changes)


def test_a_book_without_hedges_is_allowed() -> None:
    assert StrategyParameters(core_instrument=CORE).hedge_candidates == ()
