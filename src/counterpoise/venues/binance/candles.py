"""Mark candles by REST: windows of bars, asked for side by side."""

import asyncio
from typing import Any, Final

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Candle
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.figures import decimal

#: Bars of one answer; up to this many the request weighs 2, and more cost more a bar.
PAGE_BARS: Final = 499
PAGE_WEIGHT: Final = 2

#: Requests under way at once; the lane's limit rules over a longer time.
REQUESTS_AT_ONCE: Final = 2

#: Bars of one call at most: a year of five minutes.
BARS_MAX: Final = 105_120

#: How often a page that could not be read is asked for again.
RETRIES: Final = 2

_INTERVALS: Final = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1_800: "30m",
    3_600: "1h",
    7_200: "2h",
    14_400: "4h",
    86_400: "1d",
}


async def mark_candles(
    session: BinanceSession,
    symbol: str,
    step_seconds: int,
    since_ns: int,
    until_ns: int,
    now_ns: int,
) -> tuple[Candle, ...]:
    """Return complete bars opened in [since, until), oldest first; `now_ns` by Binance's clock.

    A bar Binance does not have is left out. Raises VenueRejected for a step Binance does not offer
    (STEP_UNKNOWN) or too long a span (SPAN_TOO_LONG), else as the venue does.
    """
    interval = _INTERVALS.get(step_seconds)
    if interval is None:
        raise VenueRejected(f"Binance has no mark candles of {step_seconds} s", code="STEP_UNKNOWN")
    step_ms = step_seconds * 1_000
    first_ms = -(-(since_ns // NS_PER_MS) // step_ms) * step_ms
    # Binance lists the running bar as well and does not say which one it is: the clock does.
    end_ms = min(until_ns // NS_PER_MS, now_ns // NS_PER_MS - step_ms + 1)
    if (end_ms - first_ms) // step_ms > BARS_MAX:
        raise VenueRejected(f"more than {BARS_MAX} bars asked for at once", code="SPAN_TOO_LONG")
    gate = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def page(start_ms: int) -> list[Any]:
        async with gate:
            return await _page(
                session, symbol, interval, start_ms, min(start_ms + PAGE_BARS * step_ms, end_ms)
            )

    starts = range(first_ms, end_ms, PAGE_BARS * step_ms)
    pages = await asyncio.gather(*(page(start_ms) for start_ms in starts))
    bars = {
        int(row[0]): Candle(
            open_ns=int(row[0]) * NS_PER_MS,
            step_seconds=step_seconds,
            open=decimal(row[1]),
            high=decimal(row[2]),
            low=decimal(row[3]),
            close=decimal(row[4]),
        )
        for rows in pages
        for row in rows
        if first_ms <= int(row[0]) < end_ms
    }
    return tuple(bars[open_ms] for open_ms in sorted(bars))


async def _page(
    session: BinanceSession, symbol: str, interval: str, start_ms: int, stop_ms: int
) -> list[Any]:
    for attempt in range(RETRIES + 1):
        try:
            async with session.lanes.candle(PAGE_WEIGHT):
                answer = await session.answer(
                    session.reads.fapiPublicGetMarkPriceKlines,
                    {
                        "symbol": symbol,
                        "interval": interval,
                        "startTime": start_ms,
                        "endTime": stop_ms - 1,
                        "limit": PAGE_BARS,
                    },
                )
        except VenueUnreachable:
            if attempt == RETRIES:
                raise
            continue
        if isinstance(answer, list):
            return answer
        raise VenueUnreachable(f"Binance answered no candles: {str(answer)[:80]!r}")
    raise AssertionError("unreachable")
