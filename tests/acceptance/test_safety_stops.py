"""Stops in mid-cycle, flattens that meet refusals, an upgrade with positions open, explanations."""

import signal
from decimal import Decimal

import pytest

from counterpoise.simulator import client
from counterpoise.strategy.parameters import STRATEGY_VERSION
from daemon_process import Daemon, daemon, wait_until

#: More than the net exposure that the first decision in these tests ends with, as a fraction of
#: equity: 0.39, counted in betas.
NET_OF_EQUITY = Decimal("0.5")

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
        assert held == {} or policy == "hold", made.log_tail()
        # Hedges whose core may not follow any more are unwound, down to what the decision would have
        # left open anyhow: that much alone is no pair that stands naked. The six seconds of a stop
        # can be over before on a busy machine; it says so.
        alone = bool(held) and "BTCUSDT" not in held
        assert not alone or alone_of_equity(made, held) <= NET_OF_EQUITY or still_open(made), (
            made.log_tail()
        )
        assert made.ledger_positions() == held
        made.variables["stop_policy"] = "hold"
        mark = made.log_size()
        made.start()
        assert made.events("incident.opened", after=mark) == []
        wait_until(
            "no hedge alone",
            lambda: (
                not alone
                or "BTCUSDT" in (left := made.venue_positions())
                or alone_of_equity(made, left) <= NET_OF_EQUITY
            ),
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


def alone_of_equity(made: Daemon, held: dict[str, Decimal]) -> Decimal:
    """Return what hedges without their core are worth, as a fraction of the first equity."""
    sent = [event for event in made.events("order.sent") if event["price_limit"] != "None"]
    prices = {event["instrument"]: Decimal(event["price_limit"]) for event in sent}
    equity = Decimal(made.events("decision.made")[0]["equity"])
    return sum((abs(q) * prices[name] for name, q in held.items()), Decimal(0)) / equity


def still_open(made: Daemon) -> bool:
    """Tell whether the last stop said that it was not done."""
    return "still open" in made.events("daemon.stopped")[-1]["reason"]
