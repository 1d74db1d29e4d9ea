"""The other ways to stop: flatten and stop, by signal and by command, and a changed configuration."""

import signal

import pytest

from counterpoise.simulator import client
from daemon_process import daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]


def test_sigquit_flattens_and_stops() -> None:
    with daemon() as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        made.send(signal.SIGQUIT)
        assert made.wait_exit(30) == 0
        assert made.venue_positions() == {}
        assert made.ledger_positions() == {}


def test_sigquit_in_the_start_closes_the_book_and_the_next_start_stays_paused() -> None:
    with daemon() as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        made.kill()
        assert made.venue_positions() != {}
        mark = made.log_size()
        made.start(wait=False)
        made.wait_for("warming.started", after=mark)
        made.send(signal.SIGQUIT)
        made.wait_for("stop.waits", after=mark)
        assert made.wait_exit(90) == 0
        assert made.venue_positions() == {}
        mark = made.log_size()
        made.start(wait=False)
        decided = made.wait_for("decision.made", after=mark)
        assert (decided["state"], made.venue_positions()) == ("reducing", {})
        resumed = made.cli("resume")
        assert resumed.returncode == 0, resumed.stderr
        assert "active" in resumed.stdout


def test_sigquit_in_a_start_that_the_venue_refuses_is_carried_out_by_the_next() -> None:
    with daemon() as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        made.kill()
        assert made.venue_positions() != {}
        mark = made.log_size()
        # Candles take their time, and then the venue answers nothing any more.
        for path in ("candle", "line"):
            client.fault(
                made.simulator_dir, "delay", method="GET", path_contains=path, count=1, seconds=4
            )
        made.start(wait=False)
        made.wait_for("warming.started", after=mark)
        made.send(signal.SIGQUIT)
        made.wait_for("stop.waits", after=mark)
        client.fault(made.simulator_dir, "unavailable", method="GET", path_contains="/", count=500)
        assert made.wait_exit(90) == 1
        assert made.wait_for("stop.kept", after=mark)["signal"] == "SIGQUIT"
        assert made.venue_positions() != {}
        client.fault(made.simulator_dir, "clear")
        mark = made.log_size()
        made.start(wait=False)
        wait_until("a flat book", lambda: made.venue_positions() == {} or None)
        decided = made.wait_for("decision.made", after=mark)
        assert decided["state"] == "reducing"
        resumed = made.cli("resume")
        assert resumed.returncode == 0, resumed.stderr
        assert "active" in resumed.stdout


def test_stop_policy_flatten_closes_the_book_on_sigterm() -> None:
    with daemon(stop_policy="flatten") as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        made.send(signal.SIGTERM)
        assert made.wait_exit(30) == 0
        assert made.venue_positions() == {}


def test_commands_do_what_the_signals_do() -> None:
    with daemon() as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        paused = made.cli("pause", "--reason", "lunch")
        assert paused.returncode == 0, paused.stderr
        assert "reducing" in paused.stdout
        resumed = made.cli("resume")
        assert resumed.returncode == 0, resumed.stderr
        assert "active" in resumed.stdout
        flat = made.cli("flatten")
        assert flat.returncode == 0, flat.stderr
        wait_until("a flat book", lambda: made.venue_positions() == {} or None)
        stop = made.cli("stop")
        assert stop.returncode == 0, stop.stderr
        assert made.wait_exit(15) == 0
        again = made.cli("stop")
        assert again.returncode == 1
        assert "nothing to stop" in again.stderr


def test_a_second_daemon_on_the_same_account_is_refused() -> None:
    with daemon() as made:
        made.start()
        second = made.cli("run")
        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        assert "another daemon runs" in second.stderr
        assert "COUNTERPOISE_STATE_DIR" in second.stderr
        made.send(signal.SIGTERM)
        assert made.wait_exit(10) == 0


def test_hangup_with_nothing_changed_goes_on() -> None:
    with daemon() as made:
        made.start()
        mark = made.log_size()
        made.send(signal.SIGHUP)
        assert made.wait_for("configuration.unchanged", after=mark)["level"] == "info"
        assert made.wait_for("decision.made", after=mark)["state"] == "active"
