"""A leg without beta, volatility or rules: the others are judged, and the guess stays bounded."""

from decimal import Decimal
from typing import Any

import pytest

from counterpoise.risk import liquidation
from counterpoise.risk.guard import GuardParameters, GuardReason, evaluate
from counterpoise.risk.leverage import net_beta_exposure
from counterpoise.risk.protection import ProtectionParameters, stop_move, stop_targets
from risk_world import INSTRUMENTS, view
from strategy_world import CORE, ETH, SOL

GUARD = GuardParameters()
STOPS = ProtectionParameters()
VOLATILITIES = {CORE: Decimal("0.5"), ETH: Decimal("0.6")}
#: The rules of what is followed; the third instrument is somebody else's and has none.
FOLLOWED = {name: INSTRUMENTS[name] for name in (CORE, ETH)}
DUST = Decimal("0.006")


def book(**changes: Any) -> Any:
    values = {"betas": {ETH: Decimal(1)}, "volatilities": VOLATILITIES, "instruments": FOLLOWED}
    return view(**{**values, "unmanaged": frozenset({SOL}), **changes})


@pytest.mark.parametrize("rules", [INSTRUMENTS, FOLLOWED])
def test_a_unit_of_something_unknown_leaves_the_guard_as_it_was(rules: Any) -> None:
    own = {CORE: Decimal("3.6")}
    alone, beside = (
        evaluate(book(quantities=held, instruments=rules), GUARD, {})
        for held in (own, {**own, SOL: DUST})
    )
    assert (beside.triggered, beside.reason) == (True, GuardReason.NET_BETA)
    (cut,), (before,) = beside.changes, alone.changes
    assert cut.instrument_id == CORE
    assert abs(cut.quantity - before.quantity) <= Decimal("0.001")


def test_it_triggers_nothing_of_itself() -> None:
    seen = book(quantities={CORE: Decimal("2.5"), ETH: Decimal("-33.333"), SOL: DUST})
    assert evaluate(seen, GUARD, {}).reason is GuardReason.WITHIN_LIMITS


@pytest.mark.parametrize("sign", [1, -1])
def test_an_unknown_beta_counts_at_its_largest_against_us(sign: int) -> None:
    held = {CORE: Decimal(2) * sign, SOL: Decimal(-100)}
    # 120,000 and three times 15,000, whatever side that one is on.
    assert net_beta_exposure(book(quantities=held)) == Decimal(165_000) * sign


def test_what_unknown_betas_add_is_at_most_half_of_the_rest() -> None:
    held = {CORE: Decimal(1), SOL: Decimal(1_000)}
    seen = book(quantities=held)
    assert net_beta_exposure(seen) == Decimal(90_000)
    assert evaluate(seen, GUARD, {}).reason is GuardReason.WITHIN_LIMITS
    # What nobody here can trade alone is no reason to trade anything.
    assert net_beta_exposure(book(quantities={SOL: Decimal(1_400)})) == 0


def test_before_the_first_sample_no_beta_is_guessed() -> None:
    assert net_beta_exposure(book(betas={})) is None
    assert net_beta_exposure(book(quantities={CORE: Decimal(2)}, betas={})) == Decimal(120_000)
    assert net_beta_exposure(book(quantities={SOL: Decimal(1)}, marks={})) is None


def test_a_unit_of_something_unknown_leaves_the_distance_nearly_as_it_was() -> None:
    volatilities = {CORE: Decimal("0.3"), ETH: Decimal(2)}
    held = {CORE: Decimal("2.5"), ETH: Decimal(-35)}
    for rules in (INSTRUMENTS, FOLLOWED):
        seen = book(volatilities=volatilities, instruments=rules)
        alone = liquidation.distance(seen, held)
        beside = liquidation.distance(seen, {**held, SOL: DUST})
        assert alone is not None
        assert beside is not None
        assert Decimal(0) < alone - beside < Decimal("0.0001")
    found = evaluate(book(volatilities=volatilities, quantities={**held, SOL: DUST}), GUARD, {})
    assert found.reason is GuardReason.LIQUIDATION_DISTANCE


def test_an_unknown_volatility_is_three_times_the_core_s_or_the_largest_known() -> None:
    held = {CORE: Decimal(1), ETH: Decimal(1)}
    for known, ratio in (("0.5", 3), ("5", 10)):
        seen = view(volatilities={CORE: Decimal("0.5"), SOL: Decimal(known)})
        legs = liquidation.margin_legs(seen, held)
        assert legs is not None
        assert legs[ETH].volatility_ratio == ratio
        still = liquidation.margin_legs(seen, held, still=True)
        assert still is not None
        assert still[ETH].volatility_ratio == 0


def test_what_unknown_legs_may_do_leaves_two_thirds_of_the_distance() -> None:
    own = {CORE: Decimal("1.5")}
    seen = book(quantities={**own, SOL: Decimal(1_000)})
    alone = liquidation.distance(seen, own)
    beside = liquidation.distance(seen, seen.quantities)
    assert alone is not None
    assert beside == liquidation.KNOWN_SHARE_MIN * alone


def test_the_traded_legs_pay_exactly_for_what_is_not_traded() -> None:
    # SOL is known here and somebody else's: it stays, and the others make room for it.
    volatilities = {**VOLATILITIES, SOL: Decimal(1)}
    near = GuardParameters(distance_trigger=Decimal("0.4"), distance_target=Decimal("0.45"))
    held = {CORE: Decimal("1.5"), ETH: Decimal(-20), SOL: Decimal(300)}
    seen = book(quantities=held, volatilities=volatilities, instruments=INSTRUMENTS)
    found = evaluate(seen, near, {})
    assert found.reason is GuardReason.LIQUIDATION_DISTANCE
    after = dict(held)
    for change in found.changes:
        after[change.instrument_id] += change.side.sign * change.quantity
    assert after[SOL] == held[SOL]
    away = liquidation.distance(seen, after)
    assert away is not None
    assert Decimal("0.45") <= away < Decimal("0.452")


def test_stops_are_placed_for_the_legs_that_are_known() -> None:
    held = {CORE: Decimal("2.5"), ETH: Decimal("-33.333")}
    alone = stop_targets(book(quantities=held), GUARD, STOPS)
    beside = stop_targets(book(quantities={**held, SOL: DUST}), GUARD, STOPS)
    assert sorted(beside) == sorted(alone) == [CORE, ETH]
    for name, target in alone.items():
        moved = abs(beside[name].trigger_price - target.trigger_price)
        assert moved <= target.trigger_price * Decimal("0.0001")


def test_a_large_unknown_leg_does_not_draw_the_stops_to_the_mark() -> None:
    own = {CORE: Decimal(1)}
    alone = stop_move(book(quantities=own), GUARD, STOPS)
    beside = stop_move(book(quantities={**own, SOL: Decimal(1_000)}), GUARD, STOPS)
    assert alone is not None
    assert beside is not None
    # It is nearer as the guard counts the whole of its exposure, and its move at two thirds.
    assert alone * Decimal("0.3") < beside < alone
