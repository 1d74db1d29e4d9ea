"""A venue in virtual time: the simulator's wire and the real adapter over the exchange model.

Requests and answers are late, lost or refused, executions are listed late, pushes come late, twice,
in another order or never, streams break. What a venue says, and in which words, is its
simulator's; how it is understood, its adapter's.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from aiohttp import web

from bybit_rejections import Rejections
from counterpoise.app.venue_table import VENUES, Symbols
from counterpoise.domain.events import (
    BookSnapshot,
    Event,
    FundingRate,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
)
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.accounts import AccountState, PositionState
from counterpoise.exchange.clearing import Figures
from counterpoise.exchange.events import (
    Deleveraged,
    ExchangeEvent,
    FundingRateChanged,
    Liquidated,
    OrderChanged,
    PositionChanged,
)
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.exchange.wallet import Holding, Wallet
from counterpoise.ports import Clock, Venue
from counterpoise.simulator.faults import Fault, FaultKind
from counterpoise.simulator.venues import VenueName
from counterpoise.simulator.wire import Trouble as Answer
from virtual_stream import PrivateStream
from virtual_wire import PORT, Request, VirtualWire, in_virtual_time, key_of, refused_connection

#: How long the daemon waits for an answer, seconds.
ANSWER_SECONDS: Final = 5.0
#: Levels of a book that are told.
LEVELS: Final = 8
#: What lists executions, and what lists orders, on any venue.
_LISTS: Final = frozenset({"/api/v5/trade/fills", "/fapi/v1/userTrades", "/v5/execution/list"})
_ORDER_LISTS: Final = frozenset(
    {"/api/v5/trade/orders-history", "/fapi/v1/allOrders", "/v5/order/history"}
)
#: What answers positions, and what a push of one carries.
_POSITIONS: Final = frozenset(
    {"/api/v5/account/positions", "/fapi/v3/positionRisk", "/v5/position/list"}
)
_POSITION_PUSHES: Final = (b'"positions"', b'"ACCOUNT_UPDATE"', b'"position"')
#: An answer about positions is this old at most, seconds; changes of them kept for that.
POSITIONS_LAG_SECONDS: Final = 2.0
POSITION_CHANGES_MAX: Final = 1_000
#: A position is left out of an answer once, then for this long of none, seconds.
LEFT_OUT_GAP_SECONDS: Final = 5.0
#: Parts of an immediate order that fill where it fills in part.
_PARTS: Final = ("0", "0.25", "0.5", "0.8")
#: Streams that are told from the exchange model directly; the account's is `PrivateStream`.
_PUBLIC: Final = tuple(each for each in StreamName if each is not StreamName.ACCOUNT)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """How often what goes wrong, as probabilities; drawn anew for each seed."""

    #: An order's request is lost, and its outcome unknown.
    request_lost: float = 0.0
    #: The answer to an order is lost: it was carried out.
    answer_lost: float = 0.0
    #: The request arrives seconds later, after the daemon gave up waiting.
    request_late: float = 0.0
    #: The answer to an order that was carried out is empty.
    answer_empty: float = 0.0
    #: The venue says that it does not know what became of an order; every second one it took.
    answer_unknown: float = 0.0
    #: The connection cannot be opened: surely not placed.
    unreachable: float = 0.0
    #: Refused for no reason of ours: too many, overload, maintenance, margin, an id that exists; at
    #: Bybit also after it was answered.
    refused: float = 0.0
    #: An immediate order fills in part.
    partial: float = 0.0
    #: A question is not answered.
    read_failed: float = 0.0
    #: An answer takes a second or more.
    slow: float = 0.0
    #: Executions, and orders that ended, are listed this late at most, seconds, each for itself.
    listed_late_seconds: float = 0.0
    #: An answer about positions tells those of up to `POSITIONS_LAG_SECONDS` ago.
    positions_lag: float = 0.0
    #: An answer about positions lacks one of them, once.
    position_left_out: float = 0.0
    #: A position's push comes again after seconds, when it is no longer true.
    push_stale: float = 0.0
    #: A private push is lost, comes twice, or comes late.
    push_lost: float = 0.0
    push_twice: float = 0.0
    push_late: float = 0.0
    #: A stream breaks in a second.
    stream_breaks: float = 0.0


class ModelledVenue:
    """One account at one venue."""

    def __init__(
        self,
        name: VenueName,
        exchange: Exchange,
        clock: Clock,
        draw: random.Random,
        *,
        lag_ms: int = 0,
    ) -> None:
        self.name = name
        self.exchange = exchange
        self.wire = VirtualWire(name, exchange, clock, seed=draw.getrandbits(32))
        self.wire.push_to(self._pushed)
        self.wire.running.listeners.append(self._heard)
        #: Called after every step of the market.
        self.watchers: list[Callable[[], None]] = []
        self._trouble = Trouble()
        # Where pushes go; None = no daemon listens.
        self._feed: Callable[[Event], None] | None = None
        self._stream: PrivateStream | None = None
        self._clock = clock
        self._draw = draw
        self._adapters = VENUES[name.value].adapters()
        self._endpoints = self._adapters.loopback(PORT)
        key = key_of(name)
        #: The account's name.
        self.account_id = key.account_id
        self._credentials = self._adapters.credentials(key.api_key, key.secret, key.passphrase)
        self._calm = False
        self._down_until: dict[StreamName, int] = {}
        # When it is listed, ns: an execution by its bill, an order by its id.
        self._listed_after: dict[str, int] = {}
        self._lists_lag()
        # When a position changed and what it was before; None = flat.
        self._changes: deque[tuple[int, str, PositionState | None]] = deque(
            maxlen=POSITION_CHANGES_MAX
        )
        self._positions: dict[str, PositionState] = {}
        # What the answer being made tells: positions of this long ago, without these.
        self._told_lag_ns, self._left_out, self._left_out_ns = 0, "", 0
        self._positions_lag()
        self._rejections = Rejections(clock, self._pushed)
        self._stamps_lag(lag_ms * NS_PER_MS)

    @property
    def trouble(self) -> Trouble:
        """What goes wrong now."""
        return self._trouble

    @trouble.setter
    def trouble(self, trouble: Trouble) -> None:
        self._trouble = trouble
        faults = self.wire.faults
        faults.clear()
        wanted = [
            (FaultKind.REJECT_INCREASES, trouble.refused / 2, ""),
            (FaultKind.DUPLICATE_CLIENT_ID, trouble.refused / 4, ""),
            *((FaultKind.PARTIAL_FILL, trouble.partial / len(_PARTS), part) for part in _PARTS),
        ]
        for kind, probability, value in wanted:
            if probability:
                faults.add(
                    Fault(
                        kind=kind,
                        count=0,
                        duration_seconds=86_400.0,
                        probability=probability,
                        value=value,
                    )
                )

    def in_virtual_time(self) -> AbstractContextManager[None]:
        """Let every adapter made meanwhile meet this venue."""
        return in_virtual_time(self._clock, self._fate)

    async def adapter(self) -> Venue:
        """Return the real adapter, opened; its first questions are answered."""
        venue = self._adapters.venue(self._endpoints, self._credentials, self._clock)
        self._calm = True
        try:
            await venue.open()
        finally:
            self._calm = False
        return venue

    # -- the market and the streams ----------------------------------------------------------

    def advance(self) -> None:
        """Let the market run to now and tell what happened."""
        self.wire.running.advance(max(self._clock.now_ns(), self.exchange.now_ns))

    def tell(self, happened: Sequence[ExchangeEvent]) -> None:
        """Tell what happened outside the order path."""
        self.wire.running._tell(happened)

    async def run(self, step_seconds: float) -> None:
        """Run the market and push until cancelled."""
        while True:
            self.advance()
            self._push_market()
            for watcher in self.watchers:
                watcher()
            await asyncio.sleep(step_seconds)

    def listen(self, feed: Callable[[Event], None], symbols: Symbols) -> PrivateStream:
        """Push to a daemon from now on; return its private connection, which it runs."""
        self._feed = feed
        made = self._adapters.account_feed(self._endpoints, self._credentials, symbols, self._clock)
        self._stream = PrivateStream(self.name, made, feed, self._clock, self._draw, self)
        self._down_until.clear()
        now_ns = self._clock.now_ns()
        for instrument in self.exchange.instruments():
            self._tell_funding(instrument.instrument_id, now_ns)
        self._push_market()
        return self._stream

    def forget(self) -> None:
        """Push to nobody: the daemon is gone."""
        if self._stream is not None:
            self._stream.end()
        self._feed = self._stream = None

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._draw.random() < probability

    def _is_down(self, stream: StreamName) -> bool:
        until_ns = self._down_until.get(stream)
        if until_ns is None:
            return False
        if self._clock.now_ns() < until_ns:
            return True
        del self._down_until[stream]
        return False

    def _push_market(self) -> None:
        if self._feed is None:
            return
        now_ns = self._clock.now_ns()
        for stream in _PUBLIC:
            if not self._is_down(stream) and self._chance(self.trouble.stream_breaks):
                self._down_until[stream] = now_ns + self._draw.randint(1, 8) * NS_PER_SECOND
                self._feed(StreamDown(stream=stream, reason="broken", received_ns=now_ns))
            if not self._is_down(stream):
                self._feed(StreamAlive(stream=stream, received_ns=now_ns))
        for instrument in self.exchange.instruments():
            name = instrument.instrument_id
            if not self._is_down(StreamName.BOOKS):
                self._push_book(name, now_ns)
            if not self._is_down(StreamName.MARKS):
                self._feed(
                    MarkPrice(
                        instrument_id=name,
                        mark=self.exchange.mark(name),
                        index=self.exchange.index(name),
                        event_ns=now_ns,
                        received_ns=now_ns,
                    )
                )

    def _push_book(self, name: str, now_ns: int) -> None:
        assert self._feed is not None
        book = self.exchange.book(name)
        self._feed(
            BookSnapshot(
                instrument_id=name,
                bids=tuple((str(p), str(q)) for p, q in book.bids[:LEVELS]),
                asks=tuple((str(p), str(q)) for p, q in book.asks[:LEVELS]),
                quantity_unit=Decimal(1),
                sequence=now_ns,
                event_ns=now_ns,
                received_ns=now_ns,
            )
        )

    def _tell_funding(self, name: str, now_ns: int) -> None:
        assert self._feed is not None
        funding = self.exchange.funding(name)
        self._feed(
            FundingRate(
                instrument_id=name,
                rate=funding.rate,
                funding_ns=funding.funding_ns,
                interval_hours=Decimal(funding.interval_hours),
                event_ns=now_ns,
                received_ns=now_ns,
            )
        )

    def _pushed(self, frame: bytes) -> None:
        if self._stream is None:
            return
        self._stream.push(frame)
        told = any(each in frame for each in _POSITION_PUSHES)
        if told and self._chance(self.trouble.push_stale):
            seconds = self._draw.uniform(0.3, 3.0)
            asyncio.get_running_loop().call_later(seconds, self._stream.push, frame)

    def _heard(self, happened: Sequence[ExchangeEvent]) -> None:
        for event in happened:
            if isinstance(event, OrderChanged | Liquidated | Deleveraged):
                self._late(f"order {event.order.order_id}", event.event_ns)
                if event.fill is not None:
                    self._late(f"bill {event.fill.bill_id}", event.fill.event_ns)
            elif isinstance(event, PositionChanged):
                self._moved(event)
            elif isinstance(event, FundingRateChanged) and self._feed is not None:
                self._tell_funding(event.instrument_id, self._clock.now_ns())

    # -- lists that lag --------------------------------------------------------------------------

    def _late(self, name: str, happened_ns: int) -> None:
        late_ns = round(self._draw.uniform(0, self.trouble.listed_late_seconds) * NS_PER_SECOND)
        self._listed_after.setdefault(name, happened_ns + late_ns)

    def _is_listed(self, name: str) -> bool:
        return self._listed_after.get(name, 0) <= self.exchange.now_ns

    def _lists_lag(self) -> None:
        # Only the lists: what is pushed and asked by id is as new as ever.
        executed, ordered, self._serving = self.exchange.fills, self.exchange.orders, ""

        def fills(account_id: str, since_ns: int) -> tuple[ExchangeFill, ...]:
            found = executed(account_id, since_ns)
            late = self._serving in _LISTS
            return tuple(f for f in found if not late or self._is_listed(f"bill {f.bill_id}"))

        def orders(account_id: str) -> tuple[ExchangeOrder, ...]:
            found = ordered(account_id)
            late = self._serving in _ORDER_LISTS
            return tuple(o for o in found if not late or self._is_listed(f"order {o.order_id}"))

        self.exchange.fills = fills  # type: ignore[method-assign]
        self.exchange.orders = orders  # type: ignore[method-assign]

    # -- positions that lag --------------------------------------------------------------------------

    def _moved(self, event: PositionChanged) -> None:
        name = event.position.instrument_id
        self._changes.append((event.event_ns, name, self._positions.pop(name, None)))
        if event.position.quantity != 0:
            self._positions[name] = event.position

    def _positions_lag(self) -> None:
        # Only the answer about positions: balances and pushes are as new as ever.
        now = self.exchange.account

        def account(account_id: str) -> AccountState:
            found = now(account_id)
            if self._serving not in _POSITIONS:
                return found
            told = dict(found.positions)
            since_ns = self.exchange.now_ns - self._told_lag_ns
            for changed_ns, name, before in reversed(self._changes):
                if changed_ns <= since_ns:
                    break
                told.pop(name, None)
                if before is not None:
                    told[name] = before
            told.pop(self._left_out, None)
            return replace(found, positions=told)

        self.exchange.account = account  # type: ignore[method-assign]

    def _stamps_lag(self, lag_ns: int) -> None:
        # Everything that tells a position: it is stamped when it is written.
        clearing = self.exchange._desk.clearing
        stamped = clearing._position

        def position(wallet: Wallet, holding: Holding, figures: Figures) -> PositionState:
            found = stamped(wallet, holding, figures)
            return replace(found, changed_ns=found.changed_ns + lag_ns)

        clearing._position = position  # type: ignore[method-assign]

    def _draw_lag(self) -> None:
        self._told_lag_ns, self._left_out = 0, ""
        if self._chance(self.trouble.positions_lag):
            seconds = self._draw.uniform(0.0, POSITIONS_LAG_SECONDS)
            self._told_lag_ns = round(seconds * NS_PER_SECOND)
        now_ns = self._clock.now_ns()
        rested = now_ns - self._left_out_ns > LEFT_OUT_GAP_SECONDS * NS_PER_SECOND
        if rested and self._positions and self._chance(self.trouble.position_left_out):
            self._left_out, self._left_out_ns = self._draw.choice(sorted(self._positions)), now_ns

    # -- what becomes of a request ------------------------------------------------------------------

    async def _serve(self, request: Request) -> web.StreamResponse:
        if self.name is VenueName.BYBIT:
            rejected = self._rejections.listed(request)
            if rejected is not None:
                return rejected
            if self._rejections.takes(request) and self._chance(self.trouble.refused / 2):
                return self._rejections.answer(request)
        if request.path in _POSITIONS and not self._calm:
            self._draw_lag()
        self._serving = request.path
        try:
            return await self.wire.serve(request)
        finally:
            self._serving = ""

    async def _fate(self, request: Request) -> web.StreamResponse:
        if self._calm:
            return await self._serve(request)
        if self.wire.wire.is_order_entry(request):
            return await self._order_fate(request)
        trouble = self.trouble
        seconds = self._draw.uniform(0.002, 0.03)
        if self._chance(trouble.slow):
            seconds = self._draw.uniform(0.5, 3.0)
        await asyncio.sleep(seconds)
        if self._chance(trouble.read_failed):
            return self._bad(request)
        return await self._serve(request)

    def _bad(self, request: Request) -> web.StreamResponse:
        # No ban: Bybit's lasts ten minutes, longer than the day, and nothing is read meanwhile.
        kinds: list[Answer | None] = [
            None, Answer.UNAVAILABLE, Answer.RATE_LIMITED, Answer.MAINTENANCE,
        ]  # fmt: skip
        kind = self._draw.choice(kinds)
        if kind is None:
            raise refused_connection()
        return self._words(kind, request)

    def _words(self, kind: Answer, request: Request) -> web.StreamResponse:
        answer: web.StreamResponse = self.wire.wire.trouble(kind, request, seconds=1.0)
        return answer

    async def _order_fate(self, request: Request) -> web.StreamResponse:
        # What becomes of the request does not hang on who waits for it.
        trouble = self.trouble
        if self._chance(trouble.unreachable):
            await asyncio.sleep(0.01)
            raise refused_connection()
        if self._chance(trouble.request_lost):
            return await _silence()
        await asyncio.sleep(self._draw.uniform(0.002, 0.03))
        if self._chance(trouble.refused):
            return self._bad(request)
        unknown = self._chance(trouble.answer_unknown)
        found = None
        if not unknown or self._chance(0.5):
            answer = self._send(request)
            if self._chance(trouble.answer_lost):
                return await _silence()
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await asyncio.shield(answer)
        if unknown or found is None:
            return self._words(Answer.UNKNOWN_OUTCOME, request)
        return web.Response() if self._chance(trouble.answer_empty) else found

    def _send(self, request: Request) -> "asyncio.Future[web.StreamResponse]":
        seconds = self._draw.uniform(0.002, 0.02)
        if self._chance(self.trouble.request_late):
            seconds = self._draw.uniform(1.0, 9.0)

        async def arrive() -> web.StreamResponse:
            await asyncio.sleep(seconds)
            return await self._serve(request)

        return asyncio.get_running_loop().create_task(arrive())


async def _silence() -> Any:
    await asyncio.sleep(ANSWER_SECONDS)
    raise TimeoutError
