"""The daemon on the built-in venue as Binance speaks and rules it: from nothing to flat."""

import signal
from decimal import Decimal

import pytest

from counterpoise.simulator import client
from daemon_process import daemon, wait_until
from resting_stops import in_step, live_stops

pytestmark = pytest.mark.timeout(300)


def test_it_trades_survives_a_kill_in_mid_cycle_and_flattens() -> None:
    with daemon(simulator_venue="binance") as made:
        # The orders of the first cycle are carried out, not yet answered, when the daemon dies.
        client.ensure_running(made.simulator_dir, seed=7, venue="binance")
        client.fault(
            made.simulator_dir,
            "delay",
            method="POST",
            path_contains="/fapi/v1/order",
            count=3,
            seconds=1.5,
            stage="answer",
        )
        made.start(wait=False)
        said = made.wait_for("decision.made", action="traded")
        made.wait_for("order.sent")
        wait_until("fills", lambda: made.venue()["fills_count"] >= 1)
        made.kill()
        mark = made.log_size()
        made.start()
        made.wait_for("decision.ended", after=mark)
        wait_until("three cycles", lambda: len(made.events("decision.made", after=mark)) >= 3)
        wait_until("the record to agree", lambda: made.ledger_positions() == made.venue_positions())
        # What the dead daemon sent may be on its way for a minute; until then nothing increases.
        wait_until("a core", lambda: "BTCUSDT" in made.venue_positions(), seconds=120)
        wait_until("a stop behind each leg", lambda: in_step(made))
        with made.reader() as reader:
            first = reader.decision(said["decision"])
            assert first is not None
            assert first["outcome"] is not None
            sent = [row["client_order_id"] for row in reader.orders(limit=1_000)]
            fills = {row["client_order_id"] for row in reader.fills(limit=1_000)}
        assert len(sent) == len(set(sent))
        assert {fill["client_order_id"] for fill in made.venue()["fills"]} == fills
        rows = made.cli_json("decisions")
        assert all(Decimal(row["leverage_max"]) <= 3 for row in rows)
        replayed = made.cli("replay", "--all")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr

        made.send(signal.SIGQUIT)
        assert made.wait_exit(60) == 0
        assert made.venue_positions() == {}
        assert made.venue()["open_orders"] == []
        assert live_stops(made) == {}
        assert made.ledger_positions() == {}
