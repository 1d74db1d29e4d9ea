"""Bybit's private stream: orders, executions, positions and the wallet, on one socket.

It says nothing while nothing happens, so three things prove that it lives: its pongs; each topic,
asked for again, is refused for being subscribed already; and cash by REST that changed is told.
"""

import asyncio
import contextlib
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import structlog

from counterpoise.domain.errors import OutcomeUnknown, StartRefused, VenueError
from counterpoise.domain.events import (
    BalanceUpdate,
    Event,
    FillReported,
    OrderUpdate,
    PositionUpdate,
    StreamName,
    UpdateSource,
)
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import Clock, Feed
from counterpoise.venues.bybit import convert, errors, frames, reads, rows
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.hearing import PROBE, TopicProbe
from counterpoise.venues.bybit.market_stream import RHYTHM, Symbols
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.connection import MALFORMED, Dropped, Heartbeat, StreamSocket, Timing
from counterpoise.venues.figures import ns_from_ms
from counterpoise.venues.hearing import CashWatch
from counterpoise.venues.silence import Rhythm, SilenceWatch

_log = structlog.get_logger(__name__)

#: Login and subscription must be granted within this, ns.
GRANTED_WITHIN_NS: Final = 10 * NS_PER_SECOND

#: How far ahead of our clock a login's end lies; Bybit refuses one that its clock has passed, ns.
LOGIN_WITHIN_NS: Final = 60 * NS_PER_SECOND

#: What Bybit signs for a login.
_LOGIN_TEXT: Final = "GET/realtime"

#: The account is silent while nothing happens: what proves that it lives is its answer to this.
HEARTBEAT: Final = Heartbeat(ping='{"op":"ping"}', every_seconds=4.0)

#: Currency of margin and profit.
SETTLE: Final = "USDT"

TOPICS: Final = ("order", "execution", "position", "wallet")
#: While an account has it that Bybit protects, losing this topic cancels what rests.
PROTECTION: Final = "dcp.future"

#: How often cash is compared with REST, and again while it differs, seconds.
COMPARE_SECONDS: Final = 10.0
COMPARE_AGAIN_SECONDS: Final = 1.0
#: Cash that REST has must be told within this; answers may be old when a market moves fast.
TOLD_WITHIN_SECONDS: Final = 15.0
#: One request of the stream's own, ms.
TIMEOUT_MS: Final = 5_000

_ACCOUNT: Final = "account"
_PROTECTION: Final = "protection"

#: An order whose executions do not come is told without them after this, ns.
EXECUTIONS_WITHIN_NS: Final = NS_PER_SECOND
#: Orders whose executions are counted; the oldest are forgotten.
ORDERS_COUNTED_MAX: Final = 2_000


class ExecutionFirst:
    """Holds an order's news back until the executions it tells of have been told.

    Orders and executions come on two topics, in any order. Whoever sees an order end must have
    seen all of its executions, or it would send the rest again.
    """

    def __init__(self) -> None:
        self._executed: OrderedDict[str, Decimal] = OrderedDict()
        self._held: dict[str, OrderUpdate] = {}

    def clear(self) -> None:
        """Forget everything, on a new connection; REST tells what was missed."""
        self._executed.clear()
        self._held.clear()

    def order(self, update: OrderUpdate) -> list[OrderUpdate]:
        """Take an order's news; return it unless executions are still to come."""
        key = update.venue_order_id
        assert key is not None, "the stream names every order"
        self._held.pop(key, None)
        if not update.filled_quantity or self._executed.get(key, 0) >= update.filled_quantity:
            return [update]
        self._held[key] = update
        return []

    def execution(self, fill: Fill) -> list[OrderUpdate]:
        """Count an execution; return the news that waited for it."""
        key = fill.venue_order_id
        executed = self._executed[key] = self._executed.pop(key, Decimal(0)) + fill.quantity
        while len(self._executed) > ORDERS_COUNTED_MAX:
            self._executed.popitem(last=False)
        held = self._held.get(key)
        if held is None or held.filled_quantity is None or executed < held.filled_quantity:
            return []
        return [self._held.pop(key)]

    def overdue(self, now_ns: int) -> list[OrderUpdate]:
        """Return the news that waited in vain: part of the executions was before this connection."""
        late = [
            key
            for key, update in self._held.items()
            if now_ns - update.received_ns >= EXECUTIONS_WITHIN_NS
        ]
        return [self._held.pop(key) for key in late]


class AccountConversation:
    """Login, subscribe, listen. A frame that cannot be read costs the connection.

    It may have been an execution: only a new connection makes the rest of the daemon ask REST for
    what was missed. So does a row that says what nobody documented, once the rest is told.
    """

    def __init__(
        self,
        endpoints: BybitEndpoints,
        credentials: BybitCredentials,
        symbols: Symbols,
        *,
        settle: str = SETTLE,
        rhythm: Rhythm | None = None,
        ahead_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`ahead_ns` is the venue's clock minus ours now, which the login is stamped by."""
        self._ahead_ns = ahead_ns
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self.stream = StreamName.ACCOUNT
        self.url = endpoints.private_url
        self.heartbeat = HEARTBEAT
        self.requests: list[bytes] = []
        self.established = False
        self._credentials = credentials
        self._settle = settle
        self._instruments = {symbol for symbol, _ in symbols.values()}
        self._orders = ExecutionFirst()
        self._probe = TopicProbe(TOPICS)
        self._cash = CashWatch(TOLD_WITHIN_SECONDS)
        self._end: Dropped | None = None
        self._began_ns = 0
        self._ever_logged_in = False

    @property
    def complete(self) -> bool:
        """True once it is subscribed: the account says nothing by itself."""
        return self.established

    def begin(self, now_ns: int) -> None:
        """Log in."""
        self.established = False
        self._end = None
        self._began_ns = now_ns
        self._orders.clear()
        self._probe.begin(now_ns)
        self._cash.begin()
        self._silence.expect("wallet", [""], self._rhythm.account, now_ns)
        expires = (now_ns + self._ahead_ns() + LOGIN_WITHIN_NS) // NS_PER_MS
        digest = hmac.new(
            self._credentials.secret.encode(), f"{_LOGIN_TEXT}{expires}".encode(), hashlib.sha256
        )
        login = [self._credentials.api_key, expires, digest.hexdigest()]
        self.requests.append(frames.request("auth", login, "auth"))

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return what changed."""
        try:
            message = frames.FRAME.decode(frame)
            if not message.topic:
                events = self._control(message)
            else:
                events = self._data(message, received_ns)
        except MALFORMED as error:
            raise Dropped(f"a frame could not be read: {type(error).__name__} {error}") from error
        late = self._orders.overdue(received_ns)
        return [*(events or ()), *late] if late else events

    def watch(self, now_ns: int) -> None:
        """Give up on a connection that does not grant what was asked, or told what is unknown."""
        if self._end is not None:
            raise self._end
        if not self.established and now_ns - self._began_ns > GRANTED_WITHIN_NS:
            raise Dropped("Bybit did not grant login and subscriptions in time")
        self._silence.look(now_ns)
        self._cash.look(now_ns)
        if self.established:
            self.requests.extend(self._probe.due(now_ns))

    def compare(self, cash: Decimal, now_ns: int) -> bool:
        """Take the account's cash by REST, quote; True = it differs from what was told."""
        return self._cash.compare(cash, now_ns)

    def _control(self, message: frames.Frame) -> Sequence[Event] | None:
        if message.op == "auth":
            if not message.success:
                self._refused(message)
            self._ever_logged_in = True
            self.requests.append(frames.request("subscribe", TOPICS, _ACCOUNT))
            self.requests.append(frames.request("subscribe", [PROTECTION], _PROTECTION))
        elif message.op == "subscribe" and message.req_id == _ACCOUNT:
            if not message.success:
                raise Dropped(f"Bybit refused the account's topics: {message.ret_msg}")
            self.established = True
            # The grant is the new connection's first sign of life.
            return ()
        elif message.op == "subscribe" and message.req_id == PROBE:
            return self._probe.answered(message)
        elif message.op in {"ping", "pong"}:
            return ()
        return None

    def _refused(self, message: frames.Frame) -> None:
        code = str(message.ret_code)
        said = f"{code if code != '0' else ''} {message.ret_msg}".strip() or "without a reason"
        if self._ever_logged_in or errors.CODES.get(code) is OutcomeUnknown:
            raise Dropped(f"Bybit refused the login: {said}")
        remedy = errors.KEY_REMEDIES.get(code, "check key, secret and environment")
        raise StartRefused(f"Bybit refused the account stream ({said}): {remedy}")

    def _data(self, message: frames.Frame, received_ns: int) -> Sequence[Event] | None:
        if message.topic == "order":
            return self._order_rows(frames.ORDERS.decode(message.data), received_ns)
        if message.topic == "execution":
            return self._execution_rows(frames.EXECUTIONS.decode(message.data), received_ns)
        if message.topic == "position":
            return self._position_rows(frames.POSITIONS.decode(message.data), received_ns)
        if message.topic == "wallet":
            self._silence.hear("wallet", "", received_ns, self._rhythm.account)
            event_ns = ns_from_ms(message.creation_time) or received_ns
            return self._wallets(frames.WALLETS.decode(message.data), event_ns, received_ns)
        return None

    def _ours(self, what: str, category: str, symbol: str) -> bool:
        if category == convert.CATEGORY and symbol in self._instruments:
            return True
        _log.warning(f"{what}.not_ours", instrument=symbol, category=category)
        return False

    def _order_rows(self, found: Sequence[frames.OrderRow], received_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in found:
            if not self._ours("order", row.category, row.symbol):
                continue
            if row.order_status in convert.ORDER_STATES:
                update = rows.order_update(row, UpdateSource.STREAM, received_ns)
                events.extend(self._orders.order(update))
            elif row.order_status not in convert.WAITING:
                _log.error("order.state_unknown", state=row.order_status, order=row.order_id)
                self._end = Dropped(f"an order in an unknown state: {row.order_status[:40]!r}")
        return events

    def _execution_rows(
        self, found: Sequence[frames.ExecutionRow], received_ns: int
    ) -> list[Event]:
        events: list[Event] = []
        for row in found:
            if not self._ours("fill", row.category, row.symbol):
                continue
            if row.exec_type in convert.TRADES:
                fill = rows.fill(row, self._settle, received_ns)
                events.append(FillReported(fill=fill, source=UpdateSource.STREAM))
                events.extend(self._orders.execution(fill))
            elif row.exec_type not in convert.NO_TRADES:
                _log.error("fill.type_unknown", type=row.exec_type, order=row.order_id)
                self._end = Dropped(f"an execution of an unknown type: {row.exec_type[:40]!r}")
        return events

    def _position_rows(self, found: Sequence[frames.PositionRow], received_ns: int) -> list[Event]:
        return [
            PositionUpdate(position=rows.position(row), received_ns=received_ns)
            for row in found
            if self._ours("position", row.category, row.symbol)
        ]

    def _wallets(
        self, found: Sequence[frames.WalletRow], event_ns: int, received_ns: int
    ) -> list[Event]:
        events: list[Event] = []
        for row in found:
            balance = rows.balance(row, self._settle, event_ns)
            if balance is not None:
                self._cash.tell(balance.wallet_balance)
                events.append(BalanceUpdate(balance=balance, received_ns=received_ns))
        return events


class BybitAccountStream:
    """Orders, fills, positions and balance of an account; implements `ports.AccountFeed`."""

    def __init__(
        self,
        endpoints: BybitEndpoints,
        credentials: BybitCredentials,
        symbols: Symbols,
        clock: Clock,
        *,
        timing: Timing | None = None,
        rhythm: Rhythm | None = None,
        ahead_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`ahead_ns` is the venue's clock minus ours now, ns."""

        def conversation() -> AccountConversation:
            return AccountConversation(
                endpoints, credentials, symbols, rhythm=rhythm, ahead_ns=ahead_ns
            )

        self._endpoints, self._credentials, self._clock = endpoints, credentials, clock
        self._ahead_ns = ahead_ns
        #: What `ahead_ns` said last; None = it was not asked yet.
        self._taken_ns: int | None = None
        self._socket = StreamSocket(conversation(), clock, timing, successor=conversation)

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled. Raises StartRefused if the first login fails for the key."""
        session = BybitSession(
            self._endpoints, self._credentials, self._clock, timeout_ms=TIMEOUT_MS
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._socket.run(feed))
                group.create_task(self._compare(session))
        except BaseExceptionGroup as failed:
            # One of them ended all; it speaks for itself, as where there is no group.
            raise failed.exceptions[0] from None
        finally:
            await session.close()

    async def _compare(self, session: BybitSession) -> None:
        again = COMPARE_SECONDS
        while True:
            await asyncio.sleep(again)
            again = COMPARE_SECONDS
            if not self._socket.conversation.established:
                continue
            self._take_clock(session)
            try:
                balance = await reads.current_balance(session, SETTLE, self._clock)
            except VenueError as error:
                _log.warning("cash.not_compared", error=str(error))
                if error.code == errors.OUT_OF_TIME:
                    await self._correct_clock(session)
                continue
            present = self._socket.conversation
            assert isinstance(present, AccountConversation), "the only kind there is"
            if present.established and present.compare(
                balance.wallet_balance, self._clock.now_ns()
            ):
                again = COMPARE_AGAIN_SECONDS

    def _take_clock(self, session: BybitSession) -> None:
        # The account's other session measures all the time. What this one measured itself, because
        # it was refused before the other had looked, holds until that has.
        ahead_ns = self._ahead_ns()
        if ahead_ns != self._taken_ns:
            self._taken_ns = ahead_ns
            session.take_clock(ahead_ns)

    async def _correct_clock(self, session: BybitSession) -> None:
        with contextlib.suppress(VenueError):
            await session.measure_clock()
