"""Mark candles by REST: windows of a thousand bars, asked for side by side."""

import asyncio
from typing import Any, Final

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Candle
from counterpoise.venues.bybit.convert import CATEGORY
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.figures import decimal

#: Bars one answer holds.
PAGE_BARS: Final = 1_000

#: Requests under way at once; the lane's limit rules over a longer time.
REQUESTS_AT_ONCE: Final = 8

#: Bars of one call at most: a year of five minutes.
BARS_MAX: Final = 105_120

#: How often a page that could not be read is asked for again.
RETRIES: Final = 2

#: Bybit does not say that a bar is over. One that ended this long ago is, ms.
SETTLED_MS: Final = 1_000

_INTERVALS: Final = {
    60: "1",
    180: "3",
    300: "5",
    900: "15",
    1_800: "30",
    3_600: "60",
    7_200: "120",
    14_400: "240",
    21_600: "360",
    43_200: "720",
    86_400: "D",
}


async def mark_candles(
    session: BybitSession, symbol: str, step_seconds: int, since_ns: int, until_ns: int, now_ns: int
) -> tuple[Candle, ...]:
    """Return complete bars opened in [since, until), oldest first.

    A bar Bybit does not have is left out. Raises VenueRejected for a step Bybit does not offer
    (STEP_UNKNOWN) or too long a span (SPAN_TOO_LONG), else as the venue does.
    """
    interval = _INTERVALS.get(step_seconds)
    if interval is None:
        raise VenueRejected(f"Bybit has no mark candles of {step_seconds} s", code="STEP_UNKNOWN")
    step_ms = step_seconds * 1_000
    first_ms = -(-(since_ns // NS_PER_MS) // step_ms) * step_ms
    # A bar that is not over yet cannot be complete.
    over_ms = now_ns // NS_PER_MS - SETTLED_MS - step_ms + 1
    end_ms = min(-(-until_ns // NS_PER_MS), over_ms)
    if (end_ms - first_ms) // step_ms > BARS_MAX:
        raise VenueRejected(f"more than {BARS_MAX} bars asked for at once", code="SPAN_TOO_LONG")
    gate = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def page(start_ms: int) -> list[Any]:
        stop_ms = min(start_ms + PAGE_BARS * step_ms, end_ms)
        async with gate:
            return await _page(session, symbol, interval, start_ms, stop_ms)

    starts = range(first_ms, end_ms, PAGE_BARS * step_ms)
    pages = await asyncio.gather(*(page(start_ms) for start_ms in starts))
    return _bars(pages, step_seconds, first_ms, end_ms)


async def _page(
    session: BybitSession, symbol: str, interval: str, start_ms: int, stop_ms: int
) -> list[Any]:
    # Both ends of Bybit's span are inside it.
    for attempt in range(RETRIES + 1):
        try:
            answer = await session.read_candles(
                "publicGetV5MarketMarkPriceKline",
                category=CATEGORY,
                symbol=symbol,
                interval=interval,
                start=start_ms,
                end=stop_ms - 1,
                limit=PAGE_BARS,
            )
        except VenueUnreachable:
            if attempt == RETRIES:
                raise
        else:
            return answer.rows
    raise AssertionError("unreachable")


def _bars(
    pages: list[list[Any]], step_seconds: int, first_ms: int, end_ms: int
) -> tuple[Candle, ...]:
    bars: dict[int, Candle] = {}
    for row in (row for rows in pages for row in rows):
        open_ms = int(row[0])
        if first_ms <= open_ms < end_ms:
            bars[open_ms] = Candle(
                open_ns=open_ms * NS_PER_MS,
                step_seconds=step_seconds,
                open=decimal(row[1]),
                high=decimal(row[2]),
                low=decimal(row[3]),
                close=decimal(row[4]),
            )
    return tuple(bars[open_ms] for open_ms in sorted(bars))
