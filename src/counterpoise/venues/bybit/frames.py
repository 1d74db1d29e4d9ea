"""Bybit's messages as types: field names are Bybit's, every number stays the text it was.

Unknown fields are ignored (Bybit adds some each month); a missing one that we need is an error.
Rows are alike in streams and answers but for a name or two. Sources: Bybit v5 "Orderbook",
"Ticker", "All Liquidation", "Order", "Execution", "Position", "Wallet" (streams), "Get Open &
Closed Orders", "Get Trade History", "Get Transaction Log".
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: Price and base units; a quantity of "0" deletes.
RawLevel = tuple[str, ...]


class Frame(msgspec.Struct, rename="camel"):
    """Any frame of a stream; `data` is left raw until the topic says what it is."""

    #: "orderbook.200.BTCUSDT", "tickers.BTCUSDT", "order"...; "" = an answer to a request.
    topic: str = ""
    #: "snapshot" or "delta".
    type: str = ""
    #: When it was sent, ms: public and private streams.
    ts: int = 0
    creation_time: int = 0
    data: msgspec.Raw = msgspec.Raw(b"null")
    #: "subscribe", "unsubscribe", "auth", "ping", "pong".
    op: str = ""
    #: None = the frame is no answer, or one without a verdict.
    success: bool | None = None
    ret_msg: str = msgspec.field(name="ret_msg", default="")
    req_id: str | int = msgspec.field(name="req_id", default="")
    #: Code of a refused login, where Bybit tells one.
    ret_code: int | str = 0


class BookRow(msgspec.Struct):
    """One message of a book."""

    #: Instrument.
    s: str
    b: tuple[RawLevel, ...]
    a: tuple[RawLevel, ...]
    u: int
    seq: int = 0


class PricesRow(msgspec.Struct, rename="camel"):
    """Topic tickers: everything in a snapshot, later only what changed ("" = not in it)."""

    symbol: str
    mark_price: str = ""
    index_price: str = ""
    funding_rate: str = ""
    next_funding_time: str = ""
    funding_interval_hour: str = ""
    #: Quote notional traded in 24 h.
    turnover: str = msgspec.field(default="", name="turnover24h")


class LiquidationRow(msgspec.Struct):
    """Topic allLiquidation: when, instrument, side of the position that was closed."""

    T: int
    s: str
    S: str
    #: Base units and the price of the bankruptcy.
    v: str
    p: str


class OrderRow(msgspec.Struct, rename="camel"):
    """An order: topic order, order/realtime, order/history."""

    symbol: str
    order_id: str
    order_status: str
    side: str
    quantity: str = msgspec.field(name="qty")
    order_type: str
    #: Streams carry every product; answers are of the one asked for.
    category: str = "linear"
    order_link_id: str = ""
    price: str = ""
    avg_price: str = ""
    filled: str = msgspec.field(name="cumExecQty", default="")
    reduce_only: bool = False
    created_time: str = ""
    updated_time: str = ""
    cancel_type: str = ""
    reject_reason: str = ""
    trigger_price: str = ""
    #: "Stop", "StopLoss"...: it is or was conditional.
    stop_order_type: str = ""


class ExecutionRow(msgspec.Struct, rename="camel"):
    """An execution: topic execution and execution/list."""

    symbol: str
    order_id: str
    exec_id: str
    exec_type: str
    side: str
    quantity: str = msgspec.field(name="execQty")
    exec_price: str
    exec_time: str
    category: str = "linear"
    order_link_id: str = ""
    exec_fee: str = ""
    fee_currency: str = ""
    is_maker: bool | None = None
    exec_pnl: str = ""
    #: Who made the order; "" = not told.
    create_type: str = ""


class PositionRow(msgspec.Struct, rename="camel"):
    """A position: topic position and position/list."""

    symbol: str
    #: "Buy", "Sell"; "" = flat.
    side: str
    size: str
    category: str = "linear"
    #: 0 = one-way mode; 1 and 2 are the two sides of hedge mode.
    position_idx: int = 0
    #: The same figure under the answer's and the stream's name.
    avg_price: str = ""
    entry_price: str = ""
    mark_price: str = ""
    liq_price: str = ""
    unrealised_pnl: str = ""
    leverage: str = ""
    updated_time: str = ""
    #: 0 = not in the queue; 1 to 5 = from its end to its head.
    adl_rank_indicator: int = 0


class CurrencyRow(msgspec.Struct, rename="camel"):
    """One currency of a wallet."""

    currency: str = msgspec.field(name="coin")
    equity: str
    wallet_balance: str


class WalletRow(msgspec.Struct, rename="camel"):
    """Topic wallet and account/wallet-balance."""

    #: Figures of the whole account, USD; "" in isolated margin mode.
    total_available_balance: str = ""
    total_initial_margin: str = ""
    total_maintenance_margin: str = ""
    currencies: tuple[CurrencyRow, ...] = msgspec.field(name="coin", default=())


class MovementRow(msgspec.Struct, rename="camel"):
    """A line of account/transaction-log."""

    id: str
    type: str
    change: str
    transaction_time: str
    symbol: str = ""
    currency: str = ""


FRAME = msgspec.json.Decoder(Frame)
BOOK = msgspec.json.Decoder(BookRow)
PRICES = msgspec.json.Decoder(PricesRow)
LIQUIDATIONS = msgspec.json.Decoder(tuple[LiquidationRow, ...])
ORDERS = msgspec.json.Decoder(tuple[OrderRow, ...])
EXECUTIONS = msgspec.json.Decoder(tuple[ExecutionRow, ...])
POSITIONS = msgspec.json.Decoder(tuple[PositionRow, ...])
WALLETS = msgspec.json.Decoder(tuple[WalletRow, ...])


def request(operation: str, arguments: Sequence[object], request_id: str) -> bytes:
    """Return a subscribe, unsubscribe or auth request."""
    return msgspec.json.encode({"req_id": request_id, "op": operation, "args": list(arguments)})


def typed(rows: Sequence[Any], kind: type[T]) -> list[T]:
    """Return REST rows as types. Raises msgspec.ValidationError."""
    return [msgspec.convert(row, kind) for row in rows]
