"""Whatever clients do, the venue's books balance and no order does more than it said."""

import json
from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import ExchangeEvent, OrderChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import NewOrder, OrderRefused
from counterpoise.exchange.parameters import demo_parameters

D = Decimal
#: An hour before a funding instant, so that long waits cross it.
OPENED_NS = (1_800_000_000 + 7 * 3600) * NS_PER_SECOND
_DEMO = demo_parameters(11)
PARAMETERS = replace(
    _DEMO,
    instruments=(_DEMO.instruments[0], _DEMO.instruments[-1]),
    history_days=1,
    executions_per_match=3,
)
RULES = {each.instrument.instrument_id: each.instrument for each in PARAMETERS.instruments}
ACCOUNTS = ("a", "b")
DEPOSIT = D(10_000)


@dataclass(frozen=True)
class Wait:
    ms: int


@dataclass(frozen=True)
class Shock:
    instrument_id: str
    fraction: float


@dataclass(frozen=True)
class Send:
    account_id: str
    instrument_id: str
    side: Side
    notional: int
    offset_bps: int | None
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool


@dataclass(frozen=True)
class Reduce:
    """A reduce-only order against a held position, a multiple of it."""

    account_id: str
    multiple: Decimal
    offset_bps: int | None


@dataclass(frozen=True)
class CancelOldest:
    account_id: str


INSTRUMENTS = st.sampled_from(list(RULES))
ACCOUNT_IDS = st.sampled_from(("a", "a", "b"))
#: How an order may be sent: (offset from the mark allowed, time in force, post-only).
MANNERS = st.sampled_from(
    [
        (False, TimeInForce.IOC, False),
        (True, TimeInForce.IOC, False),
        (True, TimeInForce.FOK, False),
        (True, TimeInForce.GTC, False),
        (True, TimeInForce.GTC, False),
        (True, TimeInForce.GTC, True),
    ]
)


@st.composite
def sends(draw: st.DrawFn) -> Send:
    priced, time_in_force, post_only = draw(MANNERS)
    return Send(
        account_id=draw(ACCOUNT_IDS),
        instrument_id=draw(INSTRUMENTS),
        side=draw(st.sampled_from(Side)),
        notional=draw(st.integers(100, 14_000)),
        offset_bps=draw(st.integers(-25, 25)) if priced else None,
        time_in_force=time_in_force,
        post_only=post_only,
        reduce_only=draw(st.sampled_from((False, False, False, True))),
    )


SENDS = sends()
REDUCTIONS = st.builds(
    Reduce,
    account_id=ACCOUNT_IDS,
    multiple=st.sampled_from([D("0.5"), D(1), D(3)]),
    offset_bps=st.none() | st.sampled_from([-5, 1, 3, 10]),
)
ACTIONS = st.one_of(
    SENDS,
    SENDS,
    REDUCTIONS,
    REDUCTIONS,
    st.builds(Wait, ms=st.integers(1, 3_000)),
    st.builds(Wait, ms=st.sampled_from([250, 5_000, 3_600_000])),
    st.builds(
        Shock,
        instrument_id=INSTRUMENTS,
        fraction=st.sampled_from([-0.3, -0.05, -0.005, 0.005, 0.05, 0.3]),
    ),
    st.builds(CancelOldest, account_id=st.sampled_from(ACCOUNTS)),
)


def opened() -> Exchange:
    exchange = Exchange.create(PARAMETERS, OPENED_NS)
    for account_id in ACCOUNTS:
        exchange.open_account(account_id, DEPOSIT)
    return exchange


def on_grid(value: Decimal, step: Decimal) -> Decimal:
    return value // step * step


def new_order(exchange: Exchange, send: Send) -> NewOrder:
    instrument, mark = RULES[send.instrument_id], exchange.mark(send.instrument_id)
    price = None
    if send.offset_bps is not None:
        price = on_grid(mark * (1 + D(send.offset_bps) / 10_000), instrument.tick_size)
    return NewOrder(
        instrument_id=send.instrument_id,
        side=send.side,
        quantity=on_grid(D(send.notional) / mark, instrument.lot_size),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=price,
        time_in_force=send.time_in_force,
        post_only=send.post_only,
        reduce_only=send.reduce_only,
    )


def reduction(exchange: Exchange, reduce: Reduce) -> NewOrder | None:
    positions = exchange.account(reduce.account_id).positions
    if not positions:
        return None
    position = next(iter(positions.values()))
    instrument = RULES[position.instrument_id]
    side = Side.SELL if position.quantity > 0 else Side.BUY
    price = None
    if reduce.offset_bps is not None:
        # Positive offsets rest away from the mark.
        away = 1 - D(reduce.offset_bps * side.sign) / 10_000
        price = on_grid(exchange.mark(position.instrument_id) * away, instrument.tick_size)
    return NewOrder(
        instrument_id=position.instrument_id,
        side=side,
        quantity=on_grid(abs(position.quantity) * reduce.multiple, instrument.lot_size),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=price,
        reduce_only=True,
    )


def carried_out(exchange: Exchange, action: object) -> list[ExchangeEvent]:
    try:
        if isinstance(action, Wait):
            return exchange.advance(exchange.now_ns + action.ms * NS_PER_MS)
        if isinstance(action, Shock):
            exchange.shock(action.instrument_id, action.fraction, 2.0)
        if isinstance(action, Send):
            return exchange.place(action.account_id, new_order(exchange, action))[1]
        if isinstance(action, Reduce):
            order = reduction(exchange, action)
            return exchange.place(action.account_id, order)[1] if order else []
        if isinstance(action, CancelOldest):
            orders = exchange.account(action.account_id).open_orders
            if orders:
                return exchange.cancel(action.account_id, order_id=orders[0].order_id)
    except OrderRefused:
        pass
    return []


def check_books(exchange: Exchange) -> None:
    for name in RULES:
        book = exchange.book(name)
        assert list(book.bids) == sorted(book.bids, reverse=True)
        assert list(book.asks) == sorted(book.asks)
        assert all(quantity > 0 for _, quantity in (*book.bids, *book.asks))
        if book.bids and book.asks:
            assert book.bids[0][0] < book.asks[0][0]


def check_account(exchange: Exchange, account_id: str) -> None:
    # The naive second model: everything from fills, funding and insurance alone.
    account = exchange.account(account_id)
    fills, bills = exchange.fills(account_id, 0), exchange.bills(account_id, 0)
    cash = DEPOSIT
    quantities: dict[str, Decimal] = {}
    for fill in fills:
        signed = fill.quantity * fill.side.sign
        cash -= signed * fill.price + fill.fee
        quantities[fill.instrument_id] = quantities.get(fill.instrument_id, D(0)) + signed
    cash += sum(
        each.change for each in bills if each.kind in (BillKind.FUNDING, BillKind.INSURANCE)
    )
    held = {name: each.quantity for name, each in account.positions.items()}
    assert held == {name: quantity for name, quantity in quantities.items() if quantity}
    stock = sum((each * exchange.mark(name) for name, each in quantities.items()), D(0))
    assert abs(account.equity - (cash + stock)) < D("1e-15")
    assert abs(account.wallet_balance - sum(each.change for each in bills)) < D("1e-18")
    assert account.wallet_balance == bills[-1].wallet_balance


def check_orders(events: list[ExchangeEvent], quantities: dict[tuple[str, str], Decimal]) -> None:
    for event in events:
        if not isinstance(event, OrderChanged) or event.fill is None:
            continue
        order, fill = event.order, event.fill
        if order.price_limit is not None:
            assert order.side.sign * fill.price <= order.side.sign * order.price_limit
        assert 0 < order.filled_quantity <= order.quantity <= order.quantity_asked
        key = (order.account_id, order.instrument_id)
        before = quantities.get(key, D(0))
        after = before + fill.quantity * fill.side.sign
        quantities[key] = after
        if order.reduce_only:
            assert before * after >= 0
            assert abs(after) < abs(before)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=15, max_size=40))
def test_books_balance_and_orders_keep_their_word(actions: list[object]) -> None:
    exchange = opened()
    quantities: dict[tuple[str, str], Decimal] = {}
    for action in actions:
        check_orders(carried_out(exchange, action), quantities)
        check_books(exchange)
        for account_id in ACCOUNTS:
            check_account(exchange, account_id)
            for name in RULES:
                # A liquidation closes without an order event.
                position = exchange.account(account_id).positions.get(name)
                quantities[account_id, name] = position.quantity if position else D(0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=8, max_size=15), cut=st.integers(1, 14))
def test_saved_and_restored_anywhere_equals_uninterrupted(actions: list[object], cut: int) -> None:
    whole, part = opened(), opened()
    for at, action in enumerate(actions):
        if at == cut:
            part = Exchange.restore(PARAMETERS, json.loads(json.dumps(part.save())))
        assert carried_out(part, action) == carried_out(whole, action)
    assert part.save() == whole.save()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests=st.lists(SENDS, min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 19_999), max_size=8, unique=True),
)
def test_any_split_of_time_gives_the_same_venue(requests: list[Send], cuts: list[int]) -> None:
    whole, split = opened(), opened()
    for venue in (whole, split):
        for send in requests:
            carried_out(venue, send)
    events: list[ExchangeEvent] = []
    for cut in sorted(cuts):
        events += split.advance(OPENED_NS + cut * NS_PER_MS)
    events += split.advance(OPENED_NS + 20_000 * NS_PER_MS)
    assert events == whole.advance(OPENED_NS + 20_000 * NS_PER_MS)
    assert split.save() == whole.save()
