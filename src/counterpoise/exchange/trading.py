"""What clients do with orders and ask of their accounts, whatever the markets are made of.

`Exchange` (modelled markets) and `mirror.MirrorExchange` (a real venue's markets) inherit it.
"""

from collections.abc import Container
from decimal import Decimal

from counterpoise.exchange.accounts import AccountState, Bill
from counterpoise.exchange.events import ExchangeEvent, FundingCharged
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder, NewOrder, PlacedOrder
from counterpoise.exchange.trigger_commands import TriggerCommands


class Trading(TriggerCommands):
    """Orders and accounts of a venue, at the moment the desk is at."""

    @property
    def now_ns(self) -> int:
        """Venue clock, ns."""
        return self._desk.now_ns

    def open_account(self, account_id: str, wallet: Decimal) -> None:
        """Open an account with cash, quote. ValueError: it exists or the cash is negative."""
        self._desk.clearing.open_account(account_id, wallet, self.now_ns)

    def account_ids(self) -> tuple[str, ...]:
        """Return all accounts, oldest first."""
        return tuple(self._desk.clearing.wallets)

    def place(
        self, account_id: str, order: NewOrder, *, taken_max: Decimal | None = None
    ) -> tuple[PlacedOrder, list[ExchangeEvent]]:
        """Take an order now. OrderRefused: nothing happened.

        `taken_max` bounds what fills on arrival, base units, as if the book held no more; None =
        no such bound. A rehearsal of partial fills; meant for immediate orders.
        """
        self._triggers.check_order(account_id, order)
        placed = self._desk.place(account_id, order, taken_max)
        return placed, [*self._desk.drain(), *self._book_changes(self.now_ns)]

    def amend(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None,
        quantity: Decimal | None = None, price_limit: Decimal | None = None,
    ) -> tuple[PlacedOrder, list[ExchangeEvent]]:  # fmt: skip
        """Change an open order now; None = as it is. OrderRefused: it stays as it was.

        `quantity` counts what is filled already; at or below that the order ends. A new price or
        a larger quantity loses time priority, and a new price may fill.
        """
        placed = self._desk.amend(
            account_id, order_id, client_order_id, quantity=quantity, price_limit=price_limit
        )
        return placed, [*self._desk.drain(), *self._book_changes(self.now_ns)]

    def cancel(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[ExchangeEvent]:
        """Cancel an open order now. OrderRefused: ORDER_NOT_FOUND or ALREADY_OVER."""
        self._desk.cancel(account_id, order_id, client_order_id)
        return [*self._desk.drain(), *self._book_changes(self.now_ns)]

    def account(self, account_id: str) -> AccountState:
        """Return an account at mark. OrderRefused: unknown account."""
        orders = self._desk.registry.open_orders(account_id)
        return self._desk.clearing.account(account_id, orders, self.now_ns)

    def order(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> ExchangeOrder | None:
        """Return an order by either id, the venue's first; None = not (any more) known."""
        return self._desk.registry.find(account_id, order_id, client_order_id, self.now_ns)

    def orders(self, account_id: str) -> tuple[ExchangeOrder, ...]:
        """Return every order the venue still tells of, open and ended, oldest first."""
        return self._desk.registry.orders(account_id, self.now_ns)

    def fills(self, account_id: str, since_ns: int) -> tuple[ExchangeFill, ...]:
        """Return executions at or after `since_ns`, oldest first. OrderRefused: unknown account."""
        wallet = self._desk.clearing.wallet(account_id)
        return tuple(each for each in wallet.fills if each.event_ns >= since_ns)

    def bills(self, account_id: str, since_ns: int) -> tuple[Bill, ...]:
        """Return wallet movements at or after `since_ns`, oldest first. OrderRefused: unknown."""
        wallet = self._desk.clearing.wallet(account_id)
        return tuple(each for each in wallet.bills if each.event_ns >= since_ns)

    def _charge_funding(self, instrument_id: str, rate: Decimal) -> list[ExchangeEvent]:
        clearing = self._desk.clearing
        for account_id, wallet in clearing.wallets.items():
            for holding in wallet.held():
                if holding.instrument_id != instrument_id:
                    continue
                bill = clearing.charge_funding(wallet, holding, rate, self.now_ns)
                self._desk.tell(
                    FundingCharged(
                        account_id=account_id,
                        instrument_id=instrument_id,
                        payment=bill.change,
                        rate=rate,
                        bill_id=bill.bill_id,
                        event_ns=self.now_ns,
                    )
                )
                self._desk.tell_wallet(bill)
        return self._desk.drain()

    def _liquidate(self, but: Container[str] = ()) -> None:
        clearing = self._desk.clearing
        for account_id, wallet in clearing.wallets.items():
            if not wallet.held():
                continue
            if clearing.figures(wallet, ()).doomed:
                self._liquidator.step(account_id, but)

    def _book_changes(self, event_ns: int) -> list[ExchangeEvent]:  # noqa: ARG002 - for venues that publish books
        # What readers of the books are told after an order.
        return []
