"""`counterpoise simulator --venue V` as a process: its card, its clock, its end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

import preloaded
from counterpoise.simulator.fault_kinds import RULES
from counterpoise.simulator.opening import LOCK_STEP_OPENED_NS

ROOT = Path(__file__).resolve().parents[2]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def command(*arguments):
    return [sys.executable, "-m", "counterpoise.app.cli.main", "simulator", *arguments]


@contextmanager
def running(*arguments):
    process = preloaded.start(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=sys.stderr.fileno(),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def ask(card, path, body=None):
    request = urllib.request.Request(
        card["rest"] + path, data=None if body is None else json.dumps(body).encode()
    )
    with OPENER.open(request, timeout=20) as response:
        return json.loads(response.read())


@pytest.mark.parametrize("venue", ["okx", "binance", "bybit"])
def test_each_venue_prints_one_line_and_ends_on_sigterm(venue):
    with running("--venue", venue, "--scenario", "calm", "--seed", "3", "--port", "0") as (
        process,
        card,
    ):
        assert set(card) == {"venue", "rest", "ws", "api_key", "secret", "password"}
        assert card["venue"] == venue
        assert card["ws"] == card["rest"].replace("http", "ws")
        state = ask(card, "/_state")
        assert (state["positions"], state["orders"], state["fills"]) == ({}, [], [])
        assert Decimal(state["equity"]) == 10_000
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stdout.read() == ""


def test_lock_step_time_passes_only_when_granted_and_repeats_byte_for_byte(tmp_path):
    logs = []
    for name, grants in (("one", [30.0]), ("many", [0.1, 7.4, 12.5, 10.0])):
        log = tmp_path / name
        with running("--venue", "okx", "--speed", "0", "--event-log", str(log)) as (_, card):
            assert ask(card, "/_state")["now_ns"] == LOCK_STEP_OPENED_NS
            ask(card, "/_shock", {"symbol": "BTCUSDT", "fraction": "-0.01", "seconds": 5})
            for seconds in grants:
                now_ns = ask(card, "/_control", {"advance_seconds": seconds})["now_ns"]
            time.sleep(0.3)
            assert ask(card, "/_state")["now_ns"] == now_ns == LOCK_STEP_OPENED_NS + 30 * 10**9
        logs.append(log.read_bytes())
    assert logs[0].count(b"\n") > 100
    assert logs[0] == logs[1]


def test_an_accelerated_market_runs_at_its_factor():
    with running("--venue", "okx", "--speed", "50") as (_, card):
        began, first_ns = time.monotonic(), ask(card, "/_state")["now_ns"]
        deadline, passed, factor = began + 60, 0.0, 0.0
        # A busy machine holds the venue's clock back; it catches up.
        while not (passed > 50 and factor == pytest.approx(50, rel=0.25)):
            assert time.monotonic() < deadline, f"{passed} s passed, {factor} times the real time"
            time.sleep(0.2)
            passed = (ask(card, "/_state")["now_ns"] - first_ns) / 10**9
            factor = passed / (time.monotonic() - began)


def test_a_scenario_schedules_its_faults(tmp_path):
    script = tmp_path / "trouble.toml"
    script.write_text(
        'name = "trouble"\nsummary = "A transfer after five seconds."\n'
        '[[faults]]\nat_seconds = 5.0\nkind = "transfer"\n'
        'arguments = { value = "75" }\n'
    )
    with running("--venue", "okx", "--speed", "0", "--scenario", str(script)) as (_, card):
        ask(card, "/_control", {"advance_seconds": 4.5})
        assert Decimal(ask(card, "/_state")["wallet_balance"]) == 10_000
        ask(card, "/_control", {"advance_seconds": 1})
        assert Decimal(ask(card, "/_state")["wallet_balance"]) == 10_075


def test_a_simulator_without_its_directory_ends_by_itself(tmp_path):
    state_dir = tmp_path / "venue"
    with running("--venue", "okx", "--state-dir", str(state_dir)) as (process, card):
        assert ask(card, "/_alive")["pid"] == process.pid
        shutil.rmtree(state_dir)
        assert process.wait(15) == 0


def test_what_somebody_else_did_survives_a_kill(tmp_path):
    arguments = ("--venue", "okx", "--speed", "0", "--state-dir", str(tmp_path))
    with running(*arguments) as (_, card):
        ask(card, "/_control", {"kind": "transfer", "value": "11"})
        ask(card, "/_control", {"kind": "instrument_state", "value": "suspend", "symbol": "LTC"
                                "USDT"})  # fmt: skip
        before = ask(card, "/_state")
    with running(*arguments) as (_, card):
        assert ask(card, "/_state") == before
        assert Decimal(before["wallet_balance"]) == 10_011
        rows = ask(card, "/api/v5/public/instruments?instType=SWAP")["data"]
        assert {row["state"] for row in rows if row["instId"] == "LTC-USDT-SWAP"} == {"suspend"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--venue", "kraken"), "--venue kraken: allowed is one of okx, binance, bybit"),
        (("--venue", "okx", "--scenario", "doomsday"), "--scenario doomsday"),
    ],
)
def test_a_wrong_option_is_one_line(arguments, words):
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_docs_show_every_fault_as_the_table_has_it():
    text = (ROOT / "docs" / "simulator.md").read_text()
    for kind, rule in RULES.items():
        words = rule.words + (f"; `value`: {rule.value}" if rule.value else "")
        assert f"| `{kind.value}` | {rule.place.value} | {words} |" in text
