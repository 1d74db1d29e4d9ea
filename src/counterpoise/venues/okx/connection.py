"""One websocket that is kept up: connects, listens, pings, reconnects, tells when it is down.

What is said on it belongs to a `Conversation`. The socket is never trusted for being open: it
counts as alive only when data or a pong arrived.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Final, Protocol

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from counterpoise.domain.events import Event, StreamAlive, StreamDown, StreamName
from counterpoise.ports import Clock, Feed

_log = structlog.get_logger(__name__)

#: A frame that raises one of these is malformed.
MALFORMED: Final = (
    msgspec.MsgspecError,
    InvalidOperation,
    UnicodeDecodeError,
    ValueError,
    KeyError,
    IndexError,
)

#: Largest frame taken, bytes: a whole book is 60 KB.
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024

#: Frames read ahead of us before the socket is left unread.
FRAMES_WAITING_MAX: Final = 1_024

_PING: Final = "ping"
_PONG: Final = b"pong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient a socket is, seconds."""

    #: Silence after which we ping; OKX drops a socket after 30 s without traffic.
    ping_after: float = 15.0
    #: How long the pong, or anything else, may take after that.
    pong_within: float = 10.0
    #: How often silence is looked at.
    watch_every: float = 1.0
    #: First wait before connecting again; doubles each time.
    retry_first: float = 0.2
    #: Longest wait.
    retry_max: float = 15.0
    #: A connection that lived this long was a good one; the waits start over.
    settled_after: float = 5.0
    #: StreamAlive at most this often.
    alive_every: float = 1.0
    #: TCP, TLS and upgrade together.
    open_within: float = 10.0


class Dropped(Exception):
    """The conversation wants a new connection; `at_once` = without waiting first."""

    def __init__(self, reason: str, *, at_once: bool = False) -> None:
        super().__init__(reason)
        self.at_once = at_once


class Conversation(Protocol):
    """What is said on one socket. Synchronous and without I/O: requests are left in `requests`."""

    stream: StreamName
    #: Where to connect.
    url: str
    #: Frames to send, oldest first; emptied by the socket.
    requests: list[bytes]
    #: True once everything asked for was granted; before it the stream is not announced.
    established: bool

    def begin(self, now_ns: int) -> None:
        """Forget the connection before and leave the first requests."""
        ...

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return the events of a frame; None = not data, no sign of life.

        Raises one of MALFORMED for a frame to skip, Dropped to connect again, StartRefused to
        end the stream for good.
        """
        ...

    def watch(self, now_ns: int) -> None:
        """Look for what is overdue; may leave requests or raise Dropped."""
        ...


class StreamSocket:
    """Runs one conversation for ever."""

    def __init__(
        self, conversation: Conversation, clock: Clock, timing: Timing | None = None
    ) -> None:
        self._conversation = conversation
        self._clock = clock
        self._timing = timing or Timing()
        self._heard_at = 0.0
        self._alive_at = 0.0
        self._pinged = False
        self._dropped: Dropped | None = None
        self._told_down = False
        #: Frames skipped because they could not be read, since the start.
        self.malformed_frames = 0

    async def run(self, feed: Feed) -> None:
        """Keep the conversation going until cancelled."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            at_once = False
            try:
                await self._connect(feed)
                reason = "closed"
            except Dropped as dropped:
                reason, at_once = str(dropped), dropped.at_once
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = str(error) or type(error).__name__
            settled = self._clock.monotonic() - began >= self._timing.settled_after
            failures = 0 if settled else failures + 1
            self._tell_down(feed, reason)
            if not (at_once and failures <= 1):
                await asyncio.sleep(self._delay(failures))

    def _delay(self, failures: int) -> float:
        longest = self._timing.retry_first * 2.0 ** min(failures, 16)
        # Jitter: many daemons cut off together must not come back together.
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it
        return min(longest, self._timing.retry_max) * jitter

    def _tell_down(self, feed: Feed, reason: str) -> None:
        stream = self._conversation.stream
        _log.warning("stream.down", stream=stream.value, reason=reason)
        # One outage is told once, however many attempts it takes to end it.
        if not self._told_down:
            self._told_down = True
            feed(StreamDown(stream=stream, reason=reason, received_ns=self._clock.now_ns()))

    async def _connect(self, feed: Feed) -> None:
        async with connect(
            self._conversation.url,
            compression=None,
            ping_interval=None,
            proxy=None,
            max_size=FRAME_BYTES_MAX,
            max_queue=FRAMES_WAITING_MAX,
            open_timeout=self._timing.open_within,
            close_timeout=1,
        ) as socket:
            self._heard_at = self._clock.monotonic()
            self._alive_at = float("-inf")
            self._pinged = False
            self._dropped = None
            self._conversation.requests.clear()
            self._conversation.begin(self._clock.now_ns())
            await self._send_requests(socket)
            watchman = asyncio.create_task(self._watch(socket))
            try:
                await self._listen(socket, feed)
            except ConnectionClosed as closed:
                raise self._dropped or Dropped(_closing_words(closed)) from closed
            finally:
                await _end(watchman)

    async def _listen(self, socket: ClientConnection, feed: Feed) -> None:
        conversation = self._conversation
        while True:
            frame = await socket.recv(decode=False)
            self._heard_at = self._clock.monotonic()
            self._pinged = False
            received_ns = self._clock.now_ns()
            if frame == _PONG:
                self._tell_alive(feed, received_ns)
                continue
            try:
                events = conversation.hear(frame, received_ns)
            except MALFORMED as error:
                self._count_malformed(error)
                events = None
            if conversation.requests:
                await self._send_requests(socket)
            if events is None:
                continue
            self._tell_alive(feed, received_ns)
            for event in events:
                feed(event)

    def _tell_alive(self, feed: Feed, received_ns: int) -> None:
        due = self._heard_at - self._alive_at >= self._timing.alive_every
        if due and self._conversation.established:
            if self._told_down or self._alive_at == float("-inf"):
                _log.info("stream.up", stream=self._conversation.stream.value)
            self._alive_at = self._heard_at
            self._told_down = False
            feed(StreamAlive(stream=self._conversation.stream, received_ns=received_ns))

    def _count_malformed(self, error: Exception) -> None:
        self.malformed_frames += 1
        count = self.malformed_frames
        # The first, second, fourth... of them: a broken venue must not fill the log.
        if count & (count - 1) == 0:
            _log.warning(
                "stream.frame_malformed",
                stream=self._conversation.stream.value,
                error=f"{type(error).__name__}: {error}"[:200],
                frames=count,
            )

    async def _send_requests(self, socket: ClientConnection) -> None:
        requests = self._conversation.requests
        while requests:
            await socket.send(requests.pop(0), text=True)

    async def _watch(self, socket: ClientConnection) -> None:
        timing = self._timing
        while True:
            await asyncio.sleep(timing.watch_every)
            silent = self._clock.monotonic() - self._heard_at
            try:
                self._conversation.watch(self._clock.now_ns())
                if silent >= timing.ping_after + timing.pong_within:
                    raise Dropped(f"silent for {silent:.0f} s, no pong")
            except Dropped as dropped:
                self._dropped = dropped
                await socket.close()
                return
            await self._send_requests(socket)
            if silent >= timing.ping_after and not self._pinged:
                self._pinged = True
                await socket.send(_PING)


async def _end(watchman: asyncio.Task[None]) -> None:
    watchman.cancel()
    await asyncio.wait({watchman})
    error = None if watchman.cancelled() else watchman.exception()
    # A socket closed under it is no news; anything else is an error of ours and must be seen.
    if error is not None and not isinstance(error, ConnectionClosed):
        raise error


def _closing_words(closed: ConnectionClosed) -> str:
    frame = closed.rcvd
    return f"closed by OKX: {frame.code} {frame.reason}".strip() if frame else "connection lost"
