"""Whatever is done to the modelled venue, its books explain themselves."""

import json
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import PositionMode, PositionSide, SelfTradeMode, position_key
from counterpoise.exchange.orders import NewOrder, OrderRefused
from counterpoise.exchange.venues import okx_parameters

D = Decimal
LTC = "LTCUSDT"
OPENED_NS = 1_800_000_000 * NS_PER_SECOND
PARAMETERS = replace(okx_parameters(3), history_days=1)

#: (what, who, side, position side, lots, ticks from the middle, choice).
ACTIONS = st.tuples(
    st.sampled_from(("limit", "market", "amend", "cancel", "adl", "transfer", "wait", "crash")),
    st.sampled_from("ab"),
    st.sampled_from(Side),
    st.sampled_from((PositionSide.LONG, PositionSide.SHORT)),
    st.integers(1, 20_000),
    st.integers(-30, 30),
    st.integers(0, 3),
)


def act(venue: Exchange, action: tuple[str, str, Side, PositionSide, int, int, int]) -> None:
    what, who, side, position_side, lots, ticks, choice = action
    quantity = lots * D("0.1")
    hedged = venue.position_mode(who, LTC) is PositionMode.HEDGE
    held_side = position_side if hedged else PositionSide.NET
    price = (venue.mark(LTC) + ticks * D("0.01")).quantize(D("0.01"))
    opened = [each.order_id for each in venue.account(who).open_orders]
    if what in ("limit", "market"):
        market = what == "market"
        order = NewOrder(
            instrument_id=LTC, side=side, quantity=quantity, position_side=held_side,
            kind=OrderKind.MARKET if market else OrderKind.LIMIT,
            price_limit=None if market else price,
            time_in_force=TimeInForce.IOC if choice == 1 else TimeInForce.GTC,
            reduce_only=choice == 2, self_trade=list(SelfTradeMode)[choice],
        )  # fmt: skip
        venue.place(who, order)
    elif what == "amend" and opened:
        at = None if choice == 0 else price
        venue.amend(who, order_id=opened[0], quantity=quantity, price_limit=at)
    elif what == "cancel" and opened:
        venue.force_cancel(who, order_id=opened[-1])
    elif what == "adl":
        venue.force_reduce(who, LTC, quantity=quantity, position_side=held_side)
    elif what == "transfer":
        venue.transfer(who, quantity * side.sign)
    elif what in ("wait", "crash"):
        if what == "crash":
            venue.shock(LTC, side.sign * 0.02 * choice, 0.0)
        venue.advance(venue.now_ns + NS_PER_SECOND // 2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(ACTIONS, max_size=30))
def test_books_explain_themselves(
    hedge: bool,  # noqa: FBT001
    actions: list[tuple[str, str, Side, PositionSide, int, int, int]],
) -> None:
    venue = Exchange.create(PARAMETERS, OPENED_NS)
    for name in "ab":
        venue.open_account(name, D(60_000))
    if hedge:
        venue.set_position_mode("a", PositionMode.HEDGE)
    for action in actions:
        try:
            act(venue, action)
        except OrderRefused:
            continue
    for name in "ab":
        account = venue.account(name)
        assert account.wallet_balance == sum(each.change for each in venue.bills(name, 0))
        held: dict[str, Decimal] = defaultdict(Decimal)
        for fill in venue.fills(name, 0):
            held[position_key(LTC, fill.position_side)] += fill.side.sign * fill.quantity
        assert {key: q for key, q in held.items() if q} == {
            key: each.quantity for key, each in account.positions.items()
        }
        for key, each in account.positions.items():
            assert key == LTC or (each.quantity > 0) == (each.position_side is PositionSide.LONG)
        for order in account.open_orders:
            if order.reduce_only:
                key = position_key(LTC, order.position_side)
                assert order.remaining <= abs(account.positions[key].quantity)
    saved = json.dumps(venue.save())
    assert json.dumps(Exchange.restore(PARAMETERS, json.loads(saved)).save()) == saved
