"""Whatever the account, approved increases keep worst-case leverage at or under three."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.orders import ApprovedOrder, OrderIntent, OrderKind, OrderState, Side
from counterpoise.risk import gate
from counterpoise.risk.view import RiskView
from risk_world import INSTRUMENTS, intent, order, view
from strategy_world import CORE, ETH, MARKS, SOL

NAMES = (CORE, ETH, SOL)
#: Quote notional of one step of the drawn quantities, so that every leg matters alike.
STEP = {CORE: Decimal("0.05"), ETH: Decimal(1), SOL: Decimal(20)}
LIVE_STATES = (OrderState.JOURNALED, OrderState.ACCEPTED, OrderState.UNKNOWN)

EQUITIES = (0, 30_000, 60_000, 100_000, 200_000, 300_000)

names = st.sampled_from(NAMES)
sides = st.sampled_from(Side)


@st.composite
def open_orders(draw: st.DrawFn) -> OpenOrder:
    name = draw(names)
    quantity = draw(st.integers(1, 20)) * STEP[name]
    filled = draw(st.integers(0, 3)) * quantity / 4
    return order(
        name,
        side=draw(sides),
        quantity=quantity,
        filled_quantity=filled,
        price_limit=draw(st.sampled_from((None, MARKS[name], MARKS[name] * 2))),
        reduce_only=draw(st.booleans()),
        state=draw(st.sampled_from(LIVE_STATES)),
    )


@st.composite
def accounts(draw: st.DrawFn) -> RiskView:
    held = {name: draw(st.integers(-25, 25)) * STEP[name] for name in NAMES}
    return view(
        equity=Decimal(draw(st.sampled_from(EQUITIES) | st.integers(-1000, 300_000))),
        quantities=held,
        open_orders=tuple(draw(st.lists(open_orders(), max_size=4))),
        leverage_ceiling=Decimal(draw(st.sampled_from(("3", "2.5", "1")))),
    )


@st.composite
def wishes(draw: st.DrawFn, *, reduce_only: bool | None = None) -> OrderIntent:
    name = draw(names)
    market = draw(st.booleans())
    reducing = draw(st.booleans()) if reduce_only is None else reduce_only
    off = draw(st.integers(-100, 100)) * INSTRUMENTS[name].tick_size
    return intent(
        name,
        side=draw(sides),
        quantity=draw(st.integers(1, 25)) * STEP[name],
        kind=OrderKind.MARKET if market else OrderKind.LIMIT,
        price_limit=None if market else MARKS[name] + off,
        reduce_only=reducing,
    )


def leverage_after(
    seen: RiskView, orders: list[tuple[str, Decimal, Decimal]], fills: list[bool]
) -> Decimal:
    """A second, naive model: fill the chosen orders one by one and measure."""
    held, equity = dict(seen.quantities), seen.equity
    assert equity is not None
    for (name, signed, paid), filled in zip(orders, fills, strict=True):
        if filled:
            held[name] = held.get(name, Decimal(0)) + signed
            fee = paid * abs(signed) * seen.taker_fee_bps / 10_000
            equity -= (paid - MARKS[name]) * signed + fee
    gross = sum((abs(held[name]) * MARKS[name] for name in held), Decimal(0))
    return gross / equity if equity > 0 else Decimal("Infinity")


def as_fill(
    seen: RiskView, name: str, side: Side, quantity: Decimal, limit: Decimal | None
) -> tuple[str, Decimal, Decimal]:
    worst = MARKS[name] * (1 + side.sign * seen.slippage_bps / 10_000)
    return name, side.sign * quantity, worst if limit is None else limit


@settings(max_examples=150, deadline=None)
@given(accounts(), st.lists(wishes(), max_size=6), st.data())
def test_any_fills_of_what_was_approved_stay_under_the_ceiling(
    seen: RiskView, wanted: list[OrderIntent], data: st.DataObject
) -> None:
    answers = gate.review(wanted, seen)
    approved = [
        answer
        for answer in answers
        if isinstance(answer, ApprovedOrder) and answer.intent.increases
    ]
    if not approved:
        return
    assert seen.leverage_ceiling <= 3
    worst = [answer.leverage_worst for answer in approved]
    assert all(item is not None and item <= seen.leverage_ceiling for item in worst)
    flying = [
        as_fill(seen, item.instrument_id, item.side, gate_remaining(item), item.price_limit)
        for item in seen.open_orders
        if not item.reduce_only
    ]
    flying += [
        as_fill(
            seen,
            item.intent.instrument_id,
            item.intent.side,
            item.quantity,
            item.intent.price_limit,
        )
        for item in approved
    ]
    for fills in (
        [True] * len(flying),
        data.draw(st.lists(st.booleans(), min_size=len(flying), max_size=len(flying))),
    ):
        assert leverage_after(seen, flying, fills) <= seen.leverage_ceiling


def gate_remaining(item: OpenOrder) -> Decimal:
    return item.quantity if item.state is OrderState.UNKNOWN else item.remaining


@settings(max_examples=100, deadline=None)
@given(accounts(), wishes(reduce_only=False), st.sampled_from(("equity", "marks", "instruments")))
def test_without_an_input_nothing_increases(seen: RiskView, wanted: OrderIntent, lost: str) -> None:
    blind = {"equity": None, "marks": {}, "instruments": {}}
    answer = gate.approve_increase(wanted, replace(seen, **{lost: blind[lost]}))
    assert not isinstance(answer, ApprovedOrder)


@settings(max_examples=150, deadline=None)
@given(
    seen=accounts(),
    wanted=st.lists(wishes(reduce_only=True), min_size=1, max_size=6),
    blind=st.booleans(),
)
def test_reductions_never_grow_or_flip_and_are_never_denied(
    seen: RiskView, wanted: list[OrderIntent], *, blind: bool
) -> None:
    if blind:
        seen = replace(seen, equity=None, marks={}, instruments={}, lease_held=False)
    left = dict(seen.quantities)
    for wish, answer in zip(wanted, gate.review(wanted, seen), strict=True):
        held = left[wish.instrument_id]
        if held * wish.side.sign >= 0:
            assert answer is None
            continue
        assert isinstance(answer, ApprovedOrder)
        after = held + answer.quantity * wish.side.sign
        assert abs(after) < abs(held)
        assert after * held >= 0
        assert answer.quantity == min(wish.quantity, abs(held))
        left[wish.instrument_id] = after


@settings(max_examples=150, deadline=None)
@given(accounts(), st.lists(wishes(reduce_only=False), max_size=4))
def test_what_is_denied_together_is_what_one_by_one_would_be_denied_first(
    seen: RiskView, wanted: list[OrderIntent]
) -> None:
    answers = gate.review(wanted, gate.in_parts(seen))
    first = next(
        (
            (wish, answer)
            for wish, answer in zip(wanted, answers, strict=True)
            if not isinstance(answer, ApprovedOrder)
        ),
        None,
    )
    assert gate.denied_together(wanted, seen) == first
