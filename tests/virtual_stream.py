"""A daemon's private connection in virtual time: the real adapter's conversation, no socket.

Frames are the simulator's own. Each may be lost, come twice or late; the connection may break, and
ends where the adapter's conversation gives it up.
"""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, Final

from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import Event, StreamAlive, StreamDown, StreamName
from counterpoise.ports import Clock
from counterpoise.simulator.venues import VenueName
from counterpoise.venues.binance.account_stream import TIMEOUT_MS
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.throttle import Allowance
from counterpoise.venues.connection import Dropped

#: Turns between two looks at the connection, seconds.
TURN_SECONDS: Final = 1.0
#: How often OKX tells account and positions anyway, turns; and how often Bybit answers a ping.
REGULAR_TURNS: Final = 5
PONG_TURNS: Final = 4
#: A connection that could not be made is tried again after this, seconds.
RETRY_SECONDS: Final = 1.0

#: What each venue says until a login and its subscriptions are granted.
_GRANTS: Final[dict[VenueName, tuple[bytes, ...]]] = {
    VenueName.OKX: (
        b'{"event":"login","code":"0","msg":""}',
        *(
            b'{"event":"subscribe","arg":{"channel":"%s"}}' % channel
            for channel in (b"orders", b"positions", b"account")
        ),
    ),
    VenueName.BINANCE: (),
    VenueName.BYBIT: (
        b'{"op":"auth","success":true,"ret_msg":""}',
        b'{"op":"subscribe","req_id":"account","success":true,"ret_msg":""}',
    ),
}
_STILL_THERE: Final = (
    b'{"op":"subscribe","req_id":"probe","success":false,'
    b'"ret_msg":"error:handler already subscribed,topic:%s"}'
)
_PONGS: Final = {VenueName.BYBIT: b'{"op":"pong","args":["1"]}'}


class PrivateStream:
    """One daemon's. `made` is the adapter's own stream, whose socket is never opened."""

    def __init__(
        self,
        name: VenueName,
        made: Any,
        feed: Callable[[Event], None],
        clock: Clock,
        draw: random.Random,
        venue: Any,
    ) -> None:
        self._name = name
        self._made = made
        self._conversation: Any = made._socket.conversation
        self._feed = feed
        self._clock = clock
        self._draw = draw
        self._venue = venue
        self._up = False
        #: Frames of an older connection never arrive.
        self._connection = 0
        #: How long the last break lasts, seconds.
        self._away_seconds = 0.0

    async def run(self) -> None:
        """Connect, listen and connect again until cancelled."""
        telling = self._begin_telling()
        try:
            while True:
                try:
                    await self._connect()
                except VenueError:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                await self._listen()
                await asyncio.sleep(self._away_seconds)
        finally:
            if telling is not None:
                telling.cancel()

    def push(self, frame: bytes) -> None:
        """Send a frame on its way."""
        trouble = self._venue.trouble
        if not self._up or self._chance(trouble.push_lost):
            return
        for _ in range(2 if self._chance(trouble.push_twice) else 1):
            seconds = self._draw.uniform(0.002, 0.02)
            if self._chance(trouble.push_late):
                seconds = self._draw.uniform(0.1, 3.0)
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, self._arrive, frame, self._connection)

    def end(self) -> None:
        """Let nothing that is on its way arrive: the daemon is gone."""
        self._up = False

    def _begin_telling(self) -> "asyncio.Task[None] | None":
        # Binance's stream has no equity; the adapter asks REST for it beside the stream.
        if self._name is not VenueName.BINANCE:
            return None
        made = self._made
        made._session = BinanceSession(
            made._endpoints,
            made._credentials,
            made._clock,
            Allowance.stream_lanes,
            timeout_ms=TIMEOUT_MS,
        )
        return asyncio.get_running_loop().create_task(made._tell_balance(self._feed))

    async def _connect(self) -> None:
        conversation = self._conversation
        if self._name is VenueName.BINANCE:
            await self._made._prepare(conversation)
        await asyncio.sleep(self._draw.uniform(0.01, 0.1))
        conversation.requests.clear()
        conversation.begin(self._clock.now_ns())
        for grant in _GRANTS[self._name]:
            conversation.hear(grant, self._clock.now_ns())
        assert conversation.established, "everything was granted"
        self._up = True
        self._connection += 1
        self._alive()
        for frame in self._venue.wire.snapshot():
            self.push(frame)

    async def _listen(self) -> None:
        turns = 0
        while True:
            await asyncio.sleep(TURN_SECONDS)
            if not self._up:
                return
            turns += 1
            if self._chance(self._venue.trouble.stream_breaks):
                self._break("broken", self._draw.uniform(1.0, 8.0))
                return
            if turns % PONG_TURNS == 0 and self._name in _PONGS:
                self._arrive(_PONGS[self._name], self._connection)
            if turns % REGULAR_TURNS == 0:
                for frame in self._venue.wire.snapshot():
                    self.push(frame)
            try:
                self._conversation.watch(self._clock.now_ns())
            except Dropped as dropped:
                self._drop(dropped)
                return
            self._answer()
            self._alive()

    def _answer(self) -> None:
        # Bybit is asked whether topics are still subscribed; here no subscription is ever lost.
        for request in self._conversation.requests:
            asked = json.loads(request) if self._name is VenueName.BYBIT else {}
            if asked.get("op") == "subscribe":
                self._arrive(_STILL_THERE % asked["args"][0].encode(), self._connection)
        self._conversation.requests.clear()

    def _arrive(self, frame: bytes, connection: int) -> None:
        if not self._up or connection != self._connection:
            return
        try:
            events = self._conversation.hear(frame, self._clock.now_ns())
        except Dropped as dropped:
            self._drop(dropped)
            return
        for event in events or ():
            self._feed(event)

    def _alive(self) -> None:
        now_ns = self._clock.now_ns()
        if self._name is VenueName.BINANCE:
            self._made._alive_ns = now_ns
        self._feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=now_ns))

    def _drop(self, dropped: Dropped) -> None:
        self._break(str(dropped), 0.0 if dropped.at_once else self._draw.uniform(0.2, 2.0))

    def _break(self, reason: str, seconds: float) -> None:
        self._up = False
        self._away_seconds = seconds
        now_ns = self._clock.now_ns()
        self._feed(StreamDown(stream=StreamName.ACCOUNT, reason=reason, received_ns=now_ns))

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._draw.random() < probability
