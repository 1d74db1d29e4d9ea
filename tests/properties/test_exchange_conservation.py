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
    _DEMO, instruments=(_DEMO.instruments[0], _DEMO.instruments[-1]), history_days=1
)
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
class CancelOldest:
    account_id: str


INSTRUMENTS = st.sampled_from([each.instrument.instrument_id for each in PARAMETERS.instruments])
SENDS = st.builds(
    Send,
    account_id=st.sampled_from(ACCOUNTS),
    instrument_id=INSTRUMENTS,
    side=st.sampled_from(Side),
    notional=st.integers(100, 40_000),
    offset_bps=st.none() | st.integers(-40, 40),
    time_in_force=st.sampled_from(TimeInForce),
    post_only=st.booleans(),
    reduce_only=st.booleans(),
)
ACTIONS = st.one_of(
    SENDS,
    SENDS,
    SENDS,
    st.builds(Wait, ms=st.integers(1, 3_000)),
    st.builds(Wait, ms=st.sampled_from([700_000, 3_600_000])),
    st.builds(Shock, instrument_id=INSTRUMENTS, fraction=st.floats(-0.3, 0.3)),
    st.builds(CancelOldest, account_id=st.sampled_from(ACCOUNTS)),
)


def opened() -> Exchange:
    exchange = Exchange.create(PARAMETERS, OPENED_NS)
    for account_id in ACCOUNTS:
        exchange.open_account(account_id, DEPOSIT)
    return exchange


def new_order(exchange: Exchange, send: Send) -> NewOrder:
    instrument = next(
        each.instrument
        for each in PARAMETERS.instruments
        if each.instrument.instrument_id == send.instrument_id
    )
    mark = exchange.mark(send.instrument_id)
    price = None
    if send.offset_bps is not None:
        wanted = mark * (1 + D(send.offset_bps) / 10_000)
        price = wanted // instrument.tick_size * instrument.tick_size
    return NewOrder(
        instrument_id=send.instrument_id,
        side=send.side,
        quantity=D(send.notional) / mark // instrument.lot_size * instrument.lot_size,
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=price,
        time_in_force=send.time_in_force,
        post_only=send.post_only,
        reduce_only=send.reduce_only,
    )


def carried_out(exchange: Exchange, action: object) -> list[ExchangeEvent]:
    try:
        if isinstance(action, Wait):
            return exchange.advance(exchange.now_ns + action.ms * NS_PER_MS)
        if isinstance(action, Shock):
            exchange.shock(action.instrument_id, action.fraction, 2.0)
        if isinstance(action, Send):
            return exchange.place(action.account_id, new_order(exchange, action))[1]
        if isinstance(action, CancelOldest):
            orders = exchange.account(action.account_id).open_orders
            if orders:
                return exchange.cancel(action.account_id, order_id=orders[0].order_id)
    except OrderRefused:
        pass
    return []


def check_books(exchange: Exchange) -> None:
    for each in PARAMETERS.instruments:
        book = exchange.book(each.instrument.instrument_id)
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, max_size=25))
def test_books_balance_and_orders_keep_their_word(actions: list[object]) -> None:
    exchange = opened()
    quantities: dict[tuple[str, str], Decimal] = {}
    for action in actions:
        check_orders(carried_out(exchange, action), quantities)
        check_books(exchange)
        for account_id in ACCOUNTS:
            check_account(exchange, account_id)
            for each in PARAMETERS.instruments:
                # A liquidation closes without an order event.
                name = each.instrument.instrument_id
                position = exchange.account(account_id).positions.get(name)
                quantities[account_id, name] = position.quantity if position else D(0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, max_size=15), cut=st.integers(0, 15))
def test_saved_and_restored_anywhere_equals_uninterrupted(actions: list[object], cut: int) -> None:
    whole, part = opened(), opened()
    for at, action in enumerate(actions):
        if at == cut:
            part = Exchange.restore(PARAMETERS, json.loads(json.dumps(part.save())))
        assert carried_out(part, action) == carried_out(whole, action)
    assert part.save() == whole.save()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sends=st.lists(SENDS, min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 19_999), max_size=8, unique=True),
)
def test_any_split_of_time_gives_the_same_venue(sends: list[Send], cuts: list[int]) -> None:
    whole, split = opened(), opened()
    for venue in (whole, split):
        for send in sends:
            carried_out(venue, send)
    events: list[ExchangeEvent] = []
    for cut in sorted(cuts):
        events += split.advance(OPENED_NS + cut * NS_PER_MS)
    events += split.advance(OPENED_NS + 20_000 * NS_PER_MS)
    assert events == whole.advance(OPENED_NS + 20_000 * NS_PER_MS)
    assert split.save() == whole.save()
