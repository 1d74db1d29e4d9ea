"""Binance's private stream: orders with their fills and positions; the balance by REST beside it.

The stream says nothing while nothing happens, an address that is wrong stays silent for ever, and
its balance has no equity. So three things prove that it lives: its pongs, the key it was opened
with (asked for again each minute), and the account by REST: cash that changed there without a word
here means that the stream is deaf.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import structlog

from counterpoise.domain.errors import VenueError, VenueRejected, VenueUnreachable
from counterpoise.domain.events import (
    BalanceUpdate,
    Event,
    FillReported,
    PositionUpdate,
    StreamAlive,
    StreamName,
    UpdateSource,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ports import Clock, Feed
from counterpoise.venues.binance import errors, frames, reads, rows
from counterpoise.venues.binance.books import Symbols
from counterpoise.venues.binance.convert import ORDER_STATES
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.throttle import Allowance
from counterpoise.venues.connection import (
    MALFORMED,
    Conversation,
    Dropped,
    Heartbeat,
    StreamSocket,
    Timing,
)
from counterpoise.venues.hearing import CashWatch
from counterpoise.venues.silence import Rhythm

_log = structlog.get_logger(__name__)

#: Asked with a ping this often, because nothing else need come.
HEARTBEAT: Final = Heartbeat(every_seconds=4.0)

#: How often the balance is asked for when nothing happens, and at most, seconds.
BALANCE_SECONDS: Final = 5.0
BALANCE_SECONDS_MIN: Final = 1.0

#: A balance is told only while the stream beside it was alive within this, ns.
ALIVE_WITHIN_NS: Final = 10 * NS_PER_SECOND

#: Cash that REST has must be told by the stream within this.
TOLD_WITHIN_SECONDS: Final = 5.0

#: How often the listen key is kept alive, seconds; Binance ends one after an hour.
KEY_SECONDS: Final = 60.0

#: One request of the stream's own, ms.
TIMEOUT_MS: Final = 5_000

#: What the stream tells that needs no answer of ours. Stops (ALGO_UPDATE) are asked about by REST,
#: and what one sends is told as any other order.
_UNUSED: Final = frozenset(
    {
        "ALGO_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "GRID_UPDATE",
        "STRATEGY_UPDATE",
        "TRADE_LITE",
    }
)


class AccountConversation:
    """Listens. A frame that cannot be read costs the connection.

    It may have been a fill: only a new connection makes the rest of the daemon ask REST for
    what was missed. So does a row that says what nobody documented, once the rest is told.
    """

    def __init__(
        self, symbols: Symbols, changed: Callable[[], None], *, settle: str = "USDT"
    ) -> None:
        """`changed` is called when the balance should be asked for: something moved it."""
        self.stream = StreamName.ACCOUNT
        #: Made by the listen key.
        self.url = ""
        self.heartbeat = HEARTBEAT
        self.requests: list[bytes] = []
        self.established = False
        self._instruments = {symbol: ours for ours, (symbol, _) in symbols.items()}
        self._changed = changed
        self._settle = settle
        self._key = ""
        self._end: Dropped | None = None
        self._cash = CashWatch(TOLD_WITHIN_SECONDS)

    @property
    def complete(self) -> bool:
        """True once it is connected: it has nothing to tell first."""
        return self.established

    def open_with(self, url: str, key: str) -> None:
        """Connect there, with this listen key, from now on."""
        self.url, self._key = url, key

    def begin(self, now_ns: int) -> None:  # noqa: ARG002  (every conversation is told)
        """Listen; the key was granted before."""
        self.established = True
        self._end = None
        self._cash.begin()

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return what changed."""
        try:
            return self._hear(frame, received_ns)
        except MALFORMED as error:
            raise Dropped(f"a frame could not be read: {type(error).__name__} {error}") from error

    def watch(self, now_ns: int) -> None:
        """Give up on a connection whose key is gone or that does not tell what happened.

        So too on one that told what nobody documented.
        """
        if self._end is not None:
            raise self._end
        self._cash.look(now_ns)

    def keep_key(self, key: str) -> None:
        """Take the key Binance says it kept alive; another one ends the connection."""
        if key and key != self._key:
            self.lose_key()

    def lose_key(self) -> None:
        """End the connection: Binance knows its key no more."""
        self._end = Dropped("the listen key is gone", at_once=True)

    def compare(self, cash: Decimal, now_ns: int) -> None:
        """Take the account's cash by REST, quote; a difference is looked at again soon."""
        if self._cash.compare(cash, now_ns):
            self._changed()

    def _hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        told = frames.USER.decode(frame)
        if told.event == "ORDER_TRADE_UPDATE":
            return self._order(frames.ORDERS.decode(frame).order, received_ns)
        if told.event == "ACCOUNT_UPDATE":
            return self._account(frames.ACCOUNT.decode(frame), received_ns)
        if told.event == "listenKeyExpired":
            if told.listen_key in {"", self._key}:
                raise Dropped("the listen key expired", at_once=True)
        elif told.event == "MARGIN_CALL":
            self._margin_call(frames.MARGIN_CALL.decode(frame))
        elif told.event == "ACCOUNT_CONFIG_UPDATE":
            _log.warning("account.settings_changed")
            self._changed()
        elif told.event not in _UNUSED:
            _log.warning("stream.event_unknown", event_name=told.event[:40])
        return ()

    def _order(self, row: frames.OrderEvent, received_ns: int) -> list[Event]:
        if row.symbol not in self._instruments:
            _log.warning("order.not_ours", instrument=row.symbol, state=row.status)
            return []
        events: list[Event] = []
        # The fill first: whoever sees the order end has then seen all of its fills.
        if row.execution in {"TRADE", "CALCULATED"}:
            fill = rows.streamed_fill(row, received_ns)
            if fill is not None:
                events.append(FillReported(fill=fill, source=UpdateSource.STREAM))
        if row.status in ORDER_STATES:
            events.append(rows.streamed_update(row, received_ns))
        else:
            _log.error("order.state_unknown", state=row.status, order=row.order_id)
            self._end = Dropped(f"an order in an unknown state: {row.status[:40]!r}")
        return events

    def _account(self, message: frames.AccountUpdate, received_ns: int) -> list[Event]:
        self._changed()
        for asset in message.account.balances:
            if asset.asset == self._settle:
                self._cash.tell(Decimal(asset.wallet))
        events: list[Event] = []
        for row in message.account.positions:
            if row.symbol not in self._instruments:
                _log.warning("position.not_ours", instrument=row.symbol, quantity=row.quantity)
                continue
            held = rows.changed_position(row, message.changed_ms)
            events.append(PositionUpdate(position=held, received_ns=received_ns))
        return events

    def _margin_call(self, message: frames.MarginCall) -> None:
        # The guard acts on equity long before; a call means that its figures are wrong.
        _log.error(
            "account.margin_call",
            wallet_balance=message.wallet,
            instruments=",".join(row.symbol for row in message.positions),
        )
        self._changed()


class BinanceAccountStream:
    """Orders, fills, positions and balance of an account; implements `ports.AccountFeed`."""

    def __init__(
        self,
        endpoints: BinanceEndpoints,
        credentials: BinanceCredentials,
        symbols: Symbols,
        clock: Clock,
        *,
        timing: Timing | None = None,
        rhythm: Rhythm | None = None,
        ahead_ns: Callable[[], int] | None = None,
        settle: str = "USDT",
    ) -> None:
        """`rhythm` and `ahead_ns` are what every venue takes; this stream has its own session."""
        del rhythm, ahead_ns
        self._endpoints = endpoints
        self._credentials = credentials
        self._symbols = symbols
        self._clock = clock
        self._settle = settle
        self._ever_opened = False
        self._alive_ns = 0
        self._session: BinanceSession | None = None
        self._changed = asyncio.Event()
        self._socket = StreamSocket(
            self._conversation(),
            clock,
            timing,
            successor=self._conversation,
            prepare=self._prepare,
        )

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled. Raises StartRefused if the key is refused at first."""
        self._session = BinanceSession(
            self._endpoints,
            self._credentials,
            self._clock,
            Allowance.stream_lanes,
            timeout_ms=TIMEOUT_MS,
        )

        def watched(event: Event) -> None:
            if isinstance(event, StreamAlive):
                self._alive_ns = event.received_ns
            feed(event)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._socket.run(watched))
                group.create_task(self._keep_key())
                group.create_task(self._tell_balance(feed))
                group.create_task(reads.follow_limits(self._session))
        except BaseExceptionGroup as failed:
            # One of them ended all; it speaks for itself, as where there is no group.
            raise failed.exceptions[0] from None
        finally:
            await self._session.close()

    def _conversation(self) -> Conversation:
        return AccountConversation(self._symbols, self._changed.set, settle=self._settle)

    @property
    def _opened(self) -> BinanceSession:
        assert self._session is not None, "the stream runs"
        return self._session

    @property
    def _present(self) -> AccountConversation:
        present = self._socket.conversation
        assert isinstance(present, AccountConversation), "the only kind there is"
        return present

    async def _prepare(self, conversation: Conversation) -> None:
        """Ask for a listen key. Raises VenueError, or StartRefused for a key never accepted.

        In the lane of reads: while Binance has closed it for long, nothing is asked or connected.
        """
        session = self._opened
        try:
            async with session.lanes.read():
                answer = await session.change(lambda: session.reads.fapiPrivatePostListenKey({}))
            await session.measure_clock()
        except VenueRejected as error:
            refusal = errors.TABLE.start_refusal(error)
            if refusal is None or self._ever_opened:
                raise
            raise refusal from error
        key = str(answer.get("listenKey") or "")
        if not key:
            raise VenueUnreachable("Binance answered no listen key")
        self._ever_opened = True
        assert isinstance(conversation, AccountConversation), "the only kind there is"
        url = f"{self._endpoints.stream_url}/private/ws?listenKey={key}"
        conversation.open_with(url, key)

    async def _keep_key(self) -> None:
        session = self._opened
        while True:
            await asyncio.sleep(KEY_SECONDS)
            try:
                async with session.lanes.read():
                    kept = await session.change(lambda: session.reads.fapiPrivatePutListenKey({}))
                self._present.keep_key(str(kept.get("listenKey") or ""))
            except VenueError as error:
                if error.code == errors.LISTEN_KEY_GONE:
                    self._present.lose_key()
                else:
                    _log.warning("listen_key.not_kept", error=str(error))

    async def _tell_balance(self, feed: Feed) -> None:
        while True:
            try:
                async with asyncio.timeout(BALANCE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            now_ns = self._clock.now_ns()
            # REST alone proves nothing about the stream, and a balance counts as its sign of life.
            if not self._alive_ns or now_ns - self._alive_ns > ALIVE_WITHIN_NS:
                continue
            await self._ask_balance(feed)
            await asyncio.sleep(BALANCE_SECONDS_MIN)

    async def _ask_balance(self, feed: Feed) -> None:
        session, conversation = self._opened, self._present
        try:
            balance = await reads.current_balance(session, self._settle)
        except VenueError as error:
            _log.warning("balance.not_had", error=str(error))
            if error.code == errors.STAMP_REFUSED:
                with contextlib.suppress(VenueError):
                    await session.measure_clock()
            return
        received_ns = self._clock.now_ns()
        conversation.compare(balance.wallet_balance, received_ns)
        feed(BalanceUpdate(balance=balance, received_ns=received_ns))
