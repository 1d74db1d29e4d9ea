"""What an operator's wish does: pause, resume, flatten, stop."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.events import ControlAction, ControlRequested
from counterpoise.domain.records import ControlHandled, MemoryKept
from counterpoise.engine import actions, flattening, recording, stop_fit, working
from counterpoise.engine.run import FLATTEN_STOP_NS_MAX, STOP_NS_MAX
from counterpoise.engine.state import State, Stopping
from counterpoise.engine.trading_state import Cause
from counterpoise.strategy.parameters import STRATEGY_VERSION

#: Exit code of a stop that had to leave orders or positions behind.
EXIT_INCOMPLETE = 3


def handle(state: State, event: ControlRequested) -> list[actions.Action]:
    """Carry out a wish and say what came of it; asking twice changes nothing."""
    match event.action:
        case ControlAction.PAUSE:
            done = add_cause(state, Cause.OPERATOR)
            done += working.drop_increases(state, "paused by the operator")
            return [*done, answer(state, event, "done", "only risk-reducing orders until resume")]
        case ControlAction.RESUME:
            return _resume(state, event)
        case ControlAction.FLATTEN:
            return _flatten(state, event)
        case ControlAction.STOP:
            return _stop(state, event, flatten=state.run.flatten_on_stop)
        case ControlAction.FLATTEN_STOP:
            return _stop(state, event, flatten=True)
        case ControlAction.HIGH_WATER_RESET:
            return _reset_high_water(state, event)
        case ControlAction.RESOLVE_ORDER:
            raise AssertionError("a statement about an order is `engine.stating`'s")


def add_cause(state: State, cause: Cause) -> list[actions.Action]:
    """Hold the daemon back by a cause; the change is written once."""
    if cause in state.causes:
        return []
    state.causes.add(cause)
    return [recording.trading_state(state)]


def remove_cause(state: State, cause: Cause) -> list[actions.Action]:
    """Let go of a cause; the change is written once."""
    if cause not in state.causes:
        return []
    state.causes.discard(cause)
    return [recording.trading_state(state)]


def continue_stop(state: State) -> list[actions.Action]:
    """Leave once nothing is open (and, for a flatten, nothing held), or when time is up."""
    stopping = state.stopping
    if stopping is None:
        return []
    late = state.now_ns >= stopping.deadline_ns
    waits = _waits(state, flatten=stopping.flatten)
    if stopping.flatten and not flattening.is_flat(state):
        if not late:
            return flattening.flatten(state, "stop")
        waits = True
    # What is left held is left to its stops, also what filled a moment ago.
    bare = [] if stopping.flatten else stop_fit.lacking(state)
    if (waits or bare) and not late:
        return []
    state.stopping = None
    done = recording.equity(state, "stop")
    if stopping.flatten:
        # Whether it is done is kept for the next start.
        done += add_cause(state, Cause.FLATTENING) if waits else flattening.go_on(state)
    message = _left_behind(state, flatten=stopping.flatten, waits=waits)
    if bare:
        lacks = f"{len(bare)} of the legs held have no stop at the venue that fits them"
        words = f"left with {lacks}: {', '.join(bare)}"
        done.append(recording.incident(state, "stop.missing", "critical", words, {}))
        message = f"{message}; {lacks}: {', '.join(bare)}"
    left = waits or bool(bare)
    for control in (stopping.control, *stopping.overtaken):
        done.append(answer(state, control, "refused" if left else "done", message))
    code = EXIT_INCOMPLETE if waits and stopping.flatten else 0
    return [*done, actions.StopDaemon(reason=message, exit_code=code)]


def _left_behind(state: State, *, flatten: bool, waits: bool) -> str:
    if waits:
        follows = "goes on closing" if flatten else "adopts them"
        return f"stopped with orders or positions still open; the next start {follows}"
    message = "stopped: orders ended, positions left as they are"
    if flatten:
        message = "stopped: all positions closed"
    unknown = sorted(state.orders.active)
    return f"{message}; nobody knows what became of {', '.join(unknown)}" if unknown else message


def _waits(state: State, *, flatten: bool) -> bool:
    # An order that nobody could find is not waited for: it may never end.
    if state.plans or any(not order.unresolved for order in state.orders.active.values()):
        return True
    # What filled and is not shown yet is not left alone; a flattened book leaves nothing behind.
    # With `hold` the stops stay where they are.
    return flatten and (flattening.may_grow(state) or bool(state.protection.orders.active))


def _flatten(state: State, event: ControlRequested) -> list[actions.Action]:
    if state.run.observe:
        return [answer(state, event, "refused", "observe mode sends no order")]
    done = add_cause(state, Cause.OPERATOR) + add_cause(state, Cause.FLATTENING)
    done += flattening.flatten(state, "operator", at_once=True)
    return [*done, answer(state, event, "done", "closing all positions; paused until resume")]


def _resume(state: State, event: ControlRequested) -> list[actions.Action]:
    if Cause.INVARIANT in state.causes and not event.from_halt:
        words = "HALTED: read the incident, then `counterpoise resume --from-halt`"
        return [answer(state, event, "refused", words)]
    done = [
        action
        for cause in (Cause.FLATTENING, Cause.OPERATOR, Cause.INVARIANT)
        for action in remove_cause(state, cause)
    ]
    left = ", ".join(sorted(cause.value for cause in state.causes))
    words = f"still held back by: {left}" if left else "trading both ways again"
    return [*done, answer(state, event, "done", words)]


def _stop(state: State, event: ControlRequested, *, flatten: bool) -> list[actions.Action]:
    flatten = flatten and not state.run.observe
    under_way = state.stopping
    if under_way is not None and (under_way.flatten or not flatten):
        # A flatten asked for by name leaves the daemon paused, whatever began it.
        done = _keep_flatten(state, event) if flatten else []
        return [*done, answer(state, event, "unchanged", "a stop is already under way")]
    overtaken = () if under_way is None else (under_way.control, *under_way.overtaken)
    limit_ns = FLATTEN_STOP_NS_MAX if flatten else STOP_NS_MAX
    state.stopping = Stopping(
        control=event,
        deadline_ns=state.now_ns + limit_ns,
        flatten=flatten,
        overtaken=overtaken,
    )
    done = _keep_flatten(state, event) if flatten else []
    done += add_cause(state, Cause.STOPPING)
    done += working.drop_increases(state, "stopping")
    # Orders of others are theirs to cancel, whatever id they gave them.
    for key in () if state.run.observe else sorted(state.orders.active):
        order = state.orders.active[key].open_order
        if not (flatten and order.reduce_only):
            done.append(actions.Cancel(instrument_id=order.instrument_id, client_order_id=key))
    return done + continue_stop(state)


def _keep_flatten(state: State, event: ControlRequested) -> list[actions.Action]:
    # A supervisor may start the daemon again at once: what is not closed yet is closed then. It
    # trades again afterwards if closing was only how it is told to stop.
    by_name = event.action is ControlAction.FLATTEN_STOP
    done = add_cause(state, Cause.OPERATOR) if by_name else []
    return done + add_cause(state, Cause.FLATTENING)


def _reset_high_water(state: State, event: ControlRequested) -> list[actions.Action]:
    before = state.memory.nav_high_water
    # What is kept now is what a restart begins from: transfers told by now must be in it.
    state.memory = replace(
        state.memory,
        nav_high_water=state.memory.unit_nav,
        transfers_pending=state.memory.transfers_pending + state.account.transfers,
    )
    state.account.transfers = Decimal(0)
    kept = actions.Write(
        record=MemoryKept(
            # Of this account: another one may be told the same request.
            decision_id=f"control-{state.run.account_id}-{event.control_id}",
            run_id=state.run.run_id,
            account_id=state.run.account_id,
            strategy_version=STRATEGY_VERSION,
            body=state.encode(state.memory),
            kept_ns=state.now_ns,
        )
    )
    return [kept, answer(state, event, "done", f"high-water mark {before} forgotten")]


def answer(state: State, event: ControlRequested, result: str, message: str) -> actions.Write:
    """Return the row that says what came of a wish: done, unchanged or refused."""
    return actions.Write(
        record=ControlHandled(
            control_id=event.control_id,
            run_id=state.run.run_id,
            action=event.action.value,
            actor=event.actor,
            reason=event.reason,
            result=result,
            message=message,
            trading_state=state.trading_state.value,
            handled_ns=state.now_ns,
        )
    )
