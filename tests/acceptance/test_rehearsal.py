"""A bad day rehearsed by the real daemon: the market squeezes and the venue misbehaves at once."""

import json
import signal
import urllib.request
from collections import Counter
from decimal import Decimal

import pytest

from counterpoise.simulator import client
from daemon_process import Daemon, daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]

#: Cycles the trouble lasts.
CYCLES = 4


def test_a_squeeze_on_a_venue_that_misbehaves() -> None:
    with daemon(cycle_seconds=5) as made:
        made.open_venue()
        misbehave(made)
        made.start()
        for name in ("ETHUSDT", "SOLUSDT", "XRPUSDT"):
            client.shock(made.simulator_dir, name, Decimal("0.04"), 8)
        client.shock(made.simulator_dir, "BTCUSDT", Decimal("-0.02"), 8)
        wait_until(
            "some cycles of it", lambda: len(made.events("decision.ended")) >= CYCLES, seconds=90
        )
        client.fault(made.simulator_dir, "clear")
        made.send(signal.SIGTERM)
        assert made.wait_exit(20) == 0

        truth = made.venue()
        assert truth["open_orders"] == []
        held = made.venue_positions()
        assert held, "it holds a book, or nothing was rehearsed"
        assert made.ledger_positions() == held, made.log_tail()
        with made.reader() as reader:
            highest = max(row["leverage_max"] for row in reader.decisions(limit=1_000))
            intended = [row["client_order_id"] for row in reader.orders(limit=1_000)]
            filled = reader.fills(limit=1_000)
        assert Decimal(0) < highest < Decimal("3.2")
        assert len(intended) == len(set(intended))

        # What the venue took, in its own words: each order once, each fill in the record once.
        accepted = Counter(order["client_order_id"] for order in orders_accepted(made))
        assert set(accepted) <= set(intended)
        assert set(accepted.values()) == {1}
        assert Counter(row["client_order_id"] for row in filled) == Counter(
            fill["client_order_id"] for fill in truth["fills"]
        )


def misbehave(made: Daemon) -> None:
    """Twice told, never told, refused after it was done, and silence: through the whole test."""
    lasting = {"count": 0, "duration_seconds": 120.0}
    for kind, more in (
        ("duplicate_private", {"probability": 0.3, **lasting}),
        ("lose_private", {"probability": 0.15, **lasting}),
        ("reorder_private", {"probability": 0.15, **lasting}),
        # The venue has the order; the daemon hears 5xx, an empty answer, or nothing in time.
        ("unavailable", {"path_contains": made.order_path, "method": "POST", "stage": "answer"}),
        ("http_200_empty", {"path_contains": made.order_path, "method": "POST"}),
        ("drop_after_read", {"path_contains": made.order_path, "method": "POST"}),
    ):
        client.fault(made.simulator_dir, kind, **more)


def orders_accepted(made: Daemon) -> list[dict[str, str]]:
    """Every order the venue ever took, as `GET /_state` lists them."""
    url = f"http://127.0.0.1:{client.read_port(made.simulator_dir)}/_state"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())["orders"]
