"""Observe mode decides and never sends; a run of the daemon loads no part of the model."""

import subprocess
import sys

import pytest

from daemon_process import daemon, wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("venue")]


def test_observing_decides_and_sends_nothing() -> None:
    with daemon(mode="observe") as made:
        made.start()
        wait_until("two cycles", lambda: len(made.events("decision.made")) >= 2 or None)
        assert made.venue_positions() == {}
        assert made.venue()["fills_count"] == 0
        rows = made.cli_json("decisions")
        assert all("OBSERVE_MODE" in row["reasons"] for row in rows)
        assert all(row["action"] == "blocked" for row in rows)
        assert made.cli("replay", "--all").returncode == 0


def test_the_daemon_imports_no_exchange_simulator_or_lab() -> None:
    program = (
        "import sys, counterpoise.app.daemon as d; "
        "print([m for m in sys.modules if m.split('.')[:2] in "
        "(['counterpoise','exchange'],['counterpoise','simulator'],['counterpoise','lab'])])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "[]"
