"""Balance, positions, settings and income over REST ("Account")."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.instruments import MarginTier
from counterpoise.exchange.accounts import AccountState
from counterpoise.exchange.modes import PositionMode, PositionSide
from counterpoise.exchange.orders import RefusalReason
from counterpoise.simulator.binance import account_rows, order_entry, order_rows, symbols
from counterpoise.simulator.binance.auth import missing
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    Security,
    clip,
    instrument_of,
    instruments_of,
    one_or_all,
)
from counterpoise.simulator.binance.errors import Code, Row, WireError
from counterpoise.simulator.binance.symbols import text
from counterpoise.simulator.binance.trade import hedged
from counterpoise.simulator.faults import FaultKind

_SUCCESS: Final[Row] = {"code": 200, "msg": "success"}
#: Upper end of the last bracket.
_NOTIONAL_END: Final = 9_223_372_036_854_775_807


def _state(desk: Desk) -> AccountState:
    return desk.venue.exchange.account(desk.account_id)


def _shown(desk: Desk, row: Row) -> Row:
    blank = desk.floor.faults.takes(FaultKind.EMPTY_MARGINS) is not None
    return account_rows.blanked(row) if blank else row


def _risk_rows(desk: Desk, state: AccountState, *, flat: bool) -> dict[str, list[Row]]:
    """Rows per instrument: of positions and open orders, with `flat` of everything listed."""
    fee_bps = desk.venue.exchange.parameters.taker_fee_bps
    found: dict[str, list[Row]] = {}
    if desk.floor.faults.takes(FaultKind.EMPTY_POSITIONS) is not None:
        return found
    for instrument_id in desk.listed:
        orders = tuple(each for each in state.open_orders if each.instrument_id == instrument_id)
        held = [each for each in state.positions.values() if each.instrument_id == instrument_id]
        if flat or orders or held:
            sides = {each.position_side for each in held}
            both = hedged(desk, instrument_id)
            wanted = (PositionSide.LONG, PositionSide.SHORT) if both else (PositionSide.NET,)
            if not sides or flat:
                held += [
                    account_rows.flat_position(
                        instrument_id, side, desk.venue.exchange.mark(instrument_id),
                        desk.venue.exchange.leverage_setting(desk.account_id, instrument_id),
                    )
                    for side in wanted
                    if side not in sides
                ]  # fmt: skip
            found[instrument_id] = [account_rows.risk_row(each, orders, fee_bps) for each in held]
    return found


def _account(desk: Desk, _call: Call) -> object:
    state = _state(desk)
    rows = _risk_rows(desk, state, flat=False)
    positions = [account_rows.account_position_row(row) for each in rows.values() for row in each]
    return _shown(desk, {**account_rows.account_row(state), "positions": positions})


def _account_two(desk: Desk, _call: Call) -> object:
    # The older form lists every contract, with its settings.
    state = _state(desk)
    positions: list[Row] = []
    for instrument_id, rows in _risk_rows(desk, state, flat=True).items():
        positions += [
            {
                **account_rows.account_position_row(row),
                "positionInitialMargin": row["initialMargin"],
                "openOrderInitialMargin": "0",
                "leverage": _leverage_text(desk, instrument_id),
                "isolated": False,
                "entryPrice": row["entryPrice"],
                "breakEvenPrice": row["breakEvenPrice"],
                "maxNotional": text(_notional_max(desk, instrument_id)),
                "bidNotional": row["bidNotional"],
                "askNotional": row["askNotional"],
            }
            for row in rows
        ]
    return _shown(
        desk,
        {**_permissions(), **account_rows.account_row(state), "positions": positions},
    )


def _permissions() -> Row:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": False,
        "canWithdraw": False,
        "feeBurn": False,
        "tradeGroupId": -1,
        "updateTime": 0,
        "multiAssetsMargin": False,
    }


def _balance(desk: Desk, _call: Call) -> object:
    return [_shown(desk, account_rows.balance_row(_state(desk)))]


def _position_risk(desk: Desk, call: Call) -> object:
    rows = _risk_rows(desk, _state(desk), flat=False)
    return [_shown(desk, row) for each in instruments_of(desk, call) for row in rows.get(each, ())]


def _position_risk_two(desk: Desk, call: Call) -> object:
    rows = _risk_rows(desk, _state(desk), flat=True)
    return [
        _shown(
            desk,
            {
                **row,
                "leverage": _leverage_text(desk, each),
                "marginType": "cross",
                "isAutoAddMargin": "false",
                "maxNotionalValue": text(_notional_max(desk, each)),
            },
        )
        for each in instruments_of(desk, call)
        for row in rows.get(each, ())
    ]


def _account_config(desk: Desk, _call: Call) -> object:
    return {**_permissions(), "dualSidePosition": _dual(desk)}


def _leverage_text(desk: Desk, instrument_id: str) -> str:
    return text(desk.venue.exchange.leverage_setting(desk.account_id, instrument_id))


def leverage_max(tier: MarginTier) -> int:
    """Return the largest leverage setting a tier allows."""
    return int(1 / tier.initial_margin_fraction)


def _notional_max(desk: Desk, instrument_id: str) -> Decimal:
    # The end of the last tier that still allows the setting.
    setting = desk.venue.exchange.leverage_setting(desk.account_id, instrument_id)
    allowed = [
        tier for tier in desk.instrument(instrument_id).tiers if leverage_max(tier) >= setting
    ]
    end = allowed[-1].notional_max if allowed else Decimal(0)
    return Decimal(_NOTIONAL_END) if end is None else end


def _symbol_config(desk: Desk, call: Call) -> object:
    return [
        {
            "symbol": each,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": int(desk.venue.exchange.leverage_setting(desk.account_id, each)),
            "maxNotionalValue": text(_notional_max(desk, each)),
        }
        for each in instruments_of(desk, call)
    ]


def _brackets(desk: Desk, instrument_id: str) -> Row:
    floor: Decimal = Decimal(0)
    brackets: list[Row] = []
    for number, tier in enumerate(desk.instrument(instrument_id).tiers, start=1):
        end = _NOTIONAL_END if tier.notional_max is None else int(tier.notional_max)
        brackets.append(
            {
                "bracket": number,
                "initialLeverage": leverage_max(tier),
                "notionalCap": end,
                "notionalFloor": int(floor),
                "maintMarginRatio": float(tier.maintenance_margin_fraction),
                "cum": float(tier.maintenance_margin_deduction),
            }
        )
        floor = tier.notional_max or floor
    return {"symbol": instrument_id, "brackets": brackets}


def _leverage_bracket(desk: Desk, call: Call) -> object:
    return [_brackets(desk, each) for each in instruments_of(desk, call)]


def _set_leverage(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    leverage = call.whole("leverage")
    if leverage is None:
        raise missing("leverage")
    refused = desk.venue.set_leverage(desk.account_id, instrument_id, Decimal(leverage))
    if refused is not None:
        raise order_entry.refusal(refused)
    return {
        "leverage": leverage,
        "maxNotionalValue": text(_notional_max(desk, instrument_id)),
        "symbol": instrument_id,
    }


def _set_margin_type(desk: Desk, call: Call) -> object:
    instrument_of(desk, call)
    kind = call.text("marginType")
    if kind == "CROSSED":
        raise WireError(Code.MARGIN_TYPE_SAME)
    if kind != "ISOLATED":
        raise missing("marginType")
    # The model has cross margin only.
    raise WireError(Code.ISOLATED)


def _dual(desk: Desk) -> bool:
    return hedged(desk, next(iter(desk.listed)))


def _position_mode(desk: Desk, _call: Call) -> object:
    return {"dualSidePosition": _dual(desk)}


def _set_position_mode(desk: Desk, call: Call) -> object:
    dual = call.flag("dualSidePosition")
    if dual is None:
        raise missing("dualSidePosition")
    if dual is _dual(desk):
        raise WireError(Code.POSITION_MODE_SAME)
    if _state(desk).open_orders:
        raise WireError(Code.POSITION_SIDE_ORDERS)
    mode = PositionMode.HEDGE if dual else PositionMode.ONE_WAY
    refused = desk.venue.set_position_mode(desk.account_id, mode)
    if refused is not None and refused.reason is not RefusalReason.MODE_UNCHANGED:
        raise order_entry.refusal(refused)
    return _SUCCESS


def _multi_assets(_desk: Desk, _call: Call) -> object:
    return {"multiAssetsMargin": False}


def _commission_rate(desk: Desk, call: Call) -> object:
    parameters = desk.venue.exchange.parameters
    return {
        "symbol": instrument_of(desk, call),
        "makerCommissionRate": text(parameters.maker_fee_bps / units.BPS_PER_ONE),
        "takerCommissionRate": text(parameters.taker_fee_bps / units.BPS_PER_ONE),
    }


def _income(desk: Desk, call: Call) -> object:
    symbol, kind = call.fields.get("symbol"), call.fields.get("incomeType")
    since_ns = 0
    if "startTime" not in call.fields:
        since_ns = max(0, desk.venue.exchange.now_ns - 7 * units.NS_PER_DAY)
    rows = [
        row
        for bill in desk.venue.exchange.bills(desk.account_id, since_ns)
        if call.within(bill.event_ns)
        for row in account_rows.income_rows(bill)
        if symbol in (None, row["symbol"]) and kind in (None, row["incomeType"])
    ]
    return clip(call, rows, 1_000, 100)


def _adl_quantile(desk: Desk, call: Call) -> object:
    state = _state(desk)
    rows: list[Row] = []
    for instrument_id in instruments_of(desk, call):
        held = [each for each in state.positions.values() if each.instrument_id == instrument_id]
        if held:
            names = {order_rows.POSITION_SIDES[each.position_side]: 1 for each in held}
            rows.append({"symbol": instrument_id, "adlQuantile": names})
    return one_or_all(call, rows) if rows else []


def _order_limits(desk: Desk, _call: Call) -> object:
    return desk.usage.limits.order_rows()


def _trading_status(desk: Desk, _call: Call) -> object:
    return {"indicators": {}, "updateTime": desk.now_ms()}


def _restrictions(desk: Desk, _call: Call) -> object:
    return {
        "ipRestrict": True,
        "createTime": symbols.milliseconds(desk.venue.exchange.now_ns),
        "enableReading": True,
        "enableFutures": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableMargin": False,
        "enableSpotAndMarginTrading": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
    }


def _coins(_desk: Desk, _call: Call) -> object:
    return []


def _listen_key_start(desk: Desk, _call: Call) -> object:
    return {"listenKey": desk.listen_keys.start()}


def _listen_key_keep(desk: Desk, _call: Call) -> object:
    return {"listenKey": desk.listen_keys.keep_alive()}


def _listen_key_end(desk: Desk, _call: Call) -> object:
    desk.listen_keys.end()
    return {}


_SIGNED: Final = Security.SIGNED
_KEY: Final = Security.KEY

ROUTES: Final[Routes] = {
    ("GET", "/fapi/v2/account"): Route(handler=_account_two, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/account"): Route(handler=_account, security=_SIGNED, weight=5),
    ("GET", "/fapi/v2/balance"): Route(handler=_balance, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/balance"): Route(handler=_balance, security=_SIGNED, weight=5),
    ("GET", "/fapi/v2/positionRisk"): Route(handler=_position_risk_two, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/positionRisk"): Route(handler=_position_risk, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/accountConfig"): Route(handler=_account_config, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/symbolConfig"): Route(handler=_symbol_config, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/leverageBracket"): Route(handler=_leverage_bracket, security=_SIGNED),
    ("POST", "/fapi/v1/leverage"): Route(handler=_set_leverage, security=_SIGNED),
    ("POST", "/fapi/v1/marginType"): Route(handler=_set_margin_type, security=_SIGNED),
    ("GET", "/fapi/v1/positionSide/dual"): Route(
        handler=_position_mode, security=_SIGNED, weight=30
    ),
    ("POST", "/fapi/v1/positionSide/dual"): Route(handler=_set_position_mode, security=_SIGNED),
    ("GET", "/fapi/v1/multiAssetsMargin"): Route(
        handler=_multi_assets, security=_SIGNED, weight=30
    ),
    ("GET", "/fapi/v1/commissionRate"): Route(
        handler=_commission_rate, security=_SIGNED, weight=20
    ),
    ("GET", "/fapi/v1/income"): Route(handler=_income, security=_SIGNED, weight=30),
    ("GET", "/fapi/v1/adlQuantile"): Route(handler=_adl_quantile, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/rateLimit/order"): Route(handler=_order_limits, security=_SIGNED),
    ("GET", "/fapi/v1/apiTradingStatus"): Route(handler=_trading_status, security=_SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(handler=_restrictions, security=_SIGNED),
    ("GET", "/sapi/v1/capital/config/getall"): Route(handler=_coins, security=_SIGNED, weight=10),
    ("GET", "/sapi/v1/margin/allPairs"): Route(handler=_coins, security=_KEY),
    ("POST", "/fapi/v1/listenKey"): Route(handler=_listen_key_start, security=_KEY),
    ("PUT", "/fapi/v1/listenKey"): Route(handler=_listen_key_keep, security=_KEY),
    ("DELETE", "/fapi/v1/listenKey"): Route(handler=_listen_key_end, security=_KEY),
}
