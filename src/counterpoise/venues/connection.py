"""One websocket that is kept up: connects, listens, pings, reconnects, tells when it is down.

What is said on it belongs to a `Conversation`. The socket is never trusted for being open: it
counts as alive only when data or a pong arrived. Before a venue would end a connection for its
age, a second one is opened beside it and takes over once all it carries has come.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import Event, StreamAlive, StreamDown, StreamName
from counterpoise.ports import Clock, Feed
from counterpoise.venues import capture, plausible
from counterpoise.venues.redirects import DirectConnect

_log = structlog.get_logger(__name__)

#: A frame that raises one of these is malformed.
MALFORMED: Final = (
    msgspec.MsgspecError,
    # Decimals that cannot be read or overflow.
    ArithmeticError,
    UnicodeDecodeError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    # Nested deeper than a decoder follows.
    RecursionError,
)

#: Largest frame taken, bytes: a whole book is 60 KB.
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024

#: Frames read ahead of us before the socket is left unread.
FRAMES_WAITING_MAX: Final = 1_024

#: Events a successor may hold back while it comes up; more of them and it is given up.
HELD_EVENTS_MAX: Final = 50_000


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
    #: Age at which a successor is opened; Binance ends every connection after 24 h.
    rotate_after: float = 23 * 3_600.0
    #: How long a successor may take to carry everything; then it is given up and tried later.
    rotate_within: float = 120.0
    #: Wait before another successor is tried.
    rotate_retry: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """How a venue is asked whether it is there."""

    #: Text frame sent after silence; None = a ping of the websocket protocol itself.
    ping: str | None = None
    #: The answer where it is no JSON; None = `Conversation.hear` knows it.
    pong: bytes | None = None
    #: Sent this often whatever comes, seconds; None = only after silence. For venues that count
    #: what we send, and for streams that are silent while nothing happens.
    every_seconds: float | None = None


class Dropped(Exception):
    """The conversation wants a new connection; `at_once` = without waiting first."""

    def __init__(self, reason: str, *, at_once: bool = False) -> None:
        super().__init__(reason)
        self.at_once = at_once


class Conversation(Protocol):
    """What is said on one socket. Synchronous and without I/O: requests are left in `requests`."""

    stream: StreamName
    #: Where to connect; looked at after `StreamSocket`'s `prepare`.
    url: str
    heartbeat: Heartbeat
    #: Frames to send, oldest first; emptied by the socket.
    requests: list[bytes]
    #: True once everything asked for was granted; before it the stream is not announced.
    established: bool

    @property
    def complete(self) -> bool:
        """True once all it carries has come, so that the connection before can be let go."""
        ...

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


#: Asks for what an address needs (a key) before each connection; may raise VenueError.
Prepare = Callable[[Conversation], Awaitable[None]]


class _Connection:
    """One connection of one conversation, from its opening to its end."""

    def __init__(
        self,
        conversation: Conversation,
        clock: Clock,
        timing: Timing,
        prepare: Prepare | None,
        tap: capture.Tap | None = None,
    ) -> None:
        self.conversation = conversation
        self._tap = tap
        self._clock = clock
        self._timing = timing
        self._prepare = prepare
        self._heard_at = 0.0
        self._alive_at = float("-inf")
        self._pinged_at: float | None = None
        self._dropped: Dropped | None = None
        #: Frames skipped because they could not be read.
        self.malformed_frames = 0

    async def run(self, feed: Feed) -> None:
        """Connect and listen until it ends, which always raises."""
        if self._prepare is not None:
            await self._prepare(self.conversation)
        async with DirectConnect(
            self.conversation.url,
            compression=None,
            ping_interval=None,
            proxy=None,
            max_size=FRAME_BYTES_MAX,
            max_queue=FRAMES_WAITING_MAX,
            open_timeout=self._timing.open_within,
            close_timeout=1,
        ) as socket:
            self._heard_at = self._clock.monotonic()
            self.conversation.requests.clear()
            self.conversation.begin(self._clock.now_ns())
            await self._send_requests(socket)
            watchman = asyncio.create_task(self._watch(socket, feed))
            try:
                await self._listen(socket, feed)
            except ConnectionClosed as closed:
                raise self._dropped or Dropped(_closing_words(closed)) from closed
            finally:
                await _end(watchman)

    async def _listen(self, socket: ClientConnection, feed: Feed) -> None:
        conversation = self.conversation
        pong = conversation.heartbeat.pong
        while True:
            frame = await socket.recv(decode=False)
            self._hear_sign()
            received_ns = self._clock.now_ns()
            if self._tap is not None:
                self._tap(capture.streamed(conversation.url, frame, received_ns))
            if frame == pong:
                self._tell_alive(feed, received_ns)
                continue
            events = self._hear(frame, received_ns)
            if conversation.requests:
                await self._send_requests(socket)
            if events is None:
                continue
            self._tell_alive(feed, received_ns)
            for event in events:
                feed(event)

    def _hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        # A market goes on without a frame that cannot be read. An account does not: it may have
        # been an execution, and only a new connection makes everybody ask for what was missed.
        try:
            events = self.conversation.hear(frame, received_ns)
            for event in events or ():
                plausible.check(event)
        except MALFORMED as error:
            self._count_malformed(error)
            if self.conversation.stream is StreamName.ACCOUNT:
                raise Dropped(f"a frame could not be read: {error}"[:200]) from error
            return None
        except Dropped as dropped:
            if isinstance(dropped.__cause__, MALFORMED):
                self._count_malformed(dropped.__cause__)
            raise
        return events

    def _hear_sign(self) -> None:
        self._heard_at = self._clock.monotonic()
        if self.conversation.heartbeat.every_seconds is None:
            self._pinged_at = None

    def _tell_alive(self, feed: Feed, received_ns: int) -> None:
        due = self._heard_at - self._alive_at >= self._timing.alive_every
        if due and self.conversation.established:
            if self._alive_at == float("-inf"):
                _log.info("stream.up", stream=self.conversation.stream.value)
            self._alive_at = self._heard_at
            feed(StreamAlive(stream=self.conversation.stream, received_ns=received_ns))

    def _count_malformed(self, error: BaseException) -> None:
        self.malformed_frames += 1
        count = self.malformed_frames
        # The first, second, fourth... of them: a broken venue must not fill the log.
        if count & (count - 1) == 0:
            _log.warning(
                "stream.frame_malformed",
                stream=self.conversation.stream.value,
                error=f"{type(error).__name__}: {error}"[:200],
                frames=count,
            )

    async def _send_requests(self, socket: ClientConnection) -> None:
        requests = self.conversation.requests
        while requests:
            await socket.send(requests.pop(0), text=True)

    async def _watch(self, socket: ClientConnection, feed: Feed) -> None:
        timing = self._timing
        while True:
            await asyncio.sleep(timing.watch_every)
            silent = self._clock.monotonic() - self._heard_at
            try:
                self.conversation.watch(self._clock.now_ns())
                if silent >= timing.ping_after + timing.pong_within:
                    raise Dropped(f"silent for {silent:.0f} s, no pong")
            except Dropped as dropped:
                self._dropped = dropped
                await socket.close()
                return
            await self._send_requests(socket)
            if self._ping_due(silent):
                self._pinged_at = self._clock.monotonic()
                await self._ping(socket, feed)

    def _ping_due(self, silent: float) -> bool:
        every, last = self.conversation.heartbeat.every_seconds, self._pinged_at
        if every is None:
            return silent >= self._timing.ping_after and last is None
        return last is None or self._clock.monotonic() - last >= every

    async def _ping(self, socket: ClientConnection, feed: Feed) -> None:
        text = self.conversation.heartbeat.ping
        if text is not None:
            await socket.send(text)
            return
        pong = asyncio.ensure_future(await socket.ping())

        def told(answer: "asyncio.Future[float]") -> None:
            # A connection that ends fails the wait for its pong: no sign of life.
            if not answer.cancelled() and answer.exception() is None:
                self._hear_sign()
                self._tell_alive(feed, self._clock.now_ns())

        pong.add_done_callback(told)


class _Gate:
    """Holds a successor's book back until it takes over; everything else passes.

    Two connections may tell the same fill or mark, which every listener allows for. Two of them
    may not mix their deltas of one book.
    """

    def __init__(self, feed: Feed, *, holding: bool) -> None:
        self._feed = feed
        self._holding = holding
        self._shut = True
        self._held: list[Event] = []

    def take(self, event: Event) -> None:
        """Pass an event on, or hold it. Raises Dropped when too many are held."""
        if not self._shut:
            self._feed(event)
        elif isinstance(event, StreamAlive):
            return
        elif not self._holding:
            self._feed(event)
        else:
            self._held.append(event)
            if len(self._held) > HELD_EVENTS_MAX:
                raise Dropped("the connection before was not followed in time")

    def open(self) -> None:
        """Pass on what was held, and everything from now on."""
        self._shut = False
        held, self._held = self._held, []
        for event in held:
            self._feed(event)


class StreamSocket:
    """Runs one conversation for ever."""

    def __init__(
        self,
        conversation: Conversation,
        clock: Clock,
        timing: Timing | None = None,
        *,
        successor: Callable[[], Conversation] | None = None,
        prepare: Prepare | None = None,
        tap: capture.Tap | None = None,
    ) -> None:
        """`successor` makes the conversation of a connection that is to take over; None = never."""
        self._tap = tap
        self._conversation = conversation
        self._clock = clock
        self._timing = timing or Timing()
        self._successor = successor
        self._prepare = prepare
        self._told_down = False
        self._connection: _Connection | None = None
        self._malformed_before = 0

    @property
    def malformed_frames(self) -> int:
        """Frames skipped because they could not be read, since the start."""
        now = 0 if self._connection is None else self._connection.malformed_frames
        return self._malformed_before + now

    @property
    def conversation(self) -> Conversation:
        """The conversation that speaks now; a rotation changes it."""
        return self._conversation

    async def run(self, feed: Feed) -> None:
        """Keep the conversation going until cancelled."""
        failures = 0

        def passed_on(event: Event) -> None:
            if isinstance(event, StreamAlive):
                self._told_down = False
            feed(event)

        while True:
            began = self._clock.monotonic()
            at_once = False
            try:
                await self._keep(passed_on)
                reason = "closed"
            except Dropped as dropped:
                reason, at_once = str(dropped), dropped.at_once
            except (OSError, TimeoutError, WebSocketException, VenueError) as error:
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

    def _open(
        self, conversation: Conversation, feed: Feed
    ) -> tuple[_Connection, asyncio.Task[None]]:
        connection = _Connection(conversation, self._clock, self._timing, self._prepare, self._tap)
        return connection, asyncio.create_task(connection.run(feed))

    def _take(self, connection: _Connection) -> None:
        if self._connection is not None:
            self._malformed_before += self._connection.malformed_frames
        self._connection = connection
        self._conversation = connection.conversation

    async def _keep(self, feed: Feed) -> None:
        """Run connections that follow each other without a break until one ends by itself."""
        connection, task = self._open(self._conversation, feed)
        self._take(connection)
        wait = self._timing.rotate_after
        try:
            while True:
                await asyncio.wait({task}, timeout=None if self._successor is None else wait)
                if task.done():
                    task.result()
                    return
                followed = await self._follow(task, feed)
                if followed is None:
                    wait = self._timing.rotate_retry
                    continue
                before, (connection, task) = task, followed
                self._take(connection)
                wait = self._timing.rotate_after
                await _abandon(before)
        finally:
            await _abandon(task)

    async def _follow(
        self, present: asyncio.Task[None], feed: Feed
    ) -> tuple[_Connection, asyncio.Task[None]] | None:
        """Return a second connection that carries everything; None = it did not come up."""
        assert self._successor is not None, "only a stream that can be followed is rotated"
        stream = self._conversation.stream
        gate = _Gate(feed, holding=stream is StreamName.BOOKS)
        connection, task = self._open(self._successor(), gate.take)
        deadline = self._clock.monotonic() + self._timing.rotate_within
        taken = False
        try:
            while not present.done() and not task.done():
                if connection.conversation.established and connection.conversation.complete:
                    gate.open()
                    taken = True
                    _log.info("stream.rotated", stream=stream.value)
                    return connection, task
                if self._clock.monotonic() >= deadline:
                    break
                await asyncio.wait({present, task}, timeout=min(0.1, self._timing.watch_every))
            _log.warning("stream.not_rotated", stream=stream.value)
            return None
        finally:
            if not taken:
                await _abandon(task)


async def _abandon(task: asyncio.Task[None]) -> None:
    """End a connection's task; how it ended is no news any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _end(watchman: asyncio.Task[None]) -> None:
    watchman.cancel()
    await asyncio.wait({watchman})
    error = None if watchman.cancelled() else watchman.exception()
    # A socket closed under it is no news; anything else is an error of ours and must be seen.
    if error is not None and not isinstance(error, ConnectionClosed):
        raise error


def _closing_words(closed: ConnectionClosed) -> str:
    frame = closed.rcvd
    if frame is None:
        return "connection lost"
    return f"closed by the venue: {frame.code} {frame.reason}".strip()
