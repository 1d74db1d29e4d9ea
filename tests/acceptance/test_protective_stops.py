"""A daemon that is dead still has a floor: its stops rest at the venue and close its legs."""

import time
from decimal import Decimal

import pytest

from counterpoise.simulator import client
from crash_venues import VENUES
from daemon_process import Daemon, daemon, wait_until
from resting_stops import in_step, live_stops, venue_state

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("venue")]

#: Longer than two placings of one leg are apart.
SETTLED_SECONDS = 5.0


def settle(made: Daemon) -> None:
    """Wait until each leg has its stop and no leg traded lately has one still to be moved."""

    def at_rest() -> bool:
        before = ids(made)
        time.sleep(SETTLED_SECONDS)
        return in_step(made) and ids(made) == before

    wait_until("a stop per leg", at_rest, seconds=60)


def explained(made: Daemon) -> bool:
    """Tell whether the record has every execution, each of an order of ours, some of a stop."""
    theirs = {
        (each["instrument_id"], VENUES[made.variables["simulator_venue"]].fill_id(each))
        for each in venue_state(made)["fills"]
    }
    with made.reader() as reader:
        rows = reader.fills(limit=10_000)
        stops = {
            row["client_order_id"]
            for row in reader.orders(limit=10_000)
            if row["source"] == "protection"
        }
    assert all(row["client_order_id"] for row in rows)
    told = {(row["instrument_id"], row["fill_id"]) for row in rows}
    return told == theirs and bool(stops & {row["client_order_id"] for row in rows})


def ids(made: Daemon) -> set[str]:
    return {each["trigger_order_id"] for stops in live_stops(made).values() for each in stops}


def test_stops_outlive_the_daemon_close_what_crashes_and_are_explained_by_the_next() -> None:
    with daemon(cycle_seconds=300) as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        settle(made)
        made.kill()
        placed = ids(made)

        # A restart adopts them; one dropped behind a living daemon is placed anew.
        made.start()
        assert placed & ids(made)
        # Its first decision may move stops by itself; one that it drops anyway is no finding.
        settle(made)
        mark = made.log_size()
        client.fault(made.simulator_dir, "cancel_behind")
        made.wait_for("incident.opened", after=mark, kind="stop.dropped")
        wait_until("a new stop per leg", lambda: in_step(made) or None, seconds=60)
        assert not placed & ids(made)
        made.kill()

        # The market falls through the core's stop while no daemon runs.
        trigger = Decimal(live_stops(made)["BTCUSDT"][0]["trigger_price"])
        now = Decimal(made.venue()["markets"]["BTCUSDT"]["mark"])
        client.shock(made.simulator_dir, "BTCUSDT", trigger / now - 1 - Decimal("0.02"), 6)
        wait_until(
            "the core closed", lambda: "BTCUSDT" not in made.venue_positions() or None, seconds=60
        )
        seen = venue_state(made)
        assert Decimal(seen["equity"]) > 0
        assert [each for each in seen["orders"] if each["trigger_order_id"]]
        nameless = [each for each in seen["orders"] if each["client_order_id"] is None]
        assert all(each["trigger_order_id"] for each in nameless), "the venue liquidated"

        # The next daemon finds the execution, knows whose it is, and closes what hedged it.
        mark = made.log_size()
        made.start(wait=False)
        told = made.wait_for("incident.opened", after=mark, kind="stop.acted")
        assert "BTCUSDT" in told["summary"]
        made.wait_for("decision.made", after=mark, kind="flatten")
        wait_until("flat", lambda: not made.venue_positions() or None, seconds=60)
        wait_until("no stop left", lambda: not live_stops(made) or None, seconds=60)
        wait_until("every execution on record", lambda: explained(made) or None, seconds=60)


def test_a_graceful_stop_leaves_them_and_a_flatten_takes_them_along() -> None:
    with daemon(cycle_seconds=300) as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        settle(made)
        made.send(15)
        assert made.wait_exit(30) == 0
        assert in_step(made)
        made.start()
        made.send(3)
        assert made.wait_exit(90) == 0
        assert made.venue_positions() == {}
        assert live_stops(made) == {}
