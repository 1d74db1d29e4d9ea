"""What the account's stream missed: it may be anything until an answer asked for afterwards came.

An answer that was asked for while the stream was down may be older than its end, so it closes no
gap, however late it arrives.
"""

from counterpoise.domain.events import AccountReconciled, StreamAlive, StreamDown
from counterpoise.engine import actions, controls, working
from counterpoise.engine.run import POLL_NS
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause


def told(state: State, event: StreamAlive | StreamDown) -> list[actions.Action]:
    """Take a proof of the account stream's life, or its end; one that is back asks for the truth."""
    if isinstance(event, StreamDown):
        state.account_stream_down, state.account_back_ns = True, None
        if Cause.ACCOUNT in state.causes:
            return []
        done = controls.add_cause(state, Cause.ACCOUNT)
        return done + working.drop_increases(state, f"{Cause.ACCOUNT.value} away")
    state.account.alive_ns = event.received_ns
    if not state.account_stream_down:
        return []
    state.account_stream_down, state.account_back_ns = False, event.received_ns
    state.polled_ns = state.now_ns
    return [actions.Reconcile(cause=actions.RECONNECT)]


def look(state: State) -> list[actions.Action]:
    """Ask for the account while a gap is open; called with each tick.

    Without its stream the account is only known by asking, and the guard acts on the answers; once
    it is back, the question that closes the gap is asked until it is answered.
    """
    if Cause.ACCOUNT not in state.causes or state.now_ns - state.polled_ns < POLL_NS:
        return []
    state.polled_ns = state.now_ns
    cause = "stream_down" if state.account_stream_down else actions.RECONNECT
    return [actions.Reconcile(cause=cause)]


def answered(state: State, event: AccountReconciled) -> list[actions.Action]:
    """Close the gap by an answer that was asked for after the stream was back."""
    back_ns = state.account_back_ns
    if back_ns is None or event.cause != actions.RECONNECT or event.asked_ns < back_ns:
        return []
    state.account_back_ns = None
    return controls.remove_cause(state, Cause.ACCOUNT)
