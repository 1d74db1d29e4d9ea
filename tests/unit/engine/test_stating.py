"""What an operator states of an order counts where the evidence says nothing, and only there."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    OrderAbsent,
    OrderStatement,
    OrderUnresolved,
    StatedEnd,
    Tick,
)
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.records import ControlHandled, IncidentOpened, OrderEventSeen
from counterpoise.engine import actions
from engine_world import World, ready

KEY = "cp" + "9" * 30


def world_with_an_unknown(*, filled: str = "0", acknowledged: bool = False) -> World:
    world = ready()
    order = OpenOrder(
        client_order_id=KEY,
        venue_order_id="v1" if acknowledged else None,
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.5"),
        filled_quantity=Decimal(filled),
        price_limit=None,
        reduce_only=False,
        state=OrderState.UNKNOWN,
    )
    world.state.orders.adopt(order, created_ns=world.now_ns, expires_ns=world.now_ns)
    world.done.clear()
    return world


def evidence_ends(world: World) -> list[actions.Action]:
    return world.feed(
        OrderUnresolved(client_order_id=KEY, evidence="it moved", received_ns=world.now_ns)
    )


def state_it(
    world: World,
    end: StatedEnd = StatedEnd.ABSENT,
    filled: str = "0",
    key: str = KEY,
    control_id: str = "7",
) -> list[actions.Action]:
    return world.feed(
        ControlRequested(
            control_id=control_id,
            action=ControlAction.RESOLVE_ORDER,
            actor="me",
            reason="not in the order history",
            from_halt=False,
            received_ns=world.now_ns,
            statement=OrderStatement(client_order_id=key, end=end, filled_quantity=Decimal(filled)),
        )
    )


def answers(world: World) -> list[tuple[str, str]]:
    found = world.records(ControlHandled)
    return [(r.result, r.message) for r in found if isinstance(r, ControlHandled)]


def told(world: World) -> OrderEventSeen:
    row = world.records(OrderEventSeen)[-1]
    assert isinstance(row, OrderEventSeen)
    return row


@pytest.mark.parametrize(
    ("end", "filled", "acknowledged", "becomes"),
    [
        (StatedEnd.ABSENT, "0", False, OrderState.REJECTED),
        (StatedEnd.ABSENT, "0", True, OrderState.CANCELED),
        (StatedEnd.ENDED, "0.2", False, OrderState.CANCELED),
        (StatedEnd.ENDED, "0.5", False, OrderState.FILLED),
    ],
)
def test_an_unresolved_order_ends_as_stated_and_is_written(
    end: StatedEnd, filled: str, becomes: OrderState, *, acknowledged: bool
) -> None:
    world = world_with_an_unknown(acknowledged=acknowledged)
    evidence_ends(world)
    assert world.state.orders.unresolved() == {"BTCUSDT"}
    done = state_it(world, end, filled)
    assert world.state.orders.active == {}
    assert world.state.orders.unresolved() == set()
    row = told(world)
    assert (row.state, row.source, row.code) == (becomes.value, "operator", "OPERATOR_STATED")
    assert row.filled_quantity == Decimal(filled)
    assert row.message == f"stated by me: {end.value}; not in the order history"
    # The account is read again: what the order did is the venue's to tell.
    assert actions.Reconcile(cause="control") in done
    words = f"order {KEY} is taken as {becomes.value}, filled {filled} of 0.5"
    assert answers(world) == [("done", words)]


def test_a_statement_waits_while_the_venue_is_asked_and_is_taken_once_that_is_open() -> None:
    world = world_with_an_unknown()
    assert state_it(world) == []
    assert KEY in world.state.orders.active
    evidence_ends(world)
    assert world.state.orders.active == {}
    assert [result for result, _ in answers(world)] == ["done"]
    assert world.state.statements == {}


def test_a_statement_that_waited_is_on_record_behind_the_evidence_it_waited_for() -> None:
    # The record's newest row says what an order is; a request is older than its own answer.
    world = world_with_an_unknown()
    state_it(world)
    world.after(2)
    evidence_ends(world)
    rows = [r for r in world.records(OrderEventSeen) if isinstance(r, OrderEventSeen)]
    assert [row.code for row in rows] == ["UNRESOLVED", "OPERATOR_STATED"]
    assert rows[1].recorded_ns >= rows[0].recorded_ns


def test_evidence_outweighs_a_statement_that_waits() -> None:
    world = world_with_an_unknown()
    state_it(world)
    world.order(KEY, OrderState.FILLED, filled="0.5")
    assert answers(world) == [
        ("unchanged", f"the venue's evidence came first: order {KEY} is filled")
    ]
    assert told(world).source == "stream"


def test_an_absence_that_is_proved_answers_the_statement_too() -> None:
    world = world_with_an_unknown()
    state_it(world, StatedEnd.ENDED, "0.5")
    world.feed(OrderAbsent(client_order_id=KEY, evidence="none", received_ns=world.now_ns))
    world.after(1)
    world.feed(Tick(now_ns=world.now_ns))
    assert [result for result, _ in answers(world)] == ["unchanged"]
    assert told(world).state == "rejected"


def test_what_cannot_be_is_refused() -> None:
    world = world_with_an_unknown(filled="0.2")
    evidence_ends(world)
    state_it(world, StatedEnd.ABSENT)
    state_it(world, StatedEnd.ENDED, "0.6")
    state_it(world, key="cp" + "0" * 30)
    results = answers(world)
    assert [result for result, _ in results] == ["refused"] * 3
    assert "0.2 were executed, 0.5 were ordered" in results[0][1]
    assert "not known" in results[2][1]
    assert KEY in world.state.orders.active


def test_an_order_the_venue_has_is_not_stated_away() -> None:
    world = world_with_an_unknown()
    world.order(KEY, OrderState.ACCEPTED, filled="0")
    state_it(world)
    assert answers(world) == [("refused", f"order {KEY} is accepted at the venue: cancel it there")]
    world.order(KEY, OrderState.CANCELED, filled="0")
    state_it(world)
    assert answers(world)[-1] == ("unchanged", f"order {KEY} is canceled already")


def alive(filled: str = "0") -> OpenOrder:
    return OpenOrder(
        client_order_id=KEY,
        venue_order_id="v1",
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.5"),
        filled_quantity=Decimal(filled),
        price_limit=Decimal(50_000),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )


def counted(world: World) -> list[tuple[str | None, OrderState, Decimal]]:
    orders = world.state.orders.open_orders()
    return [(o.client_order_id, o.state, o.filled_quantity) for o in orders]


def incidents(world: World) -> list[tuple[str, str]]:
    found = world.records(IncidentOpened)
    return [(r.kind, r.severity) for r in found if isinstance(r, IncidentOpened)]


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_order_taken_for_over_counts_again_once_the_venue_shows_it(
    *, stated: bool, streamed: bool
) -> None:
    # A wrong word, or a request that arrived after all: what is alive is never hidden by it.
    world = world_with_an_unknown()
    if stated:
        evidence_ends(world)
        state_it(world)
    else:
        world.feed(OrderAbsent(client_order_id=KEY, evidence="none", received_ns=world.now_ns))
    assert counted(world) == []
    world.after(1)
    if streamed:
        world.order(KEY, OrderState.PARTIALLY_FILLED, filled="0.1", order=alive("0.1"))
    else:
        world.reconcile("control", orders=(alive("0.1"),))
    assert [(key, filled) for key, _, filled in counted(world)] == [(KEY, Decimal("0.1"))]
    assert incidents(world).count(("order.alive", "critical")) == 1
    # No plan waits for it any more, so it is not left to fill.
    asked = world.feed(Tick(now_ns=world.after(1)))
    assert actions.Cancel(instrument_id="BTCUSDT", client_order_id=KEY) in (asked + world.done)
    world.order(KEY, OrderState.CANCELED, filled="0.1")
    assert counted(world) == []
    # Its end is the venue's own word now: an older list says nothing against it.
    world.reconcile("cycle", orders=(alive("0.1"),))
    assert counted(world) == []
    assert incidents(world).count(("order.alive", "critical")) == 1


def test_a_statement_that_waits_is_not_taken_once_the_venue_has_shown_the_order() -> None:
    world = world_with_an_unknown()
    state_it(world)
    world.order(KEY, OrderState.PARTIALLY_FILLED, filled="0.2")
    # What was stated before the venue spoke says nothing about what is unknown later.
    world.order(KEY, OrderState.UNKNOWN, venue_order_id=None)
    evidence_ends(world)
    assert counted(world) == [(KEY, OrderState.UNKNOWN, Decimal("0.2"))]
    words = f"the venue's evidence came first: order {KEY} is partially_filled"
    assert answers(world) == [("refused", words)]
    assert world.state.statements == {}


def test_a_second_statement_about_one_order_leaves_none_unanswered() -> None:
    world = world_with_an_unknown()
    state_it(world)
    state_it(world, StatedEnd.ENDED, "0.5", control_id="8")
    evidence_ends(world)
    assert [result for result, _ in answers(world)] == ["refused", "done"]
    assert told(world).filled_quantity == Decimal("0.5")
