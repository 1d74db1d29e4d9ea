"""WebSocket connections of any venue: accepted, written through one queue each, cut or stalled."""

import asyncio
import contextlib
import heapq
import struct
import time
import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import WSCloseCode, WSMessage, web

from counterpoise.domain import units
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import FaultPlan

#: Longest request, bytes.
REQUEST_BYTES_MAX: Final = 64 * 1024
#: Frames that may wait for one client; one more and the client is dropped.
WAITING_FRAMES_MAX: Final = 2_000
#: Bytes the system has not taken yet, above which a connection is given no more.
UNSENT_BYTES_MAX: Final = 256 * 1024
#: How soon such a connection is looked at again, seconds.
UNSENT_LOOK_SECONDS: Final = 0.01

#: First byte of a whole, uncompressed text frame (RFC 6455, 5.2).
_TEXT_FRAME: Final = 0x81
_HEAD_7: Final = struct.Struct("!BB").pack
_HEAD_16: Final = struct.Struct("!BBH").pack
_HEAD_64: Final = struct.Struct("!BBQ").pack

#: A frame held back: when it is due in market time, its place among those, whose, what.
_Held = tuple[int, int, "Link", str | bytes]


class Link:
    """One connected client."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, number: int) -> None:
        self.socket = socket
        #: The path it connected to.
        self.path = request.path
        #: Eight hex digits, the same for the same number of connections before.
        self.connection_id = f"{zlib.crc32(number.to_bytes(8, 'big')):08x}"
        #: When something was last sent or received, `time.monotonic`.
        self.last_traffic = time.monotonic()
        #: Half-open: nothing is read or written any more, and nobody is told.
        self.stalled = False
        #: What decides about pushes; None = nothing does.
        self.links: Links | None = None
        self._transport = request.transport
        self._waiting: list[str | bytes] = []
        self._awaited = asyncio.Event()
        self._closing: asyncio.Future[bool] | None = None

    def send(self, frame: str | bytes) -> None:
        """Queue a text frame: an ack, a pong, a heartbeat. No fault of pushes touches it.

        A client that does not keep up is dropped, never buffered for.
        """
        if self.stalled:
            return
        if len(self._waiting) >= WAITING_FRAMES_MAX:
            self.cut()
            return
        self._waiting.append(frame)
        self._awaited.set()

    def push(self, frame: str | bytes, *, topic: str = "", private: bool = False) -> None:
        """Queue a pushed event, unless a fault loses, delays, repeats or reorders it.

        `topic` is the channel or event type in the venue's words; `path_contains` of a fault of
        private pushes is looked for in it.
        """
        if self.links is None or self.links.quiet:
            self.send(frame)
        else:
            self.links.deliver(self, frame, topic=topic, private=private)

    def stall(self) -> None:
        """Go half-open: the peer sees a connection that lives and says nothing."""
        self.stalled = True
        if isinstance(self._transport, asyncio.Transport):
            self._transport.pause_reading()

    def close(self, code: int, message: bytes) -> None:
        """Begin to close the connection in order, with a code and words."""
        if not self.stalled:
            self._closing = asyncio.ensure_future(self.socket.close(code=code, message=message))

    def cut(self) -> None:
        """End the connection at once, as a network failure would."""
        if self._transport is not None:
            self._transport.abort()

    async def messages(self) -> AsyncIterator[WSMessage]:
        """Yield what the client sends until it leaves."""
        async for message in self.socket:
            self.last_traffic = time.monotonic()
            yield message

    async def write(self) -> None:
        """Send what waits until the connection ends."""
        transport = self._transport
        while transport is not None and not transport.is_closing() and not self.socket.closed:
            await self._awaited.wait()
            self._awaited.clear()
            frames, self._waiting = self._waiting, []
            if self.stalled or self.socket.closed:
                continue
            # All of a turn in one call of the system: a call per frame costs more than the frame.
            transport.write(b"".join([part for frame in frames for part in _framed(frame)]))
            self.last_traffic = time.monotonic()
            while transport.get_write_buffer_size() > UNSENT_BYTES_MAX:  # noqa: ASYNC110  (it tells nobody)
                await asyncio.sleep(UNSENT_LOOK_SECONDS)


def _framed(frame: str | bytes) -> tuple[bytes, bytes]:
    # A server's frames are not masked.
    body = frame.encode() if isinstance(frame, str) else frame
    length = len(body)
    if length < 126:
        return _HEAD_7(_TEXT_FRAME, length), body
    if length < 1 << 16:
        return _HEAD_16(_TEXT_FRAME, 126, length), body
    return _HEAD_64(_TEXT_FRAME, 127, length), body


class Links:
    """All connected clients."""

    def __init__(self, faults: FaultPlan, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self._links: dict[Link, None] = {}
        self._accepted = 0
        self._held: list[_Held] = []
        self._held_count = 0
        # The frame a reordered link sends after its next one.
        self._behind: dict[Link, str | bytes] = {}
        self._stalled_until_ns = 0
        self._stormed_ns = 0

    @property
    def quiet(self) -> bool:
        """Whether no fault can touch a push."""
        return self._faults.quiet and not self._behind

    @contextlib.asynccontextmanager
    async def accept(self, request: web.Request) -> AsyncIterator[Link]:
        """Take a connection for as long as the block lasts; `link.socket` is the answer."""
        socket = web.WebSocketResponse(compress=False, max_msg_size=REQUEST_BYTES_MAX, timeout=1.0)
        await socket.prepare(request)
        self._accepted += 1
        link = Link(socket, request, self._accepted)
        link.links = self
        self._links[link] = None
        writer = asyncio.create_task(link.write())
        try:
            yield link
        finally:
            del self._links[link]
            self._behind.pop(link, None)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def all(self) -> tuple[Link, ...]:
        """Return the connections, oldest first."""
        return tuple(self._links)

    def deliver(self, link: Link, frame: str | bytes, *, topic: str, private: bool) -> None:
        """Pass a pushed frame through the faults of pushes."""
        takes = self._faults.takes
        if takes(FaultKind.SILENT_STREAMS):
            return
        if not private:
            link.send(frame)
            return
        if takes(FaultKind.LOSE_PRIVATE, topic=topic):
            return
        late = takes(FaultKind.LATE_PRIVATE, topic=topic)
        if late is not None:
            due_ns = self._clock.now_ns() + round(late.seconds * units.NS_PER_SECOND)
            self._held_count += 1
            heapq.heappush(self._held, (due_ns, self._held_count, link, frame))
            return
        if link not in self._behind and takes(FaultKind.REORDER_PRIVATE, topic=topic):
            self._behind[link] = frame
            return
        link.send(frame)
        if takes(FaultKind.DUPLICATE_PRIVATE, topic=topic):
            link.send(frame)
        behind = self._behind.pop(link, None)
        if behind is not None:
            link.send(behind)

    def tick(self) -> None:
        """Release what is due and go on with storms and stalls; called at every turn."""
        now_ns = self._clock.now_ns()
        while self._held and self._held[0][0] <= now_ns:
            _, _, link, frame = heapq.heappop(self._held)
            link.send(frame)
        if self._stalled_until_ns and now_ns >= self._stalled_until_ns:
            self._stalled_until_ns = 0
            for link in self.all():
                if link.stalled:
                    link.cut()
        if self._faults.quiet:
            return
        storm = self._faults.takes(FaultKind.RECONNECT_STORM)
        if storm and now_ns - self._stormed_ns >= storm.seconds * units.NS_PER_SECOND:
            self._stormed_ns = now_ns
            self.cut_all()

    def stall_all(self, seconds: float) -> int:
        """Turn every present connection half-open, to be cut later; return how many."""
        self._stalled_until_ns = self._clock.now_ns() + round(seconds * units.NS_PER_SECOND)
        for link in self.all():
            link.stall()
        return len(self._links)

    def cut_all(self) -> int:
        """End every connection; return how many there were."""
        for link in self.all():
            link.cut()
        return len(self._links)

    async def close(self) -> None:
        """Close every connection with a going-away frame."""
        for link in self.all():
            if link.stalled:
                link.cut()
        leaving = [
            each.socket.close(code=WSCloseCode.GOING_AWAY)
            for each in self.all()
            if not each.stalled
        ]
        await asyncio.gather(*leaving)
