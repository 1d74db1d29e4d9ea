"""Bybit's position REST: what is held, leverage settings and the position mode."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import MarginTier
from counterpoise.exchange.accounts import PositionState
from counterpoise.exchange.modes import PositionMode
from counterpoise.exchange.orders import OrderRefused, RefusalReason
from counterpoise.simulator.bybit import order_entry, trading_stop
from counterpoise.simulator.bybit.account_rows import flat_row, position_row
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, decimal_field, int_field, page
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.symbols import CATEGORY, CURRENCY, text_or
from counterpoise.simulator.faults import FaultKind

#: Positions in one answer.
POSITIONS_MAX: Final = 200
_MODES: Final = {0: PositionMode.ONE_WAY, 3: PositionMode.HEDGE}


def _risk_limit(tiers: tuple[MarginTier, ...], notional: Decimal) -> str:
    # The last tier has no end; Bybit writes a large figure there.
    for tier in tiers:
        if tier.notional_max is not None and notional <= tier.notional_max:
            return text_or(tier.notional_max, "")
    return "10000000000"


def _tiers(desk: Desk, symbol: str) -> tuple[MarginTier, ...]:
    # A position may outlive the listing of its instrument by one push.
    try:
        return desk.instrument(symbol).tiers
    except WireError:
        return desk.listed[symbol].instrument.tiers


def row(desk: Desk, position: PositionState) -> Row:
    """Return a position as position/list has it."""
    tiers = _tiers(desk, position.instrument_id)
    notional = abs(position.quantity) * position.mark
    rank = desk.venue.exchange.adl_rank(
        desk.account_id, position.instrument_id, position.position_side
    )
    shown = position_row(position, risk_limit=_risk_limit(tiers, notional), rank=rank)
    shown |= trading_stop.position_fields(desk, position)
    if desk.faults.takes(FaultKind.EMPTY_MARGINS, position.instrument_id) is not None:
        shown |= {name: "" for name in shown if name.startswith(("positionIM", "positionMM"))}
    return shown


def _rows_of(desk: Desk, symbol: str) -> list[Row]:
    # A query by symbol shows flat positions as well, one row per side in hedge mode.
    exchange = desk.venue.exchange
    tiers = _tiers(desk, symbol)
    by_side = {
        each.position_side: each
        for each in exchange.account(desk.account_id).positions.values()
        if each.instrument_id == symbol
    }
    mode = exchange.position_mode(desk.account_id, symbol)
    return [
        row(desk, by_side[side])
        if side in by_side
        else flat_row(
            symbol,
            side,
            mark=desk.venue.display.mark(symbol),
            leverage=exchange.leverage_setting(desk.account_id, symbol),
            risk_limit=_risk_limit(tiers, Decimal(0)),
        )
        for side in order_entry.position_sides(mode)
    ]


def _list(desk: Desk, call: Call) -> Row:
    category = call.query.get("category", CATEGORY)
    settle = call.query.get("settleCoin")
    rows: list[Row] = []
    if desk.faults.takes(FaultKind.EMPTY_POSITIONS) is not None:
        return {"list": rows, "nextPageCursor": "", "category": category}
    if call.linear and "symbol" in call.query:
        rows = _rows_of(desk, call.one(desk))
    elif call.linear and settle is None:
        raise WireError(Code.PARAMETER, "params error: symbol or settleCoin is required")
    elif call.linear and settle == CURRENCY:
        held = desk.venue.exchange.account(desk.account_id).positions.values()
        rows = [row(desk, position) for position in held]
    shown, cursor = page(
        rows, call, key=lambda each: f"{each['symbol']}:{each['positionIdx']}", most=POSITIONS_MAX
    )
    return {"list": shown, "nextPageCursor": cursor, "category": category}


def _set_leverage(desk: Desk, call: Call) -> Row:
    fields = call.body
    order_entry.check_category(fields)
    symbol = str(fields.get("symbol") or "")
    desk.instrument(symbol)
    buy, sell = (decimal_field(fields.get(name)) for name in ("buyLeverage", "sellLeverage"))
    if buy is None or sell is None or buy < 1:
        raise WireError(Code.PARAMETER, "params error: leverage invalid")
    if buy != sell:
        raise WireError(Code.PARAMETER, "buy leverage not equal sell leverage")
    if buy == desk.venue.exchange.leverage_setting(desk.account_id, symbol):
        raise WireError(Code.LEVERAGE_UNCHANGED)
    refused = desk.venue.set_leverage(desk.account_id, symbol, buy)
    if refused is not None:
        raise order_entry.refusal(desk, refused)
    return {}


def _switch_mode(desk: Desk, call: Call) -> Row:
    fields = call.body
    order_entry.check_category(fields)
    mode = _MODES.get(int_field(fields.get("mode"), "mode") or 0)
    symbol = str(fields.get("symbol") or "")
    if mode is None:
        raise WireError(Code.PARAMETER, "params error: mode invalid")
    if not symbol and fields.get("coin") != CURRENCY:
        raise WireError(Code.PARAMETER, "params error: symbol or coin is required")
    if symbol:
        desk.instrument(symbol)
    refused = desk.venue.set_position_mode(desk.account_id, mode, symbol or None)
    if refused is not None:
        raise _mode_refusal(desk, refused, symbol)
    return {}


def _mode_refusal(desk: Desk, refused: OrderRefused, symbol: str) -> WireError:
    # Bybit says whether orders or positions are in the way.
    account = desk.venue.exchange.account(desk.account_id)
    orders_open = any(symbol in ("", order.instrument_id) for order in account.open_orders)
    if refused.reason is RefusalReason.MODE_LOCKED and orders_open:
        return WireError(Code.ORDERS_OPEN)
    return order_entry.refusal(desk, refused)


def _confirm(_desk: Desk, _call: Call) -> Row:
    # No position is ever set reduce-only here, so there is nothing to confirm.
    return {}


#: Path -> handler of signed GET requests.
READS: Final[dict[str, Handler]] = {"/v5/position/list": _list}

#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {
    "/v5/position/set-leverage": _set_leverage,
    "/v5/position/switch-mode": _switch_mode,
    "/v5/position/confirm-pending-mmr": _confirm,
}
