"""Regime: up at once, down one step after four calmer cycles."""

from typing import Any

import pytest

from counterpoise.strategy import regime
from counterpoise.strategy.memory import Memory, Regime
from strategy_world import CORE, ETH, MARKS, PARAMETERS, grown, market, market_view, signals


def seen(views: dict[str, Any] | None = None, **changes: Any) -> regime.Observation:
    return regime.observe(market(views), signals(**changes), PARAMETERS)


@pytest.mark.parametrize(
    ("changes", "expected", "causes"),
    [
        ({"stress_ratio": 1.19}, Regime.CALM, ()),
        ({"stress_ratio": 1.2}, Regime.ELEVATED, ("stress_ratio",)),
        ({"stress_ratio": 2.0}, Regime.STRESSED, ("stress_ratio",)),
        ({"correlation_mean_fast": 0.85}, Regime.CALM, ()),
        (
            {"correlation_mean_fast": 0.85, "volatility_fast_rising": True},
            Regime.STRESSED,
            ("mean_correlation",),
        ),
        (
            {"correlation_mean_fast": 0.9, "volatility_fast_rising": True, "stress_ratio": 2.5},
            Regime.STRESSED,
            ("stress_ratio", "mean_correlation"),
        ),
        ({"core_move_sigmas": 6.0, "stress_ratio": 2.5}, Regime.CASCADE, ("core_move",)),
    ],
)
def test_signal_rules(changes: dict[str, Any], expected: Regime, causes: tuple[str, ...]) -> None:
    found = seen(**changes)
    assert (found.regime, found.causes) == (expected, causes)


@pytest.mark.parametrize(
    ("depth", "spread", "expected"),
    [
        (0.36, 1.0, Regime.CALM),
        (0.35, 1.0, Regime.CASCADE),
        (1.0, 20.0, Regime.CASCADE),
        (None, 20.0, Regime.CASCADE),
        (0.3, None, Regime.CASCADE),
        (None, 1.0, Regime.CALM),
    ],
)
def test_the_core_book_alone_cascades_the_market(
    depth: float | None, spread: float | None, expected: Regime
) -> None:
    view = market_view(CORE, depth_fraction=depth, spread_ratio=spread)
    assert seen({CORE: view}).regime is expected


def test_another_book_marks_its_instrument_alone() -> None:
    views = {ETH: market_view(ETH, depth_fraction=0.5)}
    assert seen(views).regime is Regime.CALM
    stressed = regime.stressed_instruments(MARKS, market(views), Regime.CALM, PARAMETERS)
    assert stressed == {ETH}
    everywhere = regime.stressed_instruments(MARKS, market(views), Regime.STRESSED, PARAMETERS)
    assert everywhere == set(market().instruments)


def test_rules_without_input_are_named() -> None:
    none = signals(stress_ratio=None, correlation_mean_fast=None, core_move_sigmas=None)
    view = market_view(CORE, depth_fraction=None, spread_ratio=None)
    quiet = market({CORE: view}, liquidations_quote=None)
    found = regime.observe(quiet, none, PARAMETERS)
    assert found.regime is Regime.CALM
    assert found.skipped == (
        "stress_ratio",
        "mean_correlation",
        "core_move",
        "core_depth",
        "core_spread",
        "liquidations",
    )
    unknown = regime.observe(market(instruments={}), signals(), PARAMETERS)
    assert unknown.skipped == ("core_depth", "core_spread")
    state = regime.advance(Memory.first(), unknown, PARAMETERS)
    assert [item.code.value for item in state.reasons] == ["RULE_SKIPPED"] * 2
    assert [item.figures["rule"] for item in state.reasons] == [
        "regime.core_depth",
        "regime.core_spread",
    ]


@pytest.mark.parametrize(
    ("high", "fall", "expected"),
    [
        (0.5, 0.2, Regime.STRESSED),
        (0.51, 0.2, Regime.CALM),
        (0.35, 0.35, Regime.CASCADE),
        (0.36, 0.2, Regime.STRESSED),
        # Thinned over hours: thin, and no cascade.
        (0.2, 0.36, Regime.STRESSED),
        (0.2, None, Regime.STRESSED),
        (None, 0.2, Regime.CALM),
    ],
)
def test_depth_must_be_gone_for_thirty_seconds_and_fast(
    high: float | None, fall: float | None, expected: Regime
) -> None:
    view = market_view(ETH, depth_fraction=0.1, depth_fraction_high=high, depth_fall_fraction=fall)
    assert regime.book_regime(view, PARAMETERS) is expected


def test_nothing_is_said_of_a_book_that_was_not_measured() -> None:
    view = market_view(ETH, depth_fraction=None, spread_ratio=None)
    assert regime.book_regime(view, PARAMETERS) is None


@pytest.mark.parametrize(
    ("now", "high", "expected"),
    [(10.0, 9.0, Regime.CASCADE), (9.0, 9.0, Regime.CALM), (0.0, 0.0, Regime.CALM)],
)
def test_unusual_liquidations_are_a_cascade(now: float, high: float, expected: Regime) -> None:
    seen_now = market(liquidations_quote=now, liquidations_quote_high=high)
    found = regime.observe(seen_now, signals(), PARAMETERS)
    assert found.regime is expected
    assert found.causes == (("liquidations",) if expected is Regime.CASCADE else ())


def test_a_rise_names_its_causes_with_their_figures() -> None:
    state = regime.advance(Memory.first(), seen(stress_ratio=2.25), PARAMETERS)
    (raised,) = state.reasons
    assert raised.text == "Regime calm -> stressed: stress_ratio 2.250."
    assert raised.figures == {"regime": "stressed", "stress_ratio": 2.25}


def test_it_rises_at_once_and_falls_step_by_step() -> None:
    memory = grown(regime=Regime.CALM)
    state = regime.advance(memory, seen(core_move_sigmas=7.0), PARAMETERS)
    assert (state.regime, state.raised, state.cycles_since_cascade) == (Regime.CASCADE, True, 0)
    path = []
    for _ in range(12):
        memory = grown(
            regime=state.regime,
            calm_cycles=state.calm_cycles,
            cycles_since_cascade=state.cycles_since_cascade,
        )
        state = regime.advance(memory, seen(), PARAMETERS)
        path.append(state.regime)
    assert path == [Regime.CASCADE] * 3 + [Regime.STRESSED] * 4 + [Regime.ELEVATED] * 4 + [
        Regime.CALM
    ]
    assert state.cycles_since_cascade == 12
    assert state.reasons[0].code.value == "REGIME_LOWERED"


def test_a_cycle_at_the_same_level_starts_the_count_again() -> None:
    memory = grown(regime=Regime.ELEVATED, calm_cycles=3)
    state = regime.advance(memory, seen(stress_ratio=1.3), PARAMETERS)
    assert (state.regime, state.calm_cycles) == (Regime.ELEVATED, 0)
