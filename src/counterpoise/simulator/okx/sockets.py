"""WebSocket sessions: login, subscriptions, ping and the idle cut.

Rules from docs-v5 "WebSocket": text "ping" is answered "pong"; a connection without traffic for
30 s is closed; requests are at most 64 KB.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from aiohttp import WSMsgType, web

from counterpoise.simulator.clock import Clock
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.links import Link, Links
from counterpoise.simulator.okx import auth

#: Silence after which a session is closed, seconds.
IDLE_SECONDS_MAX: Final = 30.0
#: OKX's close code for a silent session.
CLOSE_IDLE: Final = 4004


@dataclass(frozen=True, slots=True)
class Topic:
    """One subscribed channel with its arguments, as a key."""

    #: "public", "private" or "business"; what tells of an account is "private" on any path.
    path: str
    #: "books", "orders", ...
    channel: str
    #: The argument's other fields, sorted.
    fields: tuple[tuple[str, str], ...]
    # Looked up for every push, so it is computed once.
    _hash: int = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.path, self.channel, self.fields)))

    def __hash__(self) -> int:
        return self._hash

    def field(self, name: str) -> str:
        """Return one field; "" = not given."""
        return dict(self.fields).get(name, "")

    @property
    def arg(self) -> dict[str, str]:
        """The argument as it is echoed in acks and pushes."""
        return {"channel": self.channel, **dict(self.fields)}


class ChannelUnknown(Exception):
    """A subscription names a channel or instrument that is not there; 60018."""


class LoginNeeded(Exception):
    """A private channel before the login; 60011."""


class Channels(Protocol):
    """What can be subscribed and what a subscriber gets first."""

    def topic(self, path: str, arg: Mapping[str, str]) -> Topic:
        """Return the topic of a subscription's argument; ChannelUnknown."""
        ...

    def opening(self, topic: Topic) -> Sequence[bytes]:
        """Return the frames a new subscriber gets at once."""
        ...


class _Request(msgspec.Struct):
    op: str
    args: list[dict[str, object]] = msgspec.field(default_factory=list)
    id: str | None = None


class Session:
    """One connected client: its link, its login and what it subscribed."""

    def __init__(self, link: Link, path: str) -> None:
        self.link = link
        self.path = path
        self.logged_in = False
        self.topics: set[Topic] = set()

    def send(self, frame: bytes) -> None:
        """Queue an answer."""
        self.link.send(frame)


class Sessions:
    """All connected clients and who subscribed what."""

    def __init__(
        self, credentials: Credentials, channels: Channels, links: Links, clock: Clock
    ) -> None:
        self._credentials = credentials
        self._channels = channels
        self._links = links
        self._clock = clock
        # In order of arrival: whom a push reaches first must not hang on addresses in memory.
        self._sessions: dict[Session, None] = {}
        self._subscribers: dict[Topic, dict[Session, None]] = {}

    def listening(self, path: str) -> tuple[Topic, ...]:
        """Return the topics of a path that somebody listens to."""
        return tuple(topic for topic in self._subscribers if topic.path == path)

    def listened(self, topic: Topic) -> bool:
        """Tell whether anybody listens to a topic."""
        return topic in self._subscribers

    def push(self, topic: Topic, frame: bytes) -> None:
        """Send one frame, serialised once, to a topic's subscribers."""
        private = topic.path == "private"
        for session in tuple(self._subscribers.get(topic, ())):
            session.link.push(frame, topic=topic.channel, private=private)

    def forget(self, channel: str) -> int:
        """Lose private subscriptions of such a channel; return how many."""
        lost = [
            (session, topic)
            for session in self._sessions
            for topic in session.topics
            if topic.path == "private" and channel in topic.channel
        ]
        for session, topic in lost:
            self._leave(session, topic)
        return len(lost)

    def notify_upgrade(self) -> None:
        """Tell every session that it is about to be closed (OKX's 64008)."""
        for session in self._sessions:
            self._reply(
                session,
                {
                    "event": "notice",
                    "code": "64008",
                    "msg": "The connection will soon be closed for a service upgrade."
                    " Please reconnect.",
                },
                None,
            )

    def close_idle(self) -> None:
        """Close the sessions without traffic; called about once a second."""
        now = time.monotonic()
        for session in tuple(self._sessions):
            if now - session.link.last_traffic > IDLE_SECONDS_MAX:
                session.link.close(CLOSE_IDLE, b"No data received in 30s.")

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it leaves."""
        async with self._links.accept(request) as link:
            session = Session(link, request.path.rsplit("/", 1)[1])
            self._sessions[session] = None
            try:
                async for message in link.messages():
                    if message.type is WSMsgType.TEXT:
                        self._handle(session, message.data)
            finally:
                del self._sessions[session]
                for topic in tuple(session.topics):
                    self._leave(session, topic)
        return link.socket

    def _leave(self, session: Session, topic: Topic) -> None:
        session.topics.discard(topic)
        listeners = self._subscribers.get(topic)
        if listeners is not None:
            listeners.pop(session, None)
            if not listeners:
                del self._subscribers[topic]

    def _handle(self, session: Session, text: str) -> None:
        if text == "ping":
            session.send(b"pong")
            return
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.DecodeError:
            self._error(session, "60012", f"Illegal request: {text[:200]}", None)
            return
        if request.op == "login":
            self._login(session, request)
        elif request.op in ("subscribe", "unsubscribe"):
            for arg in request.args:
                self._subscription(session, request, arg)
        else:
            self._error(session, "60012", f"Illegal request: {text[:200]}", request.id)

    def _login(self, session: Session, request: _Request) -> None:
        arg = {name: str(value) for name, value in (request.args or [{}])[0].items()}
        try:
            auth.check_login(self._credentials, arg, self._clock)
        except auth.LoginRefused as refusal:
            self._error(session, refusal.code, refusal.message, request.id)
            return
        session.logged_in = True
        self._reply(session, {"event": "login", "code": "0", "msg": ""}, request.id)

    def _subscription(self, session: Session, request: _Request, arg: dict[str, object]) -> None:
        asked = {name: value for name, value in arg.items() if isinstance(value, str)}
        try:
            topic = self._channels.topic(session.path, asked)
            if topic.path == "private" and not session.logged_in:
                raise LoginNeeded
        except ChannelUnknown:
            named = ",".join(f"{name}:{value}" for name, value in asked.items())
            self._error(
                session,
                "60018",
                f"Wrong URL or {named} doesn't exist. Please use the correct URL, channel and"
                " parameters referring to API document.",
                request.id,
            )
            return
        except LoginNeeded:
            self._error(session, "60011", "Please log in", request.id)
            return
        self._reply(session, {"event": request.op, "arg": topic.arg}, request.id)
        if request.op == "unsubscribe":
            self._leave(session, topic)
            return
        session.topics.add(topic)
        self._subscribers.setdefault(topic, {})[session] = None
        for frame in self._channels.opening(topic):
            session.send(frame)

    def _reply(self, session: Session, body: dict[str, object], request_id: str | None) -> None:
        body["connId"] = session.link.connection_id
        if request_id is not None:
            body["id"] = request_id
        session.send(msgspec.json.encode(body))

    def _error(self, session: Session, code: str, text: str, request_id: str | None) -> None:
        self._reply(session, {"event": "error", "code": code, "msg": text}, request_id)
