"""Bybit's account REST: balance, modes, fees, wallet movements and the key itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange.accounts import Bill, BillKind
from counterpoise.exchange.orders import ExchangeFill
from counterpoise.simulator.bybit.account_rows import wallet_row
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, page
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_rows import side_name
from counterpoise.simulator.bybit.symbols import (
    CATEGORY,
    CURRENCY,
    execution_id,
    milliseconds,
    text,
)
from counterpoise.simulator.faults import FaultKind

#: UTA 2.0.
UNIFIED_STATUS: Final = 6
#: When the venue says the key was made.
_KEY_MADE: Final = "2025-01-01T00:00:00Z"

#: Why a wallet moved -> `type` of the transaction log.
_KINDS: Final = {
    BillKind.DEPOSIT: "TRANSFER_IN",
    BillKind.WITHDRAWAL: "TRANSFER_OUT",
    BillKind.TRADE: "TRADE",
    BillKind.FUNDING: "SETTLEMENT",
    BillKind.LIQUIDATION: "LIQUIDATION",
    BillKind.ADL: "ADL",
    BillKind.INSURANCE: "BONUS",
    BillKind.DELISTING: "DELIVERY",
}


def balance_row(desk: Desk) -> Row:
    """Return the balance as it is shown now."""
    row = wallet_row(desk.venue.exchange.account(desk.account_id))
    if desk.faults.takes(FaultKind.EMPTY_MARGINS) is not None:
        row |= {name: "" for name in row if name.endswith(("MMRate", "IMRate")) or "Margin" in name}
    return row


def _balance(desk: Desk, call: Call) -> Row:
    if call.query.get("accountType", "UNIFIED") != "UNIFIED":
        raise WireError(Code.PARAMETER, "accountType only support UNIFIED.")
    row = balance_row(desk)
    asked = call.query.get("coin")
    if asked is not None and CURRENCY not in asked.split(","):
        row["coin"] = []
    return {"list": [row]}


def _info(desk: Desk, _call: Call) -> Row:
    said = desk.faults.takes(FaultKind.ACCOUNT_MODE)
    return {
        "marginMode": "REGULAR_MARGIN" if said is None else said.value,
        "updatedTime": milliseconds(desk.venue.clock.told_ns()),
        "unifiedMarginStatus": UNIFIED_STATUS,
        "dcpStatus": "ON" if desk.protection.enabled else "OFF",
        "timeWindow": desk.protection.window_seconds,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def _set_margin_mode(desk: Desk, call: Call) -> Row:
    # Cross margin is what there is; Bybit takes a repetition silently.
    mode = call.body.get("setMarginMode")
    if mode == "REGULAR_MARGIN":
        desk.faults.end(FaultKind.ACCOUNT_MODE)
        return {"reasons": []}
    if mode in ("ISOLATED_MARGIN", "PORTFOLIO_MARGIN"):
        raise WireError(Code.MARGIN_MODE, f"Set margin mode failed: {mode} is not simulated")
    raise WireError(Code.PARAMETER, "params error: setMarginMode invalid")


def _fee_rate(desk: Desk, call: Call) -> Row:
    tier = desk.venue.exchange.fee_tier(desk.account_id)
    said = desk.faults.takes(FaultKind.FEE)
    taker_bps = tier.taker_fee_bps if said is None else Decimal(said.value)
    maker, taker = (text(each / BPS_PER_ONE) for each in (tier.maker_fee_bps, taker_bps))
    rows = [
        {"symbol": symbol, "baseCoin": "", "makerFeeRate": maker, "takerFeeRate": taker}
        for symbol in call.wanted(desk)
    ]
    return {"category": call.query.get("category", CATEGORY), "list": rows}


def log_row(bill: Bill, fill: ExchangeFill | None) -> Row:
    """Return a wallet movement as transaction-log has it; None = no execution is behind it."""
    funding = bill.kind is BillKind.FUNDING
    rate = "" if bill.funding_rate is None else text(bill.funding_rate)
    if fill is not None:
        rate = text(fill.fee / (fill.quantity * fill.price))
    return {
        "transSubType": "",
        "id": bill.bill_id,
        "symbol": bill.instrument_id or "",
        "category": CATEGORY if bill.instrument_id else "",
        "side": "None" if fill is None else side_name(fill.side),
        "transactionTime": milliseconds(bill.event_ns),
        "type": _KINDS[bill.kind],
        "qty": "0" if fill is None else text(fill.quantity),
        "size": "0" if fill is None else text(fill.quantity),
        "currency": CURRENCY,
        "tradePrice": "0" if fill is None else text(fill.price),
        "funding": text(bill.change) if funding else "",
        "fee": text(bill.fee),
        "cashFlow": text(Decimal(0) if funding else bill.change + bill.fee),
        "change": text(bill.change),
        "cashBalance": text(bill.wallet_balance),
        "feeRate": rate,
        "bonusChange": "",
        "tradeId": "" if fill is None else execution_id(fill),
        "orderId": "" if fill is None else fill.order_id,
        "orderLinkId": "" if fill is None else fill.client_order_id or "",
        "extraFees": "",
    }


def _asked(call: Call, bills: Sequence[Bill], end_ns: int) -> list[Bill]:
    kind, symbol = call.query.get("type"), call.query.get("symbol")
    currency = call.query.get("currency", CURRENCY)
    return [
        bill
        for bill in reversed(bills)
        if bill.event_ns <= end_ns
        and currency == CURRENCY
        and kind in (None, _KINDS[bill.kind])
        and symbol in (None, bill.instrument_id)
        and (bill.instrument_id is not None or "category" not in call.query)
    ]


def _log(desk: Desk, call: Call) -> Row:
    exchange = desk.venue.exchange
    start_ns, end_ns = call.span(exchange.now_ns)
    bills = exchange.bills(desk.account_id, start_ns) if call.linear else ()
    shown, cursor = page(_asked(call, bills, end_ns), call, key=lambda bill: bill.bill_id)
    fills = {each.bill_id: each for each in exchange.fills(desk.account_id, start_ns)}
    return {
        "nextPageCursor": cursor,
        "list": [log_row(bill, fills.get(bill.bill_id)) for bill in shown],
    }


def _protection(desk: Desk, _call: Call) -> Row:
    if not desk.protection.enabled:
        return {"dcpInfos": []}
    window = str(desk.protection.window_seconds)
    return {"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": window}]}


def _setting_config(_desk: Desk, _call: Call) -> Row:
    # `lpaPerp` false means that limit prices out of the band are moved to its end.
    return {"lpaSpot": False, "lpaPerp": False, "smsef": False, "fmsef": False}


def _key(desk: Desk, _call: Call) -> Row:
    expires_ns = desk.rules.expires_ns
    expires = "1970-01-01T00:00:00Z"
    if expires_ns is not None:
        instant = datetime.fromtimestamp(expires_ns // units.NS_PER_SECOND, UTC)
        expires = instant.strftime("%Y-%m-%dT%H:%M:%SZ")
    fault = desk.faults.takes(FaultKind.KEY_PERMISSION)
    said = "" if fault is None else fault.value
    trades = not desk.rules.read_only and said != "read_only"
    unbound = desk.faults.takes(FaultKind.KEY_UNBOUND) is not None
    addresses = [] if unbound else list(desk.rules.addresses)
    wallet = {"withdraw": ["Withdraw"], "transfer": ["AccountTransfer", "SubMemberTransfer"]}
    return {
        "id": desk.account_id,
        "note": "counterpoise simulator",
        "apiKey": desk.api_key,
        "readOnly": int(not trades),
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"] if trades else [],
            "Spot": [],
            "Wallet": wallet.get(said, []),
            "Options": [],
            "Derivatives": ["DerivativesTrade"] if trades else [],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
        },
        "ips": addresses or ["*"],
        "type": 1,
        "deadlineDay": -2 if addresses else 90,
        "expiredAt": expires,
        "createdAt": _KEY_MADE,
        "unified": 0,
        "uta": 1,
        "userID": int(desk.account_id) if desk.account_id.isdigit() else 0,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
    }


def _currencies(desk: Desk, call: Call) -> Row:
    names = [CURRENCY, *(each.instrument.base for each in desk.listed.values())]
    asked = call.query.get("coin")
    rows = [
        {"name": name, "coin": name, "remainAmount": "0", "chains": []}
        for name in names
        if asked in (None, name)
    ]
    return {"rows": rows}


#: Path -> handler of signed GET requests.
READS: Final[dict[str, Handler]] = {
    "/v5/account/wallet-balance": _balance,
    "/v5/account/info": _info,
    "/v5/account/fee-rate": _fee_rate,
    "/v5/account/transaction-log": _log,
    "/v5/account/query-dcp-info": _protection,
    "/v5/account/user-setting-config": _setting_config,
    "/v5/user/query-api": _key,
    "/v5/asset/coin/query-info": _currencies,
}

#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {"/v5/account/set-margin-mode": _set_margin_mode}
