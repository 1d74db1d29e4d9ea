"""A server that takes bytes and never answers ends a start; it does not hold it for ever."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import conninfo

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.ledger import connections, migrate
from counterpoise.ledger.start_reader import StartReader


class Front:
    """Stands before a server and passes bytes on until it is frozen."""

    def __init__(self, dsn: str) -> None:
        self._to = conninfo.conninfo_to_dict(dsn)
        self.frozen = threading.Event()
        self._over = threading.Event()
        self._front = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._front]
        user, name = self._to["user"], self._to["dbname"]
        password = quote(str(self._to.get("password", "")), safe="")
        port = self._front.getsockname()[1]
        self.dsn = f"postgresql://{user}:{password}@127.0.0.1:{port}/{name}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                near, _ = self._front.accept()
                far = self._server()
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _server(self) -> socket.socket:
        host, port = str(self._to["host"]), str(self._to.get("port", "5432"))
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        found = socket.socket(socket.AF_UNIX)
        found.connect(f"{host}/.s.PGSQL.{port}")
        return found

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self.frozen.is_set():
                    self._over.wait(60)
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def front(database: str) -> Iterator[Front]:
    made = Front(database)
    yield made
    made.close()


def test_a_starts_questions_end_where_the_server_freezes(front: Front) -> None:
    with StartReader(front.dsn, seconds_max=1.0) as reader:
        assert reader.positions("nobody") == []
        front.frozen.set()
        with pytest.raises(LedgerUnavailable, match="Postgres does not answer"):
            reader.positions("nobody")


def test_taking_a_role_on_ends_where_the_server_freezes(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ROUND_TRIP_SECONDS", 1.0)
    connect = psycopg.connect

    def frozen_after(*args: object, **named: object) -> object:
        made = connect(*args, **named)  # type: ignore[arg-type]
        front.frozen.set()
        return made

    monkeypatch.setattr(psycopg, "connect", frozen_after)
    with pytest.raises(LedgerUnavailable, match="Postgres does not answer"):
        StartReader(front.dsn)


def test_a_visit_that_ended_in_time_is_left_alone(front: Front) -> None:
    connection = connections.open_sync(front.dsn, "test")
    with connections.Deadline(connection, 0.2):
        assert connection.execute("SELECT 1").fetchone() == (1,)
    threading.Event().wait(0.4)
    assert connection.execute("SELECT 2").fetchone() == (2,)
    connection.close()


def test_a_migration_does_not_wait_for_a_frozen_server(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOOK_SECONDS_MAX", 1.0)
    look = migrate._revision

    def frozen_before(connection: sa.Connection) -> str | None:
        front.frozen.set()
        return look(connection)

    monkeypatch.setattr(migrate, "_revision", frozen_before)
    with pytest.raises(LedgerUnavailable, match="did not answer for 1 s"):
        migrate.upgrade(front.dsn, migrate.find_scripts())


def test_a_start_says_that_another_one_migrates(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOOK_SECONDS_MAX", 1.0)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [migrate._LOCK_KEY])
        with pytest.raises(LedgerUnavailable, match="another `counterpoise` migrates it"):
            migrate.upgrade(database, migrate.find_scripts())
        other.rollback()
    scripts = migrate.find_scripts()
    assert migrate.upgrade(database, scripts) == migrate.head(scripts)
