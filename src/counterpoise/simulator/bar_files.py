"""Real bars from Parquet files: `ohlcv_<timeframe>/SYMBOL.parquet` under a directory."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from counterpoise.exchange.scenarios.bars import BarRow, Bars, bars_from_rows

#: Columns of a file: start of the bar in ms UTC, prices in quote, volume in base.
COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")

_FOLDER: Final = re.compile(r"ohlcv_(\d{1,3})([mh])")
_UNIT_SECONDS: Final = {"m": 60, "h": 3_600}


class BarsUnreadable(Exception):
    """There are no bars to be read; the message says what was looked for."""


def read_bars(directory: Path, instrument_ids: Sequence[str]) -> Bars:
    """Return bars of those of the instruments that have a file, of the finest timeframe there is.

    `directory` holds the `ohlcv_` folders or is one. BarsUnreadable: no folder, no file, another
    layout, impossible rows, or pyarrow is not installed.
    """
    found = {}
    for folder in (directory, *sorted(directory.glob("ohlcv_*"))):
        named = _FOLDER.fullmatch(folder.name)
        if named and folder.is_dir():
            found[int(named[1]) * _UNIT_SECONDS[named[2]]] = folder
    if not found:
        raise BarsUnreadable(f"{directory} has no folder such as ohlcv_5m")
    step_seconds = min(found)
    folder = found[step_seconds]
    files = {name: folder / f"{name}.parquet" for name in instrument_ids}
    rows = {name: _rows(path) for name, path in files.items() if path.exists()}
    if not rows:
        raise BarsUnreadable(f"{folder} has none of {', '.join(instrument_ids)} as .parquet")
    try:
        return bars_from_rows(rows, step_seconds)
    except ValueError as wrong:
        raise BarsUnreadable(f"{folder}: {wrong}") from wrong


def _rows(path: Path) -> list[BarRow]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as missing:
        raise BarsUnreadable(
            "reading Parquet needs the package pyarrow: pip install pyarrow"
        ) from missing
    try:
        table = parquet.read_table(path, columns=list(COLUMNS))
    except (ArrowInvalid, OSError) as wrong:
        raise BarsUnreadable(f"{path}: {wrong}") from wrong
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if lacking:
        raise BarsUnreadable(f"{path} lacks the columns {', '.join(lacking)}")
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    return list(zip(*columns, strict=True))
