"""Order updates as they are told, from our own call, the stream or REST."""

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import OrderAbsent, OrderUnresolved, OrderUpdate, UpdateSource
from counterpoise.domain.orders import OrderState
from counterpoise.engine import actions, controls, protecting, recording, sending, working
from counterpoise.engine.foreign_book import foreign
from counterpoise.engine.order_tracker import (
    IN_BOOK,
    MARKET_ENDED,
    PROVEN_ABSENT,
    TrackedOrder,
)
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause


def update(state: State, event: OrderUpdate) -> list[actions.Action]:
    """Apply an update, write it if it changed anything, and let the plans go on."""
    if event.source is UpdateSource.STREAM:
        state.account.alive_ns = event.received_ns
    if state.protection.knows(event.client_order_id):
        return protecting.told(state, event) + controls.continue_stop(state)
    before = len(state.orders.foreign)
    known = state.orders.get(event.client_order_id or "")
    done = _taken_back(state, event)
    changed = state.orders.told(event)
    if changed is None:
        if len(state.orders.foreign) > before:
            return _foreign_order(state, event)
        return done
    done.append(recording.order_event(state, event))
    done += overfilled(state, known, changed)
    if changed.state is OrderState.UNKNOWN:
        done.append(_resolve(state, changed))
    if changed.state is OrderState.REJECTED and event.source is UpdateSource.LOCAL:
        done += _refused(state, changed, event)
    if changed.over or event.filled_quantity:
        done += working.advance_all(state)
    if changed.over:
        done += controls.continue_stop(state)
    return done


def shown(state: State, order: OpenOrder, received_ns: int) -> list[actions.Action]:
    """Count an order of ours again that the venue lists as open though it was taken for over."""
    event = OrderUpdate(
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        instrument_id=order.instrument_id,
        state=order.state,
        filled_quantity=order.filled_quantity,
        average_price=None,
        source=UpdateSource.REST,
        code=None,
        message="listed by the venue",
        order=order,
        event_ns=received_ns,
        received_ns=received_ns,
    )
    done = _taken_back(state, event)
    if done and state.orders.told(event) is not None:
        done.append(recording.order_event(state, event))
    return done


def absent(state: State, event: OrderAbsent) -> list[actions.Action]:
    """End an order that evidence proves was never accepted."""
    stops = state.protection.orders.active
    order = state.orders.active.get(event.client_order_id) or stops.get(event.client_order_id)
    if order is None:
        return []
    was_there = order.acknowledged or event.market_ended
    return update(
        state,
        OrderUpdate(
            client_order_id=event.client_order_id,
            venue_order_id=None,
            instrument_id=order.open_order.instrument_id,
            # What the venue once had and has no more ended there; it was not refused.
            state=OrderState.CANCELED if was_there else OrderState.REJECTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.REST,
            code=MARKET_ENDED if event.market_ended else PROVEN_ABSENT,
            message=event.evidence,
            order=None,
            event_ns=event.received_ns,
            received_ns=event.received_ns,
        ),
    )


def unresolved(state: State, event: OrderUnresolved) -> list[actions.Action]:
    """Keep counting an order in full whose fate the evidence leaves open, and say so once."""
    order = state.orders.active.get(event.client_order_id)
    if order is None or order.unresolved:
        return []
    words = (
        f"order {event.client_order_id} in {order.open_order.instrument_id} can be neither found"
        f" nor proved absent ({event.evidence}); it counts as open in full, and nothing increases"
        " in its instrument"
    )
    told = OrderUpdate(
        client_order_id=event.client_order_id,
        venue_order_id=order.open_order.venue_order_id,
        instrument_id=order.open_order.instrument_id,
        state=OrderState.UNKNOWN,
        filled_quantity=order.open_order.filled_quantity,
        average_price=None,
        source=UpdateSource.REST,
        code="UNRESOLVED",
        message=event.evidence,
        order=None,
        event_ns=event.received_ns,
        received_ns=event.received_ns,
    )
    # Whatever it was taken for so far, from now on nobody knows.
    state.orders.told(told)
    state.orders.leave_unresolved(event.client_order_id)
    done: list[actions.Action] = [recording.order_event(state, told)]
    done.append(recording.incident(state, "order.unresolved", "error", words, {}))
    return done + working.advance_all(state)


def _taken_back(state: State, event: OrderUpdate) -> list[actions.Action]:
    # An end that was stated, or concluded from an absence, does not hide what is alive.
    key = event.client_order_id
    if key is None or event.state not in IN_BOOK or not state.orders.take_back(key):
        return []
    words = (
        f"order {key} in {event.instrument_id} was taken for over and stands {event.state.value}"
        " at the venue; it counts as open again"
    )
    return [recording.incident(state, "order.alive", "critical", words, {})]


def _refused(state: State, order: TrackedOrder, event: OrderUpdate) -> list[actions.Action]:
    # A refusal may mean that the position is not what we think: it is read again.
    if order.open_order.price_limit is None:
        # Nor at market: the next reduction has a price again, so that both are tried in turn.
        if not event.position_doubtful:
            state.banded.pop(event.instrument_id, None)
    elif event.price_refused:
        state.banded[event.instrument_id] = state.now_ns
    doubt = _doubt(state, event.instrument_id) if event.position_doubtful else []
    return [*doubt, actions.Reconcile(cause="rejected")]


def _doubt(state: State, instrument_id: str) -> list[actions.Action]:
    # The venue says there is nothing to reduce: gone, or reserved by a resting order of ours. The
    # next reduction waits for the position to be read again (asked for by the refusal itself).
    state.doubted[instrument_id] = state.now_ns
    done: list[actions.Action] = []
    for order in state.orders.resting(instrument_id):
        done += sending.cancel(state, order.open_order.client_order_id or "")
    return done


def _resolve(state: State, order: TrackedOrder) -> actions.Action:
    client_order_id = order.open_order.client_order_id
    assert client_order_id is not None, "our orders have an id of ours"
    return state.orders.ask(client_order_id, state.now_ns)


def overfilled(
    state: State, before: TrackedOrder | None, order: TrackedOrder
) -> list[actions.Action]:
    """Stop increases where an order filled more than its quantity; said once of an order."""
    if order.open_order.remaining >= 0 or (before and before.open_order.remaining < 0):
        return []
    done = controls.add_cause(state, Cause.INVARIANT)
    words = (
        f"order {order.open_order.client_order_id} filled {order.open_order.filled_quantity}, "
        f"more than its {order.open_order.quantity}"
    )
    done.append(recording.incident(state, "order.overfilled", "critical", words, {}))
    return done + working.drop_increases(state, "an invariant broke")


def _foreign_order(state: State, event: OrderUpdate) -> list[actions.Action]:
    return [
        recording.order_event(state, event),
        *foreign(
            state,
            f"an order in {event.instrument_id} that is not ours is open on this account",
            {"venue_order_id": str(event.venue_order_id), "state": event.state.value},
        ),
    ]
