"""A daemon that is killed: the next start finds what happened and goes on."""

import json
import signal

import pytest

from counterpoise.simulator import client
from daemon_process import Daemon, daemon, wait_until
from resting_stops import venue_state

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]


@pytest.mark.parametrize("stage", ["request", "answer"])
def test_kill_in_mid_cycle_then_start_again(stage: str) -> None:
    with daemon() as made:
        # The orders of the first cycle are on their way, not yet carried out ("request") or
        # carried out but not yet answered ("answer"), when the daemon dies.
        made.open_venue()
        client.fault(
            made.simulator_dir,
            "delay",
            method="POST",
            path_contains=made.order_path,
            count=3,
            seconds=1.5,
            stage=stage,
        )
        made.start(wait=False)
        said = made.wait_for("decision.made", action="traded")
        made.wait_for("order.sent")
        if stage == "answer":
            wait_until("fills", lambda: made.venue()["fills_count"] >= 1)
        made.kill()
        # The stream may have told every end before the kill; then the cycle was not cut off.
        ends = {
            entry["outcome"]
            for entry in made.events("decision.ended")
            if entry["decision"] == said["decision"]
        }
        assert stage == "answer" or not ends
        made.start()
        made.wait_for("decision.made")
        wait_until("every order ended", lambda: orders_open(made) == 0 or None)
        # The slow orders of the dead daemon have been carried out by the venue or never will be.
        wait_until(
            "ledger and venue agree", lambda: made.ledger_positions() == made.venue_positions()
        )
        with made.reader() as reader:
            first = reader.decision(said["decision"])
            assert first is not None
            if not ends:
                paired = reader.rows(
                    "SELECT FROM audit.pair WHERE decision_id = %(decision)s",
                    decision=said["decision"],
                )
                if paired:
                    # The new daemon went on with it: complete, unwound, or nothing stood alone.
                    assert first["outcome"] in {"done", "unwound", "incomplete"}
                    assert "taken up after a restart" in first["outcome_summary"]
                else:
                    # A core alone within its unhedged limit: the next cycle decides anew.
                    assert first["outcome"] == "interrupted"
            else:
                assert first["outcome"] in ends
            intents = [row["client_order_id"] for row in reader.orders(limit=1_000)]
            account_id = first["account_id"]

            def all_ended() -> bool:
                # Stops that rest at the venue are meant to be open; the new daemon's own orders
                # may be at work for a moment.
                open_now = reader.open_intents(account_id)
                return not [row for row in open_now if row["trigger_price"] is None]

            wait_until("every intent ended", all_ended)
        assert len(intents) == len(set(intents))
        taken = [o["client_order_id"] for o in venue_state(made)["orders"]]
        assert len(taken) == len(set(taken)), "an order was sent twice"
        wait_until("every execution on record", lambda: executed(made) == recorded(made))
        assert float(made.venue()["gross_exposure"]) <= 3 * float(made.venue()["equity"])
        made.send(signal.SIGTERM)
        assert made.wait_exit(10) == 0


def executed(made: Daemon) -> set[str]:
    return {fill["client_order_id"] for fill in made.venue()["fills"]}


def recorded(made: Daemon) -> set[str]:
    with made.reader() as reader:
        return {row["client_order_id"] for row in reader.fills(limit=1_000)}


def orders_open(made: Daemon) -> int:
    (status,) = json.loads(made.cli("status", "--json").stdout)
    return int(status.get("orders_open", 99))


def test_a_kill_between_cycles_changes_nothing_held() -> None:
    # A hedge's place in the ADL queue moves with the market, and with it what the hedge counts.
    with daemon(cycle_seconds=60, rules_off="adl_credit") as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        before = made.venue_positions()
        fills = made.venue()["fills_count"]
        made.kill()
        mark = made.log_size()
        made.start()
        # The end of the decision before may have been lost with the daemon, and comes first then.
        said = made.wait_for("decision.made", after=mark)
        ended = made.wait_for("decision.ended", after=mark, decision=said["decision"])
        assert ended["outcome"] == "nothing_to_do"
        assert made.venue_positions() == before
        assert made.venue()["fills_count"] == fills
        assert made.ledger_positions() == before
        assert made.events("incident.opened", after=mark) == []


def test_a_pause_survives_a_restart() -> None:
    with daemon() as made:
        made.start()
        assert made.cli("pause", "--reason", "night").returncode == 0
        made.kill()
        mark = made.log_size()
        made.start()
        assert made.wait_for("decision.made", after=mark)["state"] == "reducing"
        made.send(signal.SIGTERM)
        assert made.wait_exit(10) == 0
