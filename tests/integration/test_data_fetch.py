"""`counterpoise data` as users start it, against the simulator's three venues."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from pyarrow import parquet

from ccxt_venues import SEED
from counterpoise.lab.fetch.fetching import FetchPlan, fetch
from counterpoise.venues.history import PublicHistory
from venue_process import venue_process

#: A command that takes longer than this hangs, seconds.
COMMAND_SECONDS_MAX = 60.0
#: From the opening to half a minute behind midnight, market seconds.
PAST_FUNDING_SECONDS = 90.0
#: Added to every answer while the fetch is to be killed, seconds.
LATE_SECONDS = 0.04

MINUTE = 60_000
#: 2026-01-01, the midnight that the simulator in lock-step opens a minute before.
MIDNIGHT = 1_767_225_600_000
SINCE = MIDNIGHT - 13 * 86_400_000


def run(*arguments):
    # What asyncio's debug mode says of a slow machine is nothing the command says.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}
    return subprocess.run(
        [sys.executable, "-m", "counterpoise.app.cli.main", "data", *arguments],
        env=kept,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )


def fetch_arguments(process, directory, *, symbols="BTCUSDT"):
    return [
        "fetch", "--venue", process.venue, "--symbols", symbols, "--since", "2025-12-19",
        "--timeframe", "1m", "--out", str(directory),
        "--address", f"http://127.0.0.1:{process.port}",
    ]  # fmt: skip


async def fetched(process, directory):
    history = PublicHistory(process.venue, address=f"http://127.0.0.1:{process.port}")
    plan = FetchPlan(
        directory=directory, instrument_ids=("BTCUSDT",), timeframe="1m", since_ms=SINCE
    )
    try:
        await history.open(plan.instrument_ids)
        found = await fetch(history, plan, lambda *_: None)
    finally:
        await history.close()
    return {each.series: each for each in found}


def kill_in_the_middle(process, directory):
    """Start a fetch and end it as a power cut would, once some of its answers are on disk."""
    process.fault("delay", seconds=LATE_SECONDS, count=100_000)
    command = [sys.executable, "-m", "counterpoise.app.cli.main", "data"]
    running = subprocess.Popen(
        [*command, *fetch_arguments(process, directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + COMMAND_SECONDS_MAX
    while not list(directory.glob("*/*.parts/*.parquet")):
        assert running.poll() is None, "the fetch was over before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait(COMMAND_SECONDS_MAX)
    process.fault("clear")
    return list(directory.glob("*/*.parts/*.parquet"))


def rows(directory, name):
    return parquet.read_table(directory / f"{name}.parquet").to_pylist()


@pytest.mark.parametrize("venue", ["okx", "binance", "bybit"])
async def test_history_arrives_whole_after_a_kill_and_goes_on(venue, tmp_path):
    names = ("ohlcv_1m/BTCUSDT", "mark_1m/BTCUSDT")
    with venue_process(venue, tmp_path / "log", speed=0, seed=SEED) as process:
        process.advance(PAST_FUNDING_SECONDS)
        kept = kill_in_the_middle(process, tmp_path)
        found = await fetched(process, tmp_path)
        held = {name: rows(tmp_path, name) for name in names}
        process.advance(60.0)
        later = await fetched(process, tmp_path)
        held_later = {name: rows(tmp_path, name) for name in names}
        fundings = rows(tmp_path, "funding/BTCUSDT")
    assert kept
    assert not list(tmp_path.glob("*/*.parts"))
    for name in names:
        assert [row["ts"] for row in held[name]] == list(range(SINCE, MIDNIGHT, MINUTE))
        assert (found[name].gaps, found[name].faults_count) == ((), 0)
        # A minute later there is one bar more, and the others are as they were.
        assert held_later[name][:-1] == held[name]
        assert held_later[name][-1]["ts"] == MIDNIGHT
        assert later[name].rows == len(held[name]) + 1
    assert sum(row["volume"] > 0 for row in held["ohlcv_1m/BTCUSDT"]) > len(kept)
    assert all(row["volume"] == 0 for row in held["mark_1m/BTCUSDT"])
    # The funding of midnight is there, on the minute.
    assert fundings[-1]["ts"] == MIDNIGHT
    assert 0 < abs(fundings[-1]["rate"]) < 0.001


def test_an_unknown_instrument_is_one_line(tmp_path):
    with venue_process("okx", tmp_path / "log", speed=0, seed=SEED) as process:
        done = run(*fetch_arguments(process, tmp_path / "data", symbols="NOPEUSDT"))
    assert done.returncode == 1
    assert done.stderr == "error: okx lists no USDT perpetual NOPEUSDT\n"


def test_check_tells_a_faulty_row(tmp_path):
    import pyarrow as pa

    folder = tmp_path / "ohlcv_1h"
    folder.mkdir()
    names = ["ts", "open", "high", "low", "close", "volume"]
    columns = [[0, 3_600_000], [1.0, 2.0], [2.0, 1.0], [0.5, 1.0], [1.0, 1.0], [0.0, 0.0]]
    parquet.write_table(pa.table(columns, names=names), folder / "BTCUSDT.parquet")
    done = run("check", "--json", "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "ohlcv_1h/BTCUSDT: row 3600000: high or low inside the bar\n"
    (found,) = json.loads(done.stdout)
    assert (found["rows"], found["faults_count"], found["gaps_count"]) == (2, 1, 0)
