"""Whether the venue takes an order: rules of the instrument, of the account and of margin."""

from decimal import Decimal

from counterpoise.domain.orders import OrderKind, OrderState, TimeInForce
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange import checks
from counterpoise.exchange.clearing import ZERO, Clearing
from counterpoise.exchange.orders import (
    ExchangeOrder,
    NewOrder,
    OrderCategory,
    OrderRefused,
    RefusalReason,
)
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.registry import OPEN_ORDERS_MAX, OrderRegistry


class Admission:
    """The venue's door."""

    def __init__(
        self, parameters: ExchangeParameters, clearing: Clearing, registry: OrderRegistry
    ) -> None:
        self._parameters = parameters
        self._clearing = clearing
        self._registry = registry

    def admit(
        self, account_id: str, new: NewOrder, order_number: int, event_ns: int
    ) -> ExchangeOrder:
        """Return the order the venue takes, cut to the position if reduce-only; OrderRefused."""
        wallet = self._clearing.wallet(account_id)
        instrument = self._clearing.instrument(new.instrument_id)
        mark = self._clearing.marks[new.instrument_id]
        checks.check_order(new, instrument, mark, self._parameters.price_band_fraction)
        self._registry.check_unused(account_id, new.client_order_id, event_ns)
        open_orders = self._registry.open_orders(account_id)
        quantity = new.quantity
        if new.reduce_only:
            held = wallet.holding(new.instrument_id).quantity
            if held == 0:
                raise OrderRefused(RefusalReason.REDUCE_ONLY_NO_POSITION, "no position")
            if held * new.side.sign > 0:
                message = f"position quantity={held} side={new.side.value}"
                raise OrderRefused(RefusalReason.REDUCE_ONLY_SAME_SIDE, message)
            quantity = min(quantity, abs(held))
        if len(open_orders) >= OPEN_ORDERS_MAX:
            message = f"open_orders={len(open_orders)}"
            raise OrderRefused(RefusalReason.OPEN_ORDERS_TOO_MANY, message)
        order = self.order(account_id, new, quantity, OrderCategory.NORMAL, order_number, event_ns)
        if not new.reduce_only:
            self._check_margin(order, open_orders)
        return order

    def order(
        self, account_id: str, new: NewOrder, quantity: Decimal, category: OrderCategory,
        order_number: int, event_ns: int,
    ) -> ExchangeOrder:  # fmt: skip
        """Return an accepted order without asking any rule."""
        market = new.kind is OrderKind.MARKET and new.time_in_force is TimeInForce.GTC
        leverage = self._clearing.leverage_setting(account_id, new.instrument_id)
        return ExchangeOrder(
            order_id=str(order_number),
            client_order_id=new.client_order_id,
            account_id=account_id,
            instrument_id=new.instrument_id,
            side=new.side,
            kind=new.kind,
            time_in_force=TimeInForce.IOC if market else new.time_in_force,
            post_only=new.post_only,
            reduce_only=new.reduce_only,
            quantity_asked=new.quantity,
            quantity=quantity,
            price_limit=new.price_limit,
            state=OrderState.ACCEPTED,
            filled_quantity=ZERO,
            average_price=None,
            fee=ZERO,
            realised_pnl=ZERO,
            category=category,
            cancel_cause=None,
            leverage_setting=leverage,
            tag=new.tag,
            sequence=order_number,
            created_ns=event_ns,
            updated_ns=event_ns,
        )

    def _check_margin(self, order: ExchangeOrder, open_orders: tuple[ExchangeOrder, ...]) -> None:
        # An order that binds no more margin than before is a reduction and always taken.
        wallet = self._clearing.wallet(order.account_id)
        before = self._clearing.figures(wallet, open_orders)
        after = self._clearing.figures(wallet, (*open_orders, order))
        if after.initial_margin <= before.initial_margin:
            return
        mark = self._clearing.marks[order.instrument_id]
        fee = order.quantity * mark * self._parameters.taker_fee_bps / BPS_PER_ONE
        if after.initial_margin + fee > after.equity:
            message = f"initial_margin={after.initial_margin} fee={fee} equity={after.equity}"
            raise OrderRefused(RefusalReason.MARGIN_INSUFFICIENT, message)
