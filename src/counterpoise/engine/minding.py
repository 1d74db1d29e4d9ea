"""Minds what passes with time: streams, ledger, lease, orders without an end, a stop under way."""

from typing import Final

from counterpoise.domain.events import (
    LeaseHealth,
    LedgerHealth,
    StreamAlive,
    StreamDown,
    StreamName,
    Tick,
)
from counterpoise.domain.orders import OrderState
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.engine import (
    account_gap,
    actions,
    clocking,
    controls,
    cycling,
    delisting,
    flattening,
    guarding,
    protecting,
    reconciling,
    recording,
    stating,
    valuing,
    views,
    working,
)
from counterpoise.engine.run import (
    ASK_AFTER_NS,
    ASK_JOURNALED_NS,
    ASK_UNRESOLVED_NS,
    RECONCILE_NS_MAX,
)
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause

#: Exit code when another daemon took the account over.
EXIT_FENCED: Final = 4


def tick(state: State, event: Tick) -> list[actions.Action]:
    """Look at everything that has a time limit; called once a second."""
    state.market.apply(event)
    if state.signals.due(state.now_ns):
        fresh = state.market.fresh_marks(state.now_ns)
        state.signals.observe(
            state.now_ns, {i: float_from_decimal(mark) for i, mark in fresh.items()}
        )
        views.refresh_betas(state)
    done = _ask_about_orders(state)
    if state.waiting is not None and state.now_ns - state.waiting.asked_ns > RECONCILE_NS_MAX:
        done += cycling.decide(state, missing="RECONCILIATION_LATE")
    done += clocking.look(state)
    done += reconciling.look_again(state)
    done += account_gap.look(state)
    done += valuing.look(state)
    done += working.advance_all(state)
    done += flattening.go_on(state)
    # What closes more comes first: two of them are never sent at once.
    done += delisting.close_hedges(state)
    done += delisting.close_ending(state)
    done += guarding.watch(state)
    done += stating.tidy(state)
    done += protecting.look(state)
    return done + controls.continue_stop(state)


def stream(state: State, event: StreamAlive | StreamDown) -> list[actions.Action]:
    """Take a proof of life, or its end."""
    state.market.apply(event)
    if event.stream is not StreamName.ACCOUNT:
        return []
    return account_gap.told(state, event)


def health(state: State, event: LedgerHealth | LeaseHealth) -> list[actions.Action]:
    """Take how the ledger or the lease is; either one away means nothing increases."""
    if isinstance(event, LedgerHealth):
        state.ledger_available = event.available
        return _hold_while(state, Cause.DATABASE, held_back=not event.available)
    state.lease_held = event.held
    done = _hold_while(state, Cause.LEASE, held_back=not event.held)
    if event.fenced:
        words = "another daemon took over this account; nothing more is sent from here"
        done.append(recording.incident(state, "lease.lost", "critical", words, {}))
        done.append(actions.StopDaemon(reason=words, exit_code=EXIT_FENCED))
    return done


def _hold_while(state: State, cause: Cause, *, held_back: bool) -> list[actions.Action]:
    if not held_back:
        return controls.remove_cause(state, cause)
    if cause in state.causes:
        return []
    done = controls.add_cause(state, cause)
    return done + working.drop_increases(state, f"{cause.value} away")


def _ask_about_orders(state: State) -> list[actions.Action]:
    asked: list[actions.Action] = []
    for key in sorted(state.orders.active):
        order = state.orders.active[key]
        since_ns = max(order.asked_ns, order.created_ns)
        # Not sent yet: the journal answers within its own limit, so only an odd one is asked for.
        patience_ns = ASK_AFTER_NS
        if order.state is OrderState.JOURNALED and order.decision_id is not None:
            patience_ns = ASK_JOURNALED_NS
        elif order.unresolved:
            patience_ns = ASK_UNRESOLVED_NS
        if state.now_ns - since_ns < patience_ns:
            continue
        asked.append(state.orders.ask(key, state.now_ns))
    return asked
