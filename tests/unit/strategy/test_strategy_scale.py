"""Scale: three rules down, slow growth up; worked figures."""

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.strategy import scale
from strategy_world import CORE, CYCLE_NS, NOW_NS, PARAMETERS, parameters, signals


def test_core_volatility_is_the_worst_of_three() -> None:
    figures = {
        "volatility_fast": {CORE: 1.0},
        "volatility_medium": {CORE: 0.6},
        "volatility_slow": {CORE: 0.5},
    }
    assert scale.core_volatility(signals(**figures), PARAMETERS) == 0.7
    figures["volatility_fast"] = {}
    assert scale.core_volatility(signals(**figures), PARAMETERS) == 0.6
    nothing = signals(volatility_fast={}, volatility_medium={}, volatility_slow={})
    assert scale.core_volatility(nothing, PARAMETERS) is None


def test_volatility_targeting_never_raises() -> None:
    assert scale.volatility_scale(0.3, PARAMETERS) == 1.0
    assert scale.volatility_scale(0.8, PARAMETERS) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(None, 1.0), (1.5, 1.0), (2.0, 0.75), (3.0, 0.5), (30.0, 0.3)]
)
def test_stress(ratio: float | None, expected: float) -> None:
    assert scale.stress_scale(ratio, PARAMETERS) == expected


@pytest.mark.parametrize(
    ("drawdown", "expected"), [(0.0, 1.0), (0.1, 0.5), (0.19, 0.15), (0.5, 0.15)]
)
def test_drawdown(drawdown: float, expected: float) -> None:
    assert scale.drawdown_scale(drawdown, PARAMETERS) == pytest.approx(expected)


def test_daily_volatility_is_one_365th_of_the_variance() -> None:
    assert scale.daily(0.6) == pytest.approx(0.0314054, rel=1e-5)


def grow(before: float | None, wanted: float, *, held: float = 0.0, cycles: int = 1) -> float:
    state = scale.ScaleBefore(
        scale=before,
        scale_ns=None if before is None else NOW_NS - cycles * CYCLE_NS,
        held_scale=held,
    )
    return scale.next_scale(wanted, state, NOW_NS, PARAMETERS, may_grow=True)


def test_the_first_scale_is_the_entry_or_what_is_held() -> None:
    assert grow(None, 1.0) == 0.25
    assert grow(None, 0.1) == 0.1
    assert grow(None, 1.0, held=0.6) == 0.6
    assert grow(None, 0.5, held=0.6) == 0.5


def test_it_falls_at_once_and_grows_slowly() -> None:
    assert grow(0.8, 0.3) == 0.3
    assert grow(0.5, 1.0) == pytest.approx(0.52)
    assert grow(0.5, 0.51) == 0.51


@pytest.mark.parametrize("cycles", [2, 4, 288])
def test_decisions_that_were_not_made_do_not_count(cycles: int) -> None:
    assert grow(0.5, 1.0, cycles=cycles) == grow(0.5, 1.0)


def test_the_cycle_s_own_length_counts_whole() -> None:
    # Decisions every 30 s with a step every 15 minutes, and decisions every hour.
    for seconds, elapsed, expected in (
        (30.0, 30, 0.5 + 0.02 / 30),
        (30.0, 900, 0.5 + 0.02 / 30),
        (3_600.0, 1_800, 0.54),
        (3_600.0, 3_600, 0.58),
    ):
        before = scale.ScaleBefore(
            scale=0.5, scale_ns=NOW_NS - elapsed * NS_PER_SECOND, held_scale=0.5
        )
        found = scale.next_scale(
            1.0, before, NOW_NS, parameters(cycle_seconds=seconds), may_grow=True
        )
        assert found == pytest.approx(expected)


def test_a_clock_that_went_back_and_a_forbidden_growth_grow_nothing() -> None:
    assert grow(0.5, 1.0, cycles=-3) == 0.5
    state = scale.ScaleBefore(scale=0.5, scale_ns=NOW_NS - CYCLE_NS, held_scale=0.5)
    assert scale.next_scale(1.0, state, NOW_NS, PARAMETERS, may_grow=False) == 0.5
