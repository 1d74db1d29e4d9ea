"""What a series of history is: its kind, its file, its columns and the rules its rows keep."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS

Kind = Literal["ohlcv", "mark", "funding"]
Rows = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Columns of bars: open of the bar in ms UTC, prices in quote, volume in base (0 for marks).
BAR_COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")
#: Columns of funding: when it was charged in ms UTC, fraction per interval.
FUNDING_COLUMNS: Final = ("ts", "rate")
#: Longest funding interval that is no gap, ms.
FUNDING_INTERVAL_MS_MAX: Final = 8 * NS_PER_HOUR // NS_PER_MS
#: Funding is charged on whole minutes, ms.
FUNDING_GRID_MS: Final = NS_PER_MINUTE // NS_PER_MS
#: No venue ever charged more than this per interval, fraction.
FUNDING_RATE_MAX: Final = 0.1

_TIMEFRAME: Final = re.compile(r"(\d{1,3})([mh])")
_UNIT_SECONDS: Final = {"m": 60, "h": 3_600}


def timeframe_seconds(timeframe: str) -> int | None:
    """Return the length of a bar such as 5m or 1h, seconds; None = it is none."""
    found = _TIMEFRAME.fullmatch(timeframe)
    if found is None or int(found[1]) == 0:
        return None
    return int(found[1]) * _UNIT_SECONDS[found[2]]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Series:
    """One file of history."""

    kind: Kind
    instrument_id: str
    #: Length of a bar as the folder names it, 5m; "" for funding.
    timeframe: str = ""

    @property
    def folder(self) -> str:
        """The folder under the data directory."""
        return "funding" if self.kind == "funding" else f"{self.kind}_{self.timeframe}"

    @property
    def name(self) -> str:
        """Folder and instrument."""
        return f"{self.folder}/{self.instrument_id}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the file."""
        return FUNDING_COLUMNS if self.kind == "funding" else BAR_COLUMNS

    @property
    def step_ms(self) -> int:
        """Grid of the rows' times, ms."""
        if self.kind == "funding":
            return FUNDING_GRID_MS
        seconds = timeframe_seconds(self.timeframe)
        assert seconds is not None, "the folder's name was checked"
        return seconds * 1_000

    @property
    def distance_ms_max(self) -> int:
        """Farthest two rows that follow each other may lie apart without a gap, ms."""
        return FUNDING_INTERVAL_MS_MAX if self.kind == "funding" else self.step_ms

    def path(self, directory: Path) -> Path:
        """Return its file."""
        return directory / self.folder / f"{self.instrument_id}.parquet"

    def refused(self, rows: Rows) -> dict[str, Mask]:
        """Return, by reason, which rows (shape rows x columns) break a rule of their own."""
        times, values = rows[:, 0], rows[:, 1:]
        with np.errstate(invalid="ignore"):
            found = {
                "not a number": ~np.isfinite(rows).all(axis=1),
                "off the grid": np.mod(times, self.step_ms) != 0,
            }
            if self.kind == "funding":
                found["impossible rate"] = np.abs(values[:, 0]) > FUNDING_RATE_MAX
                return found
            high, low = values[:, 1], values[:, 2]
            inner = values[:, [0, 3]]
            found["price not positive"] = values[:, :4].min(axis=1) <= 0
            found["high or low inside the bar"] = (high < inner.max(axis=1)) | (
                low > inner.min(axis=1)
            )
            found["volume negative"] = values[:, 4] < 0
        return found


def series_of(path: Path) -> Series | None:
    """Return the series a file is by its place; None = it is none."""
    folder, _, timeframe = path.parent.name.partition("_")
    if path.parent.name == "funding":
        return Series(kind="funding", instrument_id=path.stem)
    if folder not in {"ohlcv", "mark"} or timeframe_seconds(timeframe) is None:
        return None
    kind: Kind = "mark" if folder == "mark" else "ohlcv"
    return Series(kind=kind, instrument_id=path.stem, timeframe=timeframe)
