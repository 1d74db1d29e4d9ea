"""Parameters have the documented defaults and refuse nonsense."""

import pytest

from counterpoise.signals.parameters import SignalParameters


def test_defaults():
    parameters = SignalParameters()
    assert (parameters.horizon_seconds, parameters.grid_seconds) == (300, 5)
    assert (
        parameters.half_life_fast_hours,
        parameters.half_life_medium_hours,
        parameters.half_life_slow_hours,
        parameters.half_life_semivolatility_hours,
    ) == (3.0, 24.0, 240.0, 6.0)
    assert (parameters.shrinkage_floor, parameters.beta_clip) == (0.1, 3.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta_clip": -1.0}, "beta_clip=-1.0 must be a number from zero up"),
        ({"beta_clip": float("nan")}, "beta_clip=nan must be a number"),
        ({"half_life_slow_hours": float("inf")}, "half_life_slow_hours=inf must be a number"),
        ({"grid_seconds": 0}, "grid_seconds=0 must be positive"),
        ({"grid_seconds": 7}, "grid_seconds=7 must divide"),
        ({"half_life_medium_hours": 2.0}, "half lives must rise"),
        ({"shrinkage_floor": 1.1}, "must not exceed 1"),
        ({"absorption_components": 1.1}, "must not exceed 1"),
        ({"correlation_days": 1}, "correlation_days=1 must be at least 2"),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SignalParameters(**change)


def test_no_shrinkage_floor_is_allowed():
    assert SignalParameters(shrinkage_floor=0.0).shrinkage_floor == 0.0
