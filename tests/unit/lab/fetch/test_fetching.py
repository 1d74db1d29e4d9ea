"""The fetcher against a history that is held in memory and answers as venues do."""

import json

import numpy as np
import pytest

from counterpoise.domain.errors import DataError, VenueUnreachable
from counterpoise.lab.fetch.checking import check
from counterpoise.lab.fetch.fetching import SETTLED_MS, FetchPlan, fetch
from counterpoise.lab.fetch.series import Series
from counterpoise.lab.fetch.store import SPANS_KEY, SeriesStore
from counterpoise.ports import HistoricBar, HistoricFunding

STEP = 300_000
HOUR = 3_600_000
DAY = 24 * HOUR


def bar(open_ms):
    return HistoricBar(open_ms, 100.0, 102.0, 99.0, 100.0 + open_ms % DAY / DAY, 5.0)


class MemoryHistory:
    """Bars every five minutes and funding every eight hours from `listed_ms`, without `absent`."""

    def __init__(self, now_ms=DAY, listed_ms=0, absent=(), per_page=20, cut=None):
        self.now = now_ms
        self.listed_ms = listed_ms
        self.absent = set(absent)
        self.per_page = per_page
        #: Answers hold at most this many bars, the newest; None = whole pages.
        self.cut = cut
        self.asked = []
        #: Requests that are answered before the venue goes away.
        self.answers_left = None
        self.changed = {}

    async def now_ms(self):
        return self.now

    def bars_per_page(self, kind):
        return self.per_page

    def funding_page_ms(self):
        return 10 * HOUR

    def _count(self, *request):
        if self.answers_left == 0:
            raise VenueUnreachable("gone")
        if self.answers_left is not None:
            self.answers_left -= 1
        self.asked.append(request)

    async def bars(self, instrument_id, kind, step_seconds, since_ms, until_ms):
        self._count(instrument_id, kind, since_ms, until_ms)
        assert (until_ms - since_ms) // STEP <= self.per_page
        opens = [at for at in range(since_ms, until_ms, STEP) if at >= self.listed_ms]
        rows = [self.changed.get(at, bar(at)) for at in opens if at not in self.absent]
        return rows if self.cut is None else rows[-self.cut :]

    async def fundings(self, instrument_id, since_ms, until_ms):
        self._count(instrument_id, "funding", since_ms, until_ms)
        # Charged a few milliseconds late, as venues tell it.
        return [
            HistoricFunding(at + 7, at / DAY / 1_000)
            for at in range(0, self.now, 8 * HOUR)
            if since_ms <= at < until_ms
        ]


def quiet(series, done, total):
    assert 0 < done <= total


def plan(directory, **changes):
    details = {
        "directory": directory,
        "instrument_ids": ("BTCUSDT",),
        "timeframe": "5m",
        "since_ms": 0,
        "kinds": ("ohlcv",),
    }
    return FetchPlan(**(details | changes))


def stored(directory, kind="ohlcv"):
    timeframe = "" if kind == "funding" else "5m"
    series = Series(kind=kind, instrument_id="BTCUSDT", timeframe=timeframe)
    return SeriesStore(directory, series).read()


async def test_every_complete_bar_is_there_once_and_in_order(tmp_path):
    # The bar that opened at 23:55 is not over by the margin a venue is given to settle it.
    history = MemoryHistory(now_ms=DAY + SETTLED_MS - 1)
    (found,) = await fetch(history, plan(tmp_path), quiet)
    rows = stored(tmp_path)
    assert rows[:, 0].tolist() == list(range(0, DAY - STEP, STEP))
    assert rows[7].tolist() == [float(figure) for figure in bar(7 * STEP)]
    assert (found.rows, found.gaps, found.faults_count) == (287, (), 0)


async def test_funding_is_put_on_its_minute(tmp_path):
    history = MemoryHistory(now_ms=DAY + HOUR)
    await fetch(history, plan(tmp_path, kinds=("funding",)), quiet)
    rows = stored(tmp_path, "funding")
    assert rows.tolist() == [
        [0.0, 0.0],
        [8 * HOUR, 1 / 3_000],
        [16 * HOUR, 2 / 3_000],
        [DAY, 0.001],
    ]


async def test_going_on_asks_only_for_what_is_new(tmp_path):
    first = MemoryHistory(now_ms=DAY)
    await fetch(first, plan(tmp_path), quiet)
    again = MemoryHistory(now_ms=DAY)
    await fetch(again, plan(tmp_path), quiet)
    assert again.asked == []
    later = MemoryHistory(now_ms=DAY + HOUR)
    await fetch(later, plan(tmp_path), quiet)
    assert {request[2] for request in later.asked} == {DAY - STEP}
    assert stored(tmp_path)[:, 0].tolist() == list(range(0, DAY + HOUR - STEP, STEP))


async def test_an_earlier_start_is_put_in_front(tmp_path):
    history = MemoryHistory()
    await fetch(history, plan(tmp_path, since_ms=12 * HOUR), quiet)
    early = MemoryHistory()
    await fetch(early, plan(tmp_path), quiet)
    assert all(request[3] <= 12 * HOUR for request in early.asked)
    assert np.diff(stored(tmp_path)[:, 0]).tolist() == [STEP] * 286


async def test_what_was_answered_before_the_venue_went_away_is_not_asked_again(tmp_path):
    history = MemoryHistory(now_ms=4 * DAY)
    history.answers_left = 40
    with pytest.raises(VenueUnreachable):
        await fetch(history, plan(tmp_path), quiet)
    assert not (tmp_path / "ohlcv_5m" / "BTCUSDT.parquet").exists()
    again = MemoryHistory(now_ms=4 * DAY)
    await fetch(again, plan(tmp_path), quiet)
    # Two parts of 16 pages were kept; the rest of the 40 answers was not.
    assert min(request[2] for request in again.asked) == 2 * 16 * 20 * STEP
    assert stored(tmp_path)[:, 0].tolist() == list(range(0, 4 * DAY - STEP, STEP))
    assert not (tmp_path / "ohlcv_5m" / "BTCUSDT.parts").exists()


async def test_a_part_that_was_taken_over_before_a_crash_says_nothing_twice(tmp_path):
    await fetch(MemoryHistory(), plan(tmp_path), quiet)
    before = stored(tmp_path)
    store = SeriesStore(tmp_path, Series(kind="ohlcv", instrument_id="BTCUSDT", timeframe="5m"))
    store.add(store.covered()[0], before)
    store.finish(())
    assert np.array_equal(stored(tmp_path), before)


async def test_an_answer_cut_short_is_completed(tmp_path):
    history = MemoryHistory(cut=7)
    await fetch(history, plan(tmp_path), quiet)
    assert stored(tmp_path)[:, 0].tolist() == list(range(0, DAY - STEP, STEP))


async def test_gaps_are_written_beside_the_file(tmp_path):
    absent = [*range(100 * STEP, 130 * STEP, STEP), 200 * STEP]
    history = MemoryHistory(absent=absent, listed_ms=30 * STEP)
    (found,) = await fetch(history, plan(tmp_path), quiet)
    told = json.loads((tmp_path / "ohlcv_5m" / "BTCUSDT.gaps.json").read_text())
    assert told["first_ts"] == 30 * STEP
    assert told["gaps"] == [
        {"after_ts": 99 * STEP, "before_ts": 130 * STEP, "missing": 30},
        {"after_ts": 199 * STEP, "before_ts": 201 * STEP, "missing": 1},
    ]
    assert (told["gaps_count"], told["missing"], told["longest_gap_seconds"]) == (2, 31, 9_300)
    assert found.missing == 31


async def test_an_impossible_row_is_left_out_and_told(tmp_path):
    history = MemoryHistory()
    history.changed[9 * STEP] = HistoricBar(9 * STEP, 100.0, 99.0, 98.0, 98.5, 1.0)
    (found,) = await fetch(history, plan(tmp_path), quiet)
    told = json.loads((tmp_path / "ohlcv_5m" / "BTCUSDT.gaps.json").read_text())
    assert told["refused"] == [{"reason": "high or low inside the bar", "ts": 9.0 * STEP}]
    assert [gap.missing for gap in found.gaps] == [1]
    assert 9 * STEP not in stored(tmp_path)[:, 0].tolist()


async def test_the_layout_is_that_of_the_data_the_laboratory_reads(tmp_path):
    from pyarrow import parquet

    kinds = ("ohlcv", "mark", "funding")
    await fetch(MemoryHistory(), plan(tmp_path, kinds=kinds), quiet)
    for folder in ("ohlcv_5m", "mark_5m"):
        schema = parquet.read_schema(tmp_path / folder / "BTCUSDT.parquet")
        assert [(field.name, str(field.type)) for field in schema] == [
            ("ts", "int64"),
            *((name, "double") for name in ("open", "high", "low", "close", "volume")),
        ]
        assert json.loads(schema.metadata[SPANS_KEY]) == [[0, DAY - STEP]]
    schema = parquet.read_schema(tmp_path / "funding" / "BTCUSDT.parquet")
    assert [(field.name, str(field.type)) for field in schema] == [
        ("ts", "int64"),
        ("rate", "double"),
    ]
    assert [found.series for found in check(tmp_path)] == [
        "funding/BTCUSDT",
        "mark_5m/BTCUSDT",
        "ohlcv_5m/BTCUSDT",
    ]


async def test_two_fetches_do_not_write_to_one_directory(tmp_path):
    import fcntl

    with (tmp_path / ".fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another fetch"):
            await fetch(MemoryHistory(), plan(tmp_path), quiet)


async def test_a_span_in_the_future_is_refused(tmp_path):
    with pytest.raises(DataError, match="nothing lies between"):
        await fetch(MemoryHistory(), plan(tmp_path, since_ms=2 * DAY), quiet)


def test_a_directory_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="no file such as"):
        check(tmp_path)
