"""Handling of trigger orders: taking, amending, watching prices, placing their orders, ending them.

Prices are looked at once in every step of the market, after its trades. Trigger orders reached in
the same step place their orders in the order they came in.
"""

from collections.abc import Callable, Container
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.domain.orders import OrderKind
from counterpoise.exchange import checks
from counterpoise.exchange.desk import Desk
from counterpoise.exchange.events import TriggerChanged
from counterpoise.exchange.orders import (
    CancelCause,
    NewOrder,
    OrderRefused,
    PlacedOrder,
    RefusalReason,
    TriggerSource,
)
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.triggers import (
    TRIGGER_RULES,
    NewTrigger,
    TriggerOrder,
    TriggerState,
)

#: Ended trigger orders kept, whatever their age.
ENDED_MAX: Final = 1_000

#: Gives a price of an instrument now.
PriceSource = Callable[[str, TriggerSource], Decimal]


class TriggerDesk:
    """Every trigger order the venue still knows, at the desk's moment."""

    def __init__(self, parameters: ExchangeParameters, desk: Desk, price_of: PriceSource) -> None:
        self._rules = parameters.rules
        self._ways = TRIGGER_RULES[parameters.rules.venue]
        self._desk = desk
        self._price_of = price_of
        #: Oldest first.
        self._live: dict[str, TriggerOrder] = {}
        #: Oldest end first.
        self._ended: dict[str, TriggerOrder] = {}
        desk.settlers.append(self._drop_orphans)

    def place(self, account_id: str, new: NewTrigger) -> PlacedOrder:
        """Take a trigger order. OrderRefused: nothing happened."""
        desk = self._desk
        self._check(account_id, new)
        self._check_unused(account_id, new.client_order_id)
        counted = [
            each
            for each in self._live.values()
            if each.account_id == account_id
            and (not self._ways.open_by_instrument or each.instrument_id == new.instrument_id)
        ]
        if len(counted) >= self._ways.open_max:
            message = f"trigger_orders={len(counted)}"
            raise OrderRefused(RefusalReason.TRIGGER_ORDERS_TOO_MANY, message)
        order = TriggerOrder(
            trigger_order_id=str(desk.next_number()),
            account_id=account_id,
            terms=new,
            state=TriggerState.LIVE,
            order_id=None,
            cancel_cause=None,
            failure=None,
            last_at_start=self._price_of(new.instrument_id, TriggerSource.LAST),
            created_ns=desk.now_ns,
            updated_ns=desk.now_ns,
            triggered_ns=None,
        )
        self._put(order)
        return self._acknowledged(order)

    def amend(
        self, account_id: str, order_id: str | None, client_order_id: str | None, *,
        quantity: Decimal | None, trigger_price: Decimal | None, price_limit: Decimal | None,
        source: TriggerSource | None,
    ) -> PlacedOrder:  # fmt: skip
        """Change a live trigger order; None = as it is. OrderRefused: it stays as it was."""
        order = self.live(account_id, order_id, client_order_id)
        before = order.terms
        terms = replace(
            before,
            quantity=before.quantity if quantity is None else quantity,
            trigger_price=before.trigger_price if trigger_price is None else trigger_price,
            price_limit=before.price_limit if price_limit is None else price_limit,
            source=before.source if source is None else source,
        )
        if terms == before:
            raise OrderRefused(RefusalReason.AMEND_UNCHANGED, "nothing changes")
        self._check(account_id, terms)
        amended = replace(order, terms=terms, updated_ns=self._desk.now_ns)
        self._put(amended)
        return self._acknowledged(amended)

    def cancel(
        self, account_id: str, order_id: str | None, client_order_id: str | None,
        cause: CancelCause = CancelCause.CLIENT,
    ) -> None:  # fmt: skip
        """Cancel a live trigger order. OrderRefused: not known, or over."""
        self._cancel(self.live(account_id, order_id, client_order_id), cause)

    def cancel_all(self, instrument_id: str, cause: CancelCause) -> None:
        """Cancel every live trigger order of an instrument."""
        for order in tuple(self._live.values()):
            if order.instrument_id == instrument_id:
                self._cancel(order, cause)

    def find(
        self, account_id: str, order_id: str | None, client_order_id: str | None
    ) -> TriggerOrder | None:
        """Return an account's trigger order by either id, the venue's first; None = not known.

        By client order id the live one is meant, or else the one that ended last.
        """
        for known in (self._live, self._ended):
            for order in reversed(known.values()):
                named = (
                    order.trigger_order_id == order_id
                    if order_id is not None
                    else client_order_id is not None and order.client_order_id == client_order_id
                )
                if named and order.account_id == account_id:
                    return order
        return None

    def live(
        self, account_id: str, order_id: str | None, client_order_id: str | None
    ) -> TriggerOrder:
        """Return a live trigger order by either id. OrderRefused: not known, or over."""
        self._desk.clearing.wallet(account_id)
        order = self.find(account_id, order_id, client_order_id)
        if order is None:
            message = f"order_id={order_id} client_order_id={client_order_id}"
            raise OrderRefused(RefusalReason.ORDER_NOT_FOUND, message)
        if not order.live:
            raise OrderRefused(RefusalReason.ALREADY_OVER, f"state={order.state.value}")
        return order

    def of(self, account_id: str) -> tuple[TriggerOrder, ...]:
        """Return an account's trigger orders, live and ended, in the order they came in."""
        known = [*self._live.values(), *self._ended.values()]
        known.sort(key=lambda each: int(each.trigger_order_id))
        return tuple(each for each in known if each.account_id == account_id)

    def busy(self, account_id: str) -> set[str]:
        """Return the instruments an account has live trigger orders in."""
        return {e.instrument_id for e in self._live.values() if e.account_id == account_id}

    def check_order(self, account_id: str, new: NewOrder) -> None:
        """OrderRefused: a trigger order took the client order id of a new order."""
        if self._ways.shares_client_order_ids:
            self._check_unused(account_id, new.client_order_id)

    def watch(self, but: Container[str] = ()) -> None:
        """Place the orders whose price is reached; a fill may reach further ones.

        Those of the instruments `but` wait.
        """
        while True:
            due = [
                each
                for each in self._live.values()
                if each.terms.instrument_id not in but and self._reached(each.terms)
            ]
            if not due:
                return
            for order in due:
                # One that came before may have ended it.
                if order.trigger_order_id in self._live:
                    self._trigger(order)
                    self._drop_orphans()

    def save(self) -> list[Any]:
        """Return all trigger orders as JSON-able figures, live ones first."""
        known = [*self._live.values(), *self._ended.values()]
        saved: list[Any] = msgspec.to_builtins(known)
        return saved

    def load(self, saved: list[Any]) -> None:
        """Take over what `save` gave."""
        for order in msgspec.convert(saved, list[TriggerOrder]):
            (self._live if order.live else self._ended)[order.trigger_order_id] = order

    def _check(self, account_id: str, new: NewTrigger) -> None:
        desk = self._desk
        wallet = desk.clearing.wallet(account_id)
        instrument = desk.clearing.instrument(new.instrument_id)
        # The form that closes all has no quantity yet; the least one stands for it.
        quantity = instrument.quantity_min if new.quantity is None else new.quantity
        order = new.order(quantity, new.client_order_id)
        checks.check_terms(order, instrument, self._rules)
        checks.check_grid(new.trigger_price, instrument)
        desk.check_position_side(wallet, order)
        price = self._price_of(new.instrument_id, new.source)
        if new.direction.reached(price, new.trigger_price):
            message = f"{new.source.value}={price} trigger_price={new.trigger_price}"
            raise OrderRefused(RefusalReason.TRIGGER_AT_ONCE, message)
        if new.with_position and not self._closable(account_id, new):
            raise OrderRefused(RefusalReason.REDUCE_ONLY_NO_POSITION, "no position")

    def _check_unused(self, account_id: str, client_order_id: str | None) -> None:
        if client_order_id is None:
            return
        order = self.find(account_id, None, client_order_id)
        if order is not None and (order.live or self._rules.client_order_id_once):
            message = f"client_order_id={client_order_id} is in use by {order.trigger_order_id}"
            raise OrderRefused(RefusalReason.CLIENT_ORDER_ID_DUPLICATE, message)
        if self._ways.shares_client_order_ids:
            self._desk.registry.check_unused(account_id, client_order_id, self._desk.now_ns)

    def _closable(self, account_id: str, terms: NewTrigger) -> Decimal:
        # Base units the order could close; 0 = there is no such position.
        wallet = self._desk.clearing.wallet(account_id)
        held = wallet.holding(terms.instrument_id, terms.position_side).quantity
        return max(Decimal(0), -held * terms.side.sign)

    def _reached(self, terms: NewTrigger) -> bool:
        price = self._price_of(terms.instrument_id, terms.source)
        return terms.direction.reached(price, terms.trigger_price)

    def _trigger(self, order: TriggerOrder) -> None:
        desk, terms = self._desk, order.terms
        reached = replace(
            order, state=TriggerState.TRIGGERED, triggered_ns=desk.now_ns, updated_ns=desk.now_ns
        )
        try:
            self._check_gap(terms)
            child = desk.admit_triggered(
                order.account_id,
                terms.order(
                    self._quantity(order),
                    order.client_order_id if self._ways.keeps_client_order_id else None,
                ),
                origin=order.origin,
                order_id=order.trigger_order_id if self._ways.keeps_order_id else None,
            )
        except OrderRefused as refused:
            self._put(replace(reached, state=TriggerState.FAILED, failure=refused.reason))
            return
        if self._ways.keeps_order_id:
            # One order to its owner, from the beginning.
            child = replace(child, created_ns=order.created_ns)
        self._put(replace(reached, order_id=child.order_id))
        desk.enter(child)

    def _check_gap(self, terms: NewTrigger) -> None:
        if terms.protect_fraction is None:
            return
        mark = self._price_of(terms.instrument_id, TriggerSource.MARK)
        last = self._price_of(terms.instrument_id, TriggerSource.LAST)
        if abs(last - mark) > terms.protect_fraction * mark:
            message = f"mark={mark} last={last}"
            raise OrderRefused(RefusalReason.TRIGGER_PROTECTED, message)

    def _quantity(self, order: TriggerOrder) -> Decimal:
        terms = order.terms
        if terms.quantity is not None:
            return terms.quantity
        closable = self._closable(order.account_id, terms)
        if not closable:
            raise OrderRefused(RefusalReason.REDUCE_ONLY_NO_POSITION, "no position")
        instrument = self._desk.clearing.instrument(terms.instrument_id)
        market = terms.kind is OrderKind.MARKET
        most = instrument.market_quantity_max if market else instrument.limit_quantity_max
        return closable if most is None else min(closable, most)

    def _drop_orphans(self) -> None:
        for order in tuple(self._live.values()):
            if order.terms.with_position and not self._closable(order.account_id, order.terms):
                self._cancel(order, CancelCause.POSITION_GONE)

    def _cancel(self, order: TriggerOrder, cause: CancelCause) -> None:
        self._put(
            replace(
                order,
                state=TriggerState.CANCELED,
                cancel_cause=cause,
                updated_ns=self._desk.now_ns,
            )
        )

    def _put(self, order: TriggerOrder) -> None:
        if order.live:
            self._live[order.trigger_order_id] = order
        else:
            self._live.pop(order.trigger_order_id, None)
            self._ended[order.trigger_order_id] = order
            if len(self._ended) > ENDED_MAX:
                del self._ended[next(iter(self._ended))]
        self._desk.tell(
            TriggerChanged(account_id=order.account_id, trigger=order, event_ns=self._desk.now_ns)
        )

    def _acknowledged(self, order: TriggerOrder) -> PlacedOrder:
        return PlacedOrder(
            order_id=order.trigger_order_id,
            client_order_id=order.client_order_id,
            quantity=order.terms.quantity or Decimal(0),
            event_ns=self._desk.now_ns,
        )
