"""Positions, balances, fills and funding as they are told, and what is written of them."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain import identity
from counterpoise.domain.account import Position
from counterpoise.domain.events import (
    BalanceUpdate,
    FillReported,
    FundingPaid,
    PositionUpdate,
    Transferred,
)
from counterpoise.domain.orders import Fill, FillCause
from counterpoise.domain.records import FundingSeen, TransferSeen
from counterpoise.engine import (
    actions,
    clocking,
    delisting,
    guarding,
    orders_told,
    protecting,
    recording,
    views,
    working,
)
from counterpoise.engine.contradiction import CONFIRM_NS
from counterpoise.engine.foreign_book import foreign, is_strange, tolerated
from counterpoise.engine.same_instant import STAMPS_APART_NS, Instant
from counterpoise.engine.state import State

#: Funding payments, and transfers, kept to recognise one told twice; years of them.
FUNDING_REMEMBERED_MAX: Final = 20_000
#: Executions by which the venue takes a position away.
SEIZURES: Final = frozenset({FillCause.LIQUIDATION, FillCause.ADL})


def told_position(state: State, event: PositionUpdate) -> list[actions.Action]:
    """Take a position message; write it if the quantity changed."""
    told = event.position
    known = state.account.positions.get(told.instrument_id)
    told_before = state.account.told.get(told.instrument_id)
    state.account.alive_ns = event.received_ns
    answered = state.account.is_answered(told.instrument_id, told.event_ns)
    instant = state.account.told_instant(told.instrument_id)
    _ask_again(state, answered=state.account.is_doubtful(told))
    if not state.account.told_position(told):
        return []
    done: list[actions.Action] = []
    held = known.quantity if known else Decimal(0)
    if held != told.quantity:
        done.append(recording.position(state, told, "stream"))
        _ask_again(state, answered=answered)
    shrank = _shrank(state, told.instrument_id, abs(held))
    if shrank and not _may_be_ours(state, told, held, told_before, instant):
        state.account.took(told.instrument_id, abs(held) - abs(told.quantity))
        done += vanished(state, told.instrument_id, held, "without an order of ours")
    if told.quantity != 0 and is_strange(state, told.instrument_id):
        done += foreign(
            state,
            f"a position in {told.instrument_id} that this configuration does not hold appeared",
            {"instrument_id": told.instrument_id, "quantity": str(told.quantity)},
        )
    return done + guarding.watch(state)


def _ask_again(state: State, *, answered: bool) -> None:
    # What an answer should have had and had not: either one of them is not true any more. Or what
    # only quantities told from executions: an answer a moment later knows.
    if answered and state.ask_again_ns is None:
        state.ask_again_ns = state.now_ns + CONFIRM_NS


def vanished(state: State, instrument_id: str, before: Decimal, how: str) -> list[actions.Action]:
    """Say that a position went away without us (ADL, liquidation), and answer it at once.

    The core is cut for a hedge, and the hedges are closed for a core of which nothing is left.
    Whatever was under way grows nothing more.
    """
    left = state.account.quantities().get(instrument_id, Decimal(0))
    core = instrument_id == state.strategy.core_instrument
    if core and left == 0:
        return delisting.core_vanished(state, str(before))
    words = f"{instrument_id} went to {left} from {before} {how}"
    told = recording.incident(state, "leg.vanished", "critical", words, {})
    if core:
        return [told, *working.drop_increases(state, "the venue took a part of the core away")]
    return [told, *guarding.leg_vanished(state)]


def _may_be_ours(
    state: State, told: Position, held: Decimal, before: Position | None, instant: Instant | None
) -> bool:
    # Two messages of the venue are in order, so that one which tells less than the one before
    # takes orders against the position, and no more than these may fill. Against our own count of
    # executions the message may also be of a moment between two of them.
    orders, name = state.orders, told.instrument_id
    explained = orders.may_take_off(name, held, 0 if before is None else before.event_ns, instant)
    if before is None or abs(told.quantity) >= abs(before.quantity):
        explained += orders.added_lately(name, held, told.event_ns - STAMPS_APART_NS)
    return abs(held) - abs(told.quantity) <= explained


def _is_unanswered_seizure(state: State, fill: Fill) -> bool:
    # What the venue took is told as such by its execution, whatever message moved the position
    # first and whosever doing that was taken for.
    name = fill.instrument_id
    if fill.cause not in SEIZURES or name in state.run.unmanaged or not state.account.complete:
        return False
    if fill.event_ns <= state.account.sums.base_ns:
        return False
    known = state.account.taken.get(name, Decimal(0))
    state.account.taken[name] = max(Decimal(0), known - fill.quantity)
    return fill.quantity > known


def _shrank(state: State, instrument_id: str, before: Decimal) -> bool:
    if instrument_id in state.run.unmanaged or not state.account.complete:
        return False
    return abs(state.account.quantities().get(instrument_id, Decimal(0))) < before


def told_balance(state: State, event: BalanceUpdate) -> list[actions.Action]:
    """Take a balance message."""
    state.account.alive_ns = event.received_ns
    stamp_ns = clocking.not_ahead(state, event.balance.event_ns)
    balance = replace(event.balance, event_ns=stamp_ns)
    state.account.told_balance(balance, views.marks(state), event.received_ns)
    return guarding.watch(state)


def told_fill(state: State, event: FillReported) -> list[actions.Action]:
    """Take an execution once, whoever tells it; it is written even if its order is unknown."""
    fill = event.fill
    key = fill.client_order_id or ""
    stop = state.protection.orders.get(key)
    ours = stop or state.orders.get(key)
    held_before = state.account.quantities().get(fill.instrument_id, Decimal(0))
    before = abs(held_before)
    reduce_only = ours is not None and ours.open_order.reduce_only
    if not state.account.told_fill(fill, reduce_only=reduce_only):
        return []
    known = state.orders.get(key)
    executed = state.orders.executed(fill.instrument_id, fill.client_order_id, fill.quantity)
    done: list[actions.Action] = [recording.fill(state, event)]
    if executed is not None:
        done += orders_told.overfilled(state, known, executed)
    if stop is not None:
        state.protection.orders.executed(fill.instrument_id, key, fill.quantity)
        done += protecting.acted(state, fill.instrument_id, held_before, first=not stop.executed)
    if ours is None and _shrank(state, fill.instrument_id, before):
        how = "by an execution that is not of an order of ours"
        done += vanished(state, fill.instrument_id, held_before, how)
    elif _is_unanswered_seizure(state, fill):
        left = state.account.quantities().get(fill.instrument_id, Decimal(0))
        how = "by an execution of the venue's own"
        done += vanished(state, fill.instrument_id, left - fill.signed_quantity, how)
    if state.account.quantities().get(fill.instrument_id, Decimal(0)) != held_before:
        answered = state.account.is_answered(fill.instrument_id, fill.event_ns)
        _ask_again(state, answered=answered)
    held = state.account.positions.get(fill.instrument_id)
    if held is not None:
        done.append(recording.position(state, held, "fill"))
    ours_by_id = fill.client_order_id is not None and identity.is_ours(fill.client_order_id)
    if not ours_by_id and not tolerated(state):
        done += foreign(
            state,
            f"{fill.instrument_id} was traded by an order that is not ours",
            {
                "fill_id": fill.fill_id,
                "venue_order_id": fill.venue_order_id,
                "quantity": str(fill.signed_quantity),
            },
        )
    return done + guarding.watch(state)


def told_funding(state: State, event: FundingPaid) -> list[actions.Action]:
    """Take a funding payment once."""
    if event.payment_id in state.funding_seen:
        return []
    state.funding_seen[event.payment_id] = None
    while len(state.funding_seen) > FUNDING_REMEMBERED_MAX:
        state.funding_seen.popitem(last=False)
    state.account.told_funding(event.payment, event.event_ns)
    return [
        actions.Write(
            record=FundingSeen(
                account_id=state.run.account_id,
                payment_id=event.payment_id,
                run_id=state.run.run_id,
                instrument_id=event.instrument_id,
                payment=event.payment,
                event_ns=event.event_ns,
                received_ns=event.received_ns,
            )
        )
    ]


def told_transfer(state: State, event: Transferred) -> list[actions.Action]:
    """Take a deposit or withdrawal once, by the venue's id."""
    if event.transfer_id in state.transfers_seen:
        return []
    state.transfers_seen[event.transfer_id] = None
    while len(state.transfers_seen) > FUNDING_REMEMBERED_MAX:
        state.transfers_seen.popitem(last=False)
    state.account.told_transfer(event.transfer, event.event_ns)
    return [
        actions.Write(
            record=TransferSeen(
                account_id=state.run.account_id,
                transfer_id=event.transfer_id,
                run_id=state.run.run_id,
                transfer=event.transfer,
                event_ns=event.event_ns,
                recorded_ns=state.now_ns,
            )
        ),
        *guarding.watch(state),
    ]
