"""What clients do with trigger orders; `Exchange` inherits all of it."""

from decimal import Decimal

from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.orders import CancelCause, PlacedOrder, TriggerSource
from counterpoise.exchange.settings import AccountSettings
from counterpoise.exchange.triggers import NewTrigger, TriggerOrder


class TriggerCommands(AccountSettings):
    """Commands and questions about trigger orders. They bind no margin and are in no book."""

    def place_trigger(
        self, account_id: str, new: NewTrigger
    ) -> tuple[PlacedOrder, list[ExchangeEvent]]:
        """Hold an order back until its price is reached. OrderRefused: nothing happened.

        Refused with TRIGGER_AT_ONCE where the price is reached already. The acknowledged quantity
        is 0 for one that closes all there is.
        """
        placed = self._triggers.place(account_id, new)
        return placed, self._desk.drain()

    def amend_trigger(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None,
        quantity: Decimal | None = None, trigger_price: Decimal | None = None,
        price_limit: Decimal | None = None, source: TriggerSource | None = None,
    ) -> tuple[PlacedOrder, list[ExchangeEvent]]:  # fmt: skip
        """Change a live trigger order; None = as it is. OrderRefused: it stays as it was."""
        placed = self._triggers.amend(
            account_id, order_id, client_order_id, quantity=quantity,
            trigger_price=trigger_price, price_limit=price_limit, source=source,
        )  # fmt: skip
        return placed, self._desk.drain()

    def cancel_trigger(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[ExchangeEvent]:
        """Cancel a live trigger order. OrderRefused: ORDER_NOT_FOUND or ALREADY_OVER."""
        self._triggers.cancel(account_id, order_id, client_order_id)
        return self._desk.drain()

    def force_cancel_trigger(self, account_id: str, order_id: str) -> list[ExchangeEvent]:
        """Cancel a live trigger order behind its owner's back. OrderRefused: not known or over."""
        self._triggers.cancel(account_id, order_id, None, CancelCause.VENUE)
        return self._desk.drain()

    def trigger_order(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> TriggerOrder | None:
        """Return a trigger order by either id, the venue's first; None = not (any more) known."""
        return self._triggers.find(account_id, order_id, client_order_id)

    def trigger_orders(self, account_id: str) -> tuple[TriggerOrder, ...]:
        """Return an account's trigger orders, live and ended, oldest first."""
        return self._triggers.of(account_id)
