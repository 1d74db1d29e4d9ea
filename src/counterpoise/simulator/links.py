"""WebSocket connections of any venue: accepted, written through one queue each, cut or stalled."""

import asyncio
import contextlib
import time
import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMessage, WSMsgType, web

from counterpoise.simulator.clock import Clock
from counterpoise.simulator.faults import FaultPlan

#: Longest request, bytes.
REQUEST_BYTES_MAX: Final = 64 * 1024
#: Frames that may wait for one client; one more and the client is dropped.
WAITING_FRAMES_MAX: Final = 2_000


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
        self._transport = request.transport
        self._waiting: asyncio.Queue[str | bytes] = asyncio.Queue(WAITING_FRAMES_MAX)
        self._closing: asyncio.Future[bool] | None = None

    def send(self, frame: str | bytes) -> None:
        """Queue a text frame: an ack, a pong, a heartbeat. No fault of pushes touches it.

        A client that does not keep up is dropped, never buffered for.
        """
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.cut()

    def push(self, frame: str | bytes, *, instrument_id: str = "", private: bool = False) -> None:
        """Queue a pushed event, unless a fault loses, delays, repeats or reorders it."""
        self.send(frame)

    def close(self, code: int, message: bytes) -> None:
        """Begin to close the connection in order, with a code and words."""
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
        with contextlib.suppress(ClientConnectionResetError, ConnectionResetError):
            while True:
                frame = await self._waiting.get()
                body = frame.encode() if isinstance(frame, str) else frame
                await self.socket.send_frame(body, WSMsgType.TEXT)
                self.last_traffic = time.monotonic()


class Links:
    """All connected clients."""

    def __init__(self, faults: FaultPlan, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self._links: dict[Link, None] = {}
        self._accepted = 0

    @contextlib.asynccontextmanager
    async def accept(self, request: web.Request) -> AsyncIterator[Link]:
        """Take a connection for as long as the block lasts; `link.socket` is the answer."""
        socket = web.WebSocketResponse(compress=False, max_msg_size=REQUEST_BYTES_MAX, timeout=1.0)
        await socket.prepare(request)
        self._accepted += 1
        link = Link(socket, request, self._accepted)
        self._links[link] = None
        writer = asyncio.create_task(link.write())
        try:
            yield link
        finally:
            del self._links[link]
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def all(self) -> tuple[Link, ...]:
        """Return the connections, oldest first."""
        return tuple(self._links)

    def cut_all(self) -> int:
        """End every connection; return how many there were."""
        for link in self.all():
            link.cut()
        return len(self._links)

    async def close(self) -> None:
        """Close every connection with a going-away frame."""
        leaving = [each.socket.close(code=WSCloseCode.GOING_AWAY) for each in self.all()]
        await asyncio.gather(*leaving)
