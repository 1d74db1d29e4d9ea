"""Whether the venue takes an order: rules of the instrument, of the account and of margin."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, TimeInForce
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange import checks
from counterpoise.exchange.bands import PriceBand
from counterpoise.exchange.clearing import ZERO, Clearing
from counterpoise.exchange.modes import PositionMode, PositionSide
from counterpoise.exchange.orders import (
    ExchangeOrder,
    NewOrder,
    OrderCategory,
    OrderRefused,
    RefusalReason,
)
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.registry import OrderRegistry
from counterpoise.exchange.wallet import Wallet


class Admission:
    """The venue's door."""

    def __init__(
        self, parameters: ExchangeParameters, clearing: Clearing, registry: OrderRegistry
    ) -> None:
        self._parameters = parameters
        self._clearing = clearing
        self._registry = registry

    def admit(
        self, account_id: str, new: NewOrder, order_number: int, event_ns: int, band: PriceBand
    ) -> ExchangeOrder:
        """Return the order the venue takes, cut to the position if reduce-only; OrderRefused."""
        wallet = self._clearing.wallet(account_id)
        instrument = self._clearing.instrument(new.instrument_id)
        new = self._seen(new, band)
        mark = self._clearing.marks[new.instrument_id]
        checks.check_order(new, instrument, mark, band, self._parameters.rules)
        self.check_position_side(wallet, new)
        self._registry.check_unused(account_id, new.client_order_id, event_ns)
        open_orders = self._registry.open_orders(account_id)
        quantity = self._cut(wallet, new, new.quantity)
        rules, counted = self._parameters.rules, open_orders
        if rules.open_orders_by_instrument:
            counted = tuple(e for e in open_orders if e.instrument_id == new.instrument_id)
        if len(counted) >= rules.open_orders_max:
            message = f"open_orders={len(counted)}"
            raise OrderRefused(RefusalReason.OPEN_ORDERS_TOO_MANY, message)
        order = self.order(account_id, new, quantity, OrderCategory.NORMAL, order_number, event_ns)
        if not new.reduce_only:
            self._check_margin(order, open_orders, open_orders)
        return order

    def amend(
        self, order: ExchangeOrder, quantity: Decimal | None, price_limit: Decimal | None,
        order_number: int, event_ns: int, band: PriceBand,
    ) -> ExchangeOrder:  # fmt: skip
        """Return a resting order as it is after the amendment; OrderRefused: it stays as it was.

        `quantity` counts what is filled already. Time priority is lost unless only the quantity
        shrinks.
        """
        wallet = self._clearing.wallet(order.account_id)
        instrument = self._clearing.instrument(order.instrument_id)
        asked = order.quantity if quantity is None else quantity
        asked_new = NewOrder(
            instrument_id=order.instrument_id, side=order.side, quantity=asked, kind=order.kind,
            price_limit=order.price_limit if price_limit is None else price_limit,
            time_in_force=order.time_in_force, post_only=order.post_only,
            reduce_only=order.reduce_only, position_side=order.position_side,
        )  # fmt: skip
        new = self._seen(asked_new, band)
        mark = self._clearing.marks[order.instrument_id]
        checks.check_order(new, instrument, mark, band, self._parameters.rules)
        if (asked, new.price_limit) == (order.quantity, order.price_limit):
            message = f"quantity={asked} price={new.price_limit}"
            raise OrderRefused(RefusalReason.AMEND_UNCHANGED, message)
        filled = order.filled_quantity
        if order.reduce_only and asked > filled:
            asked = filled + self._cut(wallet, new, asked - filled)
        kept = new.price_limit == order.price_limit and asked <= order.quantity
        after = replace(
            order,
            quantity_asked=new.quantity,
            quantity=max(asked, filled),
            price_limit=new.price_limit,
            sequence=order.sequence if kept else order_number,
            updated_ns=event_ns,
        )
        if not order.reduce_only:
            before = self._registry.open_orders(order.account_id)
            others = tuple(each for each in before if each.order_id != order.order_id)
            self._check_margin(after, others, before)
        return after

    def order(
        self, account_id: str, new: NewOrder, quantity: Decimal, category: OrderCategory,
        order_number: int, event_ns: int,
    ) -> ExchangeOrder:  # fmt: skip
        """Return an accepted order without asking any rule."""
        market = new.kind is OrderKind.MARKET and new.time_in_force is TimeInForce.GTC
        wallet = self._clearing.wallet(account_id)
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
            position_side=new.position_side,
            self_trade=new.self_trade or self._clearing.self_trade(wallet),
        )

    def _seen(self, new: NewOrder, band: PriceBand) -> NewOrder:
        # The order as the venue understands it: in hedge mode what does not open can only reduce
        # (OKX and Bybit ignore the flag there), and some venues move a price into the band.
        opening = new.position_side.opening
        if opening is not None:
            new = replace(new, reduce_only=new.side is not opening)
        price, instrument = new.price_limit, self._clearing.instrument(new.instrument_id)
        if price is None or not price.is_finite() or band.holds(new.side, price):
            return new
        if self._clearing.band_rule(new.instrument_id).reprices:
            new = replace(new, price_limit=band.inside(new.side, instrument.tick_size))
        return new

    def check_position_side(self, wallet: Wallet, new: NewOrder) -> None:
        """OrderRefused: the position side does not fit the account's position mode."""
        mode = self._clearing.position_mode(wallet, new.instrument_id)
        if (new.position_side is PositionSide.NET) != (mode is PositionMode.ONE_WAY):
            message = f"position_side={new.position_side.value} position_mode={mode.value}"
            raise OrderRefused(RefusalReason.POSITION_SIDE_MISMATCH, message)

    @staticmethod
    def _cut(wallet: Wallet, new: NewOrder, quantity: Decimal) -> Decimal:
        # What a reduce-only order may still do; any other is not cut.
        if not new.reduce_only:
            return quantity
        held = wallet.holding(new.instrument_id, new.position_side).quantity
        if held == 0:
            raise OrderRefused(RefusalReason.REDUCE_ONLY_NO_POSITION, "no position")
        if held * new.side.sign > 0:
            message = f"position quantity={held} side={new.side.value}"
            raise OrderRefused(RefusalReason.REDUCE_ONLY_SAME_SIDE, message)
        return min(quantity, abs(held))

    def _check_margin(
        self, order: ExchangeOrder, others: tuple[ExchangeOrder, ...],
        orders_before: tuple[ExchangeOrder, ...],
    ) -> None:  # fmt: skip
        # An order that binds no more margin than before is a reduction and always taken.
        clearing, wallet = self._clearing, self._clearing.wallet(order.account_id)
        before = clearing.figures(wallet, orders_before)
        after = clearing.figures(wallet, (*others, order))
        if after.initial_margin <= before.initial_margin:
            return
        if self._parameters.rules.leverage_by_tier:
            leverage = clearing.leverage_setting(order.account_id, order.instrument_id)
            highest = clearing.leverage_max(wallet, order.instrument_id, (*others, order))
            if leverage > highest:
                message = f"leverage={leverage} is beyond {highest} of the tier it would come to"
                raise OrderRefused(RefusalReason.POSITION_TOO_LARGE, message)
        mark = clearing.marks[order.instrument_id]
        fee_bps = clearing.fee_bps(wallet, Liquidity.TAKER)
        fee = order.remaining * mark * fee_bps / BPS_PER_ONE
        if after.initial_margin + fee > after.equity:
            message = f"initial_margin={after.initial_margin} fee={fee} equity={after.equity}"
            raise OrderRefused(RefusalReason.MARGIN_INSUFFICIENT, message)
