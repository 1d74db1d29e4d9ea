"""A baseline trades live by the same path as the strategy, and computes again byte for byte."""

from decimal import Decimal

import pytest

from daemon_process import daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]


def test_a_static_hedge_is_set_once_and_held() -> None:
    with daemon(POLICY="static_hedge") as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        wait_until("three cycles", lambda: len(made.events("decision.made")) >= 3)
        held = made.venue_positions()
        assert set(held) == {"BTCUSDT", "ETHUSDT"}
        assert held["BTCUSDT"] > 0 > held["ETHUSDT"]
        rows = made.cli_json("decisions")
        # A start on a busy machine may decide before its account stream has spoken.
        assert sum("POLICY_SET" in row["reasons"] for row in rows) == 1
        assert "POLICY_HELD" in rows[0]["reasons"]
        assert rows[0]["action"] == "unchanged"
        assert Decimal(rows[0]["leverage_max"]) < Decimal("2.7")
        ran = made.cli("replay", "--all")
        assert ran.returncode == 0, ran.stdout + ran.stderr
