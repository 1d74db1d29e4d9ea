"""Binance's messages as types: field names are Binance's, every number stays the text it was.

Unknown fields are ignored (Binance adds some each month); a missing one that we need is an error.
Sources: USD-M "Websocket Market Streams", "User Data Streams", "Market Data", "Trade", "Account".
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: Price and quantity; Binance may append more.
RawLevel = tuple[str, ...]


class DepthUpdate(msgspec.Struct, tag_field="e", tag="depthUpdate", frozen=True):
    """A change of a book: streams `<symbol>@depth...`."""

    symbol: str = msgspec.field(name="s")
    #: First and last update it holds, and the last one of the message before.
    first: int = msgspec.field(name="U")
    final: int = msgspec.field(name="u")
    previous: int = msgspec.field(name="pu")
    bids: tuple[RawLevel, ...] = msgspec.field(name="b")
    asks: tuple[RawLevel, ...] = msgspec.field(name="a")
    #: Venue clock of the match, ms.
    matched_ms: int = msgspec.field(name="T")


class DepthSnapshot(msgspec.Struct, frozen=True):
    """A whole book by REST: fapi/v1/depth."""

    last_update_id: int = msgspec.field(name="lastUpdateId")
    bids: tuple[RawLevel, ...]
    asks: tuple[RawLevel, ...]
    #: Venue clock of the match, ms; 0 = not told.
    matched_ms: int = msgspec.field(name="T", default=0)


class MarkUpdate(msgspec.Struct, tag_field="e", tag="markPriceUpdate"):
    """Stream `<symbol>@markPrice@1s`."""

    symbol: str = msgspec.field(name="s")
    event_ms: int = msgspec.field(name="E")
    mark: str = msgspec.field(name="p")
    index: str = msgspec.field(name="i", default="")
    #: "" in markets without funding.
    rate: str = msgspec.field(name="r", default="")
    funding_ms: int = msgspec.field(name="T", default=0)


class ForcedOrder(msgspec.Struct):
    """The order of a liquidation."""

    symbol: str = msgspec.field(name="s")
    side: str = msgspec.field(name="S")
    quantity: str = msgspec.field(name="q")
    price: str = msgspec.field(name="p")
    average: str = msgspec.field(name="ap", default="")
    #: Quantity of the order that was filled so far.
    filled: str = msgspec.field(name="z", default="")
    traded_ms: int = msgspec.field(name="T", default=0)


class ForceOrder(msgspec.Struct, tag_field="e", tag="forceOrder"):
    """Stream `<symbol>@forceOrder`: at most the latest liquidation of each second."""

    event_ms: int = msgspec.field(name="E")
    order: ForcedOrder = msgspec.field(name="o")


class Problem(msgspec.Struct):
    """What is wrong with a request."""

    code: int = 0
    msg: str = ""


class Control(msgspec.Struct):
    """A frame that is no data: the answer to a request, which has an id, or an error."""

    event: str = msgspec.field(name="e", default="")
    id: int | str | None = None
    error: Problem | None = None


class UserEvent(msgspec.Struct):
    """Any frame of the private stream, as far as it says what it is."""

    event: str = msgspec.field(name="e", default="")
    event_ms: int = msgspec.field(name="E", default=0)
    #: Of `listenKeyExpired`.
    listen_key: str = msgspec.field(name="listenKey", default="")


class OrderEvent(msgspec.Struct):
    """The `o` of ORDER_TRADE_UPDATE."""

    symbol: str = msgspec.field(name="s")
    client_id: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    kind: str = msgspec.field(name="o")
    time_in_force: str = msgspec.field(name="f")
    quantity: str = msgspec.field(name="q")
    price: str = msgspec.field(name="p")
    average: str = msgspec.field(name="ap")
    #: What happened: NEW, TRADE, CANCELED, CALCULATED, EXPIRED, AMENDMENT.
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: int = msgspec.field(name="i")
    #: This execution's quantity and price.
    last_quantity: str = msgspec.field(name="l")
    filled: str = msgspec.field(name="z")
    last_price: str = msgspec.field(name="L")
    traded_ms: int = msgspec.field(name="T")
    trade_id: int = msgspec.field(name="t")
    maker: bool = msgspec.field(name="m")
    reduce_only: bool = msgspec.field(name="R")
    #: None where there is no execution.
    fee: str | None = msgspec.field(name="n", default=None)
    fee_asset: str | None = msgspec.field(name="N", default=None)
    realised: str | None = msgspec.field(name="rp", default=None)
    position_side: str = msgspec.field(name="ps", default="BOTH")
    #: Why it expired, "0" = it did not.
    expiry_reason: str | None = msgspec.field(name="er", default="0")


class OrderTradeUpdate(msgspec.Struct):
    """An order changed."""

    event_ms: int = msgspec.field(name="E")
    order: OrderEvent = msgspec.field(name="o")


class BalanceChange(msgspec.Struct):
    """One asset of ACCOUNT_UPDATE."""

    asset: str = msgspec.field(name="a")
    wallet: str = msgspec.field(name="wb")
    #: Wallet balance without isolated positions.
    cross: str = msgspec.field(name="cw")


class PositionChange(msgspec.Struct):
    """One position of ACCOUNT_UPDATE."""

    symbol: str = msgspec.field(name="s")
    quantity: str = msgspec.field(name="pa")
    entry: str = msgspec.field(name="ep")
    unrealised: str = msgspec.field(name="up", default="")
    position_side: str = msgspec.field(name="ps", default="BOTH")
    margin: str = msgspec.field(name="mt", default="cross")


class AccountChange(msgspec.Struct):
    """The `a` of ACCOUNT_UPDATE: only what changed."""

    reason: str = msgspec.field(name="m", default="")
    balances: tuple[BalanceChange, ...] = msgspec.field(name="B", default=())
    positions: tuple[PositionChange, ...] = msgspec.field(name="P", default=())


class AccountUpdate(msgspec.Struct):
    """Cash or positions changed."""

    event_ms: int = msgspec.field(name="E")
    changed_ms: int = msgspec.field(name="T")
    account: AccountChange = msgspec.field(name="a")


class MarginCallRow(msgspec.Struct):
    """One position of MARGIN_CALL."""

    symbol: str = msgspec.field(name="s")
    maintenance: str = msgspec.field(name="mm", default="")


class MarginCall(msgspec.Struct):
    """The account is near liquidation."""

    event_ms: int = msgspec.field(name="E")
    #: Wallet balance of cross margin; only in cross positions.
    wallet: str = msgspec.field(name="cw", default="")
    positions: tuple[MarginCallRow, ...] = msgspec.field(name="p", default=())


class AlgoEvent(msgspec.Struct):
    """The `o` of ALGO_UPDATE."""

    client_id: str = msgspec.field(name="caid")
    algo_id: int = msgspec.field(name="aid")
    symbol: str = msgspec.field(name="s")
    #: NEW, CANCELED, TRIGGERING, TRIGGERED, FINISHED, REJECTED, EXPIRED.
    status: str = msgspec.field(name="X")
    #: The order it placed; "" = none yet.
    order_id: str | int = msgspec.field(name="ai", default="")
    #: What that order has filled.
    filled: str = msgspec.field(name="aq", default="")
    #: Why it failed.
    reason: str | None = msgspec.field(name="rm", default="")


class AlgoUpdate(msgspec.Struct):
    """A held back order changed."""

    event_ms: int = msgspec.field(name="E")
    order: AlgoEvent = msgspec.field(name="o")


class OrderRow(msgspec.Struct, rename="camel"):
    """An order by REST: fapi/v1/order, openOrders, allOrders."""

    symbol: str
    order_id: int
    client_order_id: str
    status: str
    side: str
    type: str
    orig_qty: str
    executed_qty: str
    price: str = "0"
    avg_price: str = "0"
    reduce_only: bool = False
    time: int = 0
    update_time: int = 0


class AlgoRow(msgspec.Struct, rename="camel"):
    """A held back order by REST: fapi/v1/algoOrder, openAlgoOrders."""

    symbol: str
    algo_id: int
    client_algo_id: str
    algo_status: str
    side: str
    quantity: str = "0"
    trigger_price: str = "0"
    reduce_only: bool = False
    close_position: bool = False
    actual_order_id: str | int | None = ""
    actual_qty: str = ""
    create_time: int = 0
    update_time: int = 0


class TradeRow(msgspec.Struct, rename="camel"):
    """An execution: fapi/v1/userTrades."""

    symbol: str
    id: int
    order_id: int
    side: str
    price: str
    qty: str
    time: int
    maker: bool
    commission: str = "0"
    commission_asset: str = ""
    realized_pnl: str = ""


class PositionRow(msgspec.Struct, rename="camel"):
    """A position: fapi/v3/positionRisk lists only what is held or has orders."""

    symbol: str
    position_amt: str
    entry_price: str
    position_side: str = "BOTH"
    mark_price: str = ""
    un_realized_profit: str = ""
    liquidation_price: str = ""
    isolated_wallet: str = "0"
    #: Place in the queue for auto-deleveraging, 0 (last) to 4 (next).
    adl: int | None = None
    update_time: int = 0


class AssetRow(msgspec.Struct, rename="camel"):
    """One asset of fapi/v3/account."""

    asset: str
    wallet_balance: str
    margin_balance: str
    available_balance: str = ""
    initial_margin: str = ""
    maint_margin: str = ""
    update_time: int = 0


class AccountRow(msgspec.Struct, rename="camel"):
    """fapi/v3/account."""

    assets: tuple[AssetRow, ...]


class IncomeRow(msgspec.Struct, rename="camel"):
    """A line of fapi/v1/income."""

    symbol: str
    income_type: str
    income: str
    asset: str
    time: int
    tran_id: int | str
    trade_id: str | int = ""
    info: str = ""


class BracketRow(msgspec.Struct, rename="camel"):
    """One margin tier. JSON numbers keep their digits as text."""

    notional_cap: Any
    maint_margin_ratio: Any
    cum: Any
    initial_leverage: Any


DEPTH = msgspec.json.Decoder(DepthUpdate)
SNAPSHOT = msgspec.json.Decoder(DepthSnapshot)
MARKET = msgspec.json.Decoder(MarkUpdate | ForceOrder)
CONTROL = msgspec.json.Decoder(Control)
USER = msgspec.json.Decoder(UserEvent)
ORDERS = msgspec.json.Decoder(OrderTradeUpdate)
ACCOUNT = msgspec.json.Decoder(AccountUpdate)
MARGIN_CALL = msgspec.json.Decoder(MarginCall)
ALGO = msgspec.json.Decoder(AlgoUpdate)


def request(method: str, streams: Sequence[str], number: int) -> bytes:
    """Return a SUBSCRIBE or UNSUBSCRIBE request; `number` comes back in its answer."""
    return msgspec.json.encode({"method": method, "params": list(streams), "id": number})


def typed(rows: Sequence[Any], kind: type[T]) -> list[T]:
    """Return REST rows as types. Raises msgspec.ValidationError."""
    return [msgspec.convert(row, kind) for row in rows]
