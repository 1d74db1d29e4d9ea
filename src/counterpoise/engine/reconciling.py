"""Makes our account equal the venue's, and says so where they differed."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain import identity
from counterpoise.domain.account import AccountSnapshot, OpenOrder, Position
from counterpoise.domain.events import AccountReconciled, ReconciliationFailed
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine import (
    account_gap,
    actions,
    clocking,
    controls,
    cycling,
    guarding,
    orders_told,
    protecting,
    recording,
    views,
    working,
)
from counterpoise.engine.account_told import vanished
from counterpoise.engine.contradiction import CONFIRM_NS
from counterpoise.engine.foreign_book import foreign, is_strange, tolerated
from counterpoise.engine.positions import flat
from counterpoise.engine.run import (
    CASH_TOLERANCE_FRACTION,
    DOUBT_NS,
    DOUBTED_NS_MAX,
    EQUITY_TOLERANCE_FRACTION,
    POLL_NS,
    START_DOUBT_NS_MAX,
)
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause

#: A venue's answer may be this much older than the moment we asked.
ANSWER_AGE_NS: Final = 5 * NS_PER_SECOND
#: After a fill, a difference is a delay for this long.
SETTLE_NS: Final = 10 * NS_PER_SECOND
#: Name of the difference that cash comes to.
CASH_UNEXPLAINED: Final = "cash_unexplained"
#: Exit code when the key opens another account than before.
EXIT_ANOTHER_ACCOUNT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    # What a look at the account came to, as `AccountLooked` names it, and what follows.
    result: str
    found: dict[str, str] = field(default_factory=dict)
    done: list[actions.Action] = field(default_factory=list)


def reconciled(state: State, event: AccountReconciled) -> list[actions.Action]:
    """Take the venue's whole account as truth, then decide the cycle that waited for it."""
    snapshot = event.snapshot
    if snapshot.account_id != state.run.account_id:
        return _another_account(state, snapshot)
    stamp_ns = clocking.not_ahead(state, snapshot.balance.event_ns)
    snapshot = replace(snapshot, balance=replace(snapshot.balance, event_ns=stamp_ns))
    first = not state.account.complete
    before = dict(state.account.positions)
    # What is doubted at the start is not on record yet: the next start must find what was.
    on_record = before if state.recorded is None else state.recorded
    quiet = _is_quiet(state)
    absent = dict(state.account.absent)
    state.answered_marks = {
        p.instrument_id: (p.mark, snapshot.received_ns)
        for p in snapshot.positions
        if p.mark is not None
    }
    drift = state.account.reconciled(snapshot, views.marks(state), _denied(state))
    state.ask_again_ns = None
    if state.account.contradicted or not state.account.absent.items() <= absent.items():
        # What is not believed yet needs a second answer; what was believed gone is looked for once.
        state.ask_again_ns = snapshot.received_ns + CONFIRM_NS
    if event.cause == "rejected":
        # Where answers contradict what is known, a reduction would only be refused again.
        known = state.account.contradicted
        state.doubted = {name: ns for name, ns in state.doubted.items() if name in known}
    done = _orders(state, snapshot.open_orders, snapshot.received_ns)
    done += _foreign(state)
    done += _gone(state, drift, before)
    done += protecting.act_late(state)
    done += account_gap.answered(state, event)
    if first or state.recorded is not None:
        verdict = _first(state, snapshot, before)
    elif quiet:
        verdict = _balance(state, snapshot, drift)
    else:
        # What is under way may explain it; the next quiet look begins anew.
        state.doubt_ns, state.doubt_asked = None, False
        verdict = _Verdict(result="unsettled", found=_cash_found(state, snapshot))
        if verdict.found and state.ask_again_ns is None:
            state.ask_again_ns = snapshot.received_ns + CONFIRM_NS
    withheld = set() if state.recorded is None else set(verdict.found)
    settled = on_record is not before and state.recorded is None
    cause = "start" if first or settled else event.cause
    done = [*_positions(state, on_record, cause, withheld), *done]
    done.append(recording.looked(state, event, verdict.result, verdict.found))
    done += [*verdict.done, *guarding.watch(state)]
    # What cash nothing explains is neither profit nor loss until it was looked at in quiet.
    unsure = verdict.result == "unsettled" and verdict.found
    clear = state.doubt_ns is None and not _contradicted(state) and not unsure
    if event.cause == "cycle" and state.waiting is not None and clear:
        done += cycling.decide(state)
    return done + working.advance_all(state) + controls.continue_stop(state)


def _denied(state: State) -> dict[str, int]:
    # Where the venue just refused a reduction as if nothing were held, and when by its clock: an
    # answer asked for after that is the second word.
    ahead_ns = int((state.clock_offset_ms or 0.0) * NS_PER_MS)
    return {
        name: refused_ns + ahead_ns
        for name, refused_ns in state.doubted.items()
        if state.now_ns - refused_ns < DOUBTED_NS_MAX
    }


def look_again(state: State) -> list[actions.Action]:
    """Ask a second time about an account that did not add up; called with each tick."""
    doubted = (
        state.doubt_ns is not None
        and not state.doubt_asked
        and state.now_ns >= state.doubt_ns + DOUBT_NS
    )
    contradicted = state.ask_again_ns is not None and state.now_ns >= state.ask_again_ns
    if not doubted and not contradicted:
        return []
    state.doubt_asked = state.doubt_asked or doubted
    if contradicted:
        # Its answer decides; one that does not come is asked for again.
        state.ask_again_ns = state.now_ns + POLL_NS
    return [actions.Reconcile(cause="doubt" if state.waiting is None else "cycle")]


def failed(state: State, event: ReconciliationFailed) -> list[actions.Action]:
    """Go on without an answer: a waiting cycle is decided knowing that, a tick asks again.

    The second look at what does not add up is asked for again, too, though not at once.
    """
    if state.doubt_asked and state.ask_again_ns is None:
        state.ask_again_ns = state.now_ns + POLL_NS
    if event.cause == "cycle" and state.waiting is not None:
        return cycling.decide(state, missing="RECONCILIATION_FAILED")
    return []


def _positions(
    state: State, before: dict[str, Position], cause: str, withheld: set[str]
) -> list[actions.Action]:
    written: list[actions.Action] = []
    for instrument_id in sorted(state.account.positions):
        held = state.account.positions[instrument_id]
        if instrument_id in withheld:
            continue
        known = before.get(instrument_id) or flat(instrument_id)
        if held.quantity != known.quantity or (cause == "start" and held.quantity != 0):
            written.append(recording.position(state, held, cause))
    return written


def _orders(state: State, listed: tuple[OpenOrder, ...], received_ns: int) -> list[actions.Action]:
    # What a stop has sent is told under its id and is not a plan's.
    listed = tuple(o for o in listed if not state.protection.knows(o.client_order_id))
    asked: list[actions.Action] = []
    for order in listed:
        ours = order.client_order_id is not None and identity.is_ours(order.client_order_id)
        if ours and state.orders.get(order.client_order_id or "") is None:
            state.orders.adopt(order, created_ns=received_ns, expires_ns=received_ns)
        elif ours:
            asked += orders_told.shown(state, order, received_ns)
    for lost in state.orders.reconciled(listed, received_ns - ANSWER_AGE_NS):
        client_order_id = lost.open_order.client_order_id
        assert client_order_id is not None, "our orders have an id of ours"
        asked.append(state.orders.ask(client_order_id, state.now_ns))
    return asked


def _foreign(state: State) -> list[actions.Action]:
    strange = [i for i in state.account.quantities() if is_strange(state, i)]
    orders = [] if tolerated(state) else state.orders.of_others()
    if strange or orders:
        figures = {"positions": ",".join(sorted(strange)), "venue_order_ids": ",".join(orders)}
        words = "the account holds positions or orders that are not ours"
        return foreign(state, words, figures)
    return controls.remove_cause(state, Cause.FOREIGN)


def _is_quiet(state: State) -> bool:
    # Only without anything under way or just done can a difference be told from a delay.
    settled = state.now_ns - state.account.filled_ns > SETTLE_NS
    return settled and not _under_way(state)


def _under_way(state: State) -> bool:
    # An order that nobody could find explains nothing: if it traded after all, its execution is
    # told, and without one its position is a difference like any other.
    return bool(state.plans) or not all(o.unresolved for o in state.orders.active.values())


def _gone(
    state: State, drift: dict[str, tuple[Decimal, Decimal]], before: dict[str, Position]
) -> list[actions.Action]:
    # A core of which something is left is drift, and that is judged at a second look.
    done: list[actions.Action] = []
    for instrument_id, (ours, theirs) in drift.items():
        if state.recorded is not None and _is_explained(state, state.recorded, instrument_id):
            # The first answer of this start lagged behind the record; nothing is gone.
            continue
        managed = instrument_id not in state.run.unmanaged
        if instrument_id == state.strategy.core_instrument:
            managed = theirs == 0
        taken = abs(ours) - abs(theirs)
        shown_ns = before[instrument_id].event_ns if instrument_id in before else 0
        if managed and taken > state.orders.may_take_off(instrument_id, ours, shown_ns):
            state.account.took(instrument_id, taken)
            done += vanished(state, instrument_id, ours, "while no stream told of it")
    return done


def _another_account(state: State, snapshot: AccountSnapshot) -> list[actions.Action]:
    # The key opens another account than the one this run was armed and leased for.
    words = (
        f"the venue now says the key belongs to account {snapshot.account_id}, not "
        f"{state.run.account_id}; nothing more is sent from here"
    )
    return [
        recording.incident(state, "account.changed", "critical", words, {}),
        actions.StopDaemon(reason=words, exit_code=EXIT_ANOTHER_ACCOUNT),
    ]


def _first(state: State, snapshot: AccountSnapshot, before: dict[str, Position]) -> _Verdict:
    # What the record and the executions since make of each position, against what the venue says.
    # What does not add up is believed at the second look: executions are listed a little late.
    recorded = before if state.recorded is None else state.recorded
    away, denied = _away(state, recorded), _contradicted(state)
    doubted = bool(away or denied) and _may_be_explained(state, snapshot.received_ns)
    if doubted or denied:
        state.recorded = recorded
        return _Verdict(result="doubted", found=away | denied)
    state.recorded = None
    state.account.start.settle()
    _count_from(state, snapshot)
    if not away:
        return _Verdict(result="first")
    words = "positions changed while no daemon ran, without executions"
    return _Verdict(result="unexplained", found=away, done=_said(state, words, away))


def _away(state: State, recorded: dict[str, Position]) -> dict[str, str]:
    away: dict[str, str] = {}
    theirs = state.account.quantities()
    for name in sorted(recorded.keys() | theirs.keys() if recorded else ()):
        if not _is_explained(state, recorded, name):
            known, held = recorded.get(name) or flat(name), theirs.get(name, Decimal(0))
            away[name] = f"recorded {known.quantity}, venue {held}"
    return away


def _is_explained(state: State, recorded: dict[str, Position], name: str) -> bool:
    # What is held follows from the record and the executions told since.
    held = state.account.quantities().get(name, Decimal(0))
    known = recorded.get(name) or flat(name)
    return held in state.account.start.possible(name, known.quantity)


def _contradicted(state: State) -> dict[str, str]:
    held = state.account.quantities()
    denied = {
        name: f"ours {held.get(name, Decimal(0))}, venue {each.quantity}, not believed yet"
        for name, each in sorted(state.account.contradicted.items())
    }
    doubt = state.account.balance_doubt
    if doubt is not None:
        denied["equity"] = f"ours {doubt.known}, venue {doubt.told}, not believed yet"
    return denied


def _may_be_explained(state: State, received_ns: int) -> bool:
    # Begins or prolongs the doubt; orders at work may be what moved the position.
    if state.doubt_ns is None:
        state.doubt_ns = received_ns
        return True
    waited_ns = received_ns - state.doubt_ns
    state.doubt_asked = False
    return waited_ns < DOUBT_NS or (_under_way(state) and waited_ns < START_DOUBT_NS_MAX)


def _count_from(state: State, snapshot: AccountSnapshot) -> None:
    state.wallet_reconciled = snapshot.balance.wallet_balance
    state.account.count_from(snapshot)
    state.doubt_ns, state.doubt_asked = None, False


def _balance(
    state: State, snapshot: AccountSnapshot, drift: dict[str, tuple[Decimal, Decimal]]
) -> _Verdict:
    # positions = sum of executions, cash = realised + fees + funding + transfers, and equity =
    # cash + unrealised. What does not add up is believed at the second look.
    denied = _contradicted(state)
    if denied:
        # What adds up is counted from answers that are believed.
        return _Verdict(result="doubted", found=denied)
    found = _residual(state, snapshot)
    if found and not drift:
        if state.doubt_ns is None:
            state.doubt_ns = snapshot.received_ns
            return _Verdict(result="doubted", found=found)
        if snapshot.received_ns < state.doubt_ns + DOUBT_NS:
            return _Verdict(result="doubted", found=found)
    found |= {name: f"ours {ours}, venue {theirs}" for name, (ours, theirs) in drift.items()}
    _count_from(state, snapshot)
    if found.keys() == {CASH_UNEXPLAINED}:
        # Positions add up, so it is no trade that is missing.
        state.account.suppose_transfer(Decimal(found[CASH_UNEXPLAINED]), state.now_ns)
    if not found:
        # Whatever executions are still missing by now are not told any more.
        state.account.taken.clear()
        return _Verdict(result="balanced", done=controls.remove_cause(state, Cause.DRIFT))
    words = "our account and the venue's differ; the venue's is taken"
    return _Verdict(result="unexplained", found=found, done=_said(state, words, found))


def _residual(state: State, snapshot: AccountSnapshot) -> dict[str, str]:
    found = {
        name: f"executions say {expected}, venue {theirs}"
        for name, (expected, theirs) in state.account.sums.unexplained(snapshot).items()
    }
    found |= _cash_found(state, snapshot)
    balance = snapshot.balance
    equity = abs(state.account.equity(views.marks(state)) or Decimal(0))
    valued = [p for p in snapshot.positions if p.mark is not None and p.entry_price is not None]
    if len(valued) == len(snapshot.positions):
        unrealised = sum(
            (p.quantity * (p.mark - p.entry_price) for p in valued if p.mark and p.entry_price),
            Decimal(0),
        )
        rest = balance.equity - balance.wallet_balance - unrealised
        if valued and abs(rest) > EQUITY_TOLERANCE_FRACTION * equity:
            found["equity_unexplained"] = str(rest)
    return found


def _cash_found(state: State, snapshot: AccountSnapshot) -> dict[str, str]:
    balance, before = snapshot.balance, state.wallet_reconciled
    assert before is not None, "cash is counted from the first answer on"
    told = balance.wallet_balance - before - state.account.cash_explained
    # A balance that lags its question lacks what moved cash since; one that does not has it.
    cash = min(told, told + state.account.cash_after(balance.event_ns), key=abs)
    equity = abs(state.account.equity(views.marks(state)) or Decimal(0))
    if abs(cash) > CASH_TOLERANCE_FRACTION * equity:
        return {CASH_UNEXPLAINED: str(cash)}
    return {}


def _said(state: State, words: str, figures: dict[str, str]) -> list[actions.Action]:
    said = ", ".join(f"{key} {value}" for key, value in sorted(figures.items()))
    done = controls.add_cause(state, Cause.DRIFT)
    done += working.drop_increases(state, "the account does not add up")
    incident = recording.incident(state, "account.drift", "error", f"{words}: {said}", figures)
    return [*done, incident]
