"""Recorded bars from Parquet files, aligned on one grid of time.

`DIR/ohlcv_<timeframe>/SYMBOL.parquet` with the columns `ts open high low close volume`; `ts` is
the bar's open in UTC milliseconds. Nothing is filled in for the signals: what is not recorded is
missing. For valuing a position the last close stands until the next bar.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from counterpoise.domain.errors import DataError
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Columns of a file.
COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")
#: Flat bars without volume for this long are a feed that stands still, seconds. One such bar is
#: nothing: a quiet minute of a small market looks the same.
STALE_SECONDS: Final = 900

_FOLDER: Final = re.compile(r"ohlcv_(\d{1,3})([mhd])")
_UNIT_SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class BarTable:
    """Bars of several instruments, one row per step of time, one column per instrument.

    Prices and volumes are NaN where there is no bar.
    """

    #: Instruments in the order of the columns.
    instrument_ids: tuple[str, ...]
    #: Length of a bar, seconds.
    step_seconds: int
    #: Opens of the rows, ns, shape (rows,), one step apart without a hole.
    open_ns: Times
    #: Quote per base, shape (rows, instruments).
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    #: Base units.
    volume: Floats

    @property
    def step_ns(self) -> int:
        """Length of a bar, ns."""
        return self.step_seconds * NS_PER_SECOND

    @property
    def end_ns(self) -> int:
        """End of the last bar, ns."""
        return int(self.open_ns[-1]) + self.step_ns

    def column(self, instrument_id: str) -> int:
        """Return the column of an instrument."""
        return self.instrument_ids.index(instrument_id)

    def missing(self) -> Flags:
        """Tell where there is no bar, before an instrument's first one included."""
        return np.isnan(self.close)

    def gaps(self) -> dict[str, int]:
        """Return the missing rows between each instrument's first and last bar."""
        missing = self.missing()
        result = {}
        for column, name in enumerate(self.instrument_ids):
            rows = np.flatnonzero(~missing[:, column])
            result[name] = int(missing[rows[0] : rows[-1] + 1, column].sum()) if len(rows) else 0
        return result

    def stale(self) -> Flags:
        """Tell at the end of which bars an instrument's feed stands still.

        A missing bar is stale at once. Bars that are flat and without volume are real, and stale
        once they last `STALE_SECONDS`: then the feed is dead, not the market quiet.
        """
        missing = self.missing()
        flat = (
            (self.volume == 0.0)
            & (self.high == self.low)
            & (self.open == self.close)
            & (self.high == self.close)
        )
        quiet = flat | missing
        rows = np.arange(1, len(quiet) + 1)[:, None]
        lasts = rows - np.maximum.accumulate(np.where(quiet, 0, rows), axis=0)
        return missing | (lasts * self.step_seconds >= STALE_SECONDS)


def finest_folder(data: Path) -> tuple[Path, int]:
    """Return the folder with the shortest bars under `data`, and their length in seconds."""
    if not data.is_dir():
        raise DataError(f"--data {data}: allowed is a directory with folders such as ohlcv_5m")
    found = {}
    for folder in sorted(data.glob("ohlcv_*")):
        named = _FOLDER.fullmatch(folder.name)
        if named and folder.is_dir() and any(folder.glob("*.parquet")):
            found[int(named[1]) * _UNIT_SECONDS[named[2]]] = folder
    if not found:
        there = ", ".join(sorted(path.name for path in data.iterdir())) or "nothing"
        raise DataError(
            f"--data {data}: it holds {there}; allowed is a directory with a folder such as "
            "ohlcv_5m that holds SYMBOL.parquet"
        )
    step_seconds = min(found)
    return found[step_seconds], step_seconds


def read_bars(
    data: Path, instrument_ids: Sequence[str], start_ns: int | None, end_ns: int | None
) -> BarTable:
    """Return the finest bars under `data` that open in [start, end); None = all there are.

    Raises DataError naming the file, the row, the value and what is allowed.
    """
    folder, step_seconds = finest_folder(data)
    frames = {name: _frame(folder, name, step_seconds) for name in instrument_ids}
    for name, frame in frames.items():
        keep = np.ones(len(frame[0]), dtype=bool)
        if start_ns is not None:
            keep &= frame[0] * NS_PER_MS >= start_ns
        if end_ns is not None:
            keep &= frame[0] * NS_PER_MS < end_ns
        frames[name] = tuple(column[keep] for column in frame)
    core = instrument_ids[0]
    if not len(frames[core][0]):
        raise DataError(
            f"{folder / core}.parquet has no bar between --start and --end; `--start` and `--end` "
            "left out take everything there is"
        )
    return _aligned(tuple(instrument_ids), step_seconds, frames)


_Frame = tuple[NDArray[Any], ...]


def _aligned(names: tuple[str, ...], step_seconds: int, frames: dict[str, _Frame]) -> BarTable:
    step_ms = step_seconds * 1_000
    filled = [frame for frame in frames.values() if len(frame[0])]
    first = min(int(frame[0][0]) for frame in filled)
    last = max(int(frame[0][-1]) for frame in filled)
    rows = (last - first) // step_ms + 1
    table = np.full((len(COLUMNS) - 1, rows, len(names)), np.nan)
    for column, name in enumerate(names):
        places = (frames[name][0].astype(np.int64) - first) // step_ms
        for number, values in enumerate(frames[name][1:]):
            table[number, places, column] = values
    return BarTable(
        instrument_ids=names,
        step_seconds=step_seconds,
        open_ns=(first + np.arange(rows, dtype=np.int64) * step_ms) * NS_PER_MS,
        open=table[0],
        high=table[1],
        low=table[2],
        close=table[3],
        volume=table[4],
    )


def _frame(folder: Path, name: str, step_seconds: int) -> _Frame:
    path = folder / f"{name}.parquet"
    columns = read_columns(path, COLUMNS)
    moments = columns[0]
    _refuse_rows(path, "ts", moments, moments % (step_seconds * 1_000) != 0, "on the bar's grid")
    _refuse_rows(path, "ts", moments[1:], np.diff(moments) <= 0, "later than the row before")
    opens, highs, lows, closes, volumes = columns[1:]
    for field, values in zip(COLUMNS[1:5], columns[1:5], strict=True):
        wrong = ~(np.isfinite(values) & (values > 0.0))
        _refuse_rows(path, field, values, wrong, "a positive number")
    _refuse_rows(path, "high", highs, highs < np.maximum(opens, closes), "at least open and close")
    _refuse_rows(path, "low", lows, lows > np.minimum(opens, closes), "at most open and close")
    _refuse_rows(path, "volume", volumes, ~(volumes >= 0.0), "zero or more")
    return tuple(columns)


def read_columns(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Return columns of a Parquet file: `ts` as int64, the others as float64. DataError."""
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as missing:
        raise DataError(
            "reading Parquet needs the packages of the laboratory: pip install 'counterpoise[lab]'"
        ) from missing
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in path.parent.glob("*.parquet"))) or "none"
        raise DataError(f"{path} is not there; the folder has {there}")
    try:
        table = parquet.read_table(path)
    except (ArrowInvalid, OSError) as wrong:
        raise DataError(f"{path} cannot be read as Parquet: {wrong}") from wrong
    lacking = [name for name in names if name not in table.column_names]
    if lacking:
        raise DataError(f"{path} lacks the columns {', '.join(lacking)}")
    return [
        table.column(name).to_numpy().astype(np.int64 if name == "ts" else np.float64)
        for name in names
    ]


def _refuse_rows(path: Path, field: str, values: NDArray[Any], wrong: Flags, allowed: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{path} {field}={values[row]} in row {row}: allowed is {allowed}")
