"""Fetches series page by page and keeps each answer before the next is asked for."""

import asyncio
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from counterpoise.domain.errors import DataError
from counterpoise.lab.fetch import spans
from counterpoise.lab.fetch.audit import Fault, Findings
from counterpoise.lab.fetch.series import Kind, Rows, Series, timeframe_seconds
from counterpoise.lab.fetch.spans import Span
from counterpoise.lab.fetch.store import SeriesStore
from counterpoise.ports import History

#: Series under way at once; the venue's own limit of requests rules beneath.
SERIES_AT_ONCE: Final = 4
#: Pages of one part file: what a crash costs at most.
PAGES_PER_PART: Final = 16
#: A bar this young may still be corrected by the venue, ms.
SETTLED_MS: Final = 10_000
#: A funding's time may be this far off its minute, ms.
FUNDING_JITTER_MS: Final = 2_000

#: Told about progress: series, pages answered, pages of this run.
Told = Callable[[Series, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """What is wanted."""

    #: Directory of the data.
    directory: Path
    instrument_ids: tuple[str, ...]
    #: Bars of this length, 5m.
    timeframe: str
    #: First moment, ms UTC.
    since_ms: int
    #: End, exclusive; None = what the venue has now.
    until_ms: int | None = None
    kinds: tuple[Kind, ...] = ("ohlcv", "mark", "funding")

    def series(self) -> list[Series]:
        """Return the series of the plan."""
        return [
            Series(
                kind=kind,
                instrument_id=name,
                timeframe="" if kind == "funding" else self.timeframe,
            )
            for kind in self.kinds
            for name in self.instrument_ids
        ]


async def fetch(history: History, plan: FetchPlan, told: Told) -> list[Findings]:
    """Fetch what is missing of every series; return what each looks like now.

    DataError: another fetch writes there, or a file there is not readable. VenueError: the venue
    refused or went away; what was answered until then is kept.
    """
    if timeframe_seconds(plan.timeframe) is None:
        raise DataError(f"timeframe={plan.timeframe}; allowed is a bar such as 5m or 1h")
    plan.directory.mkdir(parents=True, exist_ok=True)
    with _alone(plan.directory):
        now_ms = await history.now_ms() - SETTLED_MS
        until_ms = now_ms if plan.until_ms is None else min(plan.until_ms, now_ms)
        if plan.since_ms >= until_ms:
            raise DataError(
                f"nothing lies between since={plan.since_ms} and {until_ms} (ms UTC); the venue's"
                f" clock says {now_ms + SETTLED_MS}"
            )
        gate = asyncio.Semaphore(SERIES_AT_ONCE)

        async def one(series: Series) -> Findings:
            async with gate:
                return await _Fetcher(history, plan.directory, series, told).run(
                    Span(_ceiling(plan.since_ms, series.step_ms), until_ms)
                )

        jobs = [asyncio.ensure_future(one(series)) for series in plan.series()]
        try:
            return list(await asyncio.gather(*jobs))
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)


class _Fetcher:
    def __init__(self, history: History, directory: Path, series: Series, told: Told) -> None:
        self._history = history
        self._series = series
        self._store = SeriesStore(directory, series)
        self._told = told
        self._faults: list[Fault] = []

    async def run(self, wanted: Span) -> Findings:
        step_ms = self._series.step_ms
        # A bar that is not over is not asked for: it would be another one tomorrow.
        whole = Span(wanted.since_ms, wanted.until_ms // step_ms * step_ms)
        missing = spans.missing(whole, self._store.covered())
        pages = spans.pages(missing, self._page_ms())
        kept: list[Rows] = []
        for place, page in enumerate(pages):
            kept.append(await self._page(page))
            follows = place + 1 < len(pages) and pages[place + 1].since_ms == page.until_ms
            if len(kept) == PAGES_PER_PART or not follows:
                since_ms = pages[place + 1 - len(kept)].since_ms
                self._store.add(Span(since_ms, page.until_ms), np.concatenate(kept))
                kept.clear()
            self._told(self._series, place + 1, len(pages))
        return self._store.finish(self._faults)

    def _page_ms(self) -> int:
        if self._series.kind == "funding":
            return self._history.funding_page_ms()
        kind: Final = "mark" if self._series.kind == "mark" else "last"
        return self._history.bars_per_page(kind) * self._series.step_ms

    async def _page(self, page: Span) -> Rows:
        # An answer may be cut short at either end; what is missing there is asked for again
        # until an answer is empty, which only a real gap gives.
        found: list[Rows] = []
        asked = [page]
        while asked:
            span = asked.pop()
            rows = self._kept(await self._answer(span), span)
            if not len(rows):
                continue
            found.append(rows)
            if self._series.kind != "funding":
                first, last = int(rows[0, 0]), int(rows[-1, 0]) + self._series.step_ms
                ends = (Span(span.since_ms, first), Span(last, span.until_ms))
                asked += [each for each in ends if each.since_ms < each.until_ms]
        if not found:
            return np.empty((0, len(self._series.columns)))
        joined = np.concatenate(found)
        ordered: Rows = joined[np.argsort(joined[:, 0])]
        return ordered

    async def _answer(self, span: Span) -> Rows:
        series = self._series
        if series.kind == "funding":
            told = await self._history.fundings(series.instrument_id, *span)
            rows = np.array(told, dtype=np.float64).reshape(-1, 2)
            exact = np.round(rows[:, 0] / series.step_ms) * series.step_ms
            near = np.abs(exact - rows[:, 0]) <= FUNDING_JITTER_MS
            rows[:, 0] = np.where(near, exact, rows[:, 0])
            return rows
        kind: Final = "mark" if series.kind == "mark" else "last"
        bars = await self._history.bars(series.instrument_id, kind, series.step_ms // 1_000, *span)
        return np.array(bars, dtype=np.float64).reshape(-1, 6)

    def _kept(self, rows: Rows, span: Span) -> Rows:
        # Rows in the span that break no rule, each moment once, in order.
        times = rows[:, 0]
        rows = rows[~((times < span.since_ms) | (times >= span.until_ms))]
        bad = np.zeros(len(rows), dtype=np.bool_)
        for reason, mask in self._series.refused(rows).items():
            self._faults += [Fault(float(ts), reason) for ts in rows[mask & ~bad, 0]]
            bad |= mask
        rows = rows[~bad]
        _, first = np.unique(rows[:, 0], return_index=True)
        kept: Rows = rows[first]
        return kept


def _ceiling(value: int, step: int) -> int:
    return -(-value // step) * step


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / ".fetch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise DataError(f"another fetch writes to {directory}; wait for it") from taken
        yield
