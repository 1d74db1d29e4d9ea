"""Every order that may still fill, and what became of each."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import OrderUpdate
from counterpoise.domain.orders import (
    TERMINAL,
    TRANSITIONS,
    ApprovedOrder,
    OrderState,
)
from counterpoise.domain.units import NS_PER_SECOND

#: Orders that are over and still answer late messages.
FINISHED_REMEMBERED_MAX: Final = 2_000

#: A reduction without an end is counted on for this long.
REDUCTION_COUNTS_NS: Final = 5 * NS_PER_SECOND

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedOrder:
    """One order of ours."""

    #: As the gate counts it.
    open_order: OpenOrder
    #: The decision it carries out; None = adopted at start.
    decision_id: str | None
    #: When the intent was made, ns.
    created_ns: int
    #: After this instant it is no longer sent, ns.
    expires_ns: int
    #: When the venue was last asked what became of it, ns; 0 = never.
    asked_ns: int = 0
    #: True = the venue knows it: an absence later needs stronger evidence.
    acknowledged: bool = False

    @property
    def state(self) -> OrderState:
        """Lifecycle state."""
        return self.open_order.state

    @property
    def over(self) -> bool:
        """True = nothing can follow."""
        return self.state in TERMINAL


@dataclass(slots=True, kw_only=True)
class OrderTracker:
    """Our orders by client order id, and orders of others by venue order id."""

    active: dict[str, TrackedOrder] = field(default_factory=dict)
    finished: OrderedDict[str, TrackedOrder] = field(default_factory=OrderedDict)
    #: Orders without an id of ours, by venue order id.
    foreign: dict[str, OpenOrder] = field(default_factory=dict)

    def journaled(self, approved: ApprovedOrder) -> TrackedOrder:
        """Count an order from the moment it is handed to the journal."""
        intent = approved.intent
        assert intent.client_order_id not in self.active, "client order id used twice"
        assert intent.client_order_id not in self.finished, "client order id used again"
        order = TrackedOrder(
            open_order=OpenOrder(
                client_order_id=intent.client_order_id,
                venue_order_id=None,
                instrument_id=intent.instrument_id,
                side=intent.side,
                quantity=approved.quantity,
                filled_quantity=ZERO,
                price_limit=intent.price_limit,
                reduce_only=intent.reduce_only,
                state=OrderState.JOURNALED,
            ),
            decision_id=intent.decision_id,
            created_ns=intent.created_ns,
            expires_ns=approved.expires_ns,
        )
        self.active[intent.client_order_id] = order
        return order

    def adopt(self, order: OpenOrder, *, created_ns: int, expires_ns: int) -> None:
        """Take over an order found at start, in its venue's state or as UNKNOWN."""
        if order.client_order_id is None:
            assert order.venue_order_id is not None, "an order needs one id"
            self.foreign[order.venue_order_id] = order
            return
        if order.client_order_id in self.finished:
            return
        known = self.active.get(order.client_order_id)
        self.active[order.client_order_id] = TrackedOrder(
            open_order=order,
            decision_id=None if known is None else known.decision_id,
            created_ns=created_ns if known is None else known.created_ns,
            expires_ns=expires_ns if known is None else known.expires_ns,
            acknowledged=order.venue_order_id is not None,
        )

    def get(self, client_order_id: str) -> TrackedOrder | None:
        """Return one of our orders, active or recently over."""
        return self.active.get(client_order_id) or self.finished.get(client_order_id)

    def told(self, update: OrderUpdate) -> TrackedOrder | None:
        """Apply an update; return the order if it changed, None if nothing did.

        Duplicates, late and reordered messages change nothing: a state moves only along
        `TRANSITIONS` and the filled quantity only grows.
        """
        if update.client_order_id is None or update.client_order_id not in self.active:
            self._told_foreign(update)
            return None
        order = self.active[update.client_order_id]
        before = order.open_order
        filled = max(before.filled_quantity, update.filled_quantity or ZERO)
        if update.state is OrderState.PARTIALLY_FILLED and filled == before.filled_quantity:
            return None
        if update.state not in TRANSITIONS[before.state]:
            return None
        after = replace(
            before,
            state=update.state,
            filled_quantity=filled,
            venue_order_id=update.venue_order_id or before.venue_order_id,
        )
        changed = replace(
            order,
            open_order=after,
            acknowledged=order.acknowledged or after.venue_order_id is not None,
        )
        self._keep(update.client_order_id, changed)
        return changed

    def asked(self, client_order_id: str, now_ns: int) -> None:
        """Note that the venue is being asked about an order."""
        order = self.active[client_order_id]
        self.active[client_order_id] = replace(order, asked_ns=now_ns)

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return all that may still fill, in a fixed order, as the gate counts it."""
        ours = [self.active[key].open_order for key in sorted(self.active)]
        others = [self.foreign[key] for key in sorted(self.foreign)]
        return tuple(ours + others)

    def unresolved(self) -> frozenset[str]:
        """Return instruments that have an order with unknown outcome."""
        return frozenset(
            order.open_order.instrument_id
            for order in self.active.values()
            if order.state is OrderState.UNKNOWN
        )

    def reducing(self, now_ns: int) -> dict[str, Decimal]:
        """Return base units per instrument that working reduce-only orders may still take off.

        An order counts for `REDUCTION_COUNTS_NS`, time enough to fill or to ask what became of
        it. After that a reduction that may never come must not stop the next one, and reduce-only
        keeps a double one from doing harm.
        """
        working: dict[str, Decimal] = {}
        for order in self.active.values():
            young = now_ns - order.created_ns <= REDUCTION_COUNTS_NS
            if order.open_order.reduce_only and young:
                instrument_id = order.open_order.instrument_id
                left = working.get(instrument_id, ZERO) + order.open_order.remaining
                working[instrument_id] = left
        return working

    def at_work(self, instrument_id: str) -> bool:
        """Tell whether an order of ours that the venue took may still fill in an instrument."""
        return any(
            o.open_order.instrument_id == instrument_id and o.state is not OrderState.UNKNOWN
            for o in self.active.values()
        )

    def increase_at_work(self) -> bool:
        """Tell whether an order that may grow a position is on its way, outcome not unknown."""
        return any(
            not o.open_order.reduce_only and o.state is not OrderState.UNKNOWN
            for o in self.active.values()
        )

    def reconciled(self, open_orders: tuple[OpenOrder, ...], asked_ns: int) -> list[TrackedOrder]:
        """Compare with the venue's list; return our acknowledged orders it no longer has.

        Orders made after `asked_ns` may be missing from an older answer and are left alone.
        """
        listed = {o.client_order_id for o in open_orders if o.client_order_id is not None}
        self.foreign = {
            o.venue_order_id: o
            for o in open_orders
            if o.venue_order_id is not None
            and (o.client_order_id is None or self.get(o.client_order_id) is None)
        }
        return [
            order
            for key, order in sorted(self.active.items())
            if key not in listed and order.acknowledged and order.created_ns < asked_ns
        ]

    def _told_foreign(self, update: OrderUpdate) -> None:
        if update.client_order_id is not None and update.client_order_id in self.finished:
            return
        if update.venue_order_id is None:
            return
        if update.state in TERMINAL:
            self.foreign.pop(update.venue_order_id, None)
        elif update.order is not None:
            self.foreign[update.venue_order_id] = update.order

    def _keep(self, client_order_id: str, order: TrackedOrder) -> None:
        if not order.over:
            self.active[client_order_id] = order
            return
        del self.active[client_order_id]
        self.finished[client_order_id] = order
        while len(self.finished) > FINISHED_REMEMBERED_MAX:
            self.finished.popitem(last=False)
