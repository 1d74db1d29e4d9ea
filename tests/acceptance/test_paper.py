"""The daemon on a paper account in a venue's public market: from nothing to flat, over a kill."""

import signal
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.simulator import client
from daemon_process import Daemon, daemon, wait_until

pytestmark = pytest.mark.timeout(300)


def test_it_trades_keeps_its_positions_over_a_kill_replays_and_flattens() -> None:
    # The built-in venue stands in for Bybit's public hosts; nobody has an account there.
    with daemon(venue="bybit", environment="paper", paper_equity="20000") as made:
        port = client.ensure_running(made.simulator_dir, seed=7, venue="bybit")
        made.variables |= {
            "bybit_rest_url": f"http://127.0.0.1:{port}",
            "bybit_public_url": f"ws://127.0.0.1:{port}/v5/public/linear",
        }
        before = made.venue()
        made.start()
        made.wait_for("decision.ended", outcome="done")
        held = made.ledger_positions()
        assert held["BTCUSDT"] > 0
        assert min(held.values()) < 0
        wait_until("a stop per leg", lambda: stops(made) == set(held))
        made.kill()

        mark = made.log_size()
        made.start()
        # It took up what it held: nothing is bought a second time.
        wait_until("two cycles", lambda: len(made.events("decision.made", after=mark)) >= 2)
        again = made.ledger_positions()
        assert set(again) == set(held)
        for name, quantity in held.items():
            assert again[name] == pytest.approx(quantity, rel=Decimal("0.1"))
        with made.reader() as reader:
            rows = reader.decisions(limit=100)
            fills = reader.fills(limit=1_000)
            account_id = rows[0]["account_id"]
            assert {row["account_id"] for row in rows} == {account_id}
        assert account_id.startswith("paper-bybit-")
        # What Bybit's lowest level pays, on the whole of what was traded.
        assert all(
            fill["fee"] == fill["quantity"] * fill["price"] * Decimal("5.5") / 10_000
            for fill in fills
            if fill["liquidity"] == "taker"
        )
        assert all(Decimal(row["leverage_max"]) <= 3 for row in made.cli_json("decisions"))
        replayed = made.cli("replay", "--all")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr

        made.send(signal.SIGQUIT)
        assert made.wait_exit(60) == 0
        assert made.ledger_positions() == {}
        assert stops(made) == set()
        # Nothing of it ever reached the venue.
        after = made.venue()
        assert after["fills_count"] == before["fills_count"] == 0
        assert after["positions"] == {}


def stops(made: Daemon) -> set[str]:
    """Return the instruments in which a stop is on record as waiting."""
    with made.reader() as reader:
        waiting: list[dict[str, Any]] = reader.open_intents(
            reader.decisions(limit=1)[0]["account_id"]
        )
        return {row["instrument_id"] for row in waiting if row["trigger_price"] is not None}
