"""Postgres goes away while the daemon runs: nothing increases, reductions go out, all is kept."""

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from counterpoise.ledger.postgres import LocalPostgres
from counterpoise.ledger.reader import LedgerReader
from counterpoise.simulator import client
from daemon_process import daemon, wait_until

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("venue")]


@pytest.fixture
def server(reachable_path: Any) -> Iterator[LocalPostgres]:
    local = LocalPostgres(reachable_path / "postgres")
    local.start()
    yield local
    local.stop()


def test_reductions_go_on_without_postgres_and_the_record_follows(server: LocalPostgres) -> None:
    with daemon(
        database_url=server.dsn(), cycle_seconds=3_600, hedge_ratio="3.0", leverage_soft="2.75"
    ) as made:
        made.start_with_whole_book(Decimal("2.5"))
        wait_until("the first rows", lambda: count(server, "decision") >= 1 or None)
        before = made.venue_positions()
        server.stop()
        mark = made.log_size()
        made.wait_for("trading_state.changed", after=mark, state="reducing")
        for name in ("ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT"):
            client.shock(made.simulator_dir, name, Decimal("0.12"), 6)
        decided = made.wait_for("decision.made", after=mark, kind="guard")
        made.wait_for("decision.ended", after=mark, decision=decided["decision"])
        sent = made.events("order.sent", after=mark)
        assert sent
        assert all(order["reduce_only"] for order in sent)
        after = made.venue_positions()
        assert after != before
        assert all(abs(after.get(name, Decimal(0))) <= abs(before[name]) for name in before)
        server.start()
        made.wait_for("trading_state.changed", after=mark, state="active")
        wait_until("the spooled rows", lambda: outcome(server, decided["decision"]))
        assert in_order(server)
        assert recorded(server) == made.venue_positions()


def test_a_cycle_without_postgres_increases_nothing(server: LocalPostgres) -> None:
    with daemon(database_url=server.dsn(), mode="observe") as made:
        # Paused before it ever traded: it wants a whole book from the first cycle on.
        made.start()
        assert made.cli("pause").returncode == 0
        made.send(signal.SIGTERM)
        assert made.wait_exit(10) == 0
        made.variables["mode"] = "trade"
        made.start()
        server.stop()
        mark = made.log_size()
        made.send(signal.SIGUSR2)
        made.wait_for("decision.made", after=mark, action="blocked")
        mark = made.log_size()
        made.wait_for("decision.made", after=mark, action="blocked")
        assert made.venue()["fills_count"] == 0
        server.start()
        made.wait_for("decision.ended", after=mark, outcome="done")
        assert "BTCUSDT" in made.venue_positions()
        wait_until(
            "ledger and venue agree", lambda: recorded(server) == made.venue_positions() or None
        )


def count(server: LocalPostgres, table: str) -> int:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute(f"SELECT count(*) FROM audit.{table}").fetchone()
    assert row is not None
    return int(row[0])


def outcome(server: LocalPostgres, decision_id: str) -> str | None:
    with LedgerReader(server.dsn()) as reader:
        row = reader.decision(decision_id)
    return None if row is None else row["outcome"]


def in_order(server: LocalPostgres) -> bool:
    """Tell whether each row's spool number grew with the moment it was made."""
    with psycopg.connect(server.dsn()) as connection:
        rows = connection.execute(
            "SELECT spool_seq, decided_ns FROM audit.decision ORDER BY spool_seq"
        ).fetchall()
    times = [row[1] for row in rows]
    return times == sorted(times)


def recorded(server: LocalPostgres) -> dict[str, Decimal]:
    with LedgerReader(server.dsn()) as reader:
        return {
            row["instrument_id"]: row["quantity"]
            for row in reader.positions()
            if row["quantity"] != 0
        }


def test_an_unreachable_database_refuses_the_start_with_one_message() -> None:
    with daemon(database_url="postgresql://nobody@127.0.0.1:1/none") as made:
        ran = made.cli("run")
        assert ran.returncode not in (0, None)
        lines = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
        assert len(lines) >= 1
        assert "Traceback" not in ran.stderr
        assert "password" not in json.dumps(lines)
