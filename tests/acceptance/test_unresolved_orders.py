"""An order the evidence leaves open is listed, stated by the operator, and stays stated."""

import signal

import psycopg
import pytest

from counterpoise.ledger.postgres import open_for_cli
from daemon_process import Daemon, daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]

#: Days beyond those any venue remembers executions for: nothing it says proves anything.
AGE_DAYS = 190


def leave_an_old_intent(made: Daemon, client_order_id: str) -> None:
    """Put an increase on record whose end nobody ever wrote, as after a loss of years of logs."""
    with (
        open_for_cli(made.state_dir / "postgres") as server,
        psycopg.connect(server.dsn(), autocommit=True) as connection,
    ):
        connection.execute(
            "CREATE TEMP TABLE older AS SELECT * FROM audit.order_intent "
            "WHERE NOT reduce_only AND instrument_id = 'BTCUSDT' ORDER BY created_ns LIMIT 1"
        )
        age_ns = AGE_DAYS * 86_400 * 10**9
        connection.execute(
            "UPDATE older SET client_order_id = %s, created_ns = created_ns - %s, "
            "expires_ns = expires_ns - %s, spool_seq = 900000 + spool_seq + length(%s)",
            (client_order_id, age_ns, age_ns, client_order_id.rstrip("0")),
        )
        connection.execute("INSERT INTO audit.order_intent SELECT * FROM older")


def stop(made: Daemon) -> None:
    made.send(signal.SIGTERM)
    assert made.wait_exit(60) == 0


def listed(made: Daemon) -> dict[str, dict[str, object]]:
    return {row["client_order_id"]: row for row in made.cli_json("orders", "unresolved")}


def test_an_operator_states_what_no_evidence_says() -> None:
    first, second = "cp1" + "0" * 29, "cp22" + "0" * 28
    with daemon(cycle_seconds=3_600) as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        assert made.cli("orders", "unresolved").stdout == "the fate of every order is known\n"
        stop(made)
        leave_an_old_intent(made, first)
        mark = made.log_size()
        made.start(wait=False)
        made.wait_for("incident.opened", after=mark, kind="order.unresolved")
        row = wait_until("the evidence on record", lambda: listed(made).get(first))
        assert row["unresolved"] is True
        assert row["evidence"] == "it is older than the executions the venue remembers"
        assert row["stated"] is None

        refused = made.cli("orders", "resolve", first, "--filled", "1000", "-r", "a slip")
        assert refused.returncode == 1
        assert "filled cannot be" in refused.stdout
        assert made.cli("orders", "resolve", first, "--absent").returncode == 2
        done = made.cli("orders", "resolve", first, "--absent", "-r", "not in OKX's export")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"order {first} is taken as rejected, filled 0 of" in done.stdout
        wait_until("its end on record", lambda: not listed(made))

        # Stated while nobody runs: the next start takes it up once its evidence is in.
        stop(made)
        leave_an_old_intent(made, second)
        early = made.cli("orders", "resolve", second, "--absent", "-r", "support said so")
        assert early.returncode == 1
        assert "carried out when one runs" in early.stderr
        mark = made.log_size()
        made.start(wait=False)
        made.wait_for("control.handled", after=mark, result="done")
        kinds = [e["summary"] for e in made.events("incident.opened", after=mark)]
        assert not any(first in summary for summary in kinds), "what was stated is asked again"
        wait_until(f"its end on record: {listed(made)}", lambda: not listed(made))
        with made.reader() as reader:
            stated = [row for row in reader.controls() if row["action"] == "resolve_order"]
            orders = {row["client_order_id"]: row for row in reader.orders(limit=100)}
        assert [(r["client_order_id"], r["result"], r["reason"]) for r in stated] == [
            (second, "done", "support said so"),
            (first, "done", "not in OKX's export"),
            (first, "refused", "a slip"),
        ]
        for key in (first, second):
            assert (orders[key]["state"], orders[key]["code"]) == ("rejected", "OPERATOR_STATED")
        stop(made)
