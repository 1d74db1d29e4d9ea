"""Whether the venue takes an order, by its own fields and the instrument's rules."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.bands import PriceBand
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.exchange.rules import VenueRules

#: No price or quantity reaches this.
FIGURE_MAX: Final = Decimal(10) ** 15


def check_order(
    order: NewOrder, instrument: Instrument, mark: Decimal, band: PriceBand, rules: VenueRules
) -> None:
    """OrderRefused with the first rule the order breaks; accounts and positions are not looked at.

    The band holds on the aggressive side only: a buy far below the mark may rest.
    """
    _check_form(order, instrument, rules)
    _check_quantity(order, instrument)
    if order.price_limit is not None:
        _check_price(order.side, order.price_limit, instrument, band)
    if not (order.reduce_only and rules.notional_min_waived):
        notional = order.quantity * (order.price_limit or mark)
        _refuse_unless(
            instrument.notional_min is None or notional >= instrument.notional_min,
            RefusalReason.NOTIONAL_TOO_SMALL,
            f"notional={notional:f} notional_min={instrument.notional_min}",
        )


def check_terms(order: NewOrder, instrument: Instrument, rules: VenueRules) -> None:
    """OrderRefused where an order that is to come later breaks a rule that needs no market."""
    _check_form(order, instrument, rules)
    _check_quantity(order, instrument)
    if order.price_limit is not None:
        check_grid(order.price_limit, instrument)


def check_grid(price: Decimal, instrument: Instrument) -> None:
    """OrderRefused: the price is not positive or not on the tick grid."""
    _refuse_unless(
        _on_grid(price, instrument.tick_size) and price > 0,
        RefusalReason.PRICE_OFF_GRID,
        f"price={price} tick_size={instrument.tick_size}",
    )


def _check_form(order: NewOrder, instrument: Instrument, rules: VenueRules) -> None:
    _refuse_unless(
        instrument.state in {InstrumentState.LIVE, InstrumentState.CLOSING}
        or (instrument.state is InstrumentState.POST_ONLY and order.post_only),
        RefusalReason.INSTRUMENT_NOT_LIVE,
        f"state={instrument.state.value}",
    )
    market = order.kind is OrderKind.MARKET
    _refuse_unless(
        (order.price_limit is None) == market
        and not (order.post_only and (market or order.time_in_force is not TimeInForce.GTC)),
        RefusalReason.ORDER_INVALID,
        "price, kind, time in force and post-only contradict each other",
    )
    name = order.client_order_id
    _refuse_unless(
        name is None
        or (
            1 <= len(name) <= rules.client_order_id_length_max
            and name.isascii()
            and all(each.isalnum() or each in rules.client_order_id_marks for each in name)
        ),
        RefusalReason.CLIENT_ORDER_ID_INVALID,
        f"client_order_id={name!r}",
    )


def _check_quantity(order: NewOrder, instrument: Instrument) -> None:
    quantity = order.quantity
    _refuse_unless(
        _on_grid(quantity, instrument.lot_size),
        RefusalReason.QUANTITY_OFF_GRID,
        f"quantity={quantity} lot_size={instrument.lot_size}",
    )
    _refuse_unless(
        quantity > 0 and quantity >= instrument.quantity_min,
        RefusalReason.QUANTITY_TOO_SMALL,
        f"quantity={quantity} quantity_min={instrument.quantity_min}",
    )
    market = order.kind is OrderKind.MARKET
    highest = instrument.market_quantity_max if market else instrument.limit_quantity_max
    _refuse_unless(
        highest is None or quantity <= highest,
        RefusalReason.QUANTITY_TOO_LARGE,
        f"quantity={quantity} quantity_max={highest}",
    )


def _check_price(side: Side, price: Decimal, instrument: Instrument, band: PriceBand) -> None:
    check_grid(price, instrument)
    _refuse_unless(
        band.holds(side, price),
        RefusalReason.PRICE_OUT_OF_BAND,
        f"price={price} bound={band.bound(side):f}",
    )


def _on_grid(value: Decimal, step: Decimal) -> bool:
    # Figures beyond any market would break the remainder's precision.
    return value.is_finite() and abs(value) < FIGURE_MAX and value % step == 0


def _refuse_unless(holds: bool, reason: RefusalReason, message: str) -> None:  # noqa: FBT001 - a condition, not a mode
    if not holds:
        raise OrderRefused(reason, message)
