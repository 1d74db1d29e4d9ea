"""`counterpoise instruments` on a venue's public market, against the venue's own truth."""

import json
import os
import sys
from decimal import Decimal

import pytest

import preloaded
from ccxt_venues import SEED
from venue_process import venue_process

#: A command that takes longer than this hangs, seconds.
COMMAND_SECONDS_MAX = 90.0


@pytest.mark.parametrize("venue", ["okx", "binance", "bybit"])
def test_candidates_are_ranked_by_what_the_venue_shows(venue, tmp_path):
    with venue_process(venue, tmp_path / "log", speed=0, seed=SEED) as process:
        done = preloaded.run(
            [
                sys.executable, "-m", "counterpoise.app.cli.main", "instruments",
                "--venue", venue, "--address", f"http://127.0.0.1:{process.port}",
                "--candidates", "DOGEUSDT,ETHUSDT", "--days", "4", "--json",
            ],
            env=os.environ,
            timeout=COMMAND_SECONDS_MAX,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        truth = process.truth()["markets"]
    rows = {row["instrument_id"]: row for row in json.loads(done.stdout)}
    # Both follow the market's one factor; ether does so more closely.
    assert [row["rank"] for row in rows.values()] == [1, 2]
    assert list(rows) == ["ETHUSDT", "DOGEUSDT"]
    for name, row in rows.items():
        assert (row["side"], row["chosen"], row["refused"]) == ("short", True, "")
        assert -1 < row["leg_correlation"] < -0.4
        assert 0.5 < row["beta"] < 2
        assert row["history_days"] == pytest.approx(4, abs=0.1)
        assert 0 < row["spread_bps"] < 10
        assert Decimal(row["depth_quote"]) > 100_000
        assert row["volume_quote"] > 10_000_000
        # Three charges a day, and a round trip's cost over a week.
        assert abs(row["carry_bps_per_day"]) < 30
        assert row["cost_bps_per_day"] == pytest.approx(
            2 * (5 + 2 + row["spread_bps"] / 2) / 7, rel=1e-6
        )
        lots = Decimal(row["order_min"]) / Decimal(str(truth[name]["mark"]))
        assert 0 < lots < 100


def test_an_unknown_candidate_is_one_line(tmp_path):
    with venue_process("okx", tmp_path / "log", speed=0, seed=SEED) as process:
        done = preloaded.run(
            [
                sys.executable, "-m", "counterpoise.app.cli.main", "instruments",
                "--address", f"http://127.0.0.1:{process.port}", "--candidates", "NOPEUSDT",
            ],
            env=os.environ,
            timeout=COMMAND_SECONDS_MAX,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: okx lists no USDT perpetual NOPEUSDT\n"
