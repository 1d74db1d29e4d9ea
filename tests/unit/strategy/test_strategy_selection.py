"""Candidates, scores, incumbency and the closing rule."""

from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.instruments import InstrumentState
from counterpoise.market.view import InstrumentView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy import candidates, selection
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters
from strategy_world import (
    CORE,
    ETH,
    PARAMETERS,
    SOL,
    XRP,
    grown,
    instrument,
    market,
    market_view,
    parameters,
    signals,
)


def choose(
    memory: Memory | None = None,
    views: dict[str, InstrumentView] | None = None,
    told: SignalsView | None = None,
    held: tuple[str, ...] = (),
    closed: dict[str, int] | None = None,
    numbers: StrategyParameters = PARAMETERS,
) -> selection.Selection:
    closings = selection.Closings(closed=closed or {}, close_counts={}, closed_now=(), reasons=())
    return selection.choose(
        memory or Memory.first(), closings, held, market(views), told or signals(), numbers
    )


def names(found: selection.Selection) -> list[str]:
    return [item.instrument_id for item in found.chosen]


def test_the_leg_correlation_is_the_worse_horizon() -> None:
    told = signals(correlation_core_fast={ETH: 0.4}, correlation_core_medium={ETH: 0.8})
    assert candidates.leg_correlation(ETH, -1, told, PARAMETERS) == -0.4
    assert candidates.leg_correlation(ETH, 1, told, PARAMETERS) == 0.8
    assert candidates.leg_correlation(ETH, 1, told, parameters(core_side="short")) == -0.4
    assert candidates.leg_correlation(SOL, 1, told, PARAMETERS) is None


def test_a_score_with_every_term() -> None:
    # 0.8 + 0.25 x 0.2 + (3 - 2 x (5 + 2 + 0.49998) / 7) / 20 - 0.5 x 0.1
    told = signals(volatility_correlation={ETH: -0.2})
    item = candidates.candidate(market_view(ETH), -1, told, PARAMETERS)
    assert item.score == pytest.approx(0.8 + 0.05 + (3 - 2 * 7.499975 / 7) / 20 - 0.05)
    assert item.leg_correlation == -0.8


def test_carry_is_signed_for_our_side_and_per_day() -> None:
    hourly = market_view(ETH, funding_rate=Decimal("-0.0002"), funding_interval_hours=Decimal(1))
    assert candidates.carry_bps_per_day(hourly, 1) == pytest.approx(48)
    assert candidates.carry_bps_per_day(hourly, -1) == pytest.approx(-48)
    assert candidates.carry_bps_per_day(market_view(ETH, funding_rate=None), 1) == 0.0


def test_an_unknown_or_crossed_book_has_no_spread() -> None:
    assert candidates.half_spread_bps(market_view(ETH, bid=None)) == 0.0
    assert candidates.half_spread_bps(market_view(ETH, bid=Decimal(3001))) == 0.0


@pytest.mark.parametrize(
    ("view", "told", "why"),
    [
        ({"mark": None}, {}, "no mark"),
        ({"instrument": instrument(ETH, tiers=())}, {}, "no margin tiers"),
        ({}, {"correlation_core_fast": {}, "correlation_core_medium": {}}, "no correlation"),
        ({}, {"beta": {}}, "no beta"),
        ({}, {"volatility_covariance": {CORE: 0.5}}, "no volatility"),
        ({}, {"volatility_covariance": {ETH: 0.5}}, "no volatility of the core"),
        ({}, {"correlation": {}}, "no correlation to the core"),
        ({"missing": ("MARK_STALE",)}, {}, "MARK_STALE"),
        (
            {"instrument": instrument(ETH, state=InstrumentState.POST_ONLY)},
            {},
            "instrument is post_only",
        ),
        ({}, {"history_days": {ETH: 2.9}}, "less than 3.0 days"),
        ({"depth_fraction": 0.3}, {}, "cascade"),
        ({"depth_quote": None}, {}, "depth below"),
        ({"depth_quote": Decimal(10)}, {}, "depth below"),
    ],
)
def test_what_keeps_an_instrument_out(view: dict[str, Any], told: dict[str, Any], why: str) -> None:
    numbers = parameters(depth_quote_min=1000.0)
    said = candidates.entry_refused(
        ETH, market({ETH: market_view(ETH, **view)}), signals(**told), numbers
    )
    assert why in said


def test_an_unlisted_instrument_has_no_mark() -> None:
    assert candidates.signals_missing("ADAUSDT", market(), signals(), PARAMETERS) == "no mark"


@pytest.mark.parametrize("state", [InstrumentState.CLOSING, InstrumentState.DELISTED])
def test_a_market_that_ends_takes_the_leg_s_place_in_the_hedge(state: InstrumentState) -> None:
    ending = market_view(ETH, instrument=instrument(ETH, state=state))
    seen = market({ETH: ending})
    why = candidates.signals_missing(ETH, seen, signals(), PARAMETERS)
    assert why == f"instrument is {state.value}"
    suspended = market_view(ETH, instrument=instrument(ETH, state=InstrumentState.SUSPENDED))
    assert candidates.signals_missing(ETH, market({ETH: suspended}), signals(), PARAMETERS) == ""


def test_the_best_are_chosen_on_the_side_that_offsets() -> None:
    fast = {ETH: 0.9, SOL: 0.7, XRP: 0.8}
    told = signals(correlation_core_fast=fast, correlation_core_medium=fast)
    found = choose(told=told, numbers=parameters(hedge_legs=2))
    assert [(item.instrument_id, item.side) for item in found.chosen] == [(ETH, -1), (XRP, -1)]
    assert [item.code.value for item in found.reasons] == ["HEDGE_CHOSEN", "HEDGE_CHOSEN"]


def test_a_negatively_correlated_leg_is_held_with_the_core() -> None:
    fast = {ETH: -0.6, SOL: 0.7, XRP: 0.8}
    told = signals(correlation_core_fast=fast, correlation_core_medium=fast)
    sides = {item.instrument_id: item.side for item in choose(told=told).chosen}
    assert sides == {ETH: 1, SOL: -1, XRP: -1}


def test_equal_scores_keep_the_configured_order() -> None:
    assert names(choose(numbers=parameters(hedge_candidates=(XRP, SOL, ETH)))) == [XRP, SOL, ETH]


def challenge(count: int, rho: float = 0.9) -> selection.Selection:
    memory = grown(incumbents=(ETH,), incumbent_sides={ETH: -1}, challenger_counts={SOL: count})
    fast = {ETH: 0.8, SOL: rho, XRP: 0.1}
    told = signals(correlation_core_fast=fast, correlation_core_medium=fast)
    return choose(memory, told=told, held=(ETH,), numbers=parameters(hedge_legs=1))


def test_an_incumbent_falls_only_to_a_clear_winner_for_two_cycles() -> None:
    first = challenge(0)
    assert (names(first), first.challenger_counts) == ([ETH], {SOL: 1})
    second = challenge(1)
    assert (names(second), second.challenger_counts) == ([SOL], {})
    assert [item.code.value for item in second.reasons] == ["HEDGE_REPLACED", "HEDGE_CHOSEN"]
    narrow = challenge(1, rho=0.84)
    assert (names(narrow), narrow.challenger_counts) == ([ETH], {})


def test_with_no_places_there_is_nothing_to_win() -> None:
    assert names(choose(numbers=parameters(hedge_legs=0))) == []


def test_an_incumbent_changes_side_after_two_cycles() -> None:
    fast = {ETH: -0.8, SOL: 0.8, XRP: 0.8}
    told = signals(correlation_core_fast=fast, correlation_core_medium=fast)
    first = choose(grown(), told=told)
    assert {item.instrument_id: item.side for item in first.chosen}[ETH] == -1
    assert first.challenger_counts == {ETH: 1}
    second = choose(grown(challenger_counts={ETH: 1}), told=told)
    assert {item.instrument_id: item.side for item in second.chosen}[ETH] == 1


def test_a_held_leg_without_signals_is_frozen_and_keeps_its_place() -> None:
    beta = {CORE: 1.0, SOL: 1.0, XRP: 1.0}
    numbers = parameters(hedge_legs=2)
    memory = grown(incumbents=(ETH, SOL), incumbent_sides={ETH: -1, SOL: -1})
    found = choose(memory, told=signals(beta=beta), held=(ETH, SOL), numbers=numbers)
    assert (found.frozen, names(found)) == ((ETH,), [SOL])
    dropped = choose(memory, told=signals(beta=beta), held=(SOL,), numbers=numbers)
    assert (dropped.frozen, sorted(names(dropped))) == ((), [SOL, XRP])


def test_a_closed_side_is_not_chosen_and_the_other_side_is() -> None:
    found = choose(grown(), closed={ETH: -1}, held=(ETH,))
    assert {item.instrument_id: item.side for item in found.chosen}[ETH] == 1


def close(rho: float, **changes: Any) -> selection.Closings:
    memory = grown(incumbents=(ETH,), incumbent_sides={ETH: 1}, **changes)
    told = signals(correlation_core_fast={ETH: rho}, correlation_core_medium={ETH: rho})
    return selection.close_legs(memory, told, PARAMETERS)


def test_a_leg_that_moves_with_the_core_is_closed_in_the_second_cycle() -> None:
    first = close(0.9)
    assert (first.closed, first.close_counts) == ({}, {ETH: 1})
    second = close(0.9, close_counts={ETH: 1})
    assert (second.closed, second.close_counts, second.closed_now) == ({ETH: 1}, {}, (ETH,))
    assert close(0.89, close_counts={ETH: 1}).close_counts == {}


def test_a_closed_leg_opens_again_at_the_lower_threshold() -> None:
    memory = Memory(closed={ETH: 1})
    for rho, closed in ((0.86, {ETH: 1}), (0.85, {})):
        told = signals(correlation_core_fast={ETH: rho}, correlation_core_medium={})
        assert selection.close_legs(memory, told, PARAMETERS).closed == closed


def test_an_unknown_correlation_changes_no_count() -> None:
    memory = grown(incumbents=(ETH,), incumbent_sides={ETH: 1}, close_counts={ETH: 1})
    told = signals(correlation_core_fast={}, correlation_core_medium={})
    assert selection.close_legs(memory, told, PARAMETERS).close_counts == {ETH: 1}
    kept = selection.close_legs(Memory(closed={ETH: 1}), told, PARAMETERS)
    assert kept.closed == {ETH: 1}
