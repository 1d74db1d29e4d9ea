"""Makes our account equal the venue's, and says so where they differed."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import identity
from counterpoise.domain.account import AccountSnapshot, OpenOrder, Position
from counterpoise.domain.events import AccountReconciled, ReconciliationFailed
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions, controls, cycling, guarding, recording, views, working
from counterpoise.engine.account import flat
from counterpoise.engine.account_told import foreign, vanished
from counterpoise.engine.run import CASH_TOLERANCE_FRACTION
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause

#: A venue's answer may be this much older than the moment we asked.
ANSWER_AGE_NS: Final = 5 * NS_PER_SECOND
#: After a fill, a difference is a delay for this long.
SETTLE_NS: Final = 10 * NS_PER_SECOND


def reconciled(state: State, event: AccountReconciled) -> list[actions.Action]:
    """Take the venue's whole account as truth, then decide the cycle that waited for it."""
    snapshot = event.snapshot
    first = not state.account.complete
    before = dict(state.account.positions)
    quiet = _is_quiet(state)
    drift = state.account.reconciled(snapshot, views.marks(state))
    if event.cause == "rejected":
        state.doubted.clear()
    done = _positions(state, before, "start" if first else event.cause)
    done += _orders(state, snapshot.open_orders, snapshot.received_ns)
    done += _foreign(state)
    done += _gone(state, drift)
    if not state.account_stream_down:
        done += controls.remove_cause(state, Cause.ACCOUNT)
    if first:
        _count_cash_from(state, snapshot)
    elif quiet:
        done += _drift(state, drift, _cash_residual(state, snapshot))
    done += guarding.watch(state)
    if event.cause == "cycle" and state.waiting is not None:
        done += cycling.decide(state)
    return done + working.advance_all(state) + controls.continue_stop(state)


def failed(state: State, event: ReconciliationFailed) -> list[actions.Action]:
    """Go on without an answer: a waiting cycle is decided knowing that, a tick asks again."""
    if event.cause == "cycle" and state.waiting is not None:
        return cycling.decide(state, missing="RECONCILIATION_FAILED")
    return []


def _positions(state: State, before: dict[str, Position], cause: str) -> list[actions.Action]:
    written: list[actions.Action] = []
    for instrument_id in sorted(state.account.positions):
        held = state.account.positions[instrument_id]
        known = before.get(instrument_id) or flat(instrument_id)
        if held.quantity != known.quantity or (cause == "start" and held.quantity != 0):
            written.append(recording.position(state, held, cause))
    return written


def _orders(state: State, listed: tuple[OpenOrder, ...], received_ns: int) -> list[actions.Action]:
    for order in listed:
        ours = order.client_order_id is not None and identity.is_ours(order.client_order_id)
        if ours and state.orders.get(order.client_order_id or "") is None:
            state.orders.adopt(order, created_ns=received_ns, expires_ns=received_ns)
    asked: list[actions.Action] = []
    for lost in state.orders.reconciled(listed, received_ns - ANSWER_AGE_NS):
        client_order_id = lost.open_order.client_order_id
        assert client_order_id is not None, "our orders have an id of ours"
        asked.append(state.orders.ask(client_order_id, state.now_ns))
    return asked


def _foreign(state: State) -> list[actions.Action]:
    known = state.instruments
    strange = [i for i in state.account.quantities() if i not in known]
    if strange or state.orders.foreign:
        figures = {
            "positions": ",".join(sorted(strange)),
            "venue_order_ids": ",".join(sorted(state.orders.foreign)),
        }
        words = "the account holds positions or orders that are not ours"
        return foreign(state, words, figures)
    return controls.remove_cause(state, Cause.FOREIGN)


def _is_quiet(state: State) -> bool:
    # Only without anything under way or just done can a difference be told from a delay.
    settled = state.now_ns - state.account.filled_ns > SETTLE_NS
    return settled and not state.orders.active and not state.plans


def _gone(state: State, drift: dict[str, tuple[Decimal, Decimal]]) -> list[actions.Action]:
    done: list[actions.Action] = []
    for instrument_id, (ours, theirs) in drift.items():
        hedge = instrument_id != state.strategy.core_instrument
        if hedge and abs(theirs) < abs(ours) and not state.orders.at_work(instrument_id):
            done += vanished(state, instrument_id, f"from {ours} while no stream told of it")
    return done


def _count_cash_from(state: State, snapshot: AccountSnapshot) -> None:
    state.wallet_reconciled = snapshot.balance.wallet_balance
    state.account.reconciled_ns = snapshot.balance.event_ns
    state.account.cash_explained = Decimal(0)
    state.cash_unexplained = False


def _cash_residual(state: State, snapshot: AccountSnapshot) -> Decimal:
    # Cash that neither fills nor funding explain since the last count. It is believed when it
    # is still there at the second look: funding may be charged between two of our questions.
    before = state.wallet_reconciled or snapshot.balance.wallet_balance
    residual = snapshot.balance.wallet_balance - before - state.account.cash_explained
    equity = abs(state.account.equity(views.marks(state)) or Decimal(0))
    strange = abs(residual) > CASH_TOLERANCE_FRACTION * equity
    if strange and not state.cash_unexplained:
        state.cash_unexplained = True
        return Decimal(0)
    _count_cash_from(state, snapshot)
    return residual if strange else Decimal(0)


def _drift(
    state: State, drift: dict[str, tuple[Decimal, Decimal]], residual: Decimal
) -> list[actions.Action]:
    cash = residual != 0
    if not drift and not cash:
        return controls.remove_cause(state, Cause.DRIFT)
    figures = {i: f"ours {ours}, venue {theirs}" for i, (ours, theirs) in drift.items()}
    if cash:
        figures["cash_unexplained"] = str(residual)
    words = "our account and the venue's differ; the venue's is taken: " + ", ".join(
        f"{key} {value}" for key, value in sorted(figures.items())
    )
    done = controls.add_cause(state, Cause.DRIFT)
    done.append(recording.incident(state, "account.drift", "error", words, figures))
    return done
