"""Looks at every series of a data directory."""

from pathlib import Path

from counterpoise.domain.errors import DataError
from counterpoise.lab.fetch.audit import Findings, audit
from counterpoise.lab.fetch.series import Series, series_of
from counterpoise.lab.fetch.store import SeriesStore


def found_series(directory: Path) -> list[Series]:
    """Return the series under a directory, sorted. DataError: there are none."""
    paths = sorted(directory.glob("*/*.parquet"))
    found = [series for path in paths if (series := series_of(path)) is not None]
    if not found:
        raise DataError(
            f"{directory} has no file such as ohlcv_5m/BTCUSDT.parquet or funding/BTCUSDT.parquet"
        )
    return found


def check(directory: Path) -> list[Findings]:
    """Return what each series looks like. DataError: none there, or one is not readable."""
    return [
        audit(series, SeriesStore(directory, series).read()) for series in found_series(directory)
    ]
