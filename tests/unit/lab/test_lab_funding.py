from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from counterpoise.domain.errors import DataError
from counterpoise.lab.funding import assumed_funding, read_funding
from lab_world import START_NS, charged

HOUR_NS = 3_600 * 10**9
START_MS = START_NS // 10**6
HOUR_MS = 3_600_000


def write_rates(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    times, rates = zip(*rows, strict=True)
    table = pa.table({"ts": pa.array(times, pa.int64()), "rate": pa.array(rates, pa.float64())})
    parquet.write_table(table, folder / f"{name}.parquet")


def test_the_rate_of_the_last_charge_is_what_is_known():
    history = charged([START_NS, START_NS + 8 * HOUR_NS], ["0.0001", "0.0003"])

    assert history.known(START_NS - 1) is None
    assert history.known(START_NS) == (Decimal("0.0001"), START_NS + 8 * HOUR_NS, 8 * HOUR_NS)
    assert history.known(START_NS + 7 * HOUR_NS)[0] == Decimal("0.0001")
    assert history.known(START_NS + 8 * HOUR_NS)[0] == Decimal("0.0003")


def test_each_charge_is_charged_once():
    times = [START_NS + hours * HOUR_NS for hours in (0, 8, 16)]
    history = charged(times, ["0.0001", "0.0002", "0.0003"])

    assert history.charges(START_NS - 1, START_NS) == [Decimal("0.0001")]
    assert history.charges(START_NS, START_NS + 8 * HOUR_NS) == [Decimal("0.0002")]
    assert history.charges(START_NS, START_NS + 24 * HOUR_NS) == [
        Decimal("0.0002"),
        Decimal("0.0003"),
    ]


def test_an_assumed_rate_is_charged_every_eight_hours():
    history = assumed_funding(Decimal("0.0001"))

    assert history.charges(START_NS, START_NS + 24 * HOUR_NS) == [Decimal("0.0001")] * 3
    assert history.charges(START_NS + HOUR_NS, START_NS + 7 * HOUR_NS) == []
    assert history.known(START_NS + HOUR_NS) == (
        Decimal("0.0001"),
        START_NS + 8 * HOUR_NS,
        8 * HOUR_NS,
    )


def test_the_proxy_comes_first_then_the_venue_then_the_assumption(tmp_path):
    write_rates(tmp_path / "funding", "BTCUSDT", [(START_MS, 0.0001)])
    write_rates(tmp_path / "funding", "ETHUSDT", [(START_MS, 0.0002)])
    write_rates(tmp_path / "other", "BTCUSDT", [(START_MS, 0.0009)])

    found = read_funding(
        tmp_path, tmp_path / "other", ("BTCUSDT", "ETHUSDT", "SOLUSDT"), Decimal("0.00005")
    )

    assert [each.source for each in found] == ["proxy", "venue", "assumed"]
    assert found[0].rates == (Decimal("0.0009"),)
    assert found[2].assumed == Decimal("0.00005")


def test_intervals_come_from_the_file_and_late_stamps_are_put_right(tmp_path):
    rows = [(START_MS + 3, 0.0001), (START_MS + 8 * HOUR_MS, 0.0002), (START_MS + 12 * HOUR_MS, 0)]
    write_rates(tmp_path / "funding", "BTCUSDT", rows)

    (found,) = read_funding(tmp_path, None, ("BTCUSDT",), Decimal(0))

    assert [(each - START_NS) // HOUR_NS for each in found.times_ns] == [0, 8, 12]
    assert [int(each) // HOUR_NS for each in found.intervals_ns] == [8, 8, 4]


def test_what_cannot_be_charged_is_refused(tmp_path):
    write_rates(tmp_path / "funding", "BTCUSDT", [(START_MS, 0.0001), (START_MS, 0.0001)])
    with pytest.raises(DataError, match="in row 1: allowed is later than before"):
        read_funding(tmp_path, None, ("BTCUSDT",), Decimal(0))
    write_rates(tmp_path / "funding", "BTCUSDT", [(START_MS, float("nan"))])
    with pytest.raises(DataError, match="allowed is a finite fraction"):
        read_funding(tmp_path, None, ("BTCUSDT",), Decimal(0))
    with pytest.raises(DataError, match=r"--funding .*allowed is a directory"):
        read_funding(tmp_path, tmp_path / "none", ("BTCUSDT",), Decimal(0))
