"""Keeps one stop per held leg at the venue, so that a dead daemon still has a floor.

Looked at with every tick. A stop is an order like any other: wanted by a decision, approved,
journaled, tracked. A new one is placed before the old one is dropped, and both are reduce-only,
so that there is never a moment without one and never a fill that opens anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain import identity
from counterpoise.domain.account import OpenOrder, WaitingTrigger
from counterpoise.domain.arithmetic import counted_in_money
from counterpoise.domain.events import OrderUpdate, TriggersListed, UpdateSource
from counterpoise.domain.orders import (
    IntentSource,
    OrderIntent,
    OrderKind,
    OrderState,
    TimeInForce,
)
from counterpoise.domain.records import DecisionEnded, DecisionMade
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions, delisting, foreign_book, guarding, recording, views
from counterpoise.engine.order_tracker import PROVEN_ABSENT, TrackedOrder
from counterpoise.engine.state import State
from counterpoise.risk import gate, protection
from counterpoise.risk.guard import GuardParameters
from counterpoise.risk.protection import ProtectionParameters, StopTarget
from counterpoise.risk.view import RiskView
from counterpoise.strategy.parameters import STRATEGY_VERSION

#: Kind of the decisions made here, and how they end.
KIND: Final = "protection"
PLACED: Final = "placed"
#: The venue is asked for its list this often; what was dropped behind us is noticed by then.
LIST_NS: Final = 10 * NS_PER_SECOND
#: A first list that does not come is asked for again after this.
LIST_FIRST_NS: Final = 3 * NS_PER_SECOND
#: Two placings of one leg are at least this far apart, then twice as far per refusal, or per one
#: without an answer, up to the maximum.
PLACE_GAP_NS: Final = 3 * NS_PER_SECOND
PLACE_GAP_NS_MAX: Final = 120 * NS_PER_SECOND
#: A stop that was asked to be dropped and is still there is dropped again after this.
DROP_AGAIN_NS: Final = 5 * NS_PER_SECOND
#: A list asked for less than this after a stop was placed may not have it yet.
LIST_DELAY_NS: Final = 2 * NS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionInputs:
    """Everything a placing was given."""

    risk: RiskView
    guard: GuardParameters
    parameters: ProtectionParameters
    #: Legs whose stop is missing or no longer fits.
    instrument_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionOutputs:
    """The stops to be placed."""

    targets: tuple[StopTarget, ...]


@counted_in_money
def recompute(inputs: ProtectionInputs) -> ProtectionOutputs:
    """Return the stops; a pure function of its argument."""
    found = protection.stop_targets(inputs.risk, inputs.guard, inputs.parameters)
    return ProtectionOutputs(targets=tuple(found[i] for i in inputs.instrument_ids if i in found))


def look(state: State) -> list[actions.Action]:
    """Ask for the venue's list when it is time, and bring the stops in step with the positions."""
    if not state.run.has_triggers or state.run.observe or not state.account.complete:
        return []
    done = _list(state)
    if not state.protection.listed:
        # Until then a stop of the run before may stand there unknown.
        return done
    return done + _keep(state)


def told(state: State, event: OrderUpdate) -> list[actions.Action]:
    """Apply an update of a stop, or of the order it sent."""
    book = state.protection
    key = event.client_order_id
    assert key is not None, "a stop has an id of ours"
    changed = book.orders.told(event)
    if changed is None:
        return []
    done: list[actions.Action] = [recording.order_event(state, event)]
    leg = book.leg(event.instrument_id)
    if changed.state is OrderState.ACCEPTED:
        leg.refusals = leg.unanswered = leg.absences = 0
    if changed.state is OrderState.UNKNOWN:
        leg.unanswered += 1
    if not changed.over:
        return done
    book.trigger_prices.pop(key, None)
    if changed.state in {OrderState.REJECTED, OrderState.EXPIRED}:
        if event.code == PROVEN_ABSENT:
            # It was lost on its way, not refused: nothing of it can rest, and the next one is
            # not made to wait for it.
            leg.unanswered = max(0, leg.unanswered - 1)
            leg.absences += 1
        else:
            leg.refusals += 1
        if leg.refusals + leg.absences == 1:
            words = f"no stop rests for {event.instrument_id}: {event.code} {event.message}".strip()
            done.append(recording.incident(state, "stop.refused", "error", words, {}))
    elif changed.open_order.filled_quantity == 0 and not changed.canceled_ns:
        done += _dropped_behind(state, event.instrument_id)
    return done


def listed(state: State, event: TriggersListed) -> list[actions.Action]:
    """Take the venue's list: adopt stops of an earlier run, ask about those that are missing."""
    book = state.protection
    book.listed = True
    done = _of_others(state, event)
    seen: set[str] = set()
    for trigger in event.triggers:
        key = trigger.client_order_id
        if key is None or not identity.is_ours(key):
            continue
        seen.add(key)
        done += _listed_one(state, trigger, key, event)
    for key, order in sorted(book.orders.active.items()):
        if key in seen or order.created_ns > event.asked_ns - LIST_DELAY_NS:
            continue
        if order.state is not OrderState.JOURNALED:
            done.append(_resolve(order, key))
    return done


def _of_others(state: State, event: TriggersListed) -> list[actions.Action]:
    # What could grow a position is counted by the gate like an order in the book.
    state.orders.foreign_waiting = {
        trigger.venue_order_id: OpenOrder(
            client_order_id=None,
            venue_order_id=trigger.venue_order_id,
            instrument_id=trigger.instrument_id,
            side=trigger.side,
            quantity=trigger.quantity,
            filled_quantity=Decimal(0),
            price_limit=None,
            reduce_only=False,
            state=OrderState.ACCEPTED,
        )
        for trigger in event.triggers
        if not trigger.reduce_only
        and trigger.quantity is not None
        and not (trigger.client_order_id and identity.is_ours(trigger.client_order_id))
    }
    if not state.orders.foreign_waiting or foreign_book.tolerated(state):
        return []
    found = ",".join(sorted(state.orders.foreign_waiting))
    words = "the venue holds back orders that are not ours and could grow a position"
    return foreign_book.foreign(state, words, {"venue_order_ids": found})


def acted(
    state: State, instrument_id: str, before: Decimal, *, first: bool
) -> list[actions.Action]:
    """Answer an execution of a stop: a lost hedge cuts the core, a lost core closes its hedges.

    `before` = signed base units held before it; `first` = the stop's first one, which is told.
    """
    if not state.account.complete:
        state.protection.acted[instrument_id] = None
        return []
    done: list[actions.Action] = []
    if first:
        left = state.account.quantities().get(instrument_id, Decimal(0))
        words = f"the stop of {instrument_id} acted: from {before} to {left}"
        done.append(
            recording.incident(state, "stop.acted", "critical", words, {"before": str(before)})
        )
    return done + _answer_loss(state, instrument_id, str(before))


def act_late(state: State) -> list[actions.Action]:
    """Answer stops that acted while no daemon ran, as soon as the account is known.

    Before any plan goes on: a pair of before would buy back what its stop has just closed.
    """
    done: list[actions.Action] = []
    for instrument_id in list(state.protection.acted):
        del state.protection.acted[instrument_id]
        words = f"the stop of {instrument_id} acted while no daemon ran"
        done.append(recording.incident(state, "stop.acted", "critical", words, {}))
        done += _answer_loss(state, instrument_id, "what was recorded")
    return done


def is_idle(state: State) -> bool:
    """Tell whether no stop of ours is left at the venue or on its way there."""
    return not state.protection.orders.active


def _answer_loss(state: State, instrument_id: str, before: str) -> list[actions.Action]:
    if instrument_id != state.strategy.core_instrument:
        return guarding.leg_vanished(state)
    if instrument_id in state.account.quantities() or state.core_vanished:
        return []
    return delisting.core_vanished(state, before)


def _list(state: State) -> list[actions.Action]:
    book = state.protection
    waited_for = not is_idle(state) or state.orders.foreign_waiting
    if book.listed and state.run.protection is None and not waited_for:
        # What others have the venue hold back goes without a word: only the next list tells.
        return []
    gap_ns = LIST_NS if book.listed else LIST_FIRST_NS
    if state.now_ns - book.asked_ns < gap_ns:
        return []
    book.asked_ns = state.now_ns
    return [actions.ListTriggers()]


def _keep(state: State) -> list[actions.Action]:
    book = state.protection
    held = state.account.quantities()
    done: list[actions.Action] = []
    guarded = state.run.protection is not None
    # What the record holds and the start's answers lack may be there after all.
    doubted = {n for n, p in (state.recorded or {}).items() if p.quantity != 0} - held.keys()
    for name in sorted({o.open_order.instrument_id for o in book.orders.active.values()}):
        if guarded and name in doubted:
            continue
        if name not in held or not guarded or name in state.run.unmanaged:
            done += _drop(state, book.waiting(name))
    if state.run.protection is None or state.stopping is not None or not held:
        return done
    view = views.risk_view(state, state.market.view(state.now_ns))
    targets = protection.stop_targets(view, state.guard, state.run.protection)
    due: list[str] = []
    for name, target in targets.items():
        waiting = book.waiting(name)
        fits = [o for o in waiting if _fits(state, o, target, view.marks[name])]
        if fits:
            done += _drop(state, [o for o in waiting if o is not fits[0]])
        elif _may_place(state, name):
            due.append(name)
    if due:
        done += _place(state, view, state.run.protection, tuple(due))
    return done


def _fits(state: State, order: TrackedOrder, target: StopTarget, mark: Decimal) -> bool:
    book, parameters = state.protection, state.run.protection
    assert parameters is not None, "stops are kept"
    stop = order.open_order
    held = state.account.quantities()
    most = abs(held.get(stop.instrument_id, Decimal(0)))
    least = target.quantity * (1 - parameters.stop_quantity_band)
    if stop.side is not target.side or not least <= stop.quantity <= most:
        return False
    leg = book.leg(stop.instrument_id)
    # The market alone moves a stop once per cycle. A trade of any leg moves liquidation, which a
    # stop placed before it may lie beyond.
    if leg.slot_ns == state.cycle_slot_ns and leg.held == held:
        return True
    trigger = book.trigger_prices.get(stop.client_order_id or "")
    return trigger is not None and (
        abs(trigger - target.trigger_price) <= parameters.stop_band * mark
    )


def _may_place(state: State, instrument_id: str) -> bool:
    on_its_way = {OrderState.JOURNALED, OrderState.SUBMITTED}
    if any(o.state in on_its_way for o in state.protection.of_leg(instrument_id)):
        return False
    leg = state.protection.leg(instrument_id)
    failures = leg.refusals + leg.unanswered
    gap_ns = min(PLACE_GAP_NS << min(failures, 10), PLACE_GAP_NS_MAX)
    return state.now_ns - leg.placed_ns >= gap_ns


def _place(
    state: State, view: RiskView, parameters: ProtectionParameters, names: tuple[str, ...]
) -> list[actions.Action]:
    inputs = ProtectionInputs(
        risk=view, guard=state.guard, parameters=parameters, instrument_ids=names
    )
    outputs = recompute(inputs)
    state.sequence += 1
    decision_id = identity.decision_id(
        state.run.account_id, state.run.epoch, state.sequence, state.now_ns
    )
    submits: list[actions.Action] = []
    for target in outputs.targets:
        approved = gate.approve_reduction(_intent(state, target, decision_id), view)
        assert approved is not None, "a stop is against a held position"
        leg = state.protection.leg(target.instrument_id)
        leg.placed_ns, leg.slot_ns = state.now_ns, state.cycle_slot_ns
        leg.held = state.account.quantities()
        state.protection.orders.journaled(approved, view.quantities[target.instrument_id])
        state.protection.trigger_prices[approved.intent.client_order_id] = target.trigger_price
        written = recording.intent_written(state, approved)
        submits.append(actions.Submit(approved=approved, intent=written))
    summary = "Stops at the venue: " + ", ".join(
        f"{t.instrument_id} {t.side.value} {t.quantity} at mark {t.trigger_price}"
        for t in outputs.targets
    )
    return [*_decision(state, decision_id, inputs, outputs, summary), *submits]


def _decision(
    state: State,
    decision_id: str,
    inputs: ProtectionInputs,
    outputs: ProtectionOutputs,
    summary: str,
) -> list[actions.Action]:
    made = DecisionMade(
        decision_id=decision_id,
        run_id=state.run.run_id,
        account_id=state.run.account_id,
        kind=KIND,
        slot_ns=state.now_ns,
        decided_ns=state.now_ns,
        trading_state=state.trading_state.value,
        action="protected",
        reasons=("PROTECTIVE_STOP",),
        summary=summary,
        strategy_version=STRATEGY_VERSION,
        equity=inputs.risk.equity,
        leverage=state.leverage,
        leverage_max=state.leverage_max,
        inputs=state.encode(inputs),
        outputs=state.encode(outputs),
    )
    ended = DecisionEnded(
        decision_id=decision_id,
        run_id=state.run.run_id,
        outcome=PLACED,
        summary=summary,
        orders_sent=len(outputs.targets),
        orders_filled=0,
        leverage=state.leverage,
        leverage_max=state.leverage_max,
        ended_ns=state.now_ns,
    )
    return [actions.Write(record=made), actions.Write(record=ended)]


def _intent(state: State, target: StopTarget, decision_id: str) -> OrderIntent:
    return OrderIntent(
        client_order_id=identity.client_order_id(
            state.run.account_id, decision_id, target.instrument_id, 0
        ),
        decision_id=decision_id,
        instrument_id=target.instrument_id,
        leg=target.leg,
        source=IntentSource.PROTECTION,
        side=target.side,
        quantity=target.quantity,
        kind=OrderKind.MARKET,
        price_limit=None,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        attempt=0,
        created_ns=state.now_ns,
        trigger_price=target.trigger_price,
    )


def _drop(state: State, orders: Sequence[TrackedOrder]) -> list[actions.Action]:
    done: list[actions.Action] = []
    for order in orders:
        key = order.open_order.client_order_id or ""
        if state.protection.orders.cancel_due(key, state.now_ns, DROP_AGAIN_NS):
            done.append(
                actions.CancelTrigger(
                    instrument_id=order.open_order.instrument_id, client_order_id=key
                )
            )
    return done


def _resolve(order: TrackedOrder, client_order_id: str) -> actions.Action:
    return actions.ResolveTrigger(
        instrument_id=order.open_order.instrument_id,
        client_order_id=client_order_id,
        expires_ns=order.expires_ns,
    )


def _listed_one(
    state: State, trigger: WaitingTrigger, key: str, event: TriggersListed
) -> list[actions.Action]:
    book = state.protection
    known = book.orders.get(key)
    if known is not None and known.over:
        # Said to be over, and there it stands: it is not kept in step, so it goes.
        late = event.asked_ns > known.created_ns + LIST_NS
        drop = actions.CancelTrigger(instrument_id=trigger.instrument_id, client_order_id=key)
        return [drop] if late else []
    if known is None:
        found = OpenOrder(
            client_order_id=key,
            venue_order_id=trigger.venue_order_id,
            instrument_id=trigger.instrument_id,
            side=trigger.side,
            quantity=trigger.quantity or Decimal(0),
            filled_quantity=Decimal(0),
            price_limit=None,
            reduce_only=trigger.reduce_only,
            state=OrderState.ACCEPTED,
        )
        book.orders.adopt(found, created_ns=event.asked_ns, expires_ns=event.asked_ns)
    if trigger.trigger_price is not None:
        book.trigger_prices[key] = trigger.trigger_price
    if known is None or known.state is OrderState.ACCEPTED:
        return []
    return told(
        state,
        OrderUpdate(
            client_order_id=key,
            venue_order_id=trigger.venue_order_id,
            instrument_id=trigger.instrument_id,
            state=OrderState.ACCEPTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.REST,
            code=None,
            message="listed by the venue",
            order=None,
            event_ns=event.received_ns,
            received_ns=event.received_ns,
        ),
    )


def _dropped_behind(state: State, instrument_id: str) -> list[actions.Action]:
    if instrument_id not in state.account.quantities():
        # The venue drops the stop of a position that is gone.
        return []
    words = f"the stop of {instrument_id} was dropped by somebody else; a new one is placed"
    return [recording.incident(state, "stop.dropped", "error", words, {})]
