"""Orders by id, and how long the venue remembers them."""

from collections import deque
from typing import Any, Final

import msgspec

from counterpoise.exchange.orders import ExchangeOrder, OrderRefused, RefusalReason
from counterpoise.exchange.rules import VenueRules

#: Open orders an account of the demonstration may have.
OPEN_ORDERS_MAX: Final = VenueRules().open_orders_max
#: Ended orders kept of each kind, whatever their age.
ENDED_MAX: Final = 10_000


class OrderRegistry:
    """Every order the venue still knows."""

    def __init__(self, rules: VenueRules) -> None:
        self._rules = rules
        self._orders: dict[str, ExchangeOrder] = {}
        #: Open order ids per account, oldest first.
        self._open: dict[str, dict[str, None]] = {}
        #: Order ids per account and client order id, latest last.
        self._named: dict[tuple[str, str], list[str]] = {}
        #: Ended order ids, oldest first: without fills, with fills.
        self._ended: tuple[deque[str], deque[str]] = (deque(), deque())

    def put(self, order: ExchangeOrder) -> None:
        """Keep an order as it is now; an ended one never changes again."""
        known = self._orders.get(order.order_id)
        assert known is None or known.open, "an ended order changed"
        self._orders[order.order_id] = order
        if known is None:
            self._name(order)
        if order.open:
            self._open.setdefault(order.account_id, {})[order.order_id] = None
            return
        self._open.get(order.account_id, {}).pop(order.order_id, None)
        ended = self._ended[order.filled_quantity > 0]
        ended.append(order.order_id)
        if len(ended) > ENDED_MAX:
            self._drop(ended.popleft())

    def get(self, order_id: str) -> ExchangeOrder:
        """Return an order that is known to be kept."""
        return self._orders[order_id]

    def find(
        self, account_id: str, order_id: str | None, client_order_id: str | None, now_ns: int
    ) -> ExchangeOrder | None:
        """Return an account's order by either id, the venue's first; None = not (any more) known.

        By client order id the latest order of that id is meant.
        """
        if order_id is None and client_order_id is not None:
            names = self._named.get((account_id, client_order_id))
            order_id = names[-1] if names else None
        order = None if order_id is None else self._orders.get(order_id)
        if order is None or order.account_id != account_id or self._forgotten(order, now_ns):
            return None
        return order

    def open_orders(self, account_id: str) -> tuple[ExchangeOrder, ...]:
        """Return an account's orders in the book, oldest first."""
        return tuple(self._orders[each] for each in self._open.get(account_id, ()))

    def orders(self, account_id: str, now_ns: int) -> tuple[ExchangeOrder, ...]:
        """Return every order of an account the venue still tells of, oldest first."""
        return tuple(
            order
            for order in self._orders.values()
            if order.account_id == account_id and not self._forgotten(order, now_ns)
        )

    def check_unused(self, account_id: str, client_order_id: str | None, now_ns: int) -> None:
        """OrderRefused: an order of the account that still counts carries the client order id."""
        if client_order_id is None:
            return
        order = self.find(account_id, None, client_order_id, now_ns)
        if order is not None and (order.open or self._rules.client_order_id_once):
            message = f"client_order_id={client_order_id} is in use by {order.order_id}"
            raise OrderRefused(RefusalReason.CLIENT_ORDER_ID_DUPLICATE, message)

    def forget(self, now_ns: int) -> None:
        """Drop orders past their time."""
        for ended in self._ended:
            while ended and self._forgotten(self._orders[ended[0]], now_ns):
                self._drop(ended.popleft())

    def save(self) -> list[Any]:
        """Return all orders as JSON-able figures, oldest first."""
        saved: list[Any] = msgspec.to_builtins(list(self._orders.values()))
        return saved

    def load(self, saved: list[Any]) -> None:
        """Take over what `save` gave."""
        ended: list[ExchangeOrder] = []
        for order in msgspec.convert(saved, list[ExchangeOrder]):
            self._orders[order.order_id] = order
            self._name(order)
            if order.open:
                self._open.setdefault(order.account_id, {})[order.order_id] = None
            else:
                ended.append(order)
        for order in sorted(ended, key=lambda each: each.updated_ns):
            self._ended[order.filled_quantity > 0].append(order.order_id)

    def _name(self, order: ExchangeOrder) -> None:
        if order.client_order_id is not None:
            key = (order.account_id, order.client_order_id)
            self._named.setdefault(key, []).append(order.order_id)

    def _drop(self, order_id: str) -> None:
        order = self._orders.pop(order_id)
        if order.client_order_id is not None:
            key = (order.account_id, order.client_order_id)
            self._named[key].remove(order_id)
            if not self._named[key]:
                del self._named[key]

    def _forgotten(self, order: ExchangeOrder, now_ns: int) -> bool:
        if order.open:
            return False
        filled, rules = order.filled_quantity > 0, self._rules
        kept = rules.filled_kept_ns if filled else rules.canceled_kept_ns
        return now_ns - order.updated_ns > kept
