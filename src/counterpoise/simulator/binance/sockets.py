"""WebSocket sessions: paths, subscriptions, pings, lifetime ("Websocket Market Streams", "Connect").

Since 2026-04-23 streams live under /public, /market and /private. A stream asked for under another
path is acknowledged and stays silent, and so is everything under the older paths.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from counterpoise.simulator.binance.listen_keys import ListenKeys
from counterpoise.simulator.links import Link, Links

#: How often the server pings, seconds.
PING_SECONDS: Final = 180.0
#: A connection is closed after this, seconds.
LIFETIME_SECONDS: Final = 24 * 3_600.0
#: Frames a client may send in a second.
INCOMING_PER_SECOND_MAX: Final = 10
#: Streams of one connection.
STREAMS_MAX: Final = 1_024
#: Where streams live; "" = the older paths, where nothing does.
PLANES: Final = ("public", "market", "private", "")

_ENCODER: Final = msgspec.json.Encoder()


class _Request(msgspec.Struct):
    method: str
    params: list[str | bool] = msgspec.field(default_factory=list)
    id: int | str | None = None


class Session:
    """One connected client: its link, the path it came by and what it subscribed."""

    def __init__(self, link: Link, plane: str, *, combined: bool) -> None:
        self.link = link
        self.plane = plane
        #: Whether frames carry the stream's name.
        self.combined = combined
        self.names: dict[str, None] = {}
        #: User events wanted; None = all.
        self.events: frozenset[str] | None = None
        self.opened = self.pinged = time.monotonic()
        self._second = 0
        self._incoming = 0

    def admits(self) -> bool:
        """Count an incoming frame; False = the client sends too many."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._incoming = second, 0
        self._incoming += 1
        return self._incoming <= INCOMING_PER_SECOND_MAX


class Sessions:
    """All connected clients and who listens to what."""

    def __init__(self, links: Links, listen_keys: ListenKeys) -> None:
        self._links = links
        self._listen_keys = listen_keys
        # In order of arrival: whom a push reaches first must not hang on addresses in memory.
        self._sessions: dict[Session, None] = {}
        self._listeners: dict[tuple[str, str], dict[Session, None]] = {}
        #: Grows whenever somebody comes to or leaves a stream.
        self.version = 0
        self._pings: set[asyncio.Task[None]] = set()

    def add_routes(self, application: web.Application) -> None:
        """Add every path of every plane."""
        for plane in PLANES:
            root = f"/{plane}" if plane else ""
            for path in (f"{root}/ws", f"{root}/ws/{{names:.*}}", f"{root}/stream"):
                application.router.add_get(path, self.serve)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it leaves."""
        parts = request.path.strip("/").split("/")
        plane = parts[0] if parts[0] in PLANES else ""
        combined = parts[-1] == "stream"
        async with self._links.accept(request) as link:
            session = Session(link, plane, combined=combined)
            self._sessions[session] = None
            for name in _asked(request, plane):
                self._join(session, name)
            wanted = request.query.get("events", "").replace(",", "/")
            if wanted:
                session.events = frozenset(wanted.split("/"))
            try:
                async for message in link.messages():
                    if not session.admits():
                        link.close(WSCloseCode.POLICY_VIOLATION, b"Too many requests")
                        break
                    if message.type is WSMsgType.TEXT:
                        self._handle(session, message.data)
            finally:
                del self._sessions[session]
                for name in tuple(session.names):
                    self._leave(session, name)
        return link.socket

    def listened(self, plane: str, name: str) -> bool:
        """Tell whether anybody listens to a stream."""
        return (plane, name) in self._listeners

    def names(self, plane: str) -> list[str]:
        """Return the streams of a plane somebody listens to."""
        return [name for each, name in self._listeners if each == plane]

    def push(self, plane: str, name: str, payload: Mapping[str, object] | list[object]) -> None:
        """Send one event, encoded at most twice, to a stream's listeners."""
        listeners = self._listeners.get((plane, name))
        if not listeners:
            return
        raw = wrapped = None
        for session in tuple(listeners):
            if session.combined:
                wrapped = wrapped or _ENCODER.encode({"stream": name, "data": payload})
                session.link.push(wrapped, topic=name)
            else:
                raw = raw or _ENCODER.encode(payload)
                session.link.push(raw, topic=name)

    def push_user(self, payload: Mapping[str, object], *, key: str | None = None) -> None:
        """Send a user event to the listeners of the valid key, or of the one named."""
        kind = str(payload["e"])
        for (plane, name), listeners in tuple(self._listeners.items()):
            if plane != "private":
                continue
            if name != key and not (key is None and self._listen_keys.is_valid(name)):
                continue
            for session in tuple(listeners):
                if session.events is not None and kind not in session.events:
                    continue
                body = {"stream": name, "data": payload} if session.combined else payload
                session.link.push(_ENCODER.encode(body), topic=kind, private=True)

    def forget(self, _channel: str) -> int:
        """Lose the streams of listen keys, whose events are not subscribed one by one."""
        lost = [
            (session, name)
            for session in self._sessions
            if session.plane == "private"
            for name in session.names
        ]
        for session, name in lost:
            self._leave(session, name)
        return len(lost)

    @property
    def has_users(self) -> bool:
        """Whether anybody listens to user events."""
        return any(plane == "private" for plane, _ in self._listeners)

    def tick(self) -> None:
        """Ping who has not been for three minutes; close who has been here for a day."""
        now = time.monotonic()
        for session in tuple(self._sessions):
            if now - session.opened >= LIFETIME_SECONDS:
                session.link.close(WSCloseCode.GOING_AWAY, b"24 h")
                session.opened = now
            elif now - session.pinged >= PING_SECONDS and not session.link.stalled:
                session.pinged = now
                stamp = str(int(time.time() * 1_000)).encode()
                task = asyncio.ensure_future(_ping(session.link, stamp))
                self._pings.add(task)
                task.add_done_callback(self._pings.discard)

    def _join(self, session: Session, name: str) -> None:
        session.names[name] = None
        self.version += 1
        self._listeners.setdefault((session.plane, name), {})[session] = None

    def _leave(self, session: Session, name: str) -> None:
        session.names.pop(name, None)
        self.version += 1
        listeners = self._listeners.get((session.plane, name))
        if listeners is not None:
            listeners.pop(session, None)
            if not listeners:
                del self._listeners[session.plane, name]

    def _handle(self, session: Session, text: str) -> None:
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.DecodeError as wrong:
            _error(session, 3, f"Invalid JSON: {wrong}", None)
            return
        names = [each for each in request.params if isinstance(each, str)]
        match request.method:
            case "SUBSCRIBE":
                if len({*session.names, *names}) > STREAMS_MAX:
                    _error(session, 2, "Invalid request: too many streams", request.id)
                    return
                # Binance acknowledges any name; what is not there never says anything.
                for name in names:
                    self._join(session, name)
                _result(session, None, request.id)
            case "UNSUBSCRIBE":
                for name in names:
                    self._leave(session, name)
                _result(session, None, request.id)
            case "LIST_SUBSCRIPTIONS":
                _result(session, list(session.names), request.id)
            case "SET_PROPERTY" if request.params[:1] == ["combined"]:
                session.combined = request.params[-1] is True
                _result(session, None, request.id)
            case "GET_PROPERTY":
                _result(session, session.combined, request.id)
            case unknown:
                _error(
                    session,
                    2,
                    f"Invalid request: unknown variant `{unknown}`, expected one of `SUBSCRIBE`,"
                    " `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
                    request.id,
                )


async def _ping(link: Link, stamp: bytes) -> None:
    if not link.socket.closed:
        await link.socket.ping(stamp)


def _asked(request: web.Request, plane: str) -> Iterable[str]:
    # Streams named by the address: /ws/a/b, ?streams=a/b, and the listen key of user data.
    named = request.match_info.get("names", "") or request.query.get("streams", "")
    asked = [each for each in named.split("/") if each]
    key = request.query.get("listenKey")
    return [*asked, key] if plane == "private" and key else asked


def _result(session: Session, result: object, request_id: int | str | None) -> None:
    session.link.send(_ENCODER.encode({"result": result, "id": request_id}))


def _error(session: Session, code: int, message: str, request_id: int | str | None) -> None:
    body = {"error": {"code": code, "msg": message}, "id": request_id}
    session.link.send(_ENCODER.encode(body))
