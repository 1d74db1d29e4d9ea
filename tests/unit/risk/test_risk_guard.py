"""The guard: deleverage size, working reductions, vanished hedges; drift vectors."""

from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.orders import IntentSource, LegRole, Side
from counterpoise.risk import liquidation
from counterpoise.risk.guard import (
    GuardParameters,
    GuardReason,
    GuardVerdict,
    evaluate,
    unhedged_cut,
)
from risk_world import INSTRUMENTS, view
from strategy_world import CORE, ETH, MARKS, SOL, instrument

#: Keeps the net beta rule from speaking first where the core stands alone.
NET_BETA_AT_THREE = {"net_beta_trigger": Decimal(3), "net_beta_target": Decimal(3)}
ONE = {CORE: Decimal(1), ETH: Decimal(1)}


def book(gross: int, equity: int = 100, **changes: Any) -> Any:
    """A long core of `gross` quote at a mark of 1."""
    return view(
        quantities={CORE: Decimal(gross)},
        equity=Decimal(equity),
        marks=ONE,
        **changes,
    )


def sizes(verdict: GuardVerdict) -> dict[str, Decimal]:
    return {change.instrument_id: change.quantity for change in verdict.changes}


@pytest.mark.parametrize(
    ("gross", "cost_bps", "expected"),
    [(330, "5", "30.045"), (330, "100", "30.928"), (400, "300", "109.890")],
)
def test_the_deleverage_size_pays_its_own_cost(gross: int, cost_bps: str, expected: str) -> None:
    # Ceiling 3, equity 100; the size of venues.md section 1.1.
    to_three = GuardParameters(
        leverage_trigger=Decimal(3),
        leverage_target=Decimal(3),
        cost_bps=Decimal(cost_bps),
        **NET_BETA_AT_THREE,
    )
    verdict = evaluate(book(gross, betas={}), to_three, {})
    assert verdict.triggered
    assert round(verdict.excess, 3) == Decimal(expected)
    # After it the leverage is exactly 3, cost paid.
    left = gross - verdict.excess
    paid = 100 - verdict.excess * Decimal(cost_bps) / 10_000
    assert round(left / paid, 12) == 3


def test_where_cost_eats_every_reduction_all_is_closed() -> None:
    hopeless = GuardParameters(cost_bps=Decimal(10_000))
    assert evaluate(book(330), hopeless, {}).excess == 330


@pytest.mark.parametrize(
    ("leverage", "fall", "rise"),
    [
        ("2.00", "0.25", "0.125"),
        ("2.50", "0.10", "0.05"),
        ("2.75", "0.04545", "0.02273"),
        ("2.80", "0.03571", "0.01786"),
        ("2.90", "0.01724", "0.00862"),
    ],
)
def test_drift_reaches_the_ceiling_where_the_vectors_say(
    leverage: str, fall: str, rise: str
) -> None:
    to_three = GuardParameters(leverage_trigger=Decimal(3), leverage_target=Decimal("2.6"))
    for sign, move in ((1, Decimal(fall)), (-1, Decimal(rise))):
        for step, expected in ((Decimal("-0.0001"), False), (Decimal("0.0001"), True)):
            moved = move + step
            mark = 1 - sign * moved
            equity = 100 - Decimal(leverage) * 100 * moved
            seen = view(
                quantities={CORE: sign * Decimal(leverage) * 100},
                equity=equity,
                marks={CORE: mark},
            )
            found = evaluate(seen, to_three, {})
            assert (found.reason is GuardReason.LEVERAGE) is expected


@pytest.mark.parametrize(
    ("core", "hedge", "leverage"),
    [
        ("0.89", "0.89", "2.354"),
        ("0.89", "1", "2.796"),
        ("0.89", "0.6", "1.567"),
        ("1.1", "1.25", "3.222"),
    ],
)
def test_a_hedged_book_is_measured_as_the_vectors_say(core: str, hedge: str, leverage: str) -> None:
    marks = {CORE: Decimal(core), ETH: Decimal(hedge)}
    equity = 100 + 150 * (marks[CORE] - 1) - 100 * (marks[ETH] - 1)
    held = {CORE: Decimal(150), ETH: Decimal(-100)}
    verdict = evaluate(view(quantities=held, equity=equity, marks=marks), GuardParameters(), {})
    assert verdict.leverage is not None
    assert round(verdict.leverage, 3) == Decimal(leverage)
    assert verdict.triggered is (Decimal(leverage) >= Decimal("2.9"))


def test_all_legs_shrink_by_one_factor() -> None:
    held = {CORE: Decimal(3), ETH: Decimal(-40)}
    verdict = evaluate(view(quantities=held), GuardParameters(), {})
    # G 300,000, E 100,000: (300,000 - 260,000) / (1 - 2.6 x 15 bps) = 40,156.61
    assert (verdict.triggered, verdict.reason) == (True, GuardReason.LEVERAGE)
    assert verdict.leverage == 3
    assert round(verdict.excess, 2) == Decimal("40156.61")
    assert sizes(verdict) == {CORE: Decimal("0.402"), ETH: Decimal("5.355")}
    core, hedge = verdict.changes
    assert (core.side, core.leg, hedge.side, hedge.leg) == (
        Side.SELL,
        LegRole.CORE,
        Side.BUY,
        LegRole.HEDGE,
    )
    assert all(change.reduce_only for change in verdict.changes)
    assert all(change.source is IntentSource.GUARD for change in verdict.changes)


def test_what_works_already_is_not_sent_twice() -> None:
    seen = view(quantities={CORE: Decimal(3), ETH: Decimal(-40)})
    first = sizes(evaluate(seen, GuardParameters(), {}))
    again = evaluate(seen, GuardParameters(), first)
    assert (again.triggered, again.changes) == (True, ())
    half = {name: quantity / 2 for name, quantity in first.items()}
    rest = sizes(evaluate(seen, GuardParameters(), half))
    assert rest == {CORE: Decimal("0.201"), ETH: Decimal("2.676")}


def test_a_leg_that_fully_works_gets_nothing_more() -> None:
    seen = view(quantities={CORE: Decimal(3), ETH: Decimal(-40)}, equity=Decimal(80_000))
    verdict = evaluate(seen, GuardParameters(), {ETH: Decimal(40)})
    assert verdict.triggered
    assert verdict.changes == ()
    deeper = evaluate(
        view(quantities={CORE: Decimal(3), ETH: Decimal(-40)}, equity=Decimal(20_000)),
        GuardParameters(),
        {ETH: Decimal(40)},
    )
    assert set(sizes(deeper)) == {CORE}


def test_within_limits_nothing_happens() -> None:
    verdict = evaluate(view(), GuardParameters(), {})
    assert (verdict.triggered, verdict.reason) == (False, GuardReason.WITHIN_LIMITS)
    assert verdict.leverage == Decimal("2.49999")


def test_a_flat_book_needs_nothing_even_without_equity() -> None:
    flat = {CORE: Decimal(0)}
    assert evaluate(view(quantities=flat), GuardParameters(), {}).leverage == 0
    bust = evaluate(view(quantities=flat, equity=Decimal(-5)), GuardParameters(), {})
    assert (bust.triggered, bust.leverage) == (False, None)


def test_no_equity_closes_everything() -> None:
    for worth in (Decimal(0), Decimal(-1)):
        verdict = evaluate(view(equity=worth), GuardParameters(), {})
        assert verdict.reason is GuardReason.EQUITY_NOT_POSITIVE
        assert sizes(verdict) == {CORE: Decimal("2.5"), ETH: Decimal("33.333")}
        assert (verdict.leverage, verdict.excess) == (None, Decimal(249999))
    blind = evaluate(view(equity=Decimal(0), marks={}), GuardParameters(), {CORE: Decimal(2)})
    assert sizes(blind) == {CORE: Decimal("0.5"), ETH: Decimal("33.333")}
    assert blind.excess == 0


def test_what_is_unknown_triggers_nothing_and_says_so() -> None:
    unknown = evaluate(view(equity=None), GuardParameters(), {})
    assert (unknown.triggered, unknown.reason) == (False, GuardReason.EQUITY_UNKNOWN)
    unmarked = evaluate(view(marks={}), GuardParameters(), {})
    assert (unmarked.triggered, unmarked.reason) == (False, GuardReason.MARK_UNKNOWN)


def test_stale_marks_are_good_enough_to_reduce() -> None:
    seen = view(quantities={CORE: Decimal(5)}, marks={}, marks_last=dict(MARKS))
    assert evaluate(seen, GuardParameters(), {}).reason is GuardReason.LEVERAGE


def test_net_beta_reduces_all_legs() -> None:
    held = {CORE: Decimal(2), ETH: Decimal(30)}
    verdict = evaluate(view(quantities=held), GuardParameters(), {})
    # B 210,000 of G 210,000: x (210,000 - 1.8 x 15 bps x 210,000) = 30,000
    assert verdict.reason is GuardReason.NET_BETA
    assert round(verdict.excess, 2) == Decimal("30081.22")
    costly = GuardParameters(cost_bps=Decimal(10_000))
    assert evaluate(view(quantities=held), costly, {}).excess == 210_000
    unknown = evaluate(view(quantities=held, betas={}), GuardParameters(), {})
    assert unknown.reason is GuardReason.WITHIN_LIMITS


def test_liquidation_too_near_reduces_all_legs() -> None:
    # ETH moves four times the core: one core-equivalent fraction costs 1.5 + 4 of equity.
    volatilities = {CORE: Decimal("0.5"), ETH: Decimal(2)}
    seen = view(volatilities=volatilities)
    away = liquidation.distance(seen, seen.quantities)
    assert away is not None
    assert round(away, 3) == Decimal("0.180")
    near = GuardParameters(distance_trigger=Decimal("0.2"), distance_target=Decimal("0.25"))
    verdict = evaluate(seen, near, {})
    assert verdict.reason is GuardReason.LIQUIDATION_DISTANCE
    cut = sizes(verdict)
    left = {CORE: Decimal("2.5") - cut[CORE], ETH: Decimal("-33.333") + cut[ETH]}
    after = liquidation.distance(seen, left)
    assert after is not None
    assert Decimal("0.25") <= after < Decimal("0.2505")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"volatilities": {CORE: Decimal(1)}},
        {"volatilities": {ETH: Decimal(1)}},
        {"volatilities": {CORE: Decimal(1), ETH: Decimal(1)}, "marks_last": {}},
        {"volatilities": {CORE: Decimal(1), ETH: Decimal(1)}, "instruments": {}},
        {"volatilities": {CORE: Decimal(1), ETH: Decimal(1)}, "equity": None},
    ],
)
def test_the_distance_is_unknown_without_its_inputs(changes: dict[str, Any]) -> None:
    seen = view(**changes)
    assert liquidation.distance(seen, seen.quantities) is None
    assert liquidation.factor_for_distance(seen, seen.quantities, Decimal("0.2")) is None


def test_the_distance_leaves_flat_legs_out() -> None:
    seen = view(volatilities={CORE: Decimal(1)})
    assert liquidation.distance(seen, {CORE: Decimal(1), ETH: Decimal(0)}) is not None


def test_a_vanished_hedge_cuts_the_core_alone() -> None:
    verdict = unhedged_cut(view(quantities={CORE: Decimal("2.5")}), GuardParameters(), {})
    # (150,000 - 100,000) / (1 - 15 bps) = 50,075.11
    assert (verdict.triggered, verdict.reason) == (True, GuardReason.UNHEDGED)
    assert sizes(verdict) == {CORE: Decimal("0.835")}
    short = unhedged_cut(view(quantities={CORE: Decimal("-2.5")}), GuardParameters(), {})
    assert [change.side for change in short.changes] == [Side.BUY]


def test_half_of_the_hedge_that_is_left_counts() -> None:
    held = {CORE: Decimal("2.5"), ETH: Decimal(-20)}
    verdict = unhedged_cut(view(quantities=held), GuardParameters(), {})
    # 150,000 - (100,000 + 0.5 x 60,000)
    assert round(verdict.excess, 2) == Decimal("20030.05")
    held[ETH] = Decimal(-34)
    enough = unhedged_cut(view(quantities=held), GuardParameters(), {})
    assert (enough.triggered, enough.reason) == (False, GuardReason.WITHIN_LIMITS)
    unknown = unhedged_cut(view(quantities=held, betas={}), GuardParameters(), {})
    assert round(unknown.excess, 2) == Decimal("50075.11")


def test_a_working_cut_is_not_repeated() -> None:
    seen = view(quantities={CORE: Decimal("2.5")})
    again = unhedged_cut(seen, GuardParameters(), {CORE: Decimal("0.835")})
    assert (again.triggered, again.changes) == (True, ())


def test_a_cut_needs_a_core_its_mark_and_equity() -> None:
    parameters = GuardParameters()
    none = unhedged_cut(view(quantities={ETH: Decimal(-1)}), parameters, {})
    assert none.reason is GuardReason.WITHIN_LIMITS
    assert unhedged_cut(view(marks={}), parameters, {}).reason is GuardReason.MARK_UNKNOWN
    assert unhedged_cut(view(equity=None), parameters, {}).reason is GuardReason.EQUITY_UNKNOWN
    bust = unhedged_cut(view(equity=Decimal(-1)), parameters, {})
    assert sizes(bust) == {CORE: Decimal("2.5")}


def test_a_reduction_keeps_the_venue_limits() -> None:
    coarse = instrument(CORE, lot_size=Decimal("0.5"), market_quantity_max=Decimal(2))
    rules = INSTRUMENTS | {CORE: coarse}
    parameters = GuardParameters(**NET_BETA_AT_THREE)
    small = evaluate(view(quantities={CORE: Decimal(5)}, instruments=rules), parameters, {})
    # 40,157 of 300,000 is 0.67, up to 1.0.
    assert sizes(small) == {CORE: Decimal(1)}
    large = evaluate(
        view(quantities={CORE: Decimal(5)}, instruments=rules, equity=Decimal(1)),
        parameters,
        {},
    )
    assert sizes(large) == {CORE: Decimal(2)}


def test_what_is_not_followed_counts_and_the_legs_that_are_pay_for_it() -> None:
    # SOL is somebody else's position in a market whose rules are not known here.
    followed = {name: INSTRUMENTS[name] for name in (CORE, ETH)}
    held = {CORE: Decimal(2), ETH: Decimal("-33.333"), SOL: Decimal(600)}
    seen = view(quantities=held, instruments=followed, betas={})
    whole = evaluate(view(quantities=held, betas={}), GuardParameters(), {})
    verdict = evaluate(seen, GuardParameters(), {})
    assert (verdict.reason, verdict.excess) == (GuardReason.LEVERAGE, whole.excess)
    assert set(sizes(verdict)) == {CORE, ETH}
    taken = sum(quantity * MARKS[name] for name, quantity in sizes(verdict).items())
    assert verdict.excess <= taken < verdict.excess + 2 * MARKS[CORE] * Decimal("0.001")
    bust = evaluate(
        view(quantities=held, instruments=followed, equity=Decimal(-1)), GuardParameters(), {}
    )
    assert sizes(bust) == {CORE: Decimal(2), ETH: Decimal("33.333")}


def test_where_nothing_held_is_followed_the_guard_says_so_and_wants_nothing() -> None:
    held = {SOL: Decimal(10_000)}
    followed = {name: INSTRUMENTS[name] for name in (CORE, ETH)}
    verdict = evaluate(view(quantities=held, instruments=followed), GuardParameters(), {})
    assert (verdict.triggered, verdict.changes) == (True, ())
    bust = view(quantities=held, instruments=followed, equity=Decimal(-1))
    assert evaluate(bust, GuardParameters(), {}).changes == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"leverage_trigger": Decimal("3.1")},
        {"leverage_target": Decimal("2.95")},
        {"net_beta_target": Decimal("2.1")},
        {"distance_trigger": Decimal("0.3")},
        {"hedge_credit_max": Decimal("0.6")},
        {"cost_bps": Decimal("NaN")},
    ],
)
def test_guard_parameters_are_checked_by_name(changes: dict[str, Decimal]) -> None:
    name = next(iter(changes))
    with pytest.raises(ValueError, match=f"^{name}="):
        GuardParameters(**changes)
    assert SOL in INSTRUMENTS
