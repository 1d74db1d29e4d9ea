"""OKX's private stream: orders with their fills, positions and the balance, on one socket."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.events import (
    BalanceUpdate,
    Event,
    FillReported,
    PositionUpdate,
    StreamName,
    UpdateSource,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ports import Clock, Feed
from counterpoise.venues.connection import MALFORMED, Dropped, StreamSocket, Timing
from counterpoise.venues.okx import errors, frames, rows
from counterpoise.venues.okx.convert import LIQUIDITIES, ORDER_STATES
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.hearing import TradeWatch
from counterpoise.venues.okx.market_stream import HEARTBEAT, NOTICE_UPGRADE, RHYTHM, Symbols
from counterpoise.venues.silence import Rhythm, SilenceWatch

_log = structlog.get_logger(__name__)

#: Login and all subscriptions must be granted within this, ns.
GRANTED_WITHIN_NS: Final = 10 * NS_PER_SECOND

#: What OKX signs for a login.
_LOGIN_TEXT: Final = "GET/users/self/verify"

_SUBSCRIPTIONS: Final[tuple[dict[str, str], ...]] = (
    {"channel": "orders", "instType": "SWAP"},
    {"channel": "positions", "instType": "SWAP"},
    {"channel": "account"},
)


class AccountConversation:
    """Login, subscribe, listen. A frame that cannot be read costs the connection.

    It may have been a fill: only a new connection makes the rest of the daemon ask REST for
    what was missed. So does a row that says what nobody documented, once the rest is told.
    """

    def __init__(
        self,
        endpoints: OkxEndpoints,
        credentials: OkxCredentials,
        symbols: Symbols,
        *,
        settle: str = "USDT",
        rhythm: Rhythm | None = None,
        ahead_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`ahead_ns` is the venue's clock minus ours now, which the login is stamped by."""
        self._ahead_ns = ahead_ns
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self._trades = TradeWatch()
        self.stream = StreamName.ACCOUNT
        self.heartbeat = HEARTBEAT
        self.url = endpoints.private_url
        self.requests: list[bytes] = []
        self.established = False
        self._credentials = credentials
        self._settle = settle
        self._instruments = {
            inst_id: (instrument_id, contract_size)
            for instrument_id, (inst_id, contract_size) in symbols.items()
        }
        self._granted: set[str] = set()
        self._end: Dropped | None = None
        self._began_ns = 0
        self._ever_logged_in = False

    @property
    def complete(self) -> bool:
        """True once login and subscriptions were granted."""
        return self.established

    def begin(self, now_ns: int) -> None:
        """Log in by the venue's clock; OKX takes the time in seconds and lets it be 30 s off."""
        self.established = False
        self._granted = set()
        self._end = None
        self._began_ns = now_ns
        self._silence.expect("account", [""], self._rhythm.account, now_ns)
        self._trades.begin(now_ns)
        stamp = str((now_ns + self._ahead_ns()) // NS_PER_SECOND)
        digest = hmac.new(
            self._credentials.secret.encode(), (stamp + _LOGIN_TEXT).encode(), hashlib.sha256
        ).digest()
        login = {
            "apiKey": self._credentials.api_key,
            "passphrase": self._credentials.passphrase,
            "timestamp": stamp,
            "sign": base64.b64encode(digest).decode(),
        }
        self.requests.append(frames.request("login", [login]))

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return what changed."""
        try:
            message = frames.FRAME.decode(frame)
            if message.event or message.arg is None:
                return self._control(message)
            return self._data(message.arg.channel, message.data, received_ns)
        except MALFORMED as error:
            raise Dropped(f"a frame could not be read: {type(error).__name__} {error}") from error

    def watch(self, now_ns: int) -> None:
        """Give up on a connection that does not grant what was asked, or told what is unknown."""
        if self._end is not None:
            raise self._end
        if not self.established and now_ns - self._began_ns > GRANTED_WITHIN_NS:
            raise Dropped("OKX did not grant login and subscriptions in time")
        self._silence.look(now_ns)
        self._trades.look(now_ns)

    def _control(self, message: frames.Frame) -> Sequence[Event] | None:
        if message.event == "login" and message.code in {"", "0"}:
            self._ever_logged_in = True
            self.requests.append(frames.request("subscribe", list(_SUBSCRIPTIONS)))
        elif message.event == "subscribe" and message.arg is not None:
            self._granted.add(message.arg.channel)
            self.established = self._granted >= {part["channel"] for part in _SUBSCRIPTIONS}
            # The last grant is the new connection's first sign of life.
            return () if self.established else None
        elif message.event == "notice" and message.code == NOTICE_UPGRADE:
            raise Dropped("OKX announces an upgrade of this server", at_once=True)
        elif message.event in {"error", "login", "channel-conn-count-error"}:
            self._refused(message)
        return None

    def _refused(self, message: frames.Frame) -> None:
        remedy = errors.KEY_REMEDIES.get(message.code)
        if remedy is not None and not self._ever_logged_in:
            raise StartRefused(f"OKX refused the account stream ({message.code}): {remedy}")
        raise Dropped(f"OKX refused: {message.code} {message.msg}".strip())

    def _data(self, channel: str, data: bytes, received_ns: int) -> Sequence[Event] | None:
        if channel == "orders":
            return self._orders(frames.ORDERS.decode(data), received_ns)
        if channel == "positions":
            return self._positions(frames.POSITIONS.decode(data), received_ns)
        if channel == "account":
            self._silence.hear("account", "", received_ns, self._rhythm.account)
            return self._balances(frames.BALANCES.decode(data), received_ns)
        return None

    def _orders(self, found: Sequence[frames.OrderRow], received_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in found:
            if row.inst_id not in self._instruments:
                _log.warning("order.not_ours", instrument=row.inst_id, state=row.state)
                continue
            instrument_id, contract_size = self._instruments[row.inst_id]
            # The fill first: whoever sees the order end has then seen all of its fills.
            if row.exec_type in LIQUIDITIES:
                fill = rows.fill_in_order(row, instrument_id, contract_size, received_ns)
                if fill is not None:
                    self._trades.fill(instrument_id, row.trade_id, received_ns)
                    events.append(FillReported(fill=fill, source=UpdateSource.STREAM))
            elif row.trade_id:
                _log.error("fill.type_unknown", type=row.exec_type, order=row.ord_id)
                self._end = Dropped(f"an execution of an unknown type: {row.exec_type[:40]!r}")
            if row.state in ORDER_STATES:
                events.append(
                    rows.order_update(
                        row, instrument_id, contract_size, UpdateSource.STREAM, received_ns
                    )
                )
            else:
                _log.error("order.state_unknown", state=row.state, order=row.ord_id)
                self._end = Dropped(f"an order in an unknown state: {row.state[:40]!r}")
        return events

    def _positions(self, found: Sequence[frames.PositionRow], received_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in found:
            if row.inst_id not in self._instruments:
                _log.warning("position.not_ours", instrument=row.inst_id, contracts=row.pos)
                continue
            held = rows.position(row, *self._instruments[row.inst_id])
            self._trades.position(held.instrument_id, row.trade_id, received_ns)
            events.append(PositionUpdate(position=held, received_ns=received_ns))
        return events

    def _balances(self, found: Sequence[frames.BalanceRow], received_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in found:
            balance = rows.balance(row, self._settle)
            if balance is not None:
                events.append(BalanceUpdate(balance=balance, received_ns=received_ns))
        return events


class OkxAccountStream:
    """Orders, fills, positions and balance of an account; implements `ports.AccountFeed`."""

    def __init__(
        self,
        endpoints: OkxEndpoints,
        credentials: OkxCredentials,
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

        self._socket = StreamSocket(conversation(), clock, timing, successor=conversation)

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled. Raises StartRefused if the first login fails for the key."""
        await self._socket.run(feed)
