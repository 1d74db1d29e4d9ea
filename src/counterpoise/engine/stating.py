"""An operator states what became of an order that evidence neither finds nor proves absent.

The venue's evidence comes first: a statement is only taken where it leaves an order open, and
waits while the venue is still being asked, also across a restart.
"""

from counterpoise.domain.events import (
    ControlRequested,
    OrderStatement,
    OrderUnresolved,
    OrderUpdate,
    StatedEnd,
    UpdateSource,
)
from counterpoise.domain.orders import OrderState
from counterpoise.engine import actions, controls, orders_told
from counterpoise.engine.order_tracker import TrackedOrder
from counterpoise.engine.state import State


def handle(state: State, event: ControlRequested) -> list[actions.Action]:
    """Take a statement, or say why not; one about an order still asked for waits for its turn."""
    statement = event.statement
    assert statement is not None, "the request states something"
    order = _find(state, statement.client_order_id)
    refusal = _refusal(state, statement, order)
    if refusal is not None:
        return [_ack(state, event, *refusal)]
    assert order is not None, "one that is not known is refused"
    if not order.unresolved:
        earlier = state.statements.get(statement.client_order_id)
        state.statements[statement.client_order_id] = event
        if earlier is None or earlier.control_id == event.control_id:
            return []
        return [_ack(state, earlier, "refused", "a later statement replaced it")]
    return _take(state, event, order)


def unresolved(state: State, event: OrderUnresolved) -> list[actions.Action]:
    """Take note that evidence leaves an order open, and what was stated of it before."""
    done = orders_told.unresolved(state, event)
    order = state.orders.active.get(event.client_order_id)
    stated = state.statements.pop(event.client_order_id, None)
    if order is None or stated is None:
        return done
    return done + _take(state, stated, order)


def updated(state: State, event: OrderUpdate) -> list[actions.Action]:
    """Apply an update; evidence of an order outweighs what was stated of it."""
    done = orders_told.update(state, event)
    return done + _outweighed(state)


def tidy(state: State) -> list[actions.Action]:
    """Answer statements about orders that the venue spoke of since; called with each tick."""
    return _outweighed(state)


def _find(state: State, client_order_id: str) -> TrackedOrder | None:
    return state.orders.get(client_order_id) or state.protection.orders.get(client_order_id)


def _refusal(
    state: State, statement: OrderStatement, order: TrackedOrder | None
) -> tuple[str, str] | None:
    # (Result, words) of the answer; None = nothing speaks against it.
    key = statement.client_order_id
    if order is None:
        return "refused", f"order {key} is not known, or over since long"
    if order.over:
        return "unchanged", f"order {key} is {order.state.value} already"
    if key not in state.orders.active:
        return "refused", f"order {key} is a stop: the venue's own list says what became of it"
    executed, whole = order.open_order.filled_quantity, order.open_order.quantity
    if not executed <= statement.filled_quantity <= whole:
        words = f"{executed} were executed, {whole} were ordered"
        return "refused", f"{statement.filled_quantity} filled cannot be: {words}"
    if order.state is not OrderState.UNKNOWN:
        return "refused", f"order {key} is {order.state.value} at the venue: cancel it there"
    return None


def _outweighed(state: State) -> list[actions.Action]:
    done: list[actions.Action] = []
    for key in list(state.statements):
        order = state.orders.get(key)
        if order is not None and order.state is OrderState.UNKNOWN:
            continue
        stated = state.statements.pop(key)
        became = "over" if order is None else order.state.value
        words = f"the venue's evidence came first: order {key} is {became}"
        # One that the venue has shown alive is another one than was stated of.
        result = "unchanged" if order is None or order.over else "refused"
        done.append(_ack(state, stated, result, words))
    return done


def _take(state: State, event: ControlRequested, order: TrackedOrder) -> list[actions.Action]:
    statement = event.statement
    assert statement is not None, "the request states something"
    ended = OrderState.CANCELED
    if statement.end is StatedEnd.ABSENT and not order.acknowledged:
        ended = OrderState.REJECTED
    if statement.filled_quantity == order.open_order.quantity:
        ended = OrderState.FILLED
    words = f"stated by {event.actor}: {statement.end.value}; {event.reason}"
    told = OrderUpdate(
        client_order_id=statement.client_order_id,
        venue_order_id=None,
        instrument_id=order.open_order.instrument_id,
        state=ended,
        filled_quantity=statement.filled_quantity,
        average_price=None,
        source=UpdateSource.OPERATOR,
        code="OPERATOR_STATED",
        message=words,
        order=None,
        # Now, not when it was asked: on record it stands behind the evidence it waited for.
        event_ns=state.now_ns,
        received_ns=state.now_ns,
    )
    done = orders_told.update(state, told)
    # What it may have moved is read anew; a difference is drift like any other.
    done.append(actions.Reconcile(cause="control"))
    said = f"order {statement.client_order_id} is taken as {ended.value}, filled "
    said += f"{statement.filled_quantity} of {order.open_order.quantity}"
    return [*done, _ack(state, event, "done", said)]


def _ack(state: State, event: ControlRequested, result: str, message: str) -> actions.Action:
    return controls.answer(state, event, result, message)
