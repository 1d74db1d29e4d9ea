"""WebSocket sessions: auth, subscriptions, pings, idle cut and the trade stream's requests.

Rules from docs v5 "Connect": a silent session is closed after 10 min, on private and trade
streams after `max_active_time` (30 s to 600 s) if the address says so.
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from counterpoise.domain import units
from counterpoise.simulator.bybit import auth
from counterpoise.simulator.bybit.calls import Desk
from counterpoise.simulator.bybit.errors import Code, Row, WireError, encoded
from counterpoise.simulator.bybit.topics import Topic, private_topic, public_topic
from counterpoise.simulator.bybit.trade_stream import TradeStream
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.links import Link, Links

PUBLIC_PATH: Final = "/v5/public/linear"
PRIVATE_PATH: Final = "/v5/private"
TRADE_PATH: Final = "/v5/trade"
#: Silence after which a session is closed, seconds, and the bounds of what a client may ask for.
IDLE_SECONDS: Final = 600.0
IDLE_SECONDS_MIN: Final = 30.0
#: Characters of one connection's subscriptions.
ARGS_LENGTH_MAX: Final = 21_000


class Request(msgspec.Struct):
    """A frame a client sends."""

    op: str
    args: list[object] = msgspec.field(default_factory=list)
    req_id: str | int | None = None
    reqId: str | int | None = None  # noqa: N815  (the trade stream's spelling)
    header: dict[str, object] = msgspec.field(default_factory=dict)


class Opening(Protocol):
    """What a subscriber of a public topic gets first."""

    def opening(self, topic: Topic) -> Sequence[bytes]:
        """Return the frames a new subscriber gets at once."""
        ...


class Session:
    """One connected client: its link, whether it is known and what it subscribed."""

    def __init__(self, link: Link, idle_seconds: float) -> None:
        self.link = link
        self.idle_seconds = idle_seconds
        self.known = False
        self.topics: dict[Topic, None] = {}


class Sessions:
    """All connected clients and who subscribed what."""

    def __init__(
        self, desk: Desk, credentials: Credentials, links: Links, trade: TradeStream
    ) -> None:
        self._desk = desk
        self._credentials = credentials
        self._links = links
        self._trade = trade
        self._opening: Opening | None = None
        self._listed = frozenset(desk.listed)
        # In order of arrival: whom a push reaches first must not hang on addresses in memory.
        self._sessions: dict[Session, None] = {}
        self._subscribers: dict[Topic, dict[Session, None]] = {}

    def open_with(self, opening: Opening) -> None:
        """Say who makes the first frames of public topics."""
        self._opening = opening

    def listening(self, *channels: str) -> tuple[Topic, ...]:
        """Return the topics of some channels that somebody listens to."""
        return tuple(topic for topic in self._subscribers if topic.channel in channels)

    def count(self, topic: Topic) -> int:
        """Return how many sessions listen to a topic."""
        return len(self._subscribers.get(topic, ()))

    def push(self, topic: Topic, frame: bytes) -> None:
        """Send one frame, serialised once, to a topic's subscribers."""
        private = not topic.symbol
        for session in tuple(self._subscribers.get(topic, ())):
            session.link.push(frame, topic=topic.channel, private=private)

    def forget(self, channel: str) -> int:
        """Lose private subscriptions of such a topic; return how many."""
        lost = [
            (session, topic)
            for session in self._sessions
            for topic in session.topics
            if session.link.path == PRIVATE_PATH and channel in topic.name
        ]
        for session, topic in lost:
            self._leave(session, topic)
        return len(lost)

    def close_idle(self) -> None:
        """Close the sessions without traffic."""
        now = time.monotonic()
        for session in tuple(self._sessions):
            if now - session.link.last_traffic > session.idle_seconds:
                session.link.close(WSCloseCode.OK, b"")

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it leaves."""
        idle_seconds = IDLE_SECONDS
        if request.path != PUBLIC_PATH:
            idle_seconds = idle_bound(request.query.get("max_active_time", ""))
        async with self._links.accept(request) as link:
            session = Session(link, idle_seconds)
            self._sessions[session] = None
            try:
                async for message in link.messages():
                    if message.type is WSMsgType.TEXT:
                        self._handle(session, message.data, request.remote or "")
            finally:
                del self._sessions[session]
                for topic in tuple(session.topics):
                    self._leave(session, topic)
        return link.socket

    def _handle(self, session: Session, text: str, address: str) -> None:
        try:
            request = msgspec.json.decode(text, type=Request)
        except msgspec.DecodeError:
            self._reply(session, {"success": False, "ret_msg": "Invalid JSON", "op": ""}, None)
            return
        path = session.link.path
        if request.op == "ping":
            self._pong(session, request)
        elif request.op == "auth" and path != PUBLIC_PATH:
            self._auth(session, request, address)
        elif path == TRADE_PATH:
            answer = self._trade.answer(
                request.op, request.args, request.header, request.reqId, known=session.known
            )
            session.link.send(encoded(answer | {"connId": session.link.connection_id}))
        elif request.op == "subscribe":
            self._subscribe(session, request)
        elif request.op == "unsubscribe":
            self._unsubscribe(session, request)
        else:
            self._refuse(session, request, f"error:unknown op:{request.op}")

    def _pong(self, session: Session, request: Request) -> None:
        stamp = str(self._desk.venue.clock.told_ns() // units.NS_PER_MS)
        if session.link.path == PUBLIC_PATH:
            body: Row = {"success": True, "ret_msg": "pong", "op": "ping"}
            self._reply(session, body, request.req_id)
        elif session.link.path == PRIVATE_PATH:
            self._reply(session, {"op": "pong", "args": [stamp]}, request.req_id)
        else:
            body = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [stamp]}
            session.link.send(encoded(body | {"connId": session.link.connection_id}))

    def _auth(self, session: Session, request: Request, address: str) -> None:
        clock = self._desk.venue.clock
        now_ns = clock.told_ns()
        code, message = Code.OK, ""
        try:
            key = str(request.args[0]) if request.args else ""
            auth.check_key(self._credentials, self._desk.rules, key, address=address, now_ns=now_ns)
            auth.check_frame(
                self._credentials,
                request.args,
                now_ns=now_ns,
                wall_ns=time.time_ns() + clock.jump_ns,
            )
            session.known = True
        except WireError as wrong:
            code, message = wrong.code, wrong.message
        if session.link.path == TRADE_PATH:
            body: Row = {"retCode": code.value, "retMsg": message or "OK", "op": "auth"}
            session.link.send(encoded(body | {"connId": session.link.connection_id}))
            return
        body = {"success": session.known, "ret_msg": message, "op": "auth"}
        self._reply(session, body, request.req_id)

    def _subscribe(self, session: Session, request: Request) -> None:
        if session.link.path == PRIVATE_PATH and not session.known:
            self._refuse(session, request, "Request not authorized")
            return
        try:
            topics = self._asked(session, [str(name) for name in request.args])
            for topic in topics:
                self._enter(session, topic)
        except WireError as wrong:
            self._refuse(session, request, wrong.message)
            return
        body: Row = {"success": True, "ret_msg": "", "op": "subscribe"}
        self._reply(session, body, request.req_id)
        for topic in topics:
            if topic.symbol and self._opening is not None:
                for frame in self._opening.opening(topic):
                    session.link.send(frame)

    def _asked(self, session: Session, names: Sequence[str]) -> list[Topic]:
        # All or none: one wrong name refuses the whole request.
        taken = sum(len(topic.name) for topic in session.topics)
        if taken + sum(map(len, names)) > ARGS_LENGTH_MAX:
            raise WireError(Code.PARAMETER, "error:args exceed the maximum length")
        topics: list[Topic] = []
        for name in names:
            topic = self._topic(session, name)
            if topic is None:
                raise WireError(Code.PARAMETER, f"error:handler not found,topic:{name}")
            if topic in session.topics or topic in topics:
                raise WireError(Code.PARAMETER, f"error:already subscribed,topic:{name}")
            topics.append(topic)
        return topics

    def _unsubscribe(self, session: Session, request: Request) -> None:
        for name in map(str, request.args):
            topic = self._topic(session, name)
            if topic is not None and topic in session.topics:
                self._leave(session, topic)
        body: Row = {"success": True, "ret_msg": "", "op": "unsubscribe"}
        self._reply(session, body, request.req_id)

    def _topic(self, session: Session, name: str) -> Topic | None:
        if session.link.path == PRIVATE_PATH:
            return private_topic(name)
        return public_topic(name, self._listed)

    def _enter(self, session: Session, topic: Topic) -> None:
        if topic.channel == "dcp.future":
            self._desk.protection.join()
        session.topics[topic] = None
        self._subscribers.setdefault(topic, {})[session] = None

    def _leave(self, session: Session, topic: Topic) -> None:
        session.topics.pop(topic, None)
        listeners = self._subscribers.get(topic)
        if listeners is not None:
            listeners.pop(session, None)
            if not listeners:
                del self._subscribers[topic]
        if topic.channel == "dcp.future":
            self._desk.protection.leave()

    def _refuse(self, session: Session, request: Request, message: str) -> None:
        body: Row = {"success": False, "ret_msg": message, "op": request.op}
        self._reply(session, body, request.req_id)

    def _reply(
        self, session: Session, body: Mapping[str, object], request_id: str | int | None
    ) -> None:
        session.link.send(
            encoded(
                {
                    **body,
                    "conn_id": session.link.connection_id,
                    "req_id": "" if request_id is None else request_id,
                }
            )
        )


def idle_bound(asked: str) -> float:
    """Return how long a session may be silent, seconds, for `max_active_time` ("45s", "5m")."""
    found = re.fullmatch(r"(\d{1,4})(s|m)", asked)
    if found is None:
        return IDLE_SECONDS
    seconds = float(found[1]) * (60 if found[2] == "m" else 1)
    return min(max(seconds, IDLE_SECONDS_MIN), IDLE_SECONDS)
