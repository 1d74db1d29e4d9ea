"""OKX's messages as types: field names are OKX's, every number stays the text it was.

Unknown fields are ignored (OKX adds some each month); a missing one that we need is an error.
"""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: Price, contracts, a dead field, order count; OKX may append more.
RawLevel = tuple[str, ...]


class Argument(msgspec.Struct, rename="camel"):
    """What a frame is about."""

    channel: str = ""
    inst_id: str = ""


class Frame(msgspec.Struct, rename="camel"):
    """Any frame; `data` is left raw until the channel says what it is."""

    arg: Argument | None = None
    #: "snapshot" or "update" on books.
    action: str = ""
    #: "subscribe", "unsubscribe", "login", "error", "notice", "channel-conn-count...".
    event: str = ""
    code: str = ""
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class BookRow(msgspec.Struct, rename="camel"):
    """One message of a book; the checksum is always 0 since 2026-06-23 and not read."""

    asks: tuple[RawLevel, ...]
    bids: tuple[RawLevel, ...]
    ts: str
    seq_id: int
    prev_seq_id: int


class MarkRow(msgspec.Struct, rename="camel"):
    """Channel mark-price."""

    inst_id: str
    mark_px: str
    ts: str


class IndexRow(msgspec.Struct, rename="camel"):
    """Channel index-tickers."""

    inst_id: str
    idx_px: str
    ts: str


class FundingRow(msgspec.Struct, rename="camel"):
    """Channel funding-rate."""

    inst_id: str
    funding_rate: str
    funding_time: str
    next_funding_time: str = ""
    ts: str = ""


class LiquidationDetail(msgspec.Struct, rename="camel"):
    """One liquidation of an instrument."""

    #: Of the order, "sell" closes a long position.
    side: str
    #: Contracts.
    sz: str
    #: Price of bankruptcy.
    bk_px: str
    ts: str


class LiquidationRow(msgspec.Struct, rename="camel"):
    """Channel liquidation-orders."""

    inst_id: str
    details: tuple[LiquidationDetail, ...] = ()


class OrderRow(msgspec.Struct, rename="camel"):
    """An order: channel orders, trade/order, trade/orders-pending."""

    inst_id: str
    ord_id: str
    state: str
    side: str
    sz: str
    ord_type: str
    cl_ord_id: str = ""
    #: Our id of the stop that made it.
    algo_cl_ord_id: str = ""
    px: str = ""
    acc_fill_sz: str = ""
    avg_px: str = ""
    reduce_only: str | bool = "false"
    u_time: str = ""
    c_time: str = ""
    cancel_source: str = ""
    cancel_source_reason: str = ""
    #: Who made it: "normal", "full_liquidation", "adl", ...; "" = not told.
    category: str = ""
    #: The fill this message tells of, if any.
    trade_id: str = ""
    fill_sz: str = ""
    fill_px: str = ""
    fill_time: str = ""
    fill_fee: str = ""
    fill_fee_ccy: str = ""
    fill_pnl: str = ""
    exec_type: str = ""
    #: Fee over all fills so far.
    fee: str = ""
    fee_ccy: str = ""


class AlgoRow(msgspec.Struct, rename="camel"):
    """A stop: trade/order-algo and trade/orders-algo-pending."""

    inst_id: str
    algo_id: str
    state: str
    side: str
    algo_cl_ord_id: str = ""
    sz: str = ""
    sl_trigger_px: str = ""
    tp_trigger_px: str = ""
    #: Of a trigger order, and of a trailing one: where it would act now, and where it begins.
    trigger_px: str = ""
    move_trigger_px: str = ""
    active_px: str = ""
    reduce_only: str | bool = "false"
    #: The order it made, and what that filled, contracts.
    ord_id: str = ""
    actual_sz: str = ""
    fail_code: str = ""
    c_time: str = ""
    u_time: str = ""


class FillRow(msgspec.Struct, rename="camel"):
    """An execution: trade/fills and trade/fills-history."""

    inst_id: str
    trade_id: str
    ord_id: str
    bill_id: str
    fill_px: str
    fill_sz: str
    side: str
    ts: str
    cl_ord_id: str = ""
    exec_type: str = ""
    fee: str = ""
    fee_ccy: str = ""
    fill_pnl: str = ""
    fill_time: str = ""
    #: What kind of execution it is, a number of OKX's list; "" = not told.
    sub_type: str = ""


class PositionRow(msgspec.Struct, rename="camel"):
    """A position: channel positions and account/positions."""

    inst_id: str
    pos: str
    pos_side: str = "net"
    inst_type: str = "SWAP"
    mgn_mode: str = "cross"
    avg_px: str = ""
    upl: str = ""
    liq_px: str = ""
    mark_px: str = ""
    trade_id: str = ""
    u_time: str = ""
    #: 0 (last) to 5 (next) in the queue for ADL; "" = not told.
    adl: str = ""


class BalanceDetail(msgspec.Struct, rename="camel"):
    """One currency of a balance."""

    ccy: str
    eq: str
    cash_bal: str
    avail_eq: str = ""
    imr: str = ""
    mmr: str = ""
    u_time: str = ""


class BalanceRow(msgspec.Struct, rename="camel"):
    """Channel account and account/balance."""

    u_time: str
    details: tuple[BalanceDetail, ...] = ()


class BillRow(msgspec.Struct, rename="camel"):
    """A line of account/bills."""

    bill_id: str
    inst_id: str
    bal_chg: str
    ts: str
    ccy: str = ""
    type: str = ""


FRAME = msgspec.json.Decoder(Frame)
BOOKS = msgspec.json.Decoder(tuple[BookRow, ...])
MARKS = msgspec.json.Decoder(tuple[MarkRow, ...])
LIQUIDATIONS = msgspec.json.Decoder(tuple[LiquidationRow, ...])
INDEXES = msgspec.json.Decoder(tuple[IndexRow, ...])
FUNDINGS = msgspec.json.Decoder(tuple[FundingRow, ...])
ORDERS = msgspec.json.Decoder(tuple[OrderRow, ...])
POSITIONS = msgspec.json.Decoder(tuple[PositionRow, ...])
BALANCES = msgspec.json.Decoder(tuple[BalanceRow, ...])


def request(operation: str, arguments: list[dict[str, str]]) -> bytes:
    """Return a subscribe, unsubscribe or login request."""
    return msgspec.json.encode({"op": operation, "args": arguments})


def typed(rows: list[Any], kind: type[T]) -> list[T]:
    """Return REST rows as types. Raises msgspec.ValidationError."""
    return [msgspec.convert(row, kind) for row in rows]
