"""Stops in mid-cycle, flattens that meet refusals, an upgrade with positions open, explanations."""

import signal

import pytest

from counterpoise.simulator import client
from counterpoise.strategy.parameters import STRATEGY_VERSION
from daemon_process import Daemon, daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]


@pytest.mark.parametrize("policy", ["hold", "flatten"])
def test_a_stop_in_mid_cycle_ends_clean_and_the_record_explains_what_is_held(policy: str) -> None:
    with daemon(stop_policy=policy) as made:
        made.open_venue()
        client.fault(
            made.simulator_dir,
            "delay",
            method="POST",
            path_contains=made.order_path,
            count=3,
            seconds=1.5,
            stage="answer",
        )
        made.start(wait=False)
        made.wait_for("order.sent")
        sent_before = len(made.events("order.sent"))
        made.send(signal.SIGTERM)
        assert made.wait_exit(40) == 0
        later = made.events("order.sent")[sent_before:]
        assert all(order["reduce_only"] for order in later), "no leg may follow a stop"
        assert made.venue()["open_orders"] == []
        held = made.venue_positions()
        # Hedges whose core may not follow any more are unwound; none is left alone but one that is
        # smaller than the core alone may be, which is no pair: a busy machine can make it one. On
        # such a machine the six seconds of a stop can be over before the unwinding is; it says so.
        alone = policy == "hold" and paired(made) and bool(held) and "BTCUSDT" not in held
        assert held == {} or policy == "hold", made.log_tail()
        assert not alone or "still open" in made.events("daemon.stopped")[-1]["reason"], (
            made.log_tail()
        )
        assert made.ledger_positions() == held
        made.variables["stop_policy"] = "hold"
        mark = made.log_size()
        made.start()
        assert made.events("incident.opened", after=mark) == []
        wait_until(
            "no hedge alone",
            lambda: not alone or not (left := made.venue_positions()) or "BTCUSDT" in left,
        )
        made.send(signal.SIGTERM)
        assert made.wait_exit(20) == 0


def test_a_flatten_goes_on_through_refusals_and_asking_twice_changes_nothing() -> None:
    with daemon() as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        client.fault(
            made.simulator_dir,
            "rate_limited",
            method="POST",
            path_contains=made.order_path,
            count=2,
        )
        for _ in range(2):
            flat = made.cli("flatten")
            assert flat.returncode == 0, flat.stderr
            assert "reducing" in flat.stdout
        wait_until("a flat book", lambda: made.venue_positions() == {} or None)
        wait_until("a flat record", lambda: made.ledger_positions() == {} or None)
        assert all(o["reduce_only"] for o in made.events("order.sent") if o["source"] == "flatten")
        said = made.cli("resume", "--explain")
        assert said.returncode == 0, said.stderr
        assert "operator" in said.stdout
        assert "counterpoise resume" in said.stdout
        made.send(signal.SIGTERM)
        assert made.wait_exit(20) == 0
        # Without a daemon the record says what the next one would find.
        said = made.cli("resume", "--explain")
        assert said.returncode == 0, said.stderr
        assert "A person paused it." in said.stdout
        mark = made.log_size()
        made.start()
        assert made.cli("resume").returncode == 0
        again = made.wait_for("decision.made", after=mark, state="active")
        assert again["action"] in {"traded", "unchanged"}
        said = made.cli("resume", "--explain")
        assert "nothing holds it back" in said.stdout or "STALE" in said.stdout


def test_a_newer_version_adopts_what_the_old_one_held() -> None:
    # A hedge's place in the ADL queue moves with the market, and with it what the hedge counts.
    with daemon(rules_off="adl_credit") as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        made.send(signal.SIGTERM)
        assert made.wait_exit(20) == 0
        held = made.venue_positions()
        assert held
        fills = made.venue()["fills_count"]
        made.variables["cycle_seconds"] = "60"
        made.strategy_version = "99.0.0"
        mark = made.log_size()
        made.start(wait=False)
        first = made.wait_for("decision.made", after=mark)
        assert first["action"] == "unchanged", first
        assert made.venue_positions() == held
        assert made.venue()["fills_count"] == fills
        assert made.events("incident.opened", after=mark) == []
        with made.reader() as reader:
            # A stop that rests at the venue may have been moved since; that is no cycle.
            cycles = [row for row in reader.decisions(limit=20) if row["kind"] == "cycle"]
            newest, *older = cycles
            assert newest["strategy_version"] == "99.0.0"
            assert {row["strategy_version"] for row in older} == {STRATEGY_VERSION}
            kept = reader.memory_last(newest["account_id"])
        assert kept is not None
        assert kept["strategy_version"] == "99.0.0"
        # Rows of the other version are reported, not failed.
        assert made.cli("replay", "--all").returncode == 0
        made.send(signal.SIGTERM)
        assert made.wait_exit(20) == 0


def paired(made: Daemon) -> bool:
    """Tell whether a decision had legs that could stand alone."""
    with made.reader() as reader:
        return bool(reader.rows("SELECT FROM audit.pair LIMIT 1"))
