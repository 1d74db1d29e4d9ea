"""Funding rates from Parquet files, as they were known at each moment.

`DIR/funding/SYMBOL.parquet` holds `ts` (UTC milliseconds of the charge) and `rate` (fraction per
interval, > 0: longs pay). Another venue's rates may stand in for those that are not recorded; they
are a proxy and called so. An instrument without any has an assumed rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from counterpoise.domain.errors import DataError
from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.lab.bars import read_columns

Times = NDArray[np.int64]

#: The venue's own recorded rates.
VENUE: Final = "venue"
#: Recorded rates of another venue.
PROXY: Final = "proxy"
#: One rate, assumed.
ASSUMED: Final = "assumed"
#: Interval of an assumed rate, and of a file with a single row.
INTERVAL_NS: Final = 8 * NS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingHistory:
    """The charges of one instrument."""

    #: "venue", "proxy" or "assumed".
    source: str
    #: Moments of the charges, ns, rising; empty for an assumed rate.
    times_ns: Times
    #: Rate charged at each, fraction.
    rates: tuple[Decimal, ...]
    #: Nanoseconds from the charge before to each charge.
    intervals_ns: Times
    #: The assumed rate per 8 hours; None = recorded.
    assumed: Decimal | None = None

    def known(self, now_ns: int) -> tuple[Decimal, int, int] | None:
        """Return (rate, next charge in ns, interval in ns) as known at `now_ns`.

        The rate of the last charge stands for the next one, which nobody knows yet. None = no
        charge seen yet.
        """
        if self.assumed is not None:
            return self.assumed, (now_ns // INTERVAL_NS + 1) * INTERVAL_NS, INTERVAL_NS
        place = int(self.times_ns.searchsorted(now_ns, side="right")) - 1
        if place < 0:
            return None
        interval_ns = int(self.intervals_ns[place])
        after = int(self.times_ns[place]) + interval_ns
        return self.rates[place], max(after, now_ns + 1), interval_ns

    def charges(self, after_ns: int, until_ns: int) -> list[Decimal]:
        """Return the rates charged in (after, until], oldest first."""
        if self.assumed is not None:
            count = until_ns // INTERVAL_NS - after_ns // INTERVAL_NS
            return [self.assumed] * count
        low = int(self.times_ns.searchsorted(after_ns, side="right"))
        high = int(self.times_ns.searchsorted(until_ns, side="right"))
        return list(self.rates[low:high])


def read_funding(
    data: Path, proxy: Path | None, instrument_ids: Sequence[str], assumed: Decimal
) -> tuple[FundingHistory, ...]:
    """Return the history of every instrument: the proxy named, else the venue's, else assumed."""
    if proxy is not None and not any(proxy.glob("*.parquet")):
        raise DataError(f"--funding {proxy}: allowed is a directory that holds SYMBOL.parquet")
    found = []
    for name in instrument_ids:
        named = None if proxy is None else proxy / f"{name}.parquet"
        own = data / "funding" / f"{name}.parquet"
        if named is not None and named.is_file():
            found.append(_read(named, PROXY))
        elif own.is_file():
            found.append(_read(own, VENUE))
        else:
            found.append(assumed_funding(assumed))
    return tuple(found)


def assumed_funding(rate: Decimal) -> FundingHistory:
    """Return a history of one rate every 8 hours."""
    none = np.zeros(0, dtype=np.int64)
    return FundingHistory(source=ASSUMED, times_ns=none, rates=(), intervals_ns=none, assumed=rate)


def _read(path: Path, source: str) -> FundingHistory:
    moments, rates = read_columns(path, ("ts", "rate"))
    # Venues stamp a charge some milliseconds late; it belongs to the full second before.
    times_ns = moments.astype(np.int64) * NS_PER_MS // NS_PER_SECOND * NS_PER_SECOND
    steps = np.diff(times_ns)
    if not len(times_ns):
        raise DataError(f"{path} has no row; allowed is a file with one charge at least")
    if (steps <= 0).any():
        row = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise DataError(f"{path} ts={moments[row]} in row {row}: allowed is later than before")
    if not np.isfinite(rates.astype(np.float64)).all():
        raise DataError(f"{path} rate: allowed is a finite fraction in every row")
    first = int(steps[0]) if len(steps) else INTERVAL_NS
    return FundingHistory(
        source=source,
        times_ns=times_ns,
        rates=tuple(decimal_from_float(float(rate)) for rate in rates.tolist()),
        intervals_ns=np.array([first, *steps.tolist()], dtype=np.int64),
    )
