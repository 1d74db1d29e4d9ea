"""Whatever the book, the guard only shrinks it, enough, and by one factor."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.risk.guard import GuardParameters, GuardReason, evaluate, unhedged_cut
from counterpoise.risk.view import RiskView
from risk_world import INSTRUMENTS, view
from strategy_world import CORE, ETH, MARKS, SOL

STEP = {CORE: Decimal("0.05"), ETH: Decimal(1), SOL: Decimal(20)}
PARAMETERS = GuardParameters()


@st.composite
def books(draw: st.DrawFn) -> RiskView:
    held = {name: draw(st.integers(-80, 80)) * STEP[name] for name in STEP}
    volatilities = draw(
        st.sampled_from(({}, {CORE: Decimal("0.5"), ETH: Decimal("0.8"), SOL: Decimal(1)}))
    )
    return view(
        equity=Decimal(draw(st.integers(-1000, 200_000))),
        quantities=held,
        volatilities=volatilities,
    )


@st.composite
def reductions_in_flight(draw: st.DrawFn) -> dict[str, Decimal]:
    return {
        name: draw(st.integers(0, 80)) * STEP[name]
        for name in draw(st.sets(st.sampled_from(sorted(STEP))))
    }


@settings(max_examples=200, deadline=None)
@given(books(), reductions_in_flight())
def test_changes_never_exceed_what_is_held_and_not_working(
    seen: RiskView, working: dict[str, Decimal]
) -> None:
    for verdict in (evaluate(seen, PARAMETERS, working), unhedged_cut(seen, PARAMETERS, working)):
        for change in verdict.changes:
            held = seen.quantities[change.instrument_id]
            room = abs(held) - working.get(change.instrument_id, Decimal(0))
            assert change.reduce_only
            assert change.side.sign * held < 0
            assert 0 < change.quantity <= room
        assert verdict.triggered or not verdict.changes


@settings(max_examples=200, deadline=None)
@given(books())
def test_one_round_reaches_the_target_with_its_cost_paid(seen: RiskView) -> None:
    verdict = evaluate(seen, PARAMETERS, {})
    if not verdict.triggered or seen.equity is None:
        return
    left = dict(seen.quantities)
    cost = Decimal(0)
    for change in verdict.changes:
        left[change.instrument_id] += change.quantity * change.side.sign
        cost += change.quantity * MARKS[change.instrument_id] * PARAMETERS.cost_bps / 10_000
    if verdict.reason is GuardReason.EQUITY_NOT_POSITIVE:
        assert set(left.values()) == {Decimal(0)}
    if verdict.reason is not GuardReason.LEVERAGE:
        return
    gross = sum((abs(left[name]) * MARKS[name] for name in left), Decimal(0))
    # Rounding up by a lot costs a little more than planned.
    lots = sum((INSTRUMENTS[name].lot_size * MARKS[name] for name in left), Decimal(0))
    slack = PARAMETERS.leverage_target * lots * PARAMETERS.cost_bps / 10_000
    allowed = PARAMETERS.leverage_target * (seen.equity - cost) + slack + Decimal("1e-9")
    # Where cost eats what is left of equity, everything is closed.
    assert gross == 0 or gross <= allowed


@settings(max_examples=200, deadline=None)
@given(books())
def test_the_hedge_ratio_stays_but_for_a_lot(seen: RiskView) -> None:
    verdict = evaluate(seen, PARAMETERS, {})
    gross = sum((abs(held) * MARKS[name] for name, held in seen.quantities.items()), Decimal(0))
    if not verdict.triggered or gross == 0:
        return
    factor = verdict.excess / gross
    for change in verdict.changes:
        held, rules = abs(seen.quantities[change.instrument_id]), INSTRUMENTS[change.instrument_id]
        planned = held * factor
        enough = max(planned + rules.lot_size, rules.quantity_min)
        assert planned - Decimal("1e-20") <= change.quantity <= enough


@settings(max_examples=200, deadline=None)
@given(books())
def test_what_the_guard_asked_for_is_not_asked_again(seen: RiskView) -> None:
    first = evaluate(seen, PARAMETERS, {})
    working = {change.instrument_id: change.quantity for change in first.changes}
    assert evaluate(seen, PARAMETERS, working).changes == ()
