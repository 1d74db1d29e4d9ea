"""Take profit and stop loss of a position (docs v5 "Set Trading Stop").

Full mode: one market order each for all of the position; setting again moves it, "0" takes it
away. Partial mode: one more order each time, for a size. All of them end with the position.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind
from counterpoise.exchange.accounts import PositionState
from counterpoise.exchange.orders import (
    OrderRefused,
    TriggerDirection,
    TriggerForm,
)
from counterpoise.exchange.triggers import NewTrigger, TriggerOrder
from counterpoise.simulator import commands
from counterpoise.simulator.bybit import conditional, order_entry
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, decimal_field
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_entry import Fields
from counterpoise.simulator.bybit.symbols import text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    # How a form's fields are called.
    price: str
    source: str
    kind: str
    limit: str
    size: str


_NAMES: Final = {
    TriggerForm.TAKE_PROFIT: _Names(
        price="takeProfit", source="tpTriggerBy", kind="tpOrderType", limit="tpLimitPrice",
        size="tpSize",
    ),
    TriggerForm.STOP_LOSS: _Names(
        price="stopLoss", source="slTriggerBy", kind="slOrderType", limit="slLimitPrice",
        size="slSize",
    ),
}  # fmt: skip


def of_position(desk: Desk, position: PositionState) -> dict[TriggerForm, TriggerOrder]:
    """Return the full-mode take profit and stop loss a position has."""
    return {
        order.terms.form: order
        for order in desk.venue.exchange.trigger_orders(desk.account_id)
        if order.live
        and order.terms.with_position
        and order.terms.closes_position
        and order.instrument_id == position.instrument_id
        and order.terms.position_side is position.position_side
    }


def position_fields(desk: Desk, position: PositionState) -> Row:
    """Return what a position's row tells of them."""
    found = of_position(desk, position)
    return {
        _NAMES[form].price: text(order.terms.trigger_price)
        for form, order in found.items()
        if form in _NAMES
    }


def _position(desk: Desk, fields: Fields) -> PositionState:
    order_entry.check_category(fields)
    symbol = str(fields.get("symbol") or "")
    desk.instrument(symbol)
    side = order_entry.POSITIONS.get(str(fields.get("positionIdx") or 0))
    if side is None:
        raise WireError(Code.PARAMETER, "PositionIdx invalid")
    for position in desk.venue.exchange.account(desk.account_id).positions.values():
        if position.instrument_id == symbol and position.position_side is side:
            return position
    raise WireError(Code.PARAMETER, "can not set tp/sl/ts for zero position")


def _set(desk: Desk, call: Call) -> Row:
    fields = call.body
    position = _position(desk, fields)
    partial = str(fields.get("tpslMode") or "Full") == "Partial"
    if any(fields.get(name) not in (None, "", "0", 0) for name in ("trailingStop", "activePrice")):
        raise WireError(Code.PARAMETER, "trailing stops are not simulated")
    wanted = [form for form, names in _NAMES.items() if fields.get(names.price) not in (None, "")]
    # All of it is looked at before any of it is done.
    changes = [_change(desk, fields, position, form, partial=partial) for form in wanted]
    done = [each for each in changes if each is not None]
    if not done:
        raise WireError(Code.UNCHANGED)
    for command, terms in done:
        refused = desk.venue.do(command)
        if isinstance(refused, OrderRefused):
            raise conditional.refusal(desk, refused, terms)
    return {}


_Change = tuple[commands.Command, NewTrigger]


def _change(
    desk: Desk, fields: Fields, position: PositionState, form: TriggerForm, *, partial: bool
) -> _Change | None:
    # What is to be done about one of the two; None = nothing.
    price = decimal_field(fields.get(_NAMES[form].price))
    if price is None or price < 0:
        raise WireError(Code.PARAMETER, f"params error: {_NAMES[form].price} invalid")
    set_before = None if partial else of_position(desk, position).get(form)
    if price == 0:
        if set_before is None:
            return None
        cancel = commands.CancelTrigger(desk.account_id, set_before.trigger_order_id)
        return cancel, set_before.terms
    terms = _terms(fields, position, form, price, partial=partial)
    if set_before is None:
        return commands.PlaceTrigger(desk.account_id, terms), terms
    if (set_before.terms.trigger_price, set_before.terms.source) == (price, terms.source):
        return None
    amend = commands.AmendTrigger(
        desk.account_id, set_before.trigger_order_id, trigger_price=price, source=terms.source
    )
    return amend, terms


def _terms(
    fields: Fields, position: PositionState, form: TriggerForm, price: Decimal, *, partial: bool
) -> NewTrigger:
    names, side = _NAMES[form], conditional.closing_side(position.quantity)
    source = conditional.SOURCES.get(str(fields.get(names.source) or "LastPrice"))
    kind = {"Market": OrderKind.MARKET, "Limit": OrderKind.LIMIT}.get(
        str(fields.get(names.kind) or "Market")
    )
    limit, size = decimal_field(fields.get(names.limit)), decimal_field(fields.get(names.size))
    if source is None:
        raise WireError(Code.PARAMETER, f"params error: {names.source} invalid")
    if kind is None or (kind is OrderKind.LIMIT and not (partial and limit)):
        raise WireError(Code.PARAMETER, f"params error: {names.kind} invalid")
    if partial and not size:
        raise WireError(Code.PARAMETER, f"params error: {names.size} invalid")
    # A stop of a long falls, its profit rises; of a short the other way round.
    rising = (position.quantity > 0) == (form is TriggerForm.TAKE_PROFIT)
    return NewTrigger(
        instrument_id=position.instrument_id,
        side=side,
        quantity=size if partial else None,
        trigger_price=price,
        source=source,
        direction=TriggerDirection.RISING if rising else TriggerDirection.FALLING,
        kind=kind,
        price_limit=limit if kind is OrderKind.LIMIT else None,
        reduce_only=True,
        position_side=position.position_side,
        with_position=True,
        form=form,
    )


#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {"/v5/position/trading-stop": _set}
