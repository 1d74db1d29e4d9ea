"""Postgres freezes while a daemon with a book starts: a signal ends the start."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterpoise.ledger.postgres import LocalPostgres
from daemon_process import daemon, wait_until
from frozen_proxy import FrozenProxy

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("venue")]


@pytest.fixture
def server(reachable_path: Path) -> Iterator[LocalPostgres]:
    with LocalPostgres(reachable_path / "postgres", durable=False) as local:
        yield local


@pytest.mark.parametrize("word", [b"schema_version", b"ops.lease", b"audit.pair p"])
def test_a_signal_ends_a_start_whose_database_froze(server: LocalPostgres, word: bytes) -> None:
    with FrozenProxy(server.dsn(), word) as proxy, daemon(database_url=proxy.dsn) as made:
        made.start()
        made.kill()
        proxy.armed.set()
        made.start(wait=False)
        wait_until("the question that freezes it", lambda: proxy.frozen.is_set() or None)
        made.send(signal.SIGTERM)
        # Lease and spool are given up on the way, each in its time.
        assert made.wait_exit(35) == 130
        assert proxy.password not in made.log_path.read_text()
