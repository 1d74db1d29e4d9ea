"""A daemon with a twin beside it: both are on record, and neither needs the other to go on."""

import json
import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon_process import Daemon, daemon, wait_until

pytestmark = pytest.mark.timeout(300)


def test_a_twin_decides_beside_the_daemon_and_is_no_part_of_it() -> None:
    with daemon(shadow="true") as made:
        made.start()
        account_id = str(made.venue()["account_id"])
        twin_id = f"{account_id}-shadow"
        first_pid = made.wait_for("shadow.started", account=twin_id)["pid"]
        wait_until("the twin's core", lambda: "BTCUSDT" in traded(made, twin_id))
        btc = wait_until("a slot of both", lambda: both(made))
        assert Decimal(btc["live_held"]) > 0
        assert Decimal(btc["twin_held"]) > 0
        with made.reader() as reader:
            ours = {row["client_order_id"] for row in reader.fills(1_000, account_id)}
            twins = {row["client_order_id"] for row in reader.fills(1_000, twin_id)}
            assert reader.decisions(100, account_id=twin_id)[-1]["equity"] == Decimal(10_000)
            # What names no account is about the daemon's own.
            assert {row["account_id"] for row in reader.decisions(limit=100)} == {account_id}
            assert {row["account_id"] for row in reader.runs()} == {account_id}
        # The twin's orders are the model's: the venue knows the daemon's alone.
        known = {fill["client_order_id"] for fill in made.venue()["fills"]}
        assert ours
        assert ours <= known
        assert not twins & known

        # kill -9: nobody tells the twin but the end of its pipe. The next one goes on from it.
        made.kill()
        wait_until("the twin to end", lambda: not alive(first_pid))
        mark = made.log_size()
        made.start()
        twin_pid = made.wait_for("shadow.started", after=mark, account=twin_id)["pid"]
        wait_until("another cycle of the twin", lambda: runs_of(made, twin_id) == 2)
        assert made.events("shadow.ended") == []
        with made.reader() as reader:
            bought = sum(
                row["quantity"]
                for row in reader.fills(1_000, twin_id)
                if (row["instrument_id"], row["side"]) == ("BTCUSDT", "buy")
            )
            held = {row["instrument_id"]: row["quantity"] for row in reader.positions(twin_id)}
        assert bought == pytest.approx(held["BTCUSDT"], rel=Decimal("0.1"))

        # The daemon does not mind the twin's end.
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
        # Decisions of both are computed again.
        replayed = made.cli("replay", "--all")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
        made.send(signal.SIGTERM)
        assert made.wait_exit(15) == 0


def both(made: Daemon) -> dict[str, Any] | None:
    """Return the core's newest slot in which both decided and held it."""
    ran = made.cli("shadow", "--json")
    assert ran.returncode == 0, ran.stderr
    for row in json.loads(ran.stdout):
        held = (row["live_held"], row["twin_held"])
        if row["instrument_id"] == "BTCUSDT" and all(each and Decimal(each) for each in held):
            return dict(row)
    return None


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
