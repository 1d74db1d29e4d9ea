import numpy as np
import pytest

from counterpoise.lab.fetch.audit import Gap, audit
from counterpoise.lab.fetch.series import Series

MINUTE = 60_000
BARS = Series(kind="ohlcv", instrument_id="BTCUSDT", timeframe="1m")
FUNDING = Series(kind="funding", instrument_id="BTCUSDT")
GOOD = (10.0, 12.0, 9.0, 11.0, 3.0)


def bars(*rows):
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def test_a_whole_series_has_neither_gaps_nor_faults():
    found = audit(BARS, bars(*[(place * MINUTE, *GOOD) for place in range(5)]))
    assert (found.rows, found.first_ts, found.last_ts) == (5, 0, 4 * MINUTE)
    assert found.gaps == ()
    assert found.faults_count == 0
    assert found.longest_gap_seconds == 0


def test_gaps_are_listed_with_the_rows_around_them():
    found = audit(BARS, bars(*[(place * MINUTE, *GOOD) for place in (0, 1, 5, 6, 8)]))
    assert found.gaps == (
        Gap(after_ts=MINUTE, before_ts=5 * MINUTE, missing=3),
        Gap(after_ts=6 * MINUTE, before_ts=8 * MINUTE, missing=1),
    )
    assert found.missing == 4
    assert found.longest_gap_seconds == 240
    assert found.as_dict()["gaps"][1] == {
        "after_ts": 6 * MINUTE,
        "before_ts": 8 * MINUTE,
        "missing": 1,
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((MINUTE, 10.0, 9.5, 9.0, 9.2, 1.0), "high or low inside the bar"),
        ((MINUTE, 10.0, 12.0, 10.5, 11.0, 1.0), "high or low inside the bar"),
        ((MINUTE, 10.0, 12.0, -1.0, 11.0, 1.0), "price not positive"),
        ((MINUTE, 10.0, 12.0, 9.0, np.nan, 1.0), "not a number"),
        ((MINUTE, 10.0, 12.0, 9.0, 11.0, -1.0), "volume negative"),
        ((MINUTE + 1, *GOOD), "off the grid"),
        ((0, *GOOD), "not after the row before"),
    ],
)
def test_a_faulty_row_is_named_with_its_reason(row, reason):
    found = audit(BARS, bars((0, *GOOD), row, (2 * MINUTE, *GOOD)))
    assert [(fault.ts, fault.reason) for fault in found.faults] == [(float(row[0]), reason)]


def test_funding_may_come_every_hour_or_every_eight():
    hour = 60 * MINUTE
    rates = np.array([[0, 0.0001], [8 * hour, -0.0001], [9 * hour, 0.02], [18 * hour, 0.2]])
    found = audit(FUNDING, rates)
    assert found.gaps == (Gap(after_ts=9 * hour, before_ts=18 * hour, missing=1),)
    assert [fault.reason for fault in found.faults] == ["impossible rate"]


def test_an_empty_series_is_empty():
    found = audit(BARS, bars())
    assert (found.rows, found.first_ts, found.last_ts, found.gaps) == (0, None, None, ())
