"""What Binance's public streams ask REST for: books to start from, and funding intervals."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
import structlog

from counterpoise.domain.errors import VenueError
from counterpoise.ports import Clock
from counterpoise.venues import capture
from counterpoise.venues.binance.books import BookConversation
from counterpoise.venues.binance.frames import DepthSnapshot
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.unreadable import read_or_raise

_log = structlog.get_logger(__name__)

#: Levels per side of a snapshot and what it weighs: the whole book, or less of it where so many
#: books are followed that the whole ones would take a quarter of an hour.
DEEP: Final = (1_000, 20)
SHALLOW: Final = (100, 5)
DEEP_BOOKS_MAX: Final = 30

#: Books asked for side by side; the lane's weight rules over a longer time.
BOOKS_AT_ONCE: Final = 8

#: How often it is looked whether a book is wanted, seconds.
LOOK_SECONDS: Final = 0.05

#: A snapshot is asked for when a message of its book has come, or after this: a quiet market.
MESSAGE_SECONDS_MAX: Final = 1.0

#: A snapshot older than the messages is asked for again at once, so often.
TRIES: Final = 3

#: Funding intervals are asked for again after this; after a failure sooner, seconds.
INTERVALS_SECONDS: Final = 3_600.0
INTERVALS_RETRY_SECONDS: Final = 5.0

#: Markets that fapi/v1/fundingInfo does not list have funding every eight hours.
INTERVAL_HOURS: Final = Decimal(8)


class SnapshotDesk:
    """Asks for a few books at a time, within the weight the lane of snapshots has."""

    def __init__(
        self,
        session: BinanceSession,
        conversations: Iterable[BookConversation],
        clock: Clock,
        *,
        books: int,
        tap: capture.Tap | None = None,
    ) -> None:
        """`tap` is shown every answer."""
        self._tap = tap
        self._session = session
        self._conversations = conversations
        self._clock = clock
        self._levels, self._weight = DEEP if books <= DEEP_BOOKS_MAX else SHALLOW

    async def run(self) -> None:
        """Serve whoever wants a book, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(BOOKS_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            found = self._next()
            if found is None:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                await self._serve(*found)

    def _next(self) -> tuple[BookConversation, str] | None:
        now_ns = self._clock.now_ns()
        for conversation in tuple(self._conversations):
            symbol = conversation.wanted(now_ns)
            if symbol is not None:
                return conversation, symbol
        return None

    async def _serve(self, conversation: BookConversation, symbol: str) -> None:
        waited = 0.0
        while not conversation.collect(symbol) and waited < MESSAGE_SECONDS_MAX:
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        for _ in range(TRIES):
            try:
                snapshot = await self._ask(symbol)
                with read_or_raise("Binance", f"the book of {symbol}"):
                    seeded = conversation.seed(symbol, snapshot, self._clock.now_ns())
            except VenueError as error:
                _log.warning("book.not_had", symbol=symbol, error=str(error))
                break
            if seeded:
                return
        conversation.put_off(symbol, self._clock.now_ns())

    async def _ask(self, symbol: str) -> DepthSnapshot:
        session = self._session
        async with session.lanes.snapshot(self._weight):
            answer = await session.answer(
                session.reads.fapiPublicGetDepth, {"symbol": symbol, "limit": self._levels}
            )
        if self._tap is not None:
            self._tap(self._captured(symbol, answer))
        with read_or_raise("Binance", f"the book of {symbol}"):
            return msgspec.convert(answer, DepthSnapshot)

    def _captured(self, symbol: str, answer: object) -> capture.CapturedFrame:
        # ccxt leaves the figures of an answer as the text they were.
        base = self._session.endpoints.rest_url
        return capture.CapturedFrame(
            received_ns=self._clock.now_ns(),
            kind="http",
            url=f"{base}/fapi/v1/depth?symbol={symbol}&limit={self._levels}",
            frame=msgspec.json.encode(answer).decode(),
        )


async def funding_intervals(
    session: BinanceSession, symbols: Sequence[str], intervals: dict[str, Decimal]
) -> None:
    """Keep the hours between fundings of some symbols, until cancelled.

    None is known before the first answer: a rate whose interval is not known is not told.
    """
    while True:
        try:
            found = await session.rows("fapiPublicGetFundingInfo")
            told = {str(row["symbol"]): Decimal(str(row["fundingIntervalHours"])) for row in found}
        except (VenueError, KeyError, TypeError, InvalidOperation) as error:
            _log.warning("funding_intervals.not_had", error=str(error))
            await asyncio.sleep(INTERVALS_RETRY_SECONDS)
            continue
        for symbol in symbols:
            intervals[symbol] = told.get(symbol, INTERVAL_HOURS)
        await asyncio.sleep(INTERVALS_SECONDS)
