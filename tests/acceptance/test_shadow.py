"""A daemon with a twin beside it: both on record, and the daemon does not mind the twin's end."""

import json
import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon_process import Daemon, daemon, wait_until

pytestmark = pytest.mark.timeout(240)


def test_a_twin_decides_beside_the_daemon_and_its_end_is_only_an_incident() -> None:
    with daemon(shadow="true") as made:
        made.start()
        account_id = str(made.venue()["account_id"])
        twin_id = f"{account_id}-shadow"
        twin_pid = made.wait_for("shadow.started", account=twin_id)["pid"]
        wait_until("the twin's fills", lambda: {"BTCUSDT", "ETHUSDT"} <= traded(made, twin_id))
        rows = wait_until("a slot of both", lambda: both(made))
        # The twin's orders are the model's: the venue knows the daemon's alone.
        with made.reader() as reader:
            ours = {row["client_order_id"] for row in reader.fills(1_000, account_id)}
            twins = {row["client_order_id"] for row in reader.fills(1_000, twin_id)}
            decisions = reader.decisions(limit=100, account_id=twin_id)
            # What names no account is about the daemon's own.
            assert {row["account_id"] for row in reader.decisions(limit=100)} == {account_id}
            assert {row["account_id"] for row in reader.runs()} == {account_id}
        assert ours
        assert not ours & twins
        known = {fill["client_order_id"] for fill in made.venue()["fills"]}
        assert ours <= known
        assert not twins & known
        assert decisions[-1]["equity"] == Decimal(10_000)
        btc = next(row for row in rows if row["instrument_id"] == "BTCUSDT")
        assert Decimal(btc["live_held"]) > 0
        assert Decimal(btc["twin_held"]) > 0

        mark = made.log_size()
        os.kill(twin_pid, signal.SIGKILL)
        made.wait_for("shadow.ended", after=mark)
        made.wait_for("decision.made", after=mark)
        made.wait_for("decision.made", after=made.log_size())
        with made.reader() as reader:
            wait_until("the incident", lambda: incidents(reader))
            assert "exit code -9" in incidents(reader)[0]["summary"]
        (status,) = made.cli_json("status")
        assert status["trading_state"] == "active"
        made.send(signal.SIGTERM)
        assert made.wait_exit(15) == 0


def test_a_twin_ends_with_its_daemon_and_goes_on_with_the_next() -> None:
    with daemon(shadow="true") as made:
        made.start()
        account_id = str(made.venue()["account_id"])
        twin_id = f"{account_id}-shadow"
        wait_until("the twin's fills", lambda: "BTCUSDT" in traded(made, twin_id))
        twin_pid = made.events("shadow.started")[0]["pid"]
        # kill -9: nobody tells the twin but the end of its pipe.
        made.kill()
        wait_until("the twin to end", lambda: not alive(twin_pid))
        mark = made.log_size()
        made.start()
        made.wait_for("shadow.started", after=mark, account=twin_id)
        wait_until("another cycle of the twin", lambda: runs_of(made, twin_id) == 2)
        made.send(signal.SIGTERM)
        assert made.wait_exit(15) == 0
        wait_until(
            "the second twin to end",
            lambda: not alive(made.events("shadow.started", after=mark)[0]["pid"]),
        )
        assert made.events("shadow.ended") == []
        with made.reader() as reader:
            # It took its positions up: the core was bought once.
            bought = [
                row
                for row in reader.fills(1_000, twin_id)
                if (row["instrument_id"], row["side"]) == ("BTCUSDT", "buy")
            ]
            held = {row["instrument_id"]: row["quantity"] for row in reader.positions(twin_id)}
        sold = held["BTCUSDT"] - sum(row["quantity"] for row in bought)
        assert abs(sold) <= held["BTCUSDT"] / 10


def both(made: Daemon) -> list[dict[str, Any]] | None:
    """Return the newest slot in which both decided, with something held."""
    ran = made.cli("shadow", "--json")
    assert ran.returncode == 0, ran.stderr
    rows = [
        row
        for row in json.loads(ran.stdout)
        if row["live_action"] and row["twin_action"] and row["live_held"] and row["twin_held"]
    ]
    if not any(float(row["live_held"]) and float(row["twin_held"]) for row in rows):
        return None
    return [row for row in rows if row["slot_ns"] == rows[0]["slot_ns"]]


def traded(made: Daemon, account_id: str) -> set[str]:
    """Return the instruments an account has executions in."""
    with made.reader() as reader:
        return {row["instrument_id"] for row in reader.fills(1_000, account_id)}


def runs_of(made: Daemon, account_id: str) -> int:
    """Return in how many runs an account decided."""
    with made.reader() as reader:
        return len({row["run_id"] for row in reader.decisions(limit=1_000, account_id=account_id)})


def incidents(reader: Any) -> list[dict[str, Any]]:
    """Return the incidents of a twin's end."""
    return [row for row in reader.incidents() if row["kind"] == "shadow.ended"]


def alive(pid: int) -> bool:
    """Tell whether a process of another session still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Its parent may not have asked after it yet.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
