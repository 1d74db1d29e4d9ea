"""What a client sees of a misbehaving venue, in that venue's own frames and codes.

A venue joins the suite of faults by a row in `fault_rows.FAULT_ROWS`; the tests know no venue by name.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import websockets

from ccxt_venues import Desk

#: Longest wait for a frame that must come, seconds.
FRAME_SECONDS_MAX = 5.0
#: Longest wait for the answer to a ping, seconds.
PONG_SECONDS_MAX = 0.7
#: How long nothing must come for a silence, seconds; every push leaves within a few milliseconds.
SILENCE_SECONDS = 0.08
#: Market time between two looks at a stream, seconds: a step of the market.
STEP_SECONDS = 0.25

Frame = dict[str, Any]


class Socket:
    """One raw connection: frames as they come."""

    def __init__(self, socket: websockets.ClientConnection, desk: "FaultDesk") -> None:
        self.raw = socket
        self._desk = desk

    async def frame(self, seconds: float = FRAME_SECONDS_MAX) -> Any:
        """Return the next frame, decoded; a word that is no JSON as it is."""
        text = await asyncio.wait_for(self.raw.recv(), seconds)
        try:
            return json.loads(text)
        except ValueError:
            return text

    async def waiting(self, least: int = 0) -> list[Any]:
        """Return what has come: `least` frames, waited for, and what comes within a moment."""
        frames: list[Any] = []
        with contextlib.suppress(TimeoutError):
            while True:
                wait = FRAME_SECONDS_MAX if len(frames) < least else SILENCE_SECONDS
                frames.append(await self.frame(wait))
        return frames

    async def ask(self, body: Frame | str) -> None:
        """Send one frame."""
        await self.raw.send(body if isinstance(body, str) else json.dumps(body))

    async def is_answering(self) -> bool:
        """Tell whether a ping in the venue's own way is answered."""
        try:
            return await self._desk.faulty.ping(self)
        except TimeoutError:
            return False

    async def orders(self, least: int = 0) -> list[tuple[str, str]]:
        """Return client id and state in the venue's words of every order event, as `waiting`."""
        found: list[tuple[str, str]] = []
        with contextlib.suppress(TimeoutError):
            while True:
                wait = FRAME_SECONDS_MAX if len(found) < least else SILENCE_SECONDS
                found += self._desk.faulty.orders(await self.frame(wait))
        return found

    async def ended(self) -> websockets.ConnectionClosed:
        """Return how the connection ended; it must."""
        async with asyncio.timeout(FRAME_SECONDS_MAX):
            while True:
                try:
                    await self.raw.recv()
                except websockets.ConnectionClosed as closed:
                    return closed


class FaultDesk(Desk):
    """A ccxt instance at a lock-step venue, its raw streams and its faults."""

    faulty: "FaultRow"

    def fault(self, kind: str, **details: object) -> dict[str, Any]:
        """Order a fault and return what the venue said was done."""
        return self.process.ask("/_control", {"kind": kind, **details})

    def clear(self) -> None:
        """End every fault and let what was bent be mended."""
        self.fault("clear")
        self.process.advance(STEP_SECONDS)

    def named(self, symbol: str) -> str:
        """Return the venue's own spelling of a unified symbol."""
        return str(self.exchange.market(symbol)["id"])

    def known(self, client_id: str) -> bool:
        """Tell whether the truth has an order of a client id."""
        return client_id in [each["client_order_id"] for each in self.process.state()["orders"]]

    def held(self, symbol: str) -> Decimal:
        """Return the true signed quantity, base units."""
        return Decimal(self.process.state()["positions"].get(symbol, "0"))

    async def told_held(self, symbol: str) -> Decimal:
        """Return the signed quantity ccxt tells, base units; 0 = none is listed."""
        for row in await self.exchange.fetch_positions([symbol]):
            quantity = self.base(symbol, row["contracts"] or 0)
            if quantity:
                return quantity if row["side"] == "long" else -quantity
        return Decimal(0)

    @contextlib.asynccontextmanager
    async def connected(self, path: str) -> AsyncIterator[Socket]:
        """Open one connection."""
        address = f"{self.process.ready['ws']}{path}"
        async with websockets.connect(
            address, proxy=None, max_queue=None, close_timeout=0.2, ping_interval=None
        ) as raw:
            yield Socket(raw, self)

    def books(self, symbol: str) -> contextlib.AbstractAsyncContextManager[Socket]:
        """Open a stream of book updates; what came at its opening is read."""
        return self.faulty.books(self, symbol)

    def orders(self) -> contextlib.AbstractAsyncContextManager[Socket]:
        """Open the private stream of orders; what came at its opening is read."""
        return self.faulty.private(self)


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    """How one venue words its troubles and what its frames look like."""

    #: What the address of order entry contains.
    order_path: str
    #: What the address of server time contains.
    time_path: str
    #: Kind -> ccxt's error, HTTP status and what the body says.
    troubles: dict[str, tuple[type[Exception], int, str]]
    #: Opens a stream of book updates.
    books: Callable[[FaultDesk, str], contextlib.AbstractAsyncContextManager[Socket]]
    #: Opens the private stream of orders.
    private: Callable[[FaultDesk], contextlib.AbstractAsyncContextManager[Socket]]
    #: Pings and tells whether that was answered.
    ping: Callable[[Socket], Awaitable[bool]]
    #: Client id and state of the order events in a frame.
    orders: Callable[[Frame], Iterator[tuple[str, str]]]
    #: Words of an open, a canceled order.
    states: tuple[str, str]
    #: The name of the private channel of orders, for `path_contains`.
    orders_channel: str
    #: Number of the update before and of the update itself; None = the frame is no update.
    chain: Callable[[Frame], tuple[int, int] | None]
    #: Changed levels of an update, (bids, asks), quantity text "0" = gone.
    levels: Callable[[Frame], tuple[list[list[str]], list[list[str]]]]
    #: Reads the mark by REST.
    mark: Callable[[FaultDesk, str], Awaitable[Decimal]]
    #: Raised where stamps are off, with the venue's code.
    stamp_error: tuple[type[Exception], str]
    #: Reads a position's and the account's margin figures as the venue wrote them.
    margins: Callable[[FaultDesk, str], Awaitable[list[str]]]
    #: Raised by an order in an instrument that takes none, and by a quantity off the grid.
    state_error: tuple[type[Exception], str]
    lot_error: tuple[type[Exception], str]
    #: State of an instrument in the venue's words; None = it is not listed any more.
    state: Callable[[FaultDesk, str], Awaitable[str | None]]
    #: Our state -> the venue's word.
    state_words: dict[str, str]
    #: Hours between fundings; the first tier's maintenance margin; the leverage setting.
    funding_hours: Callable[[FaultDesk, str], Awaitable[Decimal]]
    maintenance: Callable[[FaultDesk, str], Awaitable[Decimal]]
    leverage: Callable[[FaultDesk, str], Awaitable[Decimal]]
    #: Parameters of an order that opens a long in hedge mode.
    hedge_long: dict[str, Any]
    #: Parameters of fetch_my_trades that show what an ADL and a liquidation did.
    seized: tuple[dict[str, str], dict[str, str]] = ({}, {})
    #: The code with which sockets are told of an upgrade; None = they are not told.
    notice: str | None = None
    #: Kinds the venue does not have, with a word of the refusal.
    absent: dict[str, str] = field(default_factory=dict)
