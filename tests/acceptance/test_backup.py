"""The runbook of docs/backup.md, step by step: dump, restore elsewhere, verify, replay, resume."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from counterpoise.ledger.postgres import LocalPostgres
from daemon_process import Daemon, daemon, wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def elsewhere() -> Iterator[LocalPostgres]:
    """An empty server of its own, as another machine would have."""
    path = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        with LocalPostgres(path / "postgres", durable=False) as server:
            yield server
    finally:
        shutil.rmtree(path, ignore_errors=True)


def said(made: Daemon, *words: str, code: int = 0) -> str:
    ran = made.cli(*words, timeout=120)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def stop(made: Daemon) -> None:
    made.send(signal.SIGTERM)
    assert made.wait_exit(20) == 0


def test_a_dump_is_restored_elsewhere_and_the_daemon_goes_on(
    elsewhere: LocalPostgres, tmp_path: Path
) -> None:
    with daemon(first_start=True, checkpoints=tmp_path / "heads.jsonl") as made:
        # A machine that others use makes the first start slow.
        made.patience_seconds = 150.0
        made.start(wait=False)
        made.wait_for("decision.ended", outcome="done")
        file = tmp_path / "backup" / "record.dump"
        assert "bytes" in said(made, "database", "dump", str(file))
        assert "exists" in said(made, "database", "dump", str(file), code=1)
        stop(made)
        # The last run's end is in the second dump only.
        last = tmp_path / "backup" / "last.dump"
        said(made, "database", "dump", str(last))
        verified = said(made, "audit", "verify")
        counted = json.loads(made.cli("replay", "--all", "--json").stdout)

        with daemon(first_start=True) as embedded:
            # An empty state directory is an empty embedded server.
            said(embedded, "database", "restore", str(last))
            assert said(embedded, "audit", "verify") == verified

        made.variables["database_url"] = elsewhere.dsn()
        assert "is restored" in said(made, "database", "restore", str(last))
        assert "holds a record already" in said(made, "database", "restore", str(last), code=1)
        assert said(made, "audit", "verify") == verified
        assert json.loads(made.cli("replay", "--all", "--json").stdout) == counted
        assert {row["result"] for row in counted} == {"equal"}
        assert "\nbalanced;" in said(made, "books")
        with psycopg.connect(elsewhere.dsn(), autocommit=True) as owner:
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                owner.execute("DELETE FROM audit.fill")
            decided = owner.execute("SELECT count(*) FROM audit.decision").fetchone()
        assert decided == (len(counted),)

        made.start()
        wait_until("a second decision", lambda: len(made.events("decision.made")) > len(counted))
        stop(made)
        assert "nothing was changed" in said(made, "audit", "verify")
        assert "\nbalanced;" in said(made, "books")
        more = json.loads(made.cli("replay", "--all", "--json").stdout)
        assert [row["decision_id"] for row in more[: len(counted)]] == [
            row["decision_id"] for row in counted
        ]
        assert len(more) > len(counted)


def test_an_older_dump_shows_that_the_end_is_missing_and_is_gone_on_from(
    elsewhere: LocalPostgres, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    with daemon(first_start=True, checkpoints=heads) as made:
        # A machine that others use makes the first start slow.
        made.patience_seconds = 150.0
        made.start(wait=False)
        made.wait_for("decision.ended", outcome="done")
        old = tmp_path / "old.dump"
        said(made, "database", "dump", str(old))
        mark = made.log_size()
        made.wait_for("decision.made", after=mark)
        stop(made)
        # The machine is lost, its spool with it; what the venue knows comes back from the venue.
        shutil.move(made.state_dir / "spool", tmp_path / "lost")
        made.variables["database_url"] = elsewhere.dsn()
        said(made, "database", "restore", str(old))
        told = said(made, "audit", "verify", "--checkpoints", str(heads), code=1)
        assert "head_missing" in told
        assert "nothing was changed" not in told
        made.variables["checkpoints"] = str(tmp_path / "heads-2.jsonl")
        mark = made.log_size()
        made.start(wait=False)
        made.wait_for("decision.made", after=mark)
        stop(made)
        assert "nothing was changed" in said(made, "audit", "verify")
        venue = made.venue_positions()
        booked = {
            row["instrument_id"]: row["expected"]
            for row in json.loads(said(made, "books", "--json"))[0]["positions"]
        }
        assert {name: float(q) for name, q in venue.items()} == {
            name: float(quantity) for name, quantity in booked.items() if float(quantity)
        }
        assert "\nbalanced;" in said(made, "books")
