"""The daemon on the built-in venue as Bybit speaks and rules it: from nothing to flat."""

import signal
from decimal import Decimal

import pytest

from daemon_process import daemon, wait_until

pytestmark = pytest.mark.timeout(300)


def test_it_trades_survives_a_power_cut_and_flattens():
    with daemon(simulator_venue="bybit") as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        wait_until("three cycles", lambda: len(made.events("decision.made")) >= 3)
        held = made.venue_positions()
        assert "BTCUSDT" in held
        assert len(held) >= 2
        wait_until("the record to agree", lambda: made.ledger_positions() == made.venue_positions())
        rows = made.cli_json("decisions")
        assert rows[-1]["action"] == "traded"
        assert rows[-1]["orders_filled"] >= 2
        assert all(Decimal(row["leverage_max"]) <= 3 for row in rows)
        replayed = made.cli("replay", "--all")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr

        made.kill()
        mark = made.log_size()
        made.start()
        made.wait_for("decision.made", after=mark)
        assert not made.events("incident", after=mark)
        assert "BTCUSDT" in made.venue_positions()

        made.send(signal.SIGQUIT)
        assert made.wait_exit(60) == 0
        assert made.venue_positions() == {}
        assert made.venue()["open_orders"] == []
        assert made.ledger_positions() == {}
