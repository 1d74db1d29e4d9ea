from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.errors import SettingsError
from counterpoise.exchange.scenarios.parsing import scenario_from_dict
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.result import LabDecision, LabFill
from counterpoise.lab.stress import running
from counterpoise.lab.stress.account import Outcome, half_traded_seconds
from counterpoise.lab.stress.running import (
    StressPlan,
    market_seconds,
    one_seed,
    stress,
    summary,
)
from counterpoise.risk.guard import GuardParameters
from counterpoise.strategy.parameters import StrategyParameters

SECOND = 1_000_000_000


def storm(faults=(), move=-0.08, cascade=1.0):
    return scenario_from_dict(
        {
            "name": "storm",
            "summary": "A fall in two minutes.",
            "cascade": cascade,
            "phases": [
                {
                    "name": "gust",
                    "start_seconds": 300,
                    "seconds": 120,
                    "markets": {
                        "default": {"move": move, "volatility": 3, "depth": 0.3, "spread": 10}
                    },
                }
            ],
            "faults": list(faults),
        }
    )


def plan(policy="counterpoise", *, guard=True, count=3, first_seed=5, workers=1, **numbers):
    return StressPlan(
        strategy=StrategyParameters(
            core_instrument="BTCUSDT",
            hedge_candidates=("ETHUSDT", "SOLUSDT"),
            policy=policy,
            entry_scale=1.0,
            **numbers,
        ),
        guard=GuardParameters(),
        assumptions=Assumptions(guard=guard),
        first_seed=first_seed,
        count=count,
        workers=workers,
    )


def test_a_seed_reproduces_alone_by_its_number():
    outcomes = stress(plan(), storm())
    assert [each.seed for each in outcomes] == [5, 6, 7]
    alone, decisions = one_seed(plan(), storm(), 6)
    assert alone == outcomes[1]
    assert decisions[0].kind == "cycle"
    assert decisions[0].fills


def test_processes_change_nothing(monkeypatch):
    # More than one batch, so that there is something to share.
    monkeypatch.setattr(running, "BATCH_SEEDS", 2)
    heard = []
    outcomes = stress(plan(workers=2), storm(), heard.append)
    assert heard == [2, 1]
    assert outcomes == stress(plan(), storm())


def test_the_guard_keeps_a_falling_core_below_the_ceiling():
    numbers = {"core_leverage": 3.0, "core_allocation": 0.6}
    watched = stress(plan("unhedged", **numbers), storm(move=-0.4))
    unwatched = stress(plan("unhedged", guard=False, **numbers), storm(move=-0.4))
    assert max(each.leverage_max for each in watched) < 3.0
    assert all(each.guard_acts > 0 for each in watched)
    assert min(each.leverage_max for each in unwatched) > 3.0
    assert all(each.leverage_above_3_seconds > 60 for each in unwatched)
    found = summary(storm(), unwatched)
    assert found["failing_seeds"] == [5, 6, 7]
    assert found["seeds_above_3"] == 3
    assert summary(storm(), watched)["failing_seeds"] == []


def test_a_long_core_loses_what_the_fall_takes():
    (outcome,) = stress(plan("unhedged", count=1), storm(cascade=0.0))
    held = 1.5
    assert outcome.day_worst_fraction == pytest.approx(-0.08 * held, abs=0.03)
    assert outcome.drawdown_max_fraction >= -outcome.day_worst_fraction - 0.001
    assert outcome.return_fraction == pytest.approx(-0.08 * held, abs=0.03)


def test_a_hedge_that_is_taken_away_is_answered_at_once():
    taking = {
        "at_seconds": 200,
        "kind": "force_reduce",
        "arguments": {"symbol": "ETHUSDT"},
    }
    outcome, decisions = one_seed(plan(), storm([taking]), 5)
    guard = [each for each in decisions if each.kind == "guard"]
    assert guard[0].reasons == ("UNHEDGED",)
    assert [fill.instrument_id for fill in guard[0].fills] == ["BTCUSDT"]
    # From the loss of the hedge to the fill of the cut, one latency.
    assert outcome.naked_leg_seconds >= 0.25


def test_a_dark_venue_fills_nothing_and_stays_naked():
    taking = {
        "at_seconds": 330,
        "kind": "force_reduce",
        "arguments": {"symbol": "ETHUSDT"},
    }
    dark = {"at_seconds": 315, "kind": "maintenance", "duration_seconds": 3_000}
    outcome, decisions = one_seed(plan(), storm([dark, taking]), 5)
    assert [each.fills for each in decisions if each.time_ns > decisions[0].time_ns] == [()] * (
        len(decisions) - 1
    )
    # To the next decision, which is at 15:15.
    assert outcome.naked_leg_seconds >= 915 - 330


def test_the_summary_names_the_worst_seed_of_each_figure():
    calm = Outcome(
        seed=1,
        liquidations=0,
        leverage_max=2.0,
        leverage_above_3_seconds=0.0,
        day_worst_fraction=-0.01,
        drawdown_max_fraction=0.01,
        naked_leg_seconds=1.0,
        return_fraction=0.05,
        guard_acts=0,
    )
    ruined = replace(
        calm, seed=2, liquidations=1, leverage_max=float("inf"), day_worst_fraction=-1.0
    )
    naked = replace(calm, seed=3, naked_leg_seconds=40.0, return_fraction=-0.2)
    found = summary(storm(), [calm, ruined, naked])
    assert found["worst"]["leverage_max"] == {"value": "infinite", "seed": 2}
    assert found["worst"]["day_worst_fraction"] == {"value": -1.0, "seed": 2}
    assert found["worst"]["naked_leg_seconds"] == {"value": 40.0, "seed": 3}
    assert found["worst"]["return_fraction"] == {"value": -0.2, "seed": 3}
    # Of equals the first.
    assert found["worst"]["leverage_above_3_seconds"] == {"value": 0.0, "seed": 1}
    assert found["median"]["return_fraction"] == 0.05
    assert (found["failing_seeds"], found["seeds_liquidated"], found["seeds"]) == ([2], 1, 3)


def test_faults_that_are_not_modelled_are_named():
    faults = [
        {"at_seconds": 10, "kind": "delay", "arguments": {"seconds": 1.0}},
        {"at_seconds": 20, "kind": "maintenance", "duration_seconds": 5},
    ]
    outcomes = stress(plan(count=1), storm(faults))
    assert summary(storm(faults), outcomes)["faults_left_out"] == ["delay"]


def decision(at, *fill_times, notes=(), kind="cycle"):
    fills = tuple(
        LabFill(
            time_ns=int(time * SECOND),
            instrument_id="BTCUSDT",
            leg="core",
            source=kind,
            quantity=Decimal(1),
            price=Decimal(1),
            reference=Decimal(1),
            fee=Decimal(0),
            realised_pnl=Decimal(0),
        )
        for time in fill_times
    )
    return LabDecision(
        time_ns=int(at * SECOND),
        kind=kind,
        action="traded",
        reasons=(),
        summary="",
        equity=None,
        targets={},
        held={},
        fills=fills,
        notes=notes,
    )


def test_half_traded_time_ends_with_the_last_leg_or_the_next_act():
    short = ("SOLUSDT: 3 not filled within the limit",)
    rows = [
        decision(0, 1.0, 1.5),
        decision(900, 901.0, notes=short),
        decision(1_000, 1_000.5, kind="guard"),
        decision(1_800),
        decision(2_700, 2_701.0, notes=short),
    ]
    assert half_traded_seconds(rows, 2_800 * SECOND) == 0.5 + 99.0 + 99.0
    assert half_traded_seconds([], 0) == 0.0


def test_a_scenario_lasts_as_long_as_its_script_and_a_while_after():
    assert market_seconds(storm()) == 420 + 1_800
    calm = scenario_from_dict({"name": "calm", "summary": "Nothing."})
    assert market_seconds(calm) == 6 * 3_600


def test_an_instrument_the_venue_does_not_list_is_refused():
    strange = replace(
        plan(),
        strategy=StrategyParameters(core_instrument="BTCUSDT", hedge_candidates=("NOPEUSDT",)),
    )
    with pytest.raises(SettingsError, match="NOPEUSDT: allowed is one of BTCUSDT"):
        stress(strange, storm())
