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
from counterpoise.engine.actions import Resolve
from counterpoise.engine.same_instant import Instant

ZERO: Final = Decimal(0)

#: Code of an end that evidence, not the venue's answer, gave an order.
PROVEN_ABSENT: Final = "PROVEN_ABSENT"
#: And of one that the end of its market gave: whether it traded before is not told.
MARKET_ENDED: Final = "MARKET_ENDED"

#: Orders that are over and still answer late messages.
FINISHED_REMEMBERED_MAX: Final = 2_000

#: A reduction without an end is counted on for this long.
REDUCTION_COUNTS_NS: Final = 5 * NS_PER_SECOND

#: States in which the venue has an order in its book.
IN_BOOK: Final = frozenset({OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED})


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
    #: True = it may stay in the book until it is canceled.
    rests: bool = False
    #: When a cancel was last asked for, ns; 0 = never.
    canceled_ns: int = 0
    #: Signed base units held when it was made; None = not known, or others have moved it since.
    held_before: Decimal | None = None
    #: True = the venue's evidence neither found it nor proved it absent.
    unresolved: bool = False
    #: Executions told of it one by one, base units.
    executed: Decimal = ZERO
    #: Filled in all so far as an update last said, base units.
    filled_told: Decimal = ZERO
    #: When it had filled that much, by the venue's clock, ns.
    filled_ns: int = 0
    #: Of that, base units that the account showed otherwise than by executions.
    shown: Decimal = ZERO
    #: True = over, though no answer of the venue named it with that end.
    presumed: bool = False

    @property
    def state(self) -> OrderState:
        """Lifecycle state."""
        return self.open_order.state

    @property
    def over(self) -> bool:
        """True = nothing can follow."""
        return self.state in TERMINAL

    @property
    def unshown(self) -> Decimal:
        """Base units told as filled that nothing the account was told of shows yet."""
        return max(ZERO, self.filled_told - max(self.executed, self.shown))

    def untold(self, shown_ns: int, instant: Instant | None = None) -> Decimal:
        """Return base units it may have filled, or may yet fill, without an execution told.

        `shown_ns` = what the account shows, by the venue's clock; it has fills up to then, but of
        the last `instant` told of it only what that shows; None = all.
        """
        if self.unresolved:
            return ZERO
        filled = self.open_order.quantity if not self.over else self.filled_told
        shown = ZERO
        if self.over and self.filled_ns <= shown_ns:
            ahead = None if instant is None else instant.ahead_at(self.filled_ns)
            if ahead is None:
                return ZERO
            shown = max(ZERO, ahead * self.open_order.side.sign)
        return max(ZERO, filled - self.executed - shown)


@dataclass(slots=True, kw_only=True)
class OrderTracker:
    """Our orders by client order id, and orders of others by venue order id."""

    active: dict[str, TrackedOrder] = field(default_factory=dict)
    finished: OrderedDict[str, TrackedOrder] = field(default_factory=OrderedDict)
    #: Orders without an id of ours, by venue order id.
    foreign: dict[str, OpenOrder] = field(default_factory=dict)
    #: Orders of others that the venue holds back and that could grow a position, by its id.
    foreign_waiting: dict[str, OpenOrder] = field(default_factory=dict)
    #: Our orders with something unshown, and when it was told, our clock, ns (`engine.unshown`).
    unshown: dict[str, int] = field(default_factory=dict)
    #: When the account was last asked for because of them, ns; 0 = never.
    unshown_asked_ns: int = 0

    def journaled(self, approved: ApprovedOrder, held: Decimal | None = None) -> TrackedOrder:
        """Count an order from the moment it is handed to the journal.

        `held` = signed base units held in its instrument now.
        """
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
            rests=intent.rests,
            held_before=held,
        )
        self.active[intent.client_order_id] = order
        return order

    def adopt(
        self,
        order: OpenOrder,
        *,
        created_ns: int,
        expires_ns: int,
        rests: bool = False,
        executed: Decimal = ZERO,
    ) -> None:
        """Take over an order found at start, in its venue's state or as UNKNOWN.

        `rests` = it was sent to stay in the book; one that stands there is taken to. `executed` =
        base units of its executions that were counted before and are not told again.
        """
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
            rests=rests or order.state in IN_BOOK or (known is not None and known.rests),
            filled_told=order.filled_quantity,
            shown=order.filled_quantity,
            executed=executed,
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
        told = update.filled_quantity or ZERO
        partial = OrderState.PARTIALLY_FILLED
        if update.state is before.state is partial and told <= order.filled_told:
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
            filled_told=max(order.filled_told, told),
            filled_ns=update.event_ns if told > order.filled_told else order.filled_ns,
            unresolved=order.unresolved and update.state is OrderState.UNKNOWN,
            presumed=update.state in TERMINAL and update.venue_order_id is None,
        )
        self._keep(update.client_order_id, changed)
        if told > order.filled_told:
            self.unshown[update.client_order_id] = update.received_ns
            self._forget_if_shown(changed)
        return changed

    def executed(
        self, instrument_id: str, client_order_id: str | None, quantity: Decimal
    ) -> TrackedOrder | None:
        """Count an execution that was told for the first time; None = not an order of ours.

        The filled quantity is at least what was executed, whatever the updates say or lack; it
        grows for an order that is over, too. The state is left to the updates.
        """
        for key, other in self.active.items():
            if key != client_order_id and other.open_order.instrument_id == instrument_id:
                self.active[key] = replace(other, held_before=None)
        order = None if client_order_id is None else self.get(client_order_id)
        if order is None or client_order_id is None:
            return None
        executed = order.executed + quantity
        filled = max(order.open_order.filled_quantity, executed)
        changed = replace(
            order,
            executed=executed,
            open_order=replace(order.open_order, filled_quantity=filled),
        )
        book = self.active if client_order_id in self.active else self.finished
        book[client_order_id] = changed
        self._forget_if_shown(changed)
        return changed

    def show(self, client_order_id: str) -> None:
        """Note that the account shows all an order was told to have filled so far."""
        self.unshown.pop(client_order_id, None)
        book = self.active if client_order_id in self.active else self.finished
        order = book.get(client_order_id)
        if order is not None:
            book[client_order_id] = replace(order, shown=order.filled_told)

    def take_back(self, client_order_id: str) -> bool:
        """Count an order again that was taken for over and that the venue shows in its book.

        False = it is not over, or the venue itself told its end: then what shows it is older.
        """
        order = self.finished.get(client_order_id)
        if order is None or not order.presumed:
            return False
        del self.finished[client_order_id]
        shown = replace(order.open_order, state=OrderState.UNKNOWN)
        self.active[client_order_id] = replace(
            order, open_order=shown, presumed=False, rests=True, canceled_ns=0
        )
        return True

    def leave_unresolved(self, client_order_id: str) -> None:
        """Note that evidence does not resolve an order; the next update that does takes it back."""
        order = self.active[client_order_id]
        self.active[client_order_id] = replace(order, unresolved=True)

    def cancel_due(self, client_order_id: str, now_ns: int, gap_ns: int) -> bool:
        """Note that a cancel is asked for; False = one was asked for less than `gap_ns` ago."""
        order = self.active[client_order_id]
        if order.canceled_ns and now_ns - order.canceled_ns < gap_ns:
            return False
        self.active[client_order_id] = replace(order, canceled_ns=now_ns)
        return True

    def resting(self, instrument_id: str) -> list[TrackedOrder]:
        """Return our orders that may stand in an instrument's book, in a fixed order."""
        return [
            order
            for _, order in sorted(self.active.items())
            if order.rests and order.open_order.instrument_id == instrument_id
        ]

    def ask(self, client_order_id: str, now_ns: int) -> Resolve:
        """Return the question what became of an order at work, and note that it is asked."""
        order = self.active[client_order_id]
        self.active[client_order_id] = replace(order, asked_ns=now_ns)
        return Resolve(
            instrument_id=order.open_order.instrument_id,
            client_order_id=client_order_id,
            created_ns=order.created_ns,
            expires_ns=order.expires_ns,
            quantity=order.open_order.quantity,
            sign=order.open_order.side.sign,
            reduce_only=order.open_order.reduce_only,
            position_before=order.held_before,
        )

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return all that may still fill, in a fixed order, as the gate counts it."""
        ours = [self.active[key].open_order for key in sorted(self.active)]
        others = [self.foreign[key] for key in sorted(self.foreign)]
        # One that is held back may act at any mark, and asks nobody then.
        waiting = [self.foreign_waiting[key] for key in sorted(self.foreign_waiting)]
        return tuple(ours + others + waiting)

    def of_others(self) -> list[str]:
        """Return the venue's ids of orders that are not ours, held back or in the book."""
        return sorted({*self.foreign, *self.foreign_waiting})

    def unresolved(self) -> frozenset[str]:
        """Return instruments that have an order with unknown outcome."""
        return frozenset(
            order.open_order.instrument_id
            for order in self.active.values()
            if order.state is OrderState.UNKNOWN
        )

    def reducing(self, now_ns: int, unended_ns: int = REDUCTION_COUNTS_NS) -> dict[str, Decimal]:
        """Return base units per instrument that working reduce-only orders may still take off.

        An order counts for `REDUCTION_COUNTS_NS`, time enough to fill or to ask what became of
        it; for `unended_ns` while evidence may still tell. After that a reduction that may never
        come must not stop the next one. What that costs: both may fill, and take off twice what
        was wanted, though never more than is held.
        """
        working: dict[str, Decimal] = {}
        for order in self.active.values():
            limit_ns = REDUCTION_COUNTS_NS if order.unresolved else unended_ns
            young = now_ns - order.created_ns <= limit_ns
            if order.open_order.reduce_only and young:
                instrument_id = order.open_order.instrument_id
                left = working.get(instrument_id, ZERO) + order.open_order.remaining
                working[instrument_id] = left
        return working

    def may_take_off(
        self, instrument_id: str, quantity: Decimal, shown_ns: int, instant: Instant | None = None
    ) -> Decimal:
        """Return base units that our orders may still take off a signed quantity.

        What an order filled and no execution told counts, too, for one that is over only until the
        account shows it: `shown_ns` = the venue's clock of what it shows, `instant` = how much of
        the last moment. An order that nobody could find explains nothing.
        """
        against = self._of(instrument_id, -quantity)
        return sum((order.untold(shown_ns, instant) for order in against), ZERO)

    def added_lately(self, instrument_id: str, quantity: Decimal, since_ns: int) -> Decimal:
        """Return base units that executions told of our orders added to a signed quantity.

        Of orders at work, and of those that are over and filled at `since_ns`, venue clock, or later.
        """
        return sum(
            (
                order.executed
                for order in self._of(instrument_id, quantity)
                if not order.over or order.filled_ns >= since_ns
            ),
            ZERO,
        )

    def _of(self, instrument_id: str, direction: Decimal) -> list[TrackedOrder]:
        return [
            order
            for order in (*self.active.values(), *self.finished.values())
            if order.open_order.instrument_id == instrument_id
            and order.open_order.side.sign * direction > 0
        ]

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

    def _forget_if_shown(self, order: TrackedOrder) -> None:
        if not order.unshown:
            self.unshown.pop(order.open_order.client_order_id or "", None)

    def _keep(self, client_order_id: str, order: TrackedOrder) -> None:
        if not order.over:
            self.active[client_order_id] = order
            return
        del self.active[client_order_id]
        self.finished[client_order_id] = order
        while len(self.finished) > FINISHED_REMEMBERED_MAX:
            self.unshown.pop(self.finished.popitem(last=False)[0], None)
