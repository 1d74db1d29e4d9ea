"""Policies: what each one holds, what it remembers, and what no policy gets around."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from counterpoise.domain.account import TradingState
from counterpoise.strategy.decide import decide
from counterpoise.strategy.decision import Decision, DecisionAction, DecisionInputs
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import POLICY_NAMES
from counterpoise.strategy.policies import POLICIES
from counterpoise.strategy.policies.price_correlation import multiplier
from strategy_world import (
    CORE,
    ETH,
    MARKS,
    PARAMETERS,
    SOL,
    XRP,
    account,
    codes,
    encoded,
    grown,
    inputs,
    instrument,
    market,
    market_view,
    parameters,
    signals,
)

BASELINES = tuple(name for name in POLICY_NAMES if name != "counterpoise")
FIXED = ("unhedged", "static_hedge")


def asked(policy: str, **changes: Any) -> DecisionInputs:
    given = changes.pop("parameters", PARAMETERS)
    return inputs(parameters=replace(given, policy=policy), **changes)


def wanted(decision: Decision) -> dict[str, float]:
    return {name: leg.notional_fraction for name, leg in decision.targets.items()}


def test_every_name_is_a_policy() -> None:
    assert tuple(POLICIES) == POLICY_NAMES
    with pytest.raises(ValueError, match=r"^policy='best': allowed is counterpoise, flat, unhed"):
        parameters(policy="best")


@pytest.mark.parametrize(
    ("policy", "legs"),
    [
        ("flat", {}),
        ("unhedged", {CORE: 1.5}),
        ("static_hedge", {CORE: 1.5, ETH: -1.0}),
        ("constant_mix", {CORE: 1.5, ETH: -1.0}),
        # 0.8 is above 0.7: half of the hedge, which is when it is worth most.
        ("price_correlation", {CORE: 1.5, ETH: -0.5}),
        ("hold_less", {CORE: 0.75}),
        # 1.5 x 0.5 / sigma x 0.8 / 2.9
        (
            "minimum_variance",
            {
                CORE: 1.5,
                ETH: -1.5 * 0.5 / 0.6 * 0.8 / 2.9,
                SOL: -1.5 * 0.5 / 0.8 * 0.8 / 2.9,
                XRP: -1.5 * 0.5 / 0.7 * 0.8 / 2.9,
            },
        ),
    ],
)
@pytest.mark.parametrize("side", ["long", "short"])
def test_a_baseline_holds_its_legs_from_the_first_decision(
    policy: str, legs: dict[str, float], side: str
) -> None:
    made = decide(asked(policy, parameters=parameters(core_side=side)))
    sign = 1 if side == "long" else -1
    assert wanted(made) == pytest.approx({name: sign * leg for name, leg in legs.items()}, abs=2e-5)
    assert made.action is (DecisionAction.TRADED if legs else DecisionAction.UNCHANGED)
    held = {change.instrument_id: change.quantity * change.side.sign for change in made.changes}
    for name, quantity in held.items():
        worth = float(quantity * MARKS[name]) / 100_000
        assert worth == pytest.approx(sign * legs[name], abs=1e-3)
    assert set(held) == set(legs)
    assert not any(change.reduce_only for change in made.changes)
    assert made.memory.policy == policy


def test_hedge_increases_go_out_before_the_core() -> None:
    made = decide(asked("static_hedge"))
    assert [change.instrument_id for change in made.changes] == [ETH, CORE]


@pytest.mark.parametrize("policy", FIXED)
def test_quantities_are_set_once(policy: str) -> None:
    first = decide(asked(policy))
    assert "POLICY_SET" in codes(first)
    quantities = first.memory.policy_quantities
    assert quantities[CORE] == Decimal("2.5")
    held = account(quantities=dict(quantities))
    richer = replace(held, equity=Decimal(150_000))
    second = decide(asked(policy, memory=first.memory, account=richer))
    assert (second.action, codes(second)) == (DecisionAction.UNCHANGED, ["POLICY_HELD"])
    assert second.memory.policy_quantities == quantities
    assert second.memory.policy_floors == {n: abs(q) for n, q in quantities.items()}
    assert wanted(second)[CORE] == pytest.approx(1.0)


def test_what_did_not_fill_is_asked_for_again() -> None:
    first = decide(asked("static_hedge"))
    half = account(quantities={CORE: Decimal("1.0"), ETH: Decimal("-33.333")})
    made = decide(asked("static_hedge", memory=first.memory, account=half))
    assert codes(made) == ["POLICY_TRADES"]
    assert [(c.instrument_id, c.quantity) for c in made.changes] == [(CORE, Decimal("1.5"))]


def test_what_was_cut_stays_cut() -> None:
    first = decide(asked("static_hedge"))
    whole = account(quantities=dict(first.memory.policy_quantities))
    second = decide(asked("static_hedge", memory=first.memory, account=whole))
    cut = account(quantities={CORE: Decimal("2.0"), ETH: Decimal("-33.333")})
    third = decide(asked("static_hedge", memory=second.memory, account=cut))
    assert codes(third) == ["POLICY_CUT", "POLICY_HELD"]
    assert third.changes == ()
    assert third.memory.policy_quantities[CORE] == Decimal("2.0")
    assert third.memory.policy_floors[CORE] == Decimal("2.0")
    gone = account(quantities={CORE: Decimal("2.0")})
    fourth = decide(asked("static_hedge", memory=third.memory, account=gone))
    assert fourth.memory.policy_quantities == {CORE: Decimal("2.0"), ETH: Decimal(0)}
    assert fourth.changes == ()


def test_quantities_wait_for_data() -> None:
    stale = market({ETH: market_view(ETH, missing=("BOOK_STALE",))})
    made = decide(asked("static_hedge", market=stale, account=account(legs={CORE: 0.5})))
    assert (made.action, codes(made)) == (DecisionAction.UNCHANGED, ["POLICY_WAITS"])
    assert made.memory.policy_quantities == {}
    assert wanted(made) == pytest.approx({CORE: 0.5}, abs=1e-4)


def test_flat_closes_everything_reduce_only() -> None:
    held = account(legs={CORE: 1.0, ETH: -0.5})
    made = decide(asked("flat", account=held))
    assert [(c.instrument_id, c.reduce_only) for c in made.changes] == [(CORE, True), (ETH, True)]
    assert [c.quantity for c in made.changes] == [abs(q) for q in held.quantities.values()]
    unknown = signals(volatility_fast={}, volatility_medium={}, volatility_slow={})
    assert decide(asked("flat", account=held, signals=unknown)).changes == made.changes
    assert codes(decide(asked("flat")))[-1] == "POLICY_HELD"


@pytest.mark.parametrize(
    ("rho", "factor"), [(0.9, 0.5), (0.7, 0.5), (0.5, 1.0), (0.3, 1.5), (-0.4, 1.5)]
)
def test_the_published_rule_cuts_the_hedge_where_it_works(rho: float, factor: float) -> None:
    assert multiplier(rho, PARAMETERS) == pytest.approx(factor)
    told = signals(correlation_core_medium={ETH: rho})
    # Capped together at the soft limit where the hedge is raised most.
    legs = wanted(decide(asked("price_correlation", signals=told)))
    assert legs[ETH] / legs[CORE] == pytest.approx(-2 / 3 * factor)
    assert sum(abs(leg) for leg in legs.values()) <= PARAMETERS.leverage_soft + 1e-9


def test_an_unknown_price_correlation_scales_nothing() -> None:
    made = decide(asked("price_correlation", signals=signals(correlation_core_medium={})))
    assert wanted(made)[ETH] == pytest.approx(-1.0)
    assert "RULE_SKIPPED" in codes(made)


def test_constant_mix_trades_back_beyond_the_band() -> None:
    near = decide(asked("constant_mix", account=account(legs={CORE: 1.4, ETH: -1.0})))
    assert (near.changes, codes(near)) == ((), ["BAND_NOT_REACHED"])
    far = decide(asked("constant_mix", account=account(legs={CORE: 1.3, ETH: -1.0})))
    assert codes(far)[0] == "BAND_LEG"
    assert [change.instrument_id for change in far.changes] == [CORE]


def test_minimum_variance_keeps_what_it_cannot_size() -> None:
    told = signals(beta={CORE: 1.0, SOL: 1.28, XRP: 1.12})
    made = decide(asked("minimum_variance", signals=told, account=account(legs={ETH: -0.3})))
    assert wanted(made)[ETH] == pytest.approx(-0.3)
    assert "CANDIDATE_INELIGIBLE" in codes(made)
    opposite = signals(correlation_core_medium=dict.fromkeys((ETH, SOL, XRP), 0.8))
    opposite.correlation[ETH][CORE] = opposite.correlation[CORE][ETH] = -0.8
    made = decide(asked("minimum_variance", signals=opposite))
    assert "HEDGE_WRONG_SIGN" in codes(made)
    assert ETH not in wanted(made)


@pytest.mark.parametrize("policy", BASELINES)
def test_a_baseline_without_candidates_holds_no_hedge(policy: str) -> None:
    made = decide(asked(policy, parameters=parameters(hedge_candidates=())))
    assert set(wanted(made)) <= {CORE}


@pytest.mark.parametrize("policy", POLICY_NAMES)
@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_no_policy_increases_against_the_trading_state(policy: str, state: TradingState) -> None:
    small = account(legs={CORE: 0.1})
    set_before = decide(asked(policy)).memory
    for memory in (Memory.first(), set_before):
        made = decide(asked(policy, memory=memory, account=small, trading_state=state))
        assert all(change.reduce_only for change in made.changes)
        if state is TradingState.HALTED:
            assert (made.action, made.changes) == (DecisionAction.BLOCKED, ())


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_no_policy_increases_on_a_slow_feed(policy: str) -> None:
    slow = market(latency_ms_p99=900.0)
    made = decide(asked(policy, market=slow))
    assert "LATENCY_HIGH" in codes(made)
    assert made.changes == ()


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_every_policy_stays_on_the_lot_grid_and_can_be_computed_again(policy: str) -> None:
    coarse = market(
        {
            name: market_view(name, instrument=instrument(name, lot_size=Decimal("0.01")))
            for name in MARKS
        }
    )
    case = asked(policy, market=coarse, account=account(legs={SOL: 0.2}))
    made = decide(case)
    for change in made.changes:
        assert change.reduce_only or change.quantity % Decimal("0.01") == 0
    stored = msgspec.json.decode(encoded(case), type=DecisionInputs)
    assert encoded(decide(stored)) == encoded(made)


@pytest.mark.parametrize("policy", BASELINES)
def test_a_position_of_no_strategy_is_closed(policy: str) -> None:
    view = replace(market_view(XRP), instrument=instrument("ADAUSDT"))
    odd = account(quantities={"ADAUSDT": Decimal(100)})
    held = market({"ADAUSDT": view})
    memory = decide(asked(policy)).memory
    made = decide(asked(policy, market=held, account=odd, memory=memory))
    assert "FOREIGN_POSITION" in codes(made)
    closing = [c for c in made.changes if c.instrument_id == "ADAUSDT"]
    assert [(c.quantity, c.reduce_only) for c in closing] == [(Decimal(100), True)]


def test_a_change_of_policy_keeps_the_account_and_forgets_the_rest() -> None:
    memory = grown(nav_high_water=Decimal("1.2"))
    made = decide(asked("unhedged", memory=memory, account=account(legs={CORE: 1.5, ETH: -0.5})))
    assert codes(made)[:2] == ["POLICY_CHANGED", "POLICY_SET"]
    assert [c.instrument_id for c in made.changes] == [ETH]
    assert made.memory.nav_high_water == Decimal("1.2")
    assert (made.memory.scale, made.memory.incumbents) == (None, ())
    back = decide(inputs(memory=made.memory, account=account(legs={CORE: 1.5})))
    assert codes(back)[0] == "POLICY_CHANGED"
    assert back.memory.policy_quantities == {}
    assert "FIRST_SCALE" in codes(back)


def test_memory_of_a_version_without_policies_is_the_strategys() -> None:
    body = msgspec.json.decode(encoded(grown()))
    for name in ("policy", "policy_quantities", "policy_floors"):
        del body[name]
    old = msgspec.json.decode(msgspec.json.encode(body), type=Memory)
    assert old == grown()
    made = decide(inputs(memory=old, account=account(legs={CORE: 1.5})))
    assert "POLICY_CHANGED" not in codes(made)
    assert made.memory.scale == pytest.approx(1.0)
