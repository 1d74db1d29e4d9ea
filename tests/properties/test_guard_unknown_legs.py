"""With legs of which nothing is known the guard reaches an end, and never closes a calm book."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.risk import liquidation
from counterpoise.risk.guard import GuardParameters, GuardReason, evaluate
from counterpoise.risk.leverage import net_beta_exposure
from risk_world import INSTRUMENTS, view
from strategy_world import CORE, ETH, MARKS, SOL

GUARD = GuardParameters()
EQUITY = Decimal(100_000)
RULES = {name: INSTRUMENTS[name] for name in (CORE, ETH)}


def seen(core: int, hedge: int, other: int, hedge_volatility: int):
    quantities = {
        name: EQUITY * share / 100 / MARKS[name]
        for name, share in ((CORE, core), (ETH, hedge), (SOL, other))
    }
    return view(
        quantities=quantities,
        betas={ETH: Decimal(1)},
        volatilities={CORE: Decimal("0.5"), ETH: Decimal(hedge_volatility) / 10},
        instruments=RULES,
        unmanaged=frozenset({SOL}),
    )


@given(
    core=st.integers(-290, 290),
    hedge=st.integers(-200, 200),
    other=st.integers(-100, 100).filter(bool),
    hedge_volatility=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_a_leg_nobody_can_trade_is_no_reason_to_cut_for_ever(
    core: int, hedge: int, other: int, hedge_volatility: int
) -> None:
    book = seen(core, hedge, other, hedge_volatility)
    for _ in range(8):
        verdict = evaluate(book, GUARD, {})
        if not verdict.triggered:
            break
        left = dict(book.quantities)
        for change in verdict.changes:
            left[change.instrument_id] += change.side.sign * change.quantity
        assert left[SOL] == book.quantities[SOL]
        book = replace(book, quantities=left)
    assert not evaluate(book, GUARD, {}).triggered, "every target is within reach"


@given(
    core=st.integers(-120, 120),
    hedge=st.integers(-120, 120),
    other=st.integers(-100, 100).filter(bool),
    hedge_volatility=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_a_guess_triggers_nothing_where_the_known_legs_are_far_from_it(
    core: int, hedge: int, other: int, hedge_volatility: int
) -> None:
    book = seen(core, hedge, other, hedge_volatility)
    own = {name: q for name, q in book.quantities.items() if name != SOL}
    known = net_beta_exposure(replace(book, quantities=own))
    away = liquidation.distance(book, own)
    assert known is not None
    reason = evaluate(book, GUARD, {}).reason
    if abs(known) < GUARD.net_beta_trigger * EQUITY / Decimal("1.5"):
        assert reason is not GuardReason.NET_BETA
    if not any(own.values()) or away is None:
        return
    if away > GUARD.distance_trigger / liquidation.KNOWN_SHARE_MIN:
        assert reason is not GuardReason.LIQUIDATION_DISTANCE
