"""A stop that closes the book is kept for the next start, and overtakes one that holds it."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import ControlAction, ControlRequested, OrderUnresolved, Tick
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.records import (
    ControlHandled,
    IncidentOpened,
    MemoryKept,
    TradingStateChanged,
)
from counterpoise.engine import actions
from counterpoise.engine.trading_state import PERSISTED, Cause
from engine_world import World, make_run, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}
LOST = "cp" + "1" * 30


def ask(world: World, action: ControlAction) -> str:
    control_id = f"c{world.now_ns}"
    world.feed(
        ControlRequested(
            control_id=control_id,
            action=action,
            actor="operator",
            reason="test",
            from_halt=False,
            received_ns=world.after(0.1),
        )
    )
    return control_id


def open_order(world: World, *, reduce_only: bool) -> None:
    world.state.orders.adopt(
        OpenOrder(
            client_order_id=LOST,
            venue_order_id=None,
            instrument_id="ETHUSDT",
            side=Side.SELL,
            quantity=Decimal("0.01"),
            filled_quantity=Decimal(0),
            price_limit=Decimal(1000),
            reduce_only=reduce_only,
            state=OrderState.UNKNOWN,
        ),
        created_ns=world.now_ns,
        expires_ns=world.now_ns,
    )


def stops(world: World) -> list[actions.StopDaemon]:
    return [a for a in world.done if isinstance(a, actions.StopDaemon)]


def wait(world: World, seconds: int) -> None:
    for _ in range(seconds):
        if stops(world):
            return
        world.market()
        world.feed(Tick(now_ns=world.after(1)))


def fill_all(world: World) -> None:
    for sent in world.submits():
        key = sent.intent.client_order_id
        if key in world.state.orders.active:
            world.fill(sent)


def kept(world: World) -> set[str]:
    """Return the causes that a restart finds again."""
    rows = world.records(TradingStateChanged)
    last = rows[-1]
    assert isinstance(last, TradingStateChanged)
    return set(last.causes) & {cause.value for cause in PERSISTED}


def answers(world: World) -> dict[str, str]:
    found = {}
    for row in world.records(ControlHandled):
        assert isinstance(row, ControlHandled)
        found[row.control_id] = row.result
    return found


def test_a_flatten_and_stop_that_ran_out_of_time_goes_on_after_a_restart() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    wait(world, 70)
    (stop,) = stops(world)
    assert stop.exit_code == 3
    assert "goes on closing" in stop.reason
    assert kept(world) == {"operator", "flattening"}


def test_a_flatten_and_stop_that_is_done_leaves_the_next_start_paused() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    assert kept(world) == {"operator", "flattening"}, "already before anything is closed"
    fill_all(world)
    wait(world, 10)
    assert [stop.exit_code for stop in stops(world)] == [0]
    assert kept(world) == {"operator"}


def test_the_policy_to_flatten_is_finished_by_a_restart_which_then_trades() -> None:
    world = ready(make_run(flatten_on_stop=True), positions=HELD)
    ask(world, ControlAction.STOP)
    assert kept(world) == {"flattening"}
    fill_all(world)
    wait(world, 10)
    assert [stop.exit_code for stop in stops(world)] == [0]
    assert kept(world) == set()


def test_resuming_in_a_flattening_stop_does_not_forget_what_is_still_held() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    ask(world, ControlAction.RESUME)
    assert kept(world) == set()
    wait(world, 70)
    assert kept(world) == {"flattening"}


def test_a_stop_that_holds_leaves_nothing_for_the_next_start() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.STOP)
    assert [stop.exit_code for stop in stops(world)] == [0]
    assert kept(world) == set()


def test_flatten_and_stop_overtakes_a_stop_that_holds() -> None:
    world = ready(positions=HELD)
    open_order(world, reduce_only=False)
    holds = ask(world, ControlAction.STOP)
    world.after(4)
    flattens = ask(world, ControlAction.FLATTEN_STOP)
    assert len(world.submits()) == 2
    assert answers(world) == {}
    wait(world, 5)
    assert stops(world) == [], "its own time counts, not the first one's"
    world.order(LOST, OrderState.CANCELED, name="ETHUSDT")
    fill_all(world)
    wait(world, 10)
    (stop,) = stops(world)
    assert (stop.exit_code, stop.reason) == (0, "stopped: all positions closed")
    assert answers(world) == {holds: "done", flattens: "done"}
    assert kept(world) == {"operator"}


def test_flatten_and_stop_after_the_policys_own_leaves_it_paused() -> None:
    world = ready(make_run(flatten_on_stop=True), positions=HELD)
    ask(world, ControlAction.STOP)
    again = ask(world, ControlAction.FLATTEN_STOP)
    assert answers(world) == {again: "unchanged"}
    assert len(world.submits()) == 2
    assert kept(world) == {"operator", "flattening"}


def test_a_stop_does_not_turn_a_flatten_and_stop_back() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    again = ask(world, ControlAction.STOP)
    assert answers(world) == {again: "unchanged"}
    assert world.state.stopping is not None
    assert world.state.stopping.flatten


@pytest.mark.parametrize("action", [ControlAction.STOP, ControlAction.FLATTEN_STOP])
def test_an_order_that_nobody_could_find_is_not_waited_for(action: ControlAction) -> None:
    world = ready(positions=HELD if action is ControlAction.STOP else {})
    open_order(world, reduce_only=True)
    world.feed(
        OrderUnresolved(client_order_id=LOST, evidence="lists", received_ns=world.after(0.1))
    )
    before_ns = world.now_ns
    asked = ask(world, action)
    wait(world, 3)
    (stop,) = stops(world)
    assert stop.exit_code == 0
    assert LOST in stop.reason
    assert answers(world) == {asked: "done"}
    assert world.now_ns - before_ns < 2_000_000_000


def test_a_flatten_and_stop_names_an_increase_that_nobody_could_find() -> None:
    world = ready()
    open_order(world, reduce_only=False)
    world.feed(
        OrderUnresolved(client_order_id=LOST, evidence="lists", received_ns=world.after(0.1))
    )
    ask(world, ControlAction.FLATTEN_STOP)
    wait(world, 3)
    assert [stop.exit_code for stop in stops(world)] == [0]
    assert Cause.FLATTENING not in world.state.causes
    opened = [row for row in world.records(IncidentOpened) if isinstance(row, IncidentOpened)]
    assert [row.kind for row in opened if LOST in row.summary][-1] == "flatten.unsure"


def test_one_request_told_to_two_accounts_is_kept_twice() -> None:
    asked, ids = set(), set()
    for account_id in ("one", "two"):
        world = ready(make_run(account_id=account_id))
        asked.add(ask(world, ControlAction.HIGH_WATER_RESET))
        (row,) = world.records(MemoryKept)
        assert isinstance(row, MemoryKept)
        ids.add(row.decision_id)
    assert (len(asked), len(ids)) == (1, 2)
