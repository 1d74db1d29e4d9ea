"""A newcomer's first minutes: cycles, the record, the venue's truth, replay, pause and stop."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from daemon_process import Daemon, daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]


@pytest.fixture(scope="module")
def running(venue: str) -> Iterator[Daemon]:
    with daemon(first_start=True) as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        wait_until("three cycles", lambda: len(made.events("decision.made")) >= 3)
        yield made


def test_cycles_are_on_record_with_reasons(running: Daemon) -> None:
    rows = running.cli_json("decisions")
    assert len(rows) >= 3
    assert rows[-1]["action"] == "traded"
    assert rows[-1]["orders_filled"] >= 2
    for row in rows:
        assert row["reasons"], row
        assert row["summary"]
        assert Decimal(row["leverage_max"]) <= 3


def test_the_record_holds_what_the_venue_holds_to_the_lot(running: Daemon) -> None:
    told = {
        row["instrument_id"]: Decimal(row["quantity"])
        for row in running.cli_json("positions")
        if Decimal(row["quantity"]) != 0
    }
    truth = running.cli("simulator", "state", "--json")
    assert truth.returncode == 0, truth.stderr
    held = {
        name: Decimal(str(position["quantity"]))
        for name, position in json.loads(truth.stdout)["positions"].items()
    }
    assert "BTCUSDT" in held
    assert len(held) >= 2
    assert told == held, running.log_tail()


def test_every_decision_computes_again_byte_for_byte(running: Daemon) -> None:
    ran = running.cli("replay", "--all")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "equal" in ran.stdout


def test_the_record_is_sealed_while_it_is_written(running: Daemon) -> None:
    ran = running.cli("audit", "verify", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["faults"] == []
    assert report["rows"] > 50
    (head,) = report["heads"].values()
    assert head["block_no"] == report["blocks"] > 3


def test_a_decision_explains_itself(running: Daemon) -> None:
    first = running.cli_json("decisions")[-1]["decision_id"]
    ran = running.cli("explain", first)
    assert ran.returncode == 0, ran.stderr
    for words in ("base", "BTCUSDT", "fills", "reasons"):
        assert words in ran.stdout


def test_positions_are_the_sum_of_fills(running: Daemon) -> None:
    def explained() -> bool:
        # The daemon trades on meanwhile, and a busy machine takes a moment to put it on record.
        truth = running.venue_positions()
        with running.reader() as reader:
            total: dict[str, Decimal] = {}
            for fill in reader.fills(limit=1_000):
                signed = fill["quantity"] if fill["side"] == "buy" else -fill["quantity"]
                name = fill["instrument_id"]
                total[name] = total.get(name, Decimal(0)) + signed
        return {name: q for name, q in total.items() if q != 0} == truth != {}

    wait_until("positions that are the sum of fills", explained, 20)


def test_health_is_answered_on_loopback(running: Daemon) -> None:
    address = json.loads((running.state_dir / "daemon.json").read_text())
    base = f"http://127.0.0.1:{address['status_port']}"
    with urllib.request.urlopen(f"{base}/livez", timeout=5) as live:
        assert live.status == 200
    with urllib.request.urlopen(f"{base}/readyz", timeout=5) as ready:
        assert json.loads(ready.read())["trading_state"] == "active"


def test_sigterm_leaves_the_hedged_book_and_no_open_order(running: Daemon) -> None:
    before = running.venue_positions()
    running.send(signal.SIGTERM)
    assert running.wait_exit(10) == 0
    assert running.venue()["open_orders"] == []
    assert running.venue_positions() == before
    assert running.ledger_positions() == before
    with running.reader() as reader:
        last = reader.runs(1)[0]
    assert last["exit_code"] == 0
    assert last["reason"] == "stopped: orders ended, positions left as they are"


def test_a_paused_cycle_says_what_it_would_have_done_and_why_not() -> None:
    with daemon(mode="observe") as made:
        # Paused before it ever traded, so that there is something it wants and may not.
        made.start()
        made.send(signal.SIGUSR1)
        made.wait_for("trading_state.changed", state="reducing")
        made.send(signal.SIGTERM)
        assert made.wait_exit(10) == 0
        made.variables["mode"] = "trade"
        mark = made.log_size()
        made.start()
        said = made.wait_for("decision.made", after=mark, action="blocked", state="reducing")
        row = wait_until("its row", lambda: stored(made, said["decision"]))
        assert row["trading_state"] == "reducing"
        assert "TRADING_REDUCING" in row["reasons"]
        would_have = json.loads(row["outputs"])["decision"]["would_have"]
        assert "BTCUSDT" in {change["instrument_id"] for change in would_have}
        assert made.venue_positions() == {}
        mark = made.log_size()
        made.send(signal.SIGUSR2)
        made.wait_for("trading_state.changed", after=mark, state="active")
        made.wait_for("decision.ended", after=mark, outcome="done")
        assert "BTCUSDT" in made.venue_positions()
        assert made.cli("replay", "--all").returncode == 0


def test_a_pause_during_the_start_holds_from_the_first_cycle_on() -> None:
    with daemon() as made:
        made.start(wait=False)
        made.wait_for("lease.acquired")
        made.send(signal.SIGUSR1)
        said = made.wait_for("decision.made")
        assert said["state"] == "reducing"
        assert made.venue_positions() == {}
        made.send(signal.SIGUSR2)
        made.wait_for("trading_state.changed", state="active")


def stored(running: Daemon, decision_id: str) -> dict[str, Any] | None:
    with running.reader() as reader:
        return reader.decision(decision_id)
