"""WebSocket sessions: login, subscriptions, ping, idle cut, and a bound on what waits to be sent.

Rules from docs-v5 "WebSocket": text "ping" is answered "pong"; a connection without traffic for
30 s is closed; requests are at most 64 KB.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

from counterpoise.simulator.okx import auth

#: Silence after which a session is closed, seconds.
IDLE_SECONDS_MAX: Final = 30.0
#: Longest request, bytes.
REQUEST_BYTES_MAX: Final = 64 * 1024
#: Frames that may wait for one client; one more and the client is dropped.
WAITING_FRAMES_MAX: Final = 2_000
#: OKX's close code for a silent session.
CLOSE_IDLE: Final = 4004


@dataclass(frozen=True, slots=True)
class Topic:
    """One subscribed channel with its arguments, as a key."""

    #: "public", "private" or "business".
    path: str
    #: "books", "orders", ...
    channel: str
    #: The argument's other fields, sorted.
    fields: tuple[tuple[str, str], ...]

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
    """One connected client."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, path: str) -> None:
        self.path = path
        self.connection_id = secrets.token_hex(4)
        self.logged_in = False
        self.topics: set[Topic] = set()
        self.last_traffic = time.monotonic()
        self.socket = socket
        self._transport = request.transport
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING_FRAMES_MAX)

    def send(self, frame: bytes) -> None:
        """Queue a text frame; a client that does not keep up is dropped, never buffered for."""
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.cut()

    def cut(self) -> None:
        """End the connection at once, as a network failure would."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what waits until the connection ends."""
        with contextlib.suppress(ClientConnectionResetError, ConnectionResetError):
            while True:
                frame = await self._waiting.get()
                await self.socket.send_frame(frame, WSMsgType.TEXT)
                self.last_traffic = time.monotonic()


class Sessions:
    """All connected clients and who subscribed what."""

    def __init__(self, credentials: auth.Credentials, channels: Channels) -> None:
        self._credentials = credentials
        self._channels = channels
        self._sessions: set[Session] = set()
        self._subscribers: dict[Topic, set[Session]] = {}

    def listening(self, path: str) -> tuple[Topic, ...]:
        """Return the topics of a path that somebody listens to."""
        return tuple(topic for topic in self._subscribers if topic.path == path)

    def listened(self, topic: Topic) -> bool:
        """Tell whether anybody listens to a topic."""
        return topic in self._subscribers

    def push(self, topic: Topic, frame: bytes) -> None:
        """Send one frame, serialised once, to a topic's subscribers."""
        for session in tuple(self._subscribers.get(topic, ())):
            session.send(frame)

    def cut_all(self) -> int:
        """End every connection; return how many there were."""
        sessions = tuple(self._sessions)
        for session in sessions:
            session.cut()
        return len(sessions)

    async def close_idle(self) -> None:
        """Close the sessions without traffic; called about once a second."""
        now = time.monotonic()
        for session in tuple(self._sessions):
            if now - session.last_traffic > IDLE_SECONDS_MAX:
                await session.socket.close(code=CLOSE_IDLE, message=b"No data received in 30s.")

    async def close(self) -> None:
        """Close every session with a going-away frame."""
        leaving = [each.socket.close(code=WSCloseCode.GOING_AWAY) for each in self._sessions]
        await asyncio.gather(*leaving)

    async def serve(self, request: web.Request, path: str) -> web.WebSocketResponse:
        """Serve one client until it leaves."""
        socket = web.WebSocketResponse(compress=False, max_msg_size=REQUEST_BYTES_MAX, timeout=1.0)
        await socket.prepare(request)
        session = Session(socket, request, path)
        self._sessions.add(session)
        writer = asyncio.create_task(session.write())
        try:
            async for message in socket:
                session.last_traffic = time.monotonic()
                if message.type is WSMsgType.TEXT:
                    self._handle(session, message.data)
        finally:
            self._sessions.discard(session)
            for topic in tuple(session.topics):
                self._leave(session, topic)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    def _leave(self, session: Session, topic: Topic) -> None:
        session.topics.discard(topic)
        listeners = self._subscribers.get(topic)
        if listeners is not None:
            listeners.discard(session)
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
            auth.check_login(self._credentials, arg, now_ns=time.time_ns())
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
        self._subscribers.setdefault(topic, set()).add(session)
        for frame in self._channels.opening(topic):
            session.send(frame)

    def _reply(self, session: Session, body: dict[str, object], request_id: str | None) -> None:
        body["connId"] = session.connection_id
        if request_id is not None:
            body["id"] = request_id
        session.send(msgspec.json.encode(body))

    def _error(self, session: Session, code: str, text: str, request_id: str | None) -> None:
        self._reply(session, {"event": "error", "code": code, "msg": text}, request_id)
