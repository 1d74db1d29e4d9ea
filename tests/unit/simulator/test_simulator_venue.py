"""The venue comes back from its file exactly as it was when the process died."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from counterpoise.exchange.orders import (
    NewOrder,
    OrderRefused,
    PlacedOrder,
    RefusalReason,
    TriggerDirection,
    TriggerSource,
)
from counterpoise.exchange.triggers import NewTrigger, TriggerState
from counterpoise.simulator import commands
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.store import StateUnreadable, Store
from counterpoise.simulator.venue import KEEP_EVERY_NS, RunningVenue

OPENED_NS = 1_795_305_600 * NS_PER_SECOND
ACCOUNT = "100200300"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.fixture
def venue(path):
    store = Store(path)
    opened = RunningVenue.open(store, seed=5, now_ns=OPENED_NS)
    opened.open_account(ACCOUNT, Decimal(10_000))
    yield opened
    store.close()


def again(path, now_ns, seed=5):
    # A second reader of the file a running venue has not closed: what a kill leaves behind.
    store = Store(path)
    try:
        return RunningVenue.open(store, seed=seed, now_ns=now_ns)
    finally:
        store.close()


def market(side, quantity, client_order_id, *, reduce_only=False):
    return NewOrder(
        instrument_id="BTCUSDT",
        side=side,
        quantity=Decimal(quantity),
        kind=OrderKind.MARKET,
        time_in_force=TimeInForce.IOC,
        reduce_only=reduce_only,
        client_order_id=client_order_id,
    )


def resting(venue, below, client_order_id, side=Side.BUY):
    mark = venue.exchange.mark("BTCUSDT")
    price = (mark * (1 - side.sign * Decimal(below))).quantize(Decimal("0.1"))
    return NewOrder(
        instrument_id="BTCUSDT",
        side=side,
        quantity=Decimal("0.01"),
        price_limit=price,
        client_order_id=client_order_id,
    )


def truth(venue):
    exchange = venue.exchange
    return (
        exchange.account(ACCOUNT),
        exchange.orders(ACCOUNT),
        exchange.fills(ACCOUNT, 0),
        exchange.bills(ACCOUNT, 0),
        exchange.book("ETHUSDT"),
        exchange.funding("BTCUSDT"),
        exchange.leverage_setting(ACCOUNT, "BTCUSDT"),
        exchange.candles("BTCUSDT", 60, OPENED_NS - NS_PER_MINUTE, exchange.now_ns, kind="last"),
    )


def test_everything_acknowledged_is_there_after_a_kill(venue, path):
    venue.advance(OPENED_NS + 1_300_000_000)
    placed, refused = venue.place(
        ACCOUNT, [market(Side.BUY, "0.05", "first"), market(Side.BUY, "0.00001", "second")]
    )
    assert isinstance(placed, PlacedOrder)
    assert isinstance(refused, OrderRefused)
    venue.advance(OPENED_NS + 7 * NS_PER_SECOND)
    venue.place(ACCOUNT, [resting(venue, "0.01", "third"), resting(venue, "0.02", "fourth")])
    venue.advance(OPENED_NS + 9_100_000_000)
    assert venue.cancel(ACCOUNT, None, "fourth") is None
    venue.set_leverage(ACCOUNT, "BTCUSDT", Decimal(7))
    venue.shock("ETHUSDT", -0.03, 2.0)
    venue.advance(OPENED_NS + 20 * NS_PER_SECOND)

    restarted = again(path, venue.exchange.now_ns)

    assert truth(restarted) == truth(venue)
    assert restarted.exchange.account(ACCOUNT).positions["BTCUSDT"].quantity == Decimal("0.05")
    assert [order.client_order_id for order in restarted.exchange.account(ACCOUNT).open_orders] == [
        "third"
    ]


def test_a_fill_after_the_last_command_comes_out_the_same_after_a_long_absence(venue, path):
    venue.place(ACCOUNT, [resting(venue, "0.004", "waits")])
    venue.shock("BTCUSDT", -0.01, 5.0)
    venue.advance(OPENED_NS + 40 * NS_PER_SECOND)
    before = venue.exchange.fills(ACCOUNT, 0)
    assert [fill.client_order_id for fill in before] == ["waits"]

    restarted = again(path, OPENED_NS + 5 * 3_600 * NS_PER_SECOND)

    assert restarted.exchange.fills(ACCOUNT, 0) == before
    assert restarted.exchange.now_ns == OPENED_NS + 5 * 3_600 * NS_PER_SECOND


def test_a_kept_state_and_the_commands_after_it_are_both_carried_over(venue, path):
    venue.place(ACCOUNT, [market(Side.BUY, "0.03", "early")])
    venue.advance(OPENED_NS + KEEP_EVERY_NS + NS_PER_SECOND)
    venue.keep_if_due()
    venue.place(ACCOUNT, [market(Side.SELL, "0.01", "late", reduce_only=True)])

    restarted = again(path, venue.exchange.now_ns)

    assert truth(restarted) == truth(venue)
    assert restarted.exchange.account(ACCOUNT).positions["BTCUSDT"].quantity == Decimal("0.02")


def test_the_market_does_not_depend_on_when_it_was_looked_at(path, tmp_path):
    stores = [Store(path), Store(tmp_path / "other.sqlite")]
    often, once = (RunningVenue.open(store, seed=5, now_ns=OPENED_NS) for store in stores)
    end_ns = OPENED_NS + 30 * NS_PER_SECOND
    for at_ns in range(OPENED_NS, end_ns, 170_000_000):
        often.advance(at_ns)
    often.advance(end_ns)
    once.advance(end_ns)
    assert often.exchange.mark("BTCUSDT") == once.exchange.mark("BTCUSDT")
    assert often.exchange.book("SOLUSDT") == once.exchange.book("SOLUSDT")
    for store in stores:
        store.close()


def test_a_venue_keeps_the_seed_it_was_opened_with(venue, path):
    restarted = again(path, OPENED_NS + NS_PER_SECOND, seed=99)
    venue.advance(OPENED_NS + NS_PER_SECOND)
    assert restarted.exchange.parameters.seed == 5
    assert restarted.exchange.mark("LTCUSDT") == venue.exchange.mark("LTCUSDT")


def test_the_timer_cancels_at_its_instant_and_survives_a_kill(venue, path):
    venue.place(ACCOUNT, [resting(venue, "0.03", "one"), resting(venue, "0.04", "two")])
    deadline_ns = OPENED_NS + 10 * NS_PER_SECOND
    venue.arm_deadline(ACCOUNT, deadline_ns)

    early = again(path, deadline_ns - 1)
    assert [order.client_order_id for order in early.exchange.account(ACCOUNT).open_orders] == [
        "one",
        "two",
    ]
    late = again(path, deadline_ns + NS_PER_SECOND)
    assert late.exchange.account(ACCOUNT).open_orders == ()
    ended = late.exchange.order(ACCOUNT, client_order_id="one")
    assert ended is not None
    assert ended.state is OrderState.CANCELED
    assert ended.updated_ns == deadline_ns


def test_a_disarmed_timer_cancels_nothing(venue):
    venue.place(ACCOUNT, [resting(venue, "0.03", "one")])
    venue.arm_deadline(ACCOUNT, OPENED_NS + 10 * NS_PER_SECOND)
    venue.arm_deadline(ACCOUNT, 0)
    venue.advance(OPENED_NS + 20 * NS_PER_SECOND)
    assert [order.client_order_id for order in venue.exchange.account(ACCOUNT).open_orders] == [
        "one"
    ]


def test_what_happened_is_told_in_order_and_once(venue):
    heard = []
    venue.listeners.append(lambda events: heard.extend(type(event).__name__ for event in events))
    venue.place(ACCOUNT, [market(Side.BUY, "0.01", "told")])
    account_events = [name for name in heard if name in ("OrderChanged", "PositionChanged")]
    assert account_events == ["OrderChanged", "OrderChanged", "PositionChanged"]


def test_a_cancel_of_nothing_is_refused_and_repeats_as_refused(venue, path):
    refusal = venue.cancel(ACCOUNT, None, "never")
    assert refusal is not None
    assert refusal.reason is RefusalReason.ORDER_NOT_FOUND
    assert truth(again(path, venue.exchange.now_ns)) == truth(venue)


def test_a_clock_that_goes_back_is_waited_for(venue):
    venue.advance(OPENED_NS + NS_PER_SECOND)
    venue.advance(OPENED_NS)
    assert venue.exchange.now_ns == OPENED_NS + NS_PER_SECOND


def test_a_file_of_another_layout_is_refused_by_name(venue, path):
    store = Store(path)
    store.put("schema_version", "999")
    store.close()
    with pytest.raises(StateUnreadable, match="layout 999"):
        Store(path)


def test_a_stop_that_rests_outlives_a_kill_and_still_closes(venue, path):
    # A whole is kept in between: the stop comes back from it, its cancel from the log.
    venue.place(ACCOUNT, [market(Side.BUY, "0.05", "entry")])
    mark = venue.exchange.mark("BTCUSDT")
    stop = NewTrigger(
        instrument_id="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal("0.05"),
        trigger_price=(mark * Decimal("0.99")).quantize(Decimal("0.1")),
        source=TriggerSource.MARK,
        direction=TriggerDirection.FALLING,
        reduce_only=True,
        client_order_id="stop",
    )
    placed = venue.place_trigger(ACCOUNT, stop)
    assert isinstance(placed, PlacedOrder)
    refused = venue.place_trigger(ACCOUNT, stop)
    assert isinstance(refused, OrderRefused)
    venue.keep()
    other = venue.place_trigger(ACCOUNT, replace(stop, client_order_id="other"))
    assert isinstance(other, PlacedOrder)
    assert venue.do(commands.CancelTrigger(ACCOUNT, other.order_id)) is None
    venue.advance(OPENED_NS + 3 * NS_PER_SECOND)
    killed = again(path, OPENED_NS + 3 * NS_PER_SECOND)
    assert killed.exchange.trigger_orders(ACCOUNT) == venue.exchange.trigger_orders(ACCOUNT)
    venue.shock("BTCUSDT", -0.02, 0)
    until_ns = OPENED_NS + 5 * NS_PER_SECOND
    venue.advance(until_ns)
    fallen = again(path, until_ns)
    assert truth(fallen) == truth(venue)
    assert fallen.exchange.account(ACCOUNT).positions == {}
    found = fallen.exchange.trigger_order(ACCOUNT, client_order_id="stop")
    assert found is not None
    assert (found.state, found.trigger_order_id) == (TriggerState.TRIGGERED, placed.order_id)


def test_late_steps_are_told_one_by_one_unless_very_late(tmp_path, monkeypatch):
    clock = Clock(opened_ns=OPENED_NS)
    store = Store(tmp_path / "state.sqlite")
    venue = RunningVenue.open(store, seed=3, now_ns=OPENED_NS, faults=FaultPlan(clock))
    step_ns = venue.exchange.parameters.step_ms * 1_000_000
    told = []
    venue.listeners.append(
        lambda _events: told.append((venue.exchange.now_ns - OPENED_NS) / step_ns)
    )
    late = {"steps": 2.5}
    monkeypatch.setattr(clock, "now_ns", lambda: OPENED_NS + int(late["steps"] * step_ns))
    assert not venue.catch_up(steps_max=1)
    assert told == [1.0]
    assert venue.catch_up(steps_max=1)
    assert told == [1.0, 2.0]
    assert venue.exchange.now_ns == OPENED_NS + int(2.5 * step_ns)
    # Half a second is two steps: what is older than that is told at once.
    late["steps"] = 40.5
    assert venue.catch_up()
    assert told == [1.0, 2.0, 38.5, 39.0, 40.0]
    store.close()
