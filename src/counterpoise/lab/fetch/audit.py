"""What is wrong with a series and where it has gaps."""

from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from counterpoise.lab.fetch.series import Rows, Series

#: Faulty rows that are listed one by one; beyond, they are only counted.
FAULTS_LISTED_MAX: Final = 100


class Gap(NamedTuple):
    """Rows that should be there and are not."""

    #: The last row before it, ms UTC.
    after_ts: int
    #: The first row behind it, ms UTC.
    before_ts: int
    #: Bars missing; for funding, intervals of eight hours.
    missing: int


class Fault(NamedTuple):
    """A row that breaks a rule."""

    #: The row's time as it stands there.
    ts: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one series looks like."""

    #: Folder and instrument.
    series: str
    rows: int
    #: First and last row, ms UTC; None = there is none.
    first_ts: int | None
    last_ts: int | None
    #: Gaps, oldest first.
    gaps: tuple[Gap, ...]
    #: Rows that break a rule, the first of them.
    faults: tuple[Fault, ...]
    #: All of them.
    faults_count: int

    @property
    def longest_gap_seconds(self) -> int:
        """From the row before the longest gap to the row behind it; 0 = no gap."""
        return max(((gap.before_ts - gap.after_ts) // 1_000 for gap in self.gaps), default=0)

    @property
    def missing(self) -> int:
        """Rows missing in all gaps."""
        return sum(gap.missing for gap in self.gaps)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        told = asdict(self)
        told["gaps"] = [gap._asdict() for gap in self.gaps]
        told["faults"] = [fault._asdict() for fault in self.faults]
        return told | {
            "gaps_count": len(self.gaps),
            "missing": self.missing,
            "longest_gap_seconds": self.longest_gap_seconds,
        }


def audit(series: Series, rows: Rows) -> Findings:
    """Look at rows in the order they are stored in; shape (rows, columns)."""
    times = rows[:, 0]
    broken = dict(series.refused(rows))
    backwards = np.zeros(len(rows), dtype=np.bool_)
    backwards[1:] = times[1:] <= times[:-1]
    broken["not after the row before"] = backwards
    faults = [
        (int(place), Fault(float(times[place]), reason))
        for reason, mask in broken.items()
        for place in np.flatnonzero(mask)
    ]
    faults.sort(key=lambda each: each[0])
    known = np.sort(times[np.isfinite(times)])
    apart = np.flatnonzero(np.diff(known) > series.distance_ms_max)
    unit = series.distance_ms_max
    return Findings(
        series=series.name,
        rows=len(rows),
        first_ts=int(known[0]) if len(known) else None,
        last_ts=int(known[-1]) if len(known) else None,
        gaps=tuple(
            Gap(
                after_ts=int(known[place]),
                before_ts=int(known[place + 1]),
                missing=int((known[place + 1] - known[place] - 1) // unit),
            )
            for place in apart
        ),
        faults=tuple(fault for _, fault in faults[:FAULTS_LISTED_MAX]),
        faults_count=len(faults),
    )
