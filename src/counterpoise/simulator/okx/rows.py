"""The venue's own state as OKX's rows. Fields OKX has and we never fill are sent as OKX sends them.

Signs differ from ours: OKX's `fee` is negative when paid. Sizes are contracts.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, TimeInForce
from counterpoise.exchange.accounts import AccountState, Bill, BillKind, PositionState
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeFill,
    ExchangeOrder,
    OrderCategory,
)
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, milliseconds, text

#: Settlement and fee currency of every listed swap.
CURRENCY: Final = "USDT"

#: Our state -> OKX's `state`.
STATES: Final = {
    OrderState.ACCEPTED: "live",
    OrderState.PARTIALLY_FILLED: "partially_filled",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
}

#: `cancelSource` as OKX numbers it; "" where the number is not documented for the cause.
_CANCEL_SOURCES: Final = {
    None: "",
    CancelCause.CLIENT: "1",
    CancelCause.LIQUIDATION: "3",
    CancelCause.IMMEDIATE_REST: "14",
    CancelCause.FOK_NOT_FILLED: "13",
    CancelCause.POST_ONLY_WOULD_TAKE: "31",
    CancelCause.REDUCE_ONLY: "20",
    CancelCause.SELF_TRADE: "23",
}

# Order fields of products and features the simulator does not have.
_ORDER_EMPTY: Final[Row] = {
    "algoClOrdId": "",
    "algoId": "",
    "attachAlgoClOrdId": "",
    "attachAlgoOrds": [],
    "cancelSourceReason": "",
    "ccy": "",
    "feeCcy": CURRENCY,
    "instType": "SWAP",
    "isTpLimit": "false",
    "linkedAlgoOrd": {"algoId": ""},
    "posSide": "net",
    "pxType": "",
    "pxUsd": "",
    "pxVol": "",
    "quickMgnType": "",
    "rebate": "0",
    "rebateCcy": CURRENCY,
    "slOrdPx": "",
    "slTriggerPx": "",
    "slTriggerPxType": "",
    "source": "",
    "stpId": "",
    "stpMode": "cancel_maker",
    "tdMode": "cross",
    "tgtCcy": "",
    "tpOrdPx": "",
    "tpTriggerPx": "",
    "tpTriggerPxType": "",
    "tradeQuoteCcy": "",
}


def kind_name(order: ExchangeOrder) -> str:
    """Return OKX's `ordType`."""
    if order.kind is OrderKind.MARKET:
        return "market"
    if order.post_only:
        return "post_only"
    return "limit" if order.time_in_force is TimeInForce.GTC else order.time_in_force.value


def order_row(order: ExchangeOrder, fill: ExchangeFill | None) -> Row:
    """Return an order as REST lists it; `fill` is its last execution, None = none yet."""
    contract = BY_INSTRUMENT[order.instrument_id]
    liquidated = order.category is OrderCategory.LIQUIDATION
    row: Row = {
        **_ORDER_EMPTY,
        "accFillSz": text(contract.contracts(order.filled_quantity)),
        "avgPx": "" if order.average_price is None else text(order.average_price),
        "cTime": milliseconds(order.created_ns),
        "cancelSource": _CANCEL_SOURCES[order.cancel_cause],
        "category": "full_liquidation" if liquidated else "normal",
        "clOrdId": order.client_order_id or "",
        "fee": text(-order.fee),
        "fillPx": "" if fill is None else text(fill.price),
        "fillSz": "0" if fill is None else text(contract.contracts(fill.quantity)),
        "fillTime": "" if fill is None else milliseconds(fill.event_ns),
        "instId": contract.symbol,
        "lever": text(order.leverage_setting),
        "ordId": order.order_id,
        "ordType": kind_name(order),
        "pnl": text(order.realised_pnl),
        "px": "" if order.price_limit is None else text(order.price_limit),
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side.value,
        "state": STATES[order.state],
        "sz": text(contract.contracts(order.quantity)),
        "tag": order.tag,
        "tradeId": "" if fill is None else str(fill.trade_sequence),
        "uTime": milliseconds(order.updated_ns),
    }
    return row


def order_push(order: ExchangeOrder, fill: ExchangeFill | None, mark: Decimal) -> Row:
    """Return an order as the orders channel pushes it; `fill` is this push's execution."""
    notional = order.quantity * (order.price_limit or mark)
    row = order_row(order, fill)
    row |= {
        "amendResult": "",
        "amendSource": "",
        "code": "0",
        "execType": "" if fill is None else _liquidity(fill),
        "fillFee": "0" if fill is None else text(-fill.fee),
        "fillFeeCcy": "" if fill is None else CURRENCY,
        "fillFwdPx": "",
        "fillMarkPx": "" if fill is None else text(mark),
        "fillMarkVol": "",
        "fillNotionalUsd": "" if fill is None else text(fill.quantity * fill.price),
        "fillPnl": "0" if fill is None else text(fill.realised_pnl),
        "fillPxUsd": "",
        "fillPxVol": "",
        "lastPx": "" if fill is None else text(fill.price),
        "msg": "",
        "notionalUsd": text(notional),
        "reqId": "",
    }
    return row


def _liquidity(fill: ExchangeFill) -> str:
    return "M" if fill.liquidity is Liquidity.MAKER else "T"


def fill_row(fill: ExchangeFill) -> Row:
    """Return an execution as trade/fills lists it."""
    contract = BY_INSTRUMENT[fill.instrument_id]
    return {
        "billId": fill.bill_id,
        "clOrdId": fill.client_order_id or "",
        "execType": _liquidity(fill),
        "fee": text(-fill.fee),
        "feeCcy": CURRENCY,
        "feeRate": text(-fill.fee / (fill.quantity * fill.price)),
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPnl": text(fill.realised_pnl),
        "fillPx": text(fill.price),
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": text(contract.contracts(fill.quantity)),
        "fillTime": milliseconds(fill.event_ns),
        "instId": contract.symbol,
        "instType": "SWAP",
        "ordId": fill.order_id,
        "posSide": "net",
        "side": fill.side.value,
        "subType": "",
        "tag": "",
        "tradeId": str(fill.trade_sequence),
        "tradeQuoteCcy": "",
        "ts": milliseconds(fill.event_ns),
    }


# Position fields of products and modes the simulator does not have.
_POSITION_EMPTY: Final[Row] = {
    "adl": "1",
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
        Decimal(0)
        if entry is None
        else abs(position.quantity) * entry / position.leverage_setting
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
        "pos": text(contract.contracts(position.quantity)),
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
    gross = sum(
        (abs(held.quantity) * held.mark for held in account.positions.values()), Decimal(0)
    )
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
        "execType": "" if fill is None else _liquidity(fill),
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
