"""Positions, cash and bills as OKX's rows. Fields we never fill are sent empty, as OKX does.

Signs differ from ours: OKX's `fee` is negative when paid. Sizes are contracts.
"""

from decimal import Decimal
from typing import Final

from counterpoise.exchange.accounts import AccountState, Bill, BillKind, PositionState
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import ExchangeFill
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.order_rows import execution_kind
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, CURRENCY, milliseconds, text

# Position fields of products and modes the simulator does not have.
_POSITION_EMPTY: Final[Row] = {
    "adl": "",
    "availPos": "",
    "baseBal": "",
    "baseBorrowed": "",
    "baseInterest": "",
    "bizRefId": "",
    "bizRefType": "",
    "ccy": CURRENCY,
    "clSpotInUseAmt": "",
    "closeOrderAlgo": [],
    "deltaBS": "",
    "deltaPA": "",
    "gammaBS": "",
    "gammaPA": "",
    "hedgedPos": "",
    "instType": "SWAP",
    "interest": "",
    "liab": "",
    "liabCcy": "",
    "liqPenalty": "0",
    "margin": "",
    "maxSpotInUseAmt": "",
    "mgnMode": "cross",
    "nonSettleAvgPx": "",
    "optVal": "",
    "pendingCloseOrdLiabVal": "",
    "posCcy": "",
    "posSide": "net",
    "quoteBal": "",
    "quoteBorrowed": "",
    "quoteInterest": "",
    "settledPnl": "",
    "spotInUseAmt": "",
    "spotInUseCcy": "",
    "thetaBS": "",
    "thetaPA": "",
    "usdPx": "1",
    "vegaBS": "",
    "vegaPA": "",
}


def position_row(
    position: PositionState, account: AccountState, *, index: Decimal, last: Decimal
) -> Row:
    """Return a position as account/positions and the positions channel have it."""
    contract = BY_INSTRUMENT[position.instrument_id]
    entry = position.entry_price
    notional = abs(position.quantity) * position.mark
    upl_last = Decimal(0) if entry is None else position.quantity * (last - entry)
    margin_at_entry = (
        Decimal(0) if entry is None else abs(position.quantity) * entry / position.leverage_setting
    )
    liquidation = position.liquidation_price
    return {
        **_POSITION_EMPTY,
        "avgPx": "" if entry is None else text(entry),
        "bePx": "" if entry is None else text(entry),
        "cTime": milliseconds(position.opened_ns),
        "fee": "0",
        "fundingFee": "0",
        "idxPx": text(index),
        "imr": text(position.initial_margin),
        "instId": contract.symbol,
        "last": text(last),
        "lever": text(position.leverage_setting),
        "liqPx": "" if liquidation is None else text(liquidation),
        "markPx": text(position.mark),
        "mgnRatio": margin_ratio(account),
        "mmr": text(position.maintenance_margin),
        "notionalUsd": text(notional),
        "pnl": text(position.realised_pnl),
        # In long/short mode OKX counts both sides up from zero.
        "pos": text(
            contract.contracts(
                position.quantity
                if position.position_side is PositionSide.NET
                else abs(position.quantity)
            )
        ),
        "posSide": position.position_side.value,
        "posId": f"{contract.code}{position.opened_ns // 1_000_000}",
        "realizedPnl": text(position.realised_pnl),
        "tradeId": str(position.last_trade_sequence),
        "uTime": milliseconds(position.changed_ns),
        "upl": text(position.unrealised_pnl),
        "uplLastPx": text(upl_last),
        "uplRatio": _ratio(position.unrealised_pnl, margin_at_entry),
        "uplRatioLastPx": _ratio(upl_last, margin_at_entry),
    }


def _ratio(value: Decimal, whole: Decimal) -> str:
    return "" if not whole else text(value / whole)


def margin_ratio(account: AccountState) -> str:
    """Return OKX's `mgnRatio` of a futures-mode account: falls to 1 at liquidation; "" = none."""
    return _ratio(account.equity, account.maintenance_margin)


# Balance fields of modes and products the simulator does not have.
_DETAIL_EMPTY: Final[Row] = {
    "accAvgPx": "",
    "borrowFroz": "",
    "ccy": CURRENCY,
    "clSpotInUseAmt": "",
    "coinUsdPrice": "1",
    "colBorrAutoConversion": "0",
    "collateralEnabled": False,
    "collateralRestrict": False,
    "colRes": "0",
    "crossLiab": "",
    "fixedBal": "0",
    "interest": "",
    "isoEq": "0",
    "isoLiab": "",
    "isoUpl": "0",
    "liab": "",
    "maxLoan": "",
    "maxSpotInUse": "",
    "openAvgPx": "",
    "rewardBal": "0",
    "smtSyncEq": "0",
    "spotBal": "",
    "spotCopyTradingEq": "0",
    "spotInUseAmt": "",
    "spotIsoBal": "0",
    "spotUpl": "",
    "spotUplRatio": "",
    "stgyEq": "0",
    "totalPnl": "",
    "totalPnlRatio": "",
    "twap": "0",
    "uplLiab": "",
}


def account_row(account: AccountState) -> Row:
    """Return the balance of a futures-mode account holding USDT alone."""
    gross = sum((abs(held.quantity) * held.mark for held in account.positions.values()), Decimal(0))
    stamp = milliseconds(account.event_ns)
    available = text(max(account.available_margin, Decimal(0)))
    detail: Row = {
        **_DETAIL_EMPTY,
        "availBal": available,
        "availEq": available,
        "cashBal": text(account.wallet_balance),
        "disEq": text(account.equity),
        "eq": text(account.equity),
        "eqUsd": text(account.equity),
        "frozenBal": text(account.initial_margin),
        "imr": text(account.initial_margin),
        "mgnRatio": margin_ratio(account),
        "mmr": text(account.maintenance_margin),
        "notionalLever": _ratio(gross, account.equity) if account.equity > 0 else "",
        "ordFrozen": text(account.order_margin),
        "uTime": stamp,
        "upl": text(account.unrealised_pnl),
    }
    return {
        "adjEq": "",
        "availEq": "",
        "borrowFroz": "",
        "delta": "",
        "deltaLever": "",
        "deltaNeutralStatus": "",
        "details": [detail],
        "imr": "",
        "isoEq": "0",
        "mgnRatio": "",
        "mmr": "",
        "notionalUsd": "",
        "notionalUsdForBorrow": "",
        "notionalUsdForFutures": "",
        "notionalUsdForOption": "",
        "notionalUsdForSwap": "",
        "ordFroz": "",
        "totalEq": text(account.equity),
        "uTime": stamp,
        "upl": "",
    }


#: OKX's bill `type` and `subType` per cause (docs-v5 "Bill types").
_BILL_TYPES: Final = {
    BillKind.DEPOSIT: ("1", "11"),
    BillKind.TRADE: ("2", ""),
    BillKind.FUNDING: ("8", ""),
    BillKind.LIQUIDATION: ("5", ""),
    BillKind.INSURANCE: ("10", ""),
    BillKind.WITHDRAWAL: ("1", "12"),
    BillKind.ADL: ("9", ""),
    BillKind.DELISTING: ("3", ""),
}


def bill_type(bill: Bill) -> str:
    """Return OKX's bill `type`: 8 = funding fee, 2 = trade, 5 = liquidation, 1 = transfer."""
    return _BILL_TYPES[bill.kind][0]


def bill_row(bill: Bill, fill: ExchangeFill | None) -> Row:
    """Return a bill as account/bills lists it; `fill` is the execution behind it."""
    kind, sub_kind = _BILL_TYPES[bill.kind]
    contract = None if bill.instrument_id is None else BY_INSTRUMENT[bill.instrument_id]
    if bill.kind is BillKind.FUNDING:
        # 173 = funding paid, 174 = funding received.
        sub_kind = "174" if bill.change >= 0 else "173"
    elif bill.kind is BillKind.TRADE and fill is not None:
        sub_kind = "1" if fill.side.sign > 0 else "2"
    size = "" if fill is None or contract is None else text(contract.contracts(fill.quantity))
    return {
        "bal": text(bill.wallet_balance),
        "balChg": text(bill.change),
        "billId": bill.bill_id,
        "ccy": CURRENCY,
        "clOrdId": "" if fill is None else fill.client_order_id or "",
        "earnAmt": "",
        "earnApr": "",
        "execType": "" if fill is None else execution_kind(fill),
        "fee": text(-bill.fee),
        "fillTime": "" if fill is None else milliseconds(fill.event_ns),
        "from": "",
        "instId": "" if contract is None else contract.symbol,
        "instType": "" if contract is None else "SWAP",
        "interest": "",
        "mgnMode": "" if contract is None else "cross",
        "notes": "",
        "ordId": "" if fill is None else fill.order_id,
        "pnl": text(bill.change if bill.kind is BillKind.FUNDING else bill.realised_pnl),
        "posBal": "",
        "posBalChg": "",
        "px": "" if fill is None else text(fill.price),
        "subType": sub_kind,
        "sz": size,
        "tag": "",
        "to": "",
        "tradeId": "" if fill is None else str(fill.trade_sequence),
        "ts": milliseconds(bill.event_ns),
        "type": kind,
    }
