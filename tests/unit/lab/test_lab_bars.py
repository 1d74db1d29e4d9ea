from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from counterpoise.domain.errors import DataError
from counterpoise.lab.bars import finest_folder, read_bars
from lab_world import START_NS, quiet, table, walk, write

MINUTE_NS = 60 * 10**9
NAMES = ("BTCUSDT", "ETHUSDT")


def test_what_is_written_is_read(tmp_path):
    bars = walk(NAMES, 30, seed=1)
    write(tmp_path, bars)

    found = read_bars(tmp_path, NAMES, None, None)

    assert (found.step_seconds, found.instrument_ids) == (300, NAMES)
    assert np.array_equal(found.open_ns, bars.open_ns)
    for field in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(found, field), getattr(bars, field))


def test_the_finest_timeframe_is_taken(tmp_path):
    write(tmp_path, walk(NAMES, 30, seed=1, step_seconds=3_600))
    write(tmp_path, walk(NAMES, 30, seed=1, step_seconds=60))

    assert finest_folder(tmp_path) == (tmp_path / "ohlcv_1m", 60)


def test_only_bars_that_open_in_the_span_are_read(tmp_path):
    write(tmp_path, walk(NAMES, 30, seed=1))

    found = read_bars(tmp_path, NAMES, START_NS + 10 * MINUTE_NS, START_NS + 20 * MINUTE_NS)

    assert ((found.open_ns - START_NS) // MINUTE_NS).tolist() == [10, 15]


def test_what_is_not_recorded_is_missing_and_counted(tmp_path):
    bars = walk(NAMES, 10, seed=1)
    closes = bars.close.copy()
    closes[:3, 1] = np.nan  # listed later
    closes[6:8, 1] = np.nan  # a gap
    write(tmp_path, replace(bars, close=closes))

    found = read_bars(tmp_path, NAMES, None, None)

    assert (
        np.isnan(found.close[:, 1]).tolist() == [True] * 3 + [False] * 3 + [True] * 2 + [False] * 2
    )
    assert found.gaps() == {"BTCUSDT": 0, "ETHUSDT": 2}


def test_a_feed_that_stands_still_is_stale_after_a_quarter_of_an_hour():
    moving = [(1.0, 2.0, 1.0, 1.5)] * 2
    bars = table({"BTCUSDT": [*moving, *quiet(1.5, 5), *moving]}, step_seconds=300)
    volume = bars.volume.copy()
    volume[2:7] = 0.0

    assert replace(bars, volume=volume).stale()[:, 0].tolist() == [
        False, False, False, False, True, True, True, False, False,
    ]  # fmt: skip
    # Flat bars in which something was traded are a quiet market.
    assert not bars.stale().any()


def test_a_missing_bar_is_stale_at_once():
    bars = table({"BTCUSDT": quiet(1.5, 3)}, step_seconds=300)
    close = bars.close.copy()
    close[1] = np.nan

    assert replace(bars, close=close).stale()[:, 0].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("field", "row", "value", "words"),
    [
        ("high", 4, 1.0, "high=1.0 in row 4: allowed is at least open and close"),
        ("low", 2, 1e9, "low=1000000000.0 in row 2: allowed is at most open and close"),
        ("close", 1, float("nan"), "close=nan in row 1: allowed is a positive number"),
        ("volume", 3, -1.0, "volume=-1.0 in row 3: allowed is zero or more"),
        ("ts", 2, 1, "ts=1 in row 2: allowed is on the bar's grid"),
        ("ts", 2, START_NS // 10**6, "in row 1: allowed is later than the row before"),
    ],
)
def test_impossible_rows_are_refused(tmp_path, field, row, value, words):
    write(tmp_path, walk(("BTCUSDT",), 6, seed=1))
    path = tmp_path / "ohlcv_5m" / "BTCUSDT.parquet"
    columns = {name: column.to_numpy().copy() for name, column in zip(
        parquet.read_table(path).column_names, parquet.read_table(path).columns, strict=True
    )}  # fmt: skip
    columns[field][row] = value
    parquet.write_table(pa.table(columns), path)

    with pytest.raises(DataError) as refused:
        read_bars(tmp_path, ("BTCUSDT",), None, None)

    assert str(path) in str(refused.value)
    assert words in str(refused.value)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="allowed is a directory with a folder such as ohlcv_5m"):
        read_bars(tmp_path, NAMES, None, None)
    with pytest.raises(DataError, match="allowed is a directory with folders"):
        read_bars(tmp_path / "none", NAMES, None, None)
    write(tmp_path, walk(("BTCUSDT",), 6, seed=1))
    with pytest.raises(DataError, match=r"ETHUSDT.parquet is not there; the folder has BTCUSDT"):
        read_bars(tmp_path, NAMES, None, None)
    with pytest.raises(DataError, match="no bar between --start and --end"):
        read_bars(tmp_path, ("BTCUSDT",), START_NS * 2, None)
    parquet.write_table(pa.table({"ts": [1]}), tmp_path / "ohlcv_5m" / "BTCUSDT.parquet")
    with pytest.raises(DataError, match="lacks the columns open, high, low, close, volume"):
        read_bars(tmp_path, ("BTCUSDT",), None, None)
    (tmp_path / "ohlcv_5m" / "BTCUSDT.parquet").write_text("no Parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_bars(tmp_path, ("BTCUSDT",), None, None)
