"""How each unmodified ccxt class is pointed at a simulator, and where the venues' ways differ.

A venue joins the contract suite by a row in `ROWS`; the tests know no venue by name.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

import ccxt.async_support as ccxt

from venue_process import VenueProcess

#: The wallet every account of the suite begins with, quote.
WALLET = Decimal(2_000_000)
#: One seed for the suite's markets: a failure happens again.
SEED = 20_261_122


def pointed_at(process: VenueProcess, class_name: str, options: dict[str, Any]) -> ccxt.Exchange:
    """Return a ccxt class with nothing but its addresses changed, and figures left as text."""
    exchange = getattr(ccxt, class_name)(
        {
            "apiKey": process.ready["api_key"],
            "secret": process.ready["secret"],
            "password": process.ready["password"],
            "enableRateLimit": False,
            "number": str,
            "options": options,
        }
    )
    for name in ("api", "test", "demo"):
        if name in exchange.urls:
            exchange.urls[name] = _on_loopback(exchange.urls[name], process.port)
    exchange.hostname = f"127.0.0.1:{process.port}"
    if class_name == "binanceusdm":
        # Its error classes depend on the address alone; any other base loses them.
        errors = exchange.exceptions["linear"]
        exchange.get_exceptions_by_url = lambda _url, kind: errors.get(kind, {})
    return exchange


def _on_loopback(tree: Any, port: int) -> Any:
    if isinstance(tree, dict):
        return {name: _on_loopback(each, port) for name, each in tree.items()}
    if isinstance(tree, str):
        return re.sub(r"^(http|ws)s?://[^/]+", rf"\1://127.0.0.1:{port}", tree)
    return tree


async def _found_by_query(exchange: Any, symbol: str, client_id: str) -> dict[str, Any]:
    return await exchange.fetch_order(None, symbol, {"clientOrderId": client_id})


async def _found_by_lists(exchange: Any, symbol: str, client_id: str) -> dict[str, Any]:
    # fetch_order sends a literal orderId=None beside the client id; the lists do not.
    wanted = {"orderLinkId": client_id}
    for read in (exchange.fetch_open_orders, exchange.fetch_canceled_and_closed_orders):
        for order in await read(symbol, None, None, wanted):
            return order
    raise ccxt.OrderNotFound(client_id)


async def _ended_by_state(exchange: Any, symbol: str) -> list[dict[str, Any]]:
    filled = await exchange.fetch_closed_orders(symbol)
    return filled + await exchange.fetch_canceled_orders(symbol)


async def _ended_of_all(exchange: Any, symbol: str) -> list[dict[str, Any]]:
    return [each for each in await exchange.fetch_orders(symbol) if each["status"] != "open"]


async def _ended_by_history(exchange: Any, symbol: str) -> list[dict[str, Any]]:
    return await exchange.fetch_canceled_and_closed_orders(symbol)


async def _hedged_by_config(exchange: Any, symbol: str) -> bool:
    return (await exchange.fetch_position_mode(symbol))["hedged"]


async def _hedged_by_positions(exchange: Any, symbol: str) -> bool:
    rows = (
        await exchange.private_get_v5_position_list(
            {"category": "linear", "symbol": exchange.market(symbol)["id"]}
        )
    )["result"]["list"]
    return {str(row["positionIdx"]) for row in rows} == {"1", "2"}


async def _margin_mode_of_leverage(exchange: Any, symbol: str) -> str:
    return (await exchange.fetch_leverage(symbol, {"mgnMode": "cross"}))["marginMode"]


async def _margin_mode(exchange: Any, symbol: str) -> str:
    return (await exchange.fetch_margin_mode(symbol))["marginMode"]


async def _okx_countdown(exchange: Any, symbol: str, seconds: int) -> None:
    await exchange.cancel_all_orders_after(seconds * 1_000)


async def _binance_countdown(exchange: Any, symbol: str, seconds: int) -> None:
    await exchange.fapiPrivatePostCountdownCancelAll(
        {"symbol": exchange.market(symbol)["id"], "countdownTime": seconds * 1_000}
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One venue: its ccxt class and the answers to what venues do each in their own way."""

    #: Name of the ccxt class.
    class_name: str
    #: Constructor options that keep it to USDT-margined perpetuals.
    options: dict[str, Any]
    #: Name of the parameter by which a cancel or an amendment names a client order id.
    client_id_name: str
    #: Returns an order by its client id; OrderNotFound if there is none.
    find: Callable[[Any, str, str], Awaitable[dict[str, Any]]]
    #: Returns the ended orders of a symbol.
    ended: Callable[[Any, str], Awaitable[list[dict[str, Any]]]]
    #: Reads equity, wallet balance and available margin from a balance's raw answer.
    figures: Callable[[dict[str, Any]], tuple[Decimal, Decimal, Decimal]]
    #: Tells whether the position mode is hedge.
    hedged: Callable[[Any, str], Awaitable[bool]]
    #: Tells the margin mode in ccxt's words.
    margin_mode: Callable[[Any, str], Awaitable[str]]
    #: What ccxt calls an immediate order's rest.
    unfilled: frozenset[str] = frozenset({"canceled"})
    #: Raised by a post-only order that would take; None = it is accepted and canceled.
    post_only_error: type[Exception] | None = None
    #: Raised by an all-or-nothing order that cannot be filled; None = accepted and canceled.
    all_or_nothing_error: type[Exception] | None = None
    #: Raised by a reduce-only order without a position, with the venue's code.
    reduce_only_error: tuple[type[Exception], str]
    #: Raised where margin is short, with the venue's code.
    margin_error: tuple[type[Exception], str]
    #: Raised by a client id that an open order carries, with the venue's code.
    duplicate_error: tuple[type[Exception], str]
    #: Raised by a cancel of an order that is over, with the venue's code.
    over_error: tuple[type[Exception], str]
    #: Arms the dead man's switch; None = it has none that counts down by itself.
    countdown: Callable[[Any, str, int], Awaitable[None]] | None
    #: +1: ccxt tells funding received as positive; -1: funding paid.
    funding_sign: int = 1
    #: Parameters of set_leverage.
    leverage_parameters: dict[str, Any] = field(default_factory=dict)


def _okx_figures(raw: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    (row,) = (each for each in raw["data"][0]["details"] if each["ccy"] == "USDT")
    return Decimal(row["eq"]), Decimal(row["cashBal"]), Decimal(row["availEq"])


def _binance_figures(raw: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    return (
        Decimal(raw["totalMarginBalance"]),
        Decimal(raw["totalWalletBalance"]),
        Decimal(raw["availableBalance"]),
    )


def _bybit_figures(raw: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    (account,) = raw["result"]["list"]
    return (
        Decimal(account["totalEquity"]),
        Decimal(account["totalWalletBalance"]),
        Decimal(account["totalAvailableBalance"]),
    )


ROWS = {
    "okx": Row(
        class_name="okx",
        options={"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
        client_id_name="clientOrderId",
        find=_found_by_query,
        ended=_ended_by_state,
        figures=_okx_figures,
        hedged=_hedged_by_config,
        margin_mode=_margin_mode_of_leverage,
        reduce_only_error=(ccxt.ExchangeError, "51169"),
        margin_error=(ccxt.InsufficientFunds, "51008"),
        duplicate_error=(ccxt.InvalidOrder, "51016"),
        over_error=(ccxt.OrderNotFound, "51400"),
        countdown=_okx_countdown,
        leverage_parameters={"mgnMode": "cross"},
    ),
    "binance": Row(
        class_name="binanceusdm",
        options={
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchPositions": {"method": "positionRisk"},
        },
        client_id_name="clientOrderId",
        find=_found_by_query,
        ended=_ended_of_all,
        figures=_binance_figures,
        hedged=_hedged_by_config,
        margin_mode=_margin_mode,
        unfilled=frozenset({"canceled", "expired"}),
        post_only_error=ccxt.OrderNotFillable,
        all_or_nothing_error=ccxt.OrderNotFillable,
        reduce_only_error=(ccxt.ExchangeError, "-2022"),
        margin_error=(ccxt.InsufficientFunds, "-2019"),
        duplicate_error=(ccxt.InvalidOrder, "-4116"),
        over_error=(ccxt.OrderNotFound, "-2011"),
        countdown=_binance_countdown,
    ),
    "bybit": Row(
        class_name="bybit",
        options={
            "defaultType": "swap",
            "fetchMarkets": {"types": ["linear"]},
            "enableUnifiedMargin": False,
            "enableUnifiedAccount": True,
            "unifiedMarginStatus": 6,
        },
        client_id_name="orderLinkId",
        find=_found_by_lists,
        ended=_ended_by_history,
        figures=_bybit_figures,
        hedged=_hedged_by_positions,
        margin_mode=_margin_mode,
        reduce_only_error=(ccxt.InvalidOrder, "110017"),
        margin_error=(ccxt.InsufficientFunds, "110007"),
        duplicate_error=(ccxt.InvalidOrder, "110072"),
        over_error=(ccxt.InvalidOrder, "1100(01|10)"),
        funding_sign=-1,
        countdown=None,
    ),
}


class Desk:
    """One ccxt instance at one simulator, in base units and with client ids of its own."""

    _numbers = count(1)

    def __init__(self, process: VenueProcess, exchange: ccxt.Exchange, row: Row) -> None:
        self.process = process
        self.exchange = exchange
        self.row = row

    def contract_size(self, symbol: str) -> Decimal:
        """Base units per contract; 1 where quantities are base units."""
        return Decimal(self.exchange.market(symbol)["contractSize"])

    def base(self, symbol: str, contracts: object) -> Decimal:
        """Return a quantity as ccxt tells it in base units."""
        return Decimal(str(contracts)) * self.contract_size(symbol)

    def lot(self, symbol: str) -> Decimal:
        """Smallest step of a quantity, base units."""
        return self.base(symbol, self.exchange.market(symbol)["precision"]["amount"])

    def tick(self, symbol: str) -> Decimal:
        """Smallest step of a price."""
        return Decimal(self.exchange.market(symbol)["precision"]["price"])

    async def book(self, symbol: str) -> dict[str, list[tuple[Decimal, Decimal]]]:
        """Return price and base quantity of 20 levels a side."""
        told = await self.exchange.fetch_order_book(symbol, 20)
        return {
            side: [(Decimal(str(row[0])), self.base(symbol, row[1])) for row in told[side]]
            for side in ("bids", "asks")
        }

    async def place(
        self, symbol: str, side: str, quantity: Decimal, price: Decimal | None = None, **more: Any
    ) -> str:
        """Send an order of base units, a market order without a price; return its client id."""
        client_id = more.pop("client_id", None) or self.client_id()
        made = await self.exchange.create_order(
            symbol,
            "market" if price is None else "limit",
            side,
            str((quantity / self.contract_size(symbol)).normalize()),
            None if price is None else str(price),
            {"clientOrderId": client_id, **more},
        )
        assert made["id"], "an order is answered with its id"
        return client_id

    def client_id(self) -> str:
        """Return a client id that was never used; alphanumeric, as the strictest venue asks."""
        return f"contract{next(self._numbers):06d}"

    async def find(self, symbol: str, client_id: str) -> dict[str, Any]:
        """Return an order by its client id."""
        return await self.row.find(self.exchange, symbol, client_id)

    async def cancel(self, symbol: str, client_id: str) -> None:
        """Cancel by client id."""
        await self.exchange.cancel_order(None, symbol, {self.row.client_id_name: client_id})

    def order_of(self, client_id: str) -> dict[str, Any]:
        """Return the last order with a client id from the truth."""
        orders = [
            each for each in self.process.state()["orders"] if each["client_order_id"] == client_id
        ]
        return orders[-1]

    def fills_of(self, client_id: str) -> list[tuple[Decimal, Decimal]]:
        """Return price and base quantity of an order's fills from the truth, oldest first."""
        return [
            (Decimal(each["price"]), Decimal(each["quantity"]))
            for each in self.process.state()["fills"]
            if each["client_order_id"] == client_id
        ]

    async def flatten(self, symbols: list[str]) -> None:
        """End every order and position, so that each test starts alike."""
        for symbol in symbols:
            for order in await self.exchange.fetch_open_orders(symbol):
                await self.exchange.cancel_order(order["id"], symbol)
        for symbol, text in self.process.state()["positions"].items():
            held = Decimal(text)
            side = "sell" if held > 0 else "buy"
            await self.place(symbol, side, abs(held), reduceOnly=True)
