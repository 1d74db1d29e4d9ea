"""OKX's account REST: balance, positions, leverage, fees, bills (docs-v5 "Trading Account")."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange.accounts import AccountState, Bill, PositionState
from counterpoise.exchange.modes import PositionMode
from counterpoise.exchange.orders import ExchangeFill, RefusalReason
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.okx import account_rows, order_entry
from counterpoise.simulator.okx.calls import (
    Answer,
    Call,
    Desk,
    Handler,
    contract_of,
    decimal_field,
    page,
    within,
)
from counterpoise.simulator.okx.errors import Code, Row, WireError
from counterpoise.simulator.okx.limits import ACCOUNT_MAX
from counterpoise.simulator.okx.public import instrument_row
from counterpoise.simulator.okx.symbols import (
    BY_INSTRUMENT,
    CONTRACTS,
    CURRENCY,
    Contract,
    milliseconds,
    text,
)

#: How far back bills go: 7 days, and 3 months in the archive.
BILLS_DAYS: Final = 7
BILLS_ARCHIVE_DAYS: Final = 90
_MODES: Final = {"net_mode": PositionMode.ONE_WAY, "long_short_mode": PositionMode.HEDGE}
_MODE_NAMES: Final = {mode: name for name, mode in _MODES.items()}
_NS_PER_DAY: Final = 86_400 * 1_000_000_000


def position_row(desk: Desk, position: PositionState, account: AccountState) -> Row:
    """Return a position with the index and last price OKX shows beside it."""
    exchange = desk.venue.exchange
    row = account_rows.position_row(
        position,
        account,
        index=desk.venue.display.index(position.instrument_id),
        last=exchange.last(position.instrument_id),
    )
    rank = exchange.adl_rank(desk.account_id, position.instrument_id, position.position_side)
    row["adl"] = str(rank)
    if desk.faults.takes(FaultKind.EMPTY_MARGINS):
        row |= dict.fromkeys(("imr", "mmr", "mgnRatio", "liqPx", "margin"), "")
    return row


def balance_row(desk: Desk) -> Row:
    """Return the balance as OKX shows it."""
    row = account_rows.account_row(desk.venue.exchange.account(desk.account_id))
    if desk.faults.takes(FaultKind.EMPTY_MARGINS):
        for detail in row["details"] if isinstance(row["details"], list) else ():
            detail.update(dict.fromkeys(("imr", "mmr", "mgnRatio", "frozenBal", "availEq"), ""))
    return row


def shown_positions(desk: Desk, account: AccountState) -> list[PositionState]:
    """Return the positions OKX lists."""
    if desk.faults.takes(FaultKind.EMPTY_POSITIONS):
        return []
    return list(account.positions.values())


def _balance(desk: Desk, call: Call) -> Answer:
    row = balance_row(desk)
    asked = call.query.get("ccy")
    if asked is not None and CURRENCY not in asked.split(","):
        row["details"] = []
    return [row]


def _positions(desk: Desk, call: Call) -> Answer:
    account = desk.venue.exchange.account(desk.account_id)
    asked = call.query.get("instId")
    symbols = None if asked is None else {contract_of(each).symbol for each in asked.split(",")}
    if not call.only_swaps():
        return []
    return [
        position_row(desk, position, account)
        for position in shown_positions(desk, account)
        if symbols is None or BY_INSTRUMENT[position.instrument_id].symbol in symbols
    ]


def _mode(desk: Desk) -> PositionMode:
    # OKX has one mode per account.
    return desk.venue.exchange.position_mode(desk.account_id, next(iter(desk.rules)))


def _permissions(desk: Desk) -> str:
    said = desk.faults.takes(FaultKind.KEY_PERMISSION)
    if said is None:
        return "read_only,trade"
    # OKX knows no permission to transfer apart from the one to withdraw.
    return "read_only" if said.value == "read_only" else "read_only,trade,withdraw"


def _order_limit(desk: Desk, _call: Call) -> Answer:
    # The account's tier is low: no ratio of fills is counted, and what OKX allows at first holds.
    return [
        {
            "accRateLimit": str(ACCOUNT_MAX),
            "fillRatio": "0",
            "mainFillRatio": "0",
            "nextAccRateLimit": str(ACCOUNT_MAX),
            "ts": milliseconds(desk.venue.clock.told_ns()),
        }
    ]


def _config(desk: Desk, _call: Call) -> Answer:
    mode = desk.faults.takes(FaultKind.ACCOUNT_MODE)
    unbound = desk.faults.takes(FaultKind.KEY_UNBOUND) is not None
    return [
        {
            "acctLv": "2" if mode is None else mode.value,
            "acctStpMode": "cancel_maker",
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "enableSpotBorrow": False,
            "feeType": "0",
            "greeksType": "PA",
            "ip": "" if unbound else "127.0.0.1",
            "kycLv": "3",
            "label": "counterpoise simulator",
            "level": "Lv1",
            "levelTmp": "",
            "liquidationGear": "-1",
            "mainUid": desk.account_id,
            "mgnIsoMode": "automatic",
            "opAuth": "0",
            "perm": _permissions(desk),
            "posMode": _MODE_NAMES[_mode(desk)],
            "roleType": "0",
            "settleCcy": CURRENCY,
            "settleCcyList": [CURRENCY],
            "specTraders": [],
            "spotBorrowAutoRepay": False,
            "spotOffsetType": "",
            "spotRoleType": "0",
            "spotTraderInsts": [],
            "stgyType": "0",
            "type": "0",
            "uid": desk.account_id,
        }
    ]


def _leverage_row(desk: Desk, contract: Contract) -> Row:
    setting = desk.venue.exchange.leverage_setting(desk.account_id, contract.instrument_id)
    return {
        "ccy": "",
        "instId": contract.symbol,
        "lever": text(setting),
        "mgnMode": "cross",
        "posSide": "net",
    }


def _leverage_info(desk: Desk, call: Call) -> Answer:
    symbols = call.query.get("instId", "")
    if not symbols:
        raise WireError(Code.PARAMETER, "Parameter instId can not be empty")
    return [_leverage_row(desk, contract_of(symbol)) for symbol in symbols.split(",")]


def _set_leverage(desk: Desk, call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    contract = contract_of(str(body.get("instId", "")))
    leverage = decimal_field(body.get("lever"))
    if body.get("mgnMode") != "cross":
        raise WireError(Code.ORDER_PARAMETER, "Parameter mgnMode error")
    if leverage is None:
        raise WireError(Code.ORDER_PARAMETER, "Parameter lever error")
    refusal = desk.venue.set_leverage(desk.account_id, contract.instrument_id, leverage)
    if refusal is not None:
        wrong = order_entry.refusal(refusal)
        raise WireError(wrong.code, wrong.message)
    row = _leverage_row(desk, contract)
    return [{name: row[name] for name in ("instId", "lever", "mgnMode", "posSide")}]


def _set_position_mode(desk: Desk, call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    asked = str(body.get("posMode", ""))
    mode = _MODES.get(asked)
    if mode is None:
        raise WireError(Code.ORDER_PARAMETER, "Parameter posMode error")
    refused = desk.venue.set_position_mode(desk.account_id, mode)
    if refused is not None and refused.reason is not RefusalReason.MODE_UNCHANGED:
        raise WireError(
            Code.POSITION_MODE, "Setting failed: cancel open orders and close positions first"
        )
    return [{"posMode": asked}]


def _trade_fee(desk: Desk, _call: Call) -> Answer:
    # OKX writes a fee that is paid as a negative rate.
    maker = text(-desk.maker_fee_bps / BPS_PER_ONE)
    said = desk.faults.takes(FaultKind.FEE)
    taker_bps = desk.taker_fee_bps if said is None else Decimal(said.value)
    taker = text(-taker_bps / BPS_PER_ONE)
    return [
        {
            "category": "1",
            "delivery": "",
            "exercise": "",
            "feeGroup": [{"groupId": "1", "maker": maker, "taker": taker}],
            "fiat": [],
            "instType": "SWAP",
            "level": "Lv1",
            "maker": "",
            "makerU": maker,
            "makerUSDC": "",
            "ruleType": "normal",
            "settle": "",
            "taker": "",
            "takerU": taker,
            "takerUSDC": "",
            "ts": milliseconds(desk.venue.exchange.now_ns),
        }
    ]


def _matches(call: Call, bill: Bill) -> bool:
    asked = call.query.get("instId")
    symbol = "" if bill.instrument_id is None else BY_INSTRUMENT[bill.instrument_id].symbol
    kind = call.query.get("type")
    return (
        (kind is None or account_rows.bill_type(bill) == kind)
        and (asked is None or symbol == asked)
        and ("instType" not in call.query or (call.only_swaps() and symbol != ""))
        and within(call, bill.event_ns)
    )


def _bills_since(desk: Desk, call: Call, days: int) -> Answer:
    exchange = desk.venue.exchange
    since_ns = max(0, exchange.now_ns - days * _NS_PER_DAY)
    found = [bill for bill in exchange.bills(desk.account_id, since_ns) if _matches(call, bill)]
    shown = page(list(reversed(found)), call, key=lambda bill: bill.bill_id, most=100)
    oldest_ns = min((bill.event_ns for bill in shown), default=exchange.now_ns)
    fills: dict[str, ExchangeFill] = {
        fill.bill_id: fill for fill in exchange.fills(desk.account_id, oldest_ns)
    }
    return [account_rows.bill_row(bill, fills.get(bill.bill_id)) for bill in shown]


def _bills(desk: Desk, call: Call) -> Answer:
    return _bills_since(desk, call, BILLS_DAYS)


def _bills_archive(desk: Desk, call: Call) -> Answer:
    return _bills_since(desk, call, BILLS_ARCHIVE_DAYS)


def _instruments(desk: Desk, call: Call) -> Answer:
    contract = call.contract()
    listed = [BY_INSTRUMENT[each] for each in desk.listed] if contract is None else [contract]
    if not call.only_swaps():
        return []
    rules = desk.rules
    return [
        instrument_row(each, rules[each.instrument_id])
        for each in listed
        if each.instrument_id in rules
    ]


def _currencies(_desk: Desk, call: Call) -> Answer:
    names = [CURRENCY, *(contract.base for contract in CONTRACTS)]
    asked = call.query.get("ccy")
    return [
        {
            "canDep": False,
            "canInternal": False,
            "canWd": False,
            "ccy": name,
            "chain": f"{name}-Simulator",
            "logoLink": "",
            "mainNet": True,
            "maxFee": "0",
            "maxWd": "0",
            "minDep": "0",
            "minFee": "0",
            "minWd": "0",
            "name": name,
            "wdTickSz": "8",
        }
        for name in names
        if asked is None or name in asked.split(",")
    ]


#: Path -> handler of signed GET requests.
READS: Final[dict[str, Handler]] = {
    "/api/v5/account/balance": _balance,
    "/api/v5/account/positions": _positions,
    "/api/v5/account/config": _config,
    "/api/v5/account/leverage-info": _leverage_info,
    "/api/v5/account/trade-fee": _trade_fee,
    "/api/v5/account/bills": _bills,
    "/api/v5/account/bills-archive": _bills_archive,
    "/api/v5/account/instruments": _instruments,
    "/api/v5/trade/account-rate-limit": _order_limit,
    "/api/v5/asset/currencies": _currencies,
}

#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {
    "/api/v5/account/set-leverage": _set_leverage,
    "/api/v5/account/set-position-mode": _set_position_mode,
}
