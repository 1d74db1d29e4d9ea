"""Events in, actions out: the one place where state changes."""

from counterpoise.domain import events
from counterpoise.domain.arithmetic import counted_in_money
from counterpoise.engine import (
    actions,
    attesting,
    clocking,
    controls,
    cycling,
    delisting,
    guarding,
    minding,
    orders_told,
    protecting,
    reconciling,
    stating,
)
from counterpoise.engine.account_told import (
    told_balance,
    told_fill,
    told_funding,
    told_position,
    told_transfer,
)
from counterpoise.engine.state import State


@counted_in_money
def step(state: State, event: events.Event) -> list[actions.Action]:  # noqa: C901, PLR0911, PLR0912
    """Apply one event to the state; return what the outside is to do, in order.

    Pure but for `state`: the same events give the same actions.
    """
    state.now_ns = max(state.now_ns, event_ns(event))
    match event:
        case events.BookSnapshot() | events.BookDelta() | events.BookGap():
            state.market.apply(event)
            return []
        case events.MarkPrice():
            state.market.apply(event)
            return guarding.watch(state)
        case events.FundingRate() | events.LiquidationPrinted() | events.TradedVolume():
            state.market.apply(event)
            return []
        case events.StreamAlive() | events.StreamDown():
            return minding.stream(state, event)
        case events.PositionUpdate():
            return told_position(state, event)
        case events.BalanceUpdate():
            return told_balance(state, event)
        case events.FillReported():
            return told_fill(state, event)
        case events.FundingPaid():
            return told_funding(state, event)
        case events.Transferred():
            return told_transfer(state, event)
        case events.ClockMeasured():
            return clocking.measured(state, event)
        case events.AccountAttested():
            return attesting.attested(state, event)
        case events.InstrumentStateTold():
            return delisting.told(state, event)
        case events.OrderUpdate():
            return stating.updated(state, event)
        case events.OrderAbsent():
            return orders_told.absent(state, event)
        case events.OrderUnresolved():
            return stating.unresolved(state, event)
        case events.TriggersListed():
            return protecting.listed(state, event)
        case events.AccountReconciled():
            return reconciling.reconciled(state, event)
        case events.ReconciliationFailed():
            return reconciling.failed(state, event)
        case events.CycleDue():
            return [] if state.stopping is not None else cycling.due(state, event)
        case events.Tick():
            return minding.tick(state, event)
        case events.ControlRequested(action=events.ControlAction.RESOLVE_ORDER):
            return stating.handle(state, event)
        case events.ControlRequested():
            return controls.handle(state, event)
        case events.LedgerHealth() | events.LeaseHealth():
            return minding.health(state, event)


def event_ns(event: events.Event) -> int:
    """Return our clock at an event, ns."""
    match event:
        case events.CycleDue() | events.Tick():
            return event.now_ns
        case events.FillReported():
            return event.fill.received_ns
        case events.AccountReconciled():
            return event.snapshot.received_ns
        case _:
            return event.received_ns
