"""Mark candles by REST: windows of a hundred bars, asked for side by side."""

import asyncio
from typing import Any, Final

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Candle
from counterpoise.venues.figures import decimal
from counterpoise.venues.okx.session import OkxSession

#: Bars one answer holds.
PAGE_BARS: Final = 100

#: Bars the endpoint of recent candles goes back; older ones are in the history endpoint.
RECENT_BARS: Final = 1_440

#: Requests under way at once; the lane's limit rules over a longer time.
REQUESTS_AT_ONCE: Final = 8

#: Bars of one call at most: a year of five minutes.
BARS_MAX: Final = 105_120

#: How often a page that could not be read is asked for again.
RETRIES: Final = 2

_BARS: Final = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1_800: "30m",
    3_600: "1H",
    7_200: "2H",
    14_400: "4H",
    86_400: "1Dutc",
}


async def mark_candles(
    session: OkxSession, inst_id: str, step_seconds: int, since_ns: int, until_ns: int, now_ns: int
) -> tuple[Candle, ...]:
    """Return complete bars opened in [since, until), oldest first.

    A bar OKX does not have is left out. Raises VenueRejected for a step OKX does not offer
    (STEP_UNKNOWN) or too long a span (SPAN_TOO_LONG), else as the venue does.
    """
    bar = _BARS.get(step_seconds)
    if bar is None:
        raise VenueRejected(f"OKX has no mark candles of {step_seconds} s", code="STEP_UNKNOWN")
    step_ms = step_seconds * 1_000
    first_ms = -(-(since_ns // NS_PER_MS) // step_ms) * step_ms
    # A bar that is not over yet cannot be complete: the last page would be asked for nothing.
    end_ms = min(until_ns, now_ns) // NS_PER_MS
    if (end_ms - first_ms) // step_ms > BARS_MAX:
        raise VenueRejected(f"more than {BARS_MAX} bars asked for at once", code="SPAN_TOO_LONG")
    recent_ms = now_ns // NS_PER_MS - (RECENT_BARS - PAGE_BARS) * step_ms
    gate = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def page(start_ms: int) -> list[Any]:
        stop_ms = min(start_ms + PAGE_BARS * step_ms, end_ms)
        method = (
            "publicGetMarketMarkPriceCandles"
            if start_ms >= recent_ms
            else "publicGetMarketHistoryMarkPriceCandles"
        )
        async with gate:
            return await _page(session, method, inst_id, bar, start_ms, stop_ms)

    starts = range(first_ms, end_ms, PAGE_BARS * step_ms)
    pages = await asyncio.gather(*(page(start_ms) for start_ms in starts))
    return _complete(pages, step_seconds, first_ms, end_ms)


async def _page(
    session: OkxSession, method: str, inst_id: str, bar: str, start_ms: int, stop_ms: int
) -> list[Any]:
    # OKX's cursors exclude their own bar: "before" is the newer side's lower bound.
    for attempt in range(RETRIES + 1):
        try:
            return await session.read_candles(
                method,
                instId=inst_id,
                bar=bar,
                before=str(start_ms - 1),
                after=str(stop_ms),
                limit=str(PAGE_BARS),
            )
        except VenueUnreachable:
            if attempt == RETRIES:
                raise
    raise AssertionError("unreachable")


def _complete(
    pages: list[list[Any]], step_seconds: int, first_ms: int, end_ms: int
) -> tuple[Candle, ...]:
    bars: dict[int, Candle] = {}
    for row in (row for rows in pages for row in rows):
        open_ms = int(row[0])
        # The last column is "1" once the bar is over.
        if str(row[5]) != "1" or not first_ms <= open_ms < end_ms:
            continue
        bars[open_ms] = Candle(
            open_ns=open_ms * NS_PER_MS,
            step_seconds=step_seconds,
            open=decimal(row[1]),
            high=decimal(row[2]),
            low=decimal(row[3]),
            close=decimal(row[4]),
        )
    return tuple(bars[open_ms] for open_ms in sorted(bars))
