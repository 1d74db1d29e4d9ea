"""Algo orders as clients write them: `conditional` (one stop or one profit) and `trigger`."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import (
    OrderRefused,
    RefusalReason,
    TriggerDirection,
    TriggerForm,
    TriggerSource,
)
from counterpoise.exchange.triggers import NewTrigger
from counterpoise.simulator.okx.calls import decimal_field
from counterpoise.simulator.okx.errors import Code, Refusal
from counterpoise.simulator.okx.order_entry import Fields, refusal
from counterpoise.simulator.okx.symbols import BY_SYMBOL

#: `slOrdPx`, `tpOrdPx` and `orderPx` of a market order.
MARKET: Final = Decimal(-1)
_SOURCES: Final = {each.value: each for each in TriggerSource}

#: A stop or profit on the wrong side of its price: (form, source, side) -> code.
_WRONG_SIDE: Final = {
    (TriggerForm.STOP_LOSS, TriggerSource.LAST, Side.BUY): Code.STOP_UNDER_LAST,
    (TriggerForm.STOP_LOSS, TriggerSource.LAST, Side.SELL): Code.STOP_OVER_LAST,
    (TriggerForm.STOP_LOSS, TriggerSource.MARK, Side.BUY): Code.STOP_UNDER_MARK,
    (TriggerForm.STOP_LOSS, TriggerSource.MARK, Side.SELL): Code.STOP_OVER_MARK,
    (TriggerForm.STOP_LOSS, TriggerSource.INDEX, Side.BUY): Code.STOP_UNDER_INDEX,
    (TriggerForm.STOP_LOSS, TriggerSource.INDEX, Side.SELL): Code.STOP_OVER_INDEX,
    (TriggerForm.TAKE_PROFIT, TriggerSource.LAST, Side.BUY): Code.PROFIT_OVER_LAST,
    (TriggerForm.TAKE_PROFIT, TriggerSource.LAST, Side.SELL): Code.PROFIT_UNDER_LAST,
    (TriggerForm.TAKE_PROFIT, TriggerSource.MARK, Side.BUY): Code.PROFIT_OVER_MARK,
    (TriggerForm.TAKE_PROFIT, TriggerSource.MARK, Side.SELL): Code.PROFIT_UNDER_MARK,
    (TriggerForm.TAKE_PROFIT, TriggerSource.INDEX, Side.BUY): Code.PROFIT_OVER_INDEX,
    (TriggerForm.TAKE_PROFIT, TriggerSource.INDEX, Side.SELL): Code.PROFIT_UNDER_INDEX,
}

#: Gives a price of an instrument now.
PriceSource = Callable[[str, TriggerSource], Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    # What must be reached and what price the order then has; None = market.
    form: TriggerForm
    trigger_price: Decimal
    source: TriggerSource
    price_limit: Decimal | None


def trigger_refusal(refused: OrderRefused, terms: NewTrigger) -> Refusal:
    """Return the exchange's refusal of an algo order in OKX's codes and words."""
    if refused.reason is RefusalReason.TRIGGER_AT_ONCE:
        code = _WRONG_SIDE.get((terms.form, terms.source, terms.side))
        if code is not None:
            return Refusal(code)
    if refused.reason is RefusalReason.CLIENT_ORDER_ID_DUPLICATE:
        return Refusal(Code.ALGO_DUPLICATE)
    if refused.reason is RefusalReason.REDUCE_ONLY_NO_POSITION:
        return Refusal(Code.ALGO_NO_POSITION)
    return refusal(refused)


def new_trigger(fields: Fields, price_of: PriceSource) -> NewTrigger:
    """Return the algo order a body asks for, in base units; Refusal names the wrong parameter."""
    contract = BY_SYMBOL.get(str(fields.get("instId", "")))
    if contract is None:
        raise Refusal(Code.INSTRUMENT)
    side = str(fields.get("side", ""))
    reduce_only = fields.get("reduceOnly") in (True, "true")
    with_position = fields.get("cxlOnClosePos") in (True, "true")
    fraction = decimal_field(fields.get("closeFraction"))
    contracts = decimal_field(fields.get("sz"))
    position_side = str(fields.get("posSide") or "net")
    for name, right in (
        ("tdMode", fields.get("tdMode") == "cross"),
        ("side", side in ("buy", "sell")),
        ("posSide", position_side in ("net", "long", "short")),
        ("tgtCcy", fields.get("tgtCcy") in (None, "")),
        # Only all of a position, and in net mode only as a reduction.
        ("closeFraction", fraction in (None, 1)),
        ("reduceOnly", fraction is None or reduce_only or position_side != "net"),
        ("sz", (contracts is None) == (fraction is not None)),
        ("sz", contracts is None or contracts > 0),
        ("cxlOnClosePos", not with_position or reduce_only),
    ):
        if not right:
            raise Refusal(Code.ORDER_PARAMETER, f"Parameter {name} error")
    condition = _condition(fields, closes=fraction is not None)
    return NewTrigger(
        instrument_id=contract.instrument_id,
        side=Side(side),
        quantity=None if contracts is None else contract.quantity(contracts),
        trigger_price=condition.trigger_price,
        source=condition.source,
        direction=_direction(condition, contract.instrument_id, Side(side), price_of),
        kind=OrderKind.MARKET if condition.price_limit is None else OrderKind.LIMIT,
        price_limit=condition.price_limit,
        reduce_only=reduce_only,
        position_side=PositionSide(position_side),
        # One that closes a whole position ends with it.
        with_position=with_position or fraction is not None,
        form=condition.form,
        client_order_id=str(fields.get("algoClOrdId") or "") or None,
        tag=str(fields.get("tag") or ""),
    )


def _condition(fields: Fields, *, closes: bool) -> _Condition:
    kind = fields.get("ordType")
    if kind == "trigger" and not closes:
        return _read(fields, TriggerForm.PLAIN, "triggerPx", "triggerPxType", "orderPx")
    if kind != "conditional":
        raise Refusal(Code.ORDER_PARAMETER, "Parameter ordType error")
    # With both, OKX carries out the stop alone.
    if fields.get("slTriggerPx") not in (None, ""):
        found = _read(fields, TriggerForm.STOP_LOSS, "slTriggerPx", "slTriggerPxType", "slOrdPx")
    else:
        found = _read(fields, TriggerForm.TAKE_PROFIT, "tpTriggerPx", "tpTriggerPxType", "tpOrdPx")
    if closes and found.price_limit is not None:
        raise Refusal(Code.ORDER_PARAMETER, "Parameter closeFraction error")
    return found


def _read(
    fields: Fields, form: TriggerForm, trigger_name: str, source_name: str, price_name: str
) -> _Condition:
    trigger_price = decimal_field(fields.get(trigger_name))
    source = _SOURCES.get(str(fields.get(source_name) or "last"))
    price = decimal_field(fields.get(price_name))
    for name, right in (
        (trigger_name, trigger_price is not None and trigger_price > 0),
        (source_name, source is not None),
        (price_name, price is not None and (price > 0 or price == MARKET)),
    ):
        if not right:
            raise Refusal(Code.ORDER_PARAMETER, f"Parameter {name} error")
    assert trigger_price is not None
    assert source is not None
    return _Condition(
        form=form,
        trigger_price=trigger_price,
        source=source,
        price_limit=None if price == MARKET else price,
    )


def _direction(
    condition: _Condition, instrument_id: str, side: Side, price_of: PriceSource
) -> TriggerDirection:
    if condition.form is TriggerForm.PLAIN:
        # It waits for its price from whichever side the market is on.
        now = price_of(instrument_id, condition.source)
        rising = condition.trigger_price > now
    else:
        rising = (side is Side.BUY) == (condition.form is TriggerForm.STOP_LOSS)
    return TriggerDirection.RISING if rising else TriggerDirection.FALLING
