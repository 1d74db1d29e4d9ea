"""Settings, rights and keys over REST ("Account", "User Data Streams")."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.instruments import MarginTier
from counterpoise.exchange.modes import PositionMode
from counterpoise.exchange.orders import RefusalReason
from counterpoise.simulator.binance import order_entry, symbols
from counterpoise.simulator.binance.auth import missing
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    Security,
    instrument_of,
    instruments_of,
)
from counterpoise.simulator.binance.errors import Code, Row, WireError
from counterpoise.simulator.binance.symbols import text
from counterpoise.simulator.binance.trade import hedged
from counterpoise.simulator.fault_kinds import FaultKind

_SUCCESS: Final[Row] = {"code": 200, "msg": "success"}
_LEVERAGE_STEP: Final = Decimal("0.000001")
#: Upper end of the last bracket.
_NOTIONAL_END: Final = 9_223_372_036_854_775_807


def permissions() -> Row:
    """Return what the account may do, as several answers have it."""
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


def _account_config(desk: Desk, call: Call) -> object:
    modes = {"dualSidePosition": _dual(desk), **_multi_assets(desk, call)}
    return {**permissions(), **modes}


def leverage_text(desk: Desk, instrument_id: str) -> str:
    """Return an instrument's leverage setting."""
    return text(desk.venue.exchange.leverage_setting(desk.account_id, instrument_id))


def leverage_max(tier: MarginTier) -> int:
    """Return the largest leverage setting a tier allows."""
    # A third, inverted, must be 3 again.
    return int((1 / tier.initial_margin_fraction).quantize(_LEVERAGE_STEP))


def notional_max(desk: Desk, instrument_id: str) -> Decimal:
    """Return the end of the last tier that still allows the leverage setting, quote."""
    setting = desk.venue.exchange.leverage_setting(desk.account_id, instrument_id)
    allowed = [
        tier for tier in desk.instrument(instrument_id).tiers if leverage_max(tier) >= setting
    ]
    end = allowed[-1].notional_max if allowed else Decimal(0)
    return Decimal(_NOTIONAL_END) if end is None else end


def _symbol_config(desk: Desk, call: Call) -> object:
    margin_type = "ISOLATED" if _said(desk, "isolated") else "CROSSED"
    return [
        {
            "symbol": each,
            "marginType": margin_type,
            "isAutoAddMargin": False,
            "leverage": int(desk.venue.exchange.leverage_setting(desk.account_id, each)),
            "maxNotionalValue": text(notional_max(desk, each)),
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
        "maxNotionalValue": text(notional_max(desk, instrument_id)),
        "symbol": instrument_id,
    }


def _set_margin_type(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    kind = call.text("marginType")
    if kind == "CROSSED":
        if not _said(desk, "isolated"):
            raise WireError(Code.MARGIN_TYPE_SAME)
        account = desk.venue.exchange.account(desk.account_id)
        if any(each.instrument_id == instrument_id for each in account.open_orders):
            raise WireError(Code.MARGIN_TYPE_ORDERS)
        if any(each.instrument_id == instrument_id for each in account.positions.values()):
            raise WireError(Code.MARGIN_TYPE_POSITION)
        desk.floor.faults.end(FaultKind.ACCOUNT_MODE)
        return _SUCCESS
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
    if desk.venue.exchange.account(desk.account_id).open_orders:
        raise WireError(Code.POSITION_SIDE_ORDERS)
    mode = PositionMode.HEDGE if dual else PositionMode.ONE_WAY
    refused = desk.venue.set_position_mode(desk.account_id, mode)
    if refused is not None and refused.reason is not RefusalReason.MODE_UNCHANGED:
        raise order_entry.refusal(refused)
    return _SUCCESS


def _multi_assets(desk: Desk, _call: Call) -> Row:
    return {"multiAssetsMargin": _said(desk, "multi_asset")}


def _said(desk: Desk, mode: str) -> bool:
    # Whether a fault has the account said to be in a mode that the model has not.
    said = desk.floor.faults.takes(FaultKind.ACCOUNT_MODE)
    return said is not None and said.value == mode


def _set_multi_assets(desk: Desk, call: Call) -> object:
    several = call.flag("multiAssetsMargin")
    if several is None:
        raise missing("multiAssetsMargin")
    if several is _said(desk, "multi_asset"):
        raise WireError(Code.ASSETS_MODE_SAME)
    if desk.venue.exchange.account(desk.account_id).open_orders:
        raise WireError(Code.ASSETS_MODE_ORDERS)
    if several:
        # The model has one currency, so nothing else could be margin.
        raise WireError(Code.ASSETS_MODE_BALANCE)
    desk.floor.faults.end(FaultKind.ACCOUNT_MODE)
    return _SUCCESS


def _commission_rate(desk: Desk, call: Call) -> object:
    tier = desk.venue.exchange.fee_tier(desk.account_id)
    said = desk.floor.faults.takes(FaultKind.FEE)
    taker_bps = tier.taker_fee_bps if said is None else Decimal(said.value)
    return {
        "symbol": instrument_of(desk, call),
        "makerCommissionRate": text(tier.maker_fee_bps / units.BPS_PER_ONE),
        "takerCommissionRate": text(taker_bps / units.BPS_PER_ONE),
    }


def _order_limits(desk: Desk, _call: Call) -> object:
    return desk.usage.limits.order_rows()


def _trading_status(desk: Desk, _call: Call) -> object:
    return {"indicators": {}, "updateTime": desk.now_ms()}


def _restrictions(desk: Desk, _call: Call) -> object:
    fault = desk.floor.faults.takes(FaultKind.KEY_PERMISSION)
    said = "" if fault is None else fault.value
    return {
        "ipRestrict": desk.floor.faults.takes(FaultKind.KEY_UNBOUND) is None,
        "createTime": symbols.milliseconds(desk.venue.exchange.now_ns),
        "enableReading": True,
        "enableFutures": said != "read_only",
        "enableWithdrawals": said == "withdraw",
        "enableInternalTransfer": said == "transfer",
        "permitsUniversalTransfer": said == "transfer",
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
    ("POST", "/fapi/v1/multiAssetsMargin"): Route(handler=_set_multi_assets, security=_SIGNED),
    ("GET", "/fapi/v1/commissionRate"): Route(
        handler=_commission_rate, security=_SIGNED, weight=20
    ),
    ("GET", "/fapi/v1/rateLimit/order"): Route(handler=_order_limits, security=_SIGNED),
    ("GET", "/fapi/v1/apiTradingStatus"): Route(handler=_trading_status, security=_SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(handler=_restrictions, security=_SIGNED),
    ("GET", "/sapi/v1/capital/config/getall"): Route(handler=_coins, security=_SIGNED, weight=10),
    ("GET", "/sapi/v1/margin/allPairs"): Route(handler=_coins, security=_KEY),
    ("POST", "/fapi/v1/listenKey"): Route(handler=_listen_key_start, security=_KEY),
    ("PUT", "/fapi/v1/listenKey"): Route(handler=_listen_key_keep, security=_KEY),
    ("DELETE", "/fapi/v1/listenKey"): Route(handler=_listen_key_end, security=_KEY),
}
