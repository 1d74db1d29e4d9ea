"""Starts, watches and stops the built-in server. One process at a time owns it.

The server is the child of a shim that ends it when our process does, even by kill -9. It takes
connections on a socket in its data directory only, with a password from a private file.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

import psycopg
import structlog
from psycopg import sql

from counterpoise.ledger.postgres import binaries as programs
from counterpoise.ledger.postgres import shim
from counterpoise.ledger.postgres.cluster import Cluster, home_of
from counterpoise.ledger.postgres.errors import PostgresBusy, PostgresFailed

#: Longest wait for the server to take connections, seconds; a crash's recovery is in it.
START_SECONDS_MAX: Final = 60.0
#: Longest wait for the shim to have stopped the server, seconds.
STOP_SECONDS_MAX: Final = 45.0
#: Pause before a dead server is started again, seconds: the first and the longest.
RESTART_SECONDS_MIN: Final = 0.1
RESTART_SECONDS_MAX: Final = 5.0
#: How often the server's process is looked at, seconds.
WATCH_SECONDS: Final = 0.2
#: After a crash old backends may hold shared memory for a moment: waits between attempts, s.
_SHARED_MEMORY_WAITS: Final = (0.1, 0.3, 1.0, 2.0, 4.0)
#: A name only: there is no TCP, but the socket's file carries a port.
_PORT: Final = 5432
_POLL_SECONDS: Final = 0.02
#: Longest a command waits for the owner's server to get ready, seconds.
_ATTACH_SECONDS_MAX: Final = 30.0

log = structlog.get_logger(__name__)


class LocalPostgres:
    """The built-in server of one state directory."""

    def __init__(
        self,
        root: Path,
        database: str = "counterpoise",
        *,
        owner: str = "counterpoise_owner",
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        service_user: str | None = None,
        binaries: Path | None = None,
    ) -> None:
        """Prepare; nothing is touched before `start`.

        `durable` False turns syncing off, for throw-away tests only; `service_user` runs the
        server when we are root (default: postgres or nobody); `binaries` names the programs.
        """
        self._root = root.expanduser().absolute()
        self._database = database
        self._owner = owner
        self._durable = durable
        self._settings = dict(settings or {})
        self._service_user = service_user
        self._binaries = binaries
        self._cluster: Cluster | None = None
        self._socket: Path | None = None
        self._home: Path | None = None
        self._lock: IO[str] | None = None
        self._shim: subprocess.Popen[bytes] | None = None
        self._stopping = False
        #: Held while a dead server is started again, so that `stop` cannot miss it.
        self._restarting = threading.Lock()

    # -- life --------------------------------------------------------------------------------

    def start(self, lock_wait_seconds: float = 0.0) -> Self:
        """Start the server, making the cluster at the first time, and wait until it is ready.

        Raises PostgresBusy when another process owns it for longer than `lock_wait_seconds`, and
        PostgresFailed with the server's own words.
        """
        account = programs.service_account(_data_of(self._root), self._service_user)
        self._home = home_of(self._root, account)
        self._take_lock(lock_wait_seconds)
        try:
            found = self._binaries or programs.find_binaries()
            self._cluster = Cluster(
                home=self._home,
                binaries=programs.reachable_binaries(found, account),
                account=account,
                owner=self._owner,
                durable=self._durable,
            )
            self._cluster.stop_leftover()
            self._cluster.ensure()
            self._stopping = False
            self._spawn_patiently(self._cluster)
            self._ensure_database()
            self._publish()
        except BaseException:
            self.stop()
            raise
        return self

    def attach(self) -> Self:
        """Use a server that another process owns. Raises PostgresFailed when none is running."""
        pointer = home_of(self._root, None) if self._root.exists() else self._root
        try:
            published = json.loads((pointer / "server.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise PostgresFailed(f"no built-in Postgres runs in {self._root}") from None
        self._home = pointer
        self._socket = Path(published["socket"])
        try:
            psycopg.connect(self.dsn(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            raise PostgresFailed(f"the built-in Postgres does not answer: {error}") from error
        return self

    def stop(self) -> None:
        """Stop the server with a checkpoint and let others in; safe to call twice."""
        self._stopping = True
        with self._restarting:
            self._end_shim()
        if self._lock is not None:
            if self._home is not None:
                (self._home / "server.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    async def supervise(self) -> None:
        """Watch the server until cancelled and start it again when it dies, with back-off."""
        pause = RESTART_SECONDS_MIN
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._stopping or self._running():
                continue
            log.error("postgres.died")
            try:
                # Not ended half way: a thread cannot be, and `stop` comes after us.
                await asyncio.shield(asyncio.to_thread(self._restart))
            except (PostgresFailed, OSError) as error:
                # A full disk fails in either way; it may be given room again.
                log.error("postgres.restart_failed", error=str(error))
                pause = min(pause * 2, RESTART_SECONDS_MAX)
                await asyncio.sleep(pause)
            else:
                log.info("postgres.restarted")
                pause = RESTART_SECONDS_MIN

    def dsn(self, database: str | None = None) -> str:
        """Return "postgresql://owner:password@/database?host=<socket>" for psycopg."""
        assert self._home is not None and self._socket is not None, "neither started nor attached"  # noqa: PT018
        password = quote((self._home / "password").read_text(), safe="")
        host = quote(str(self._socket), safe="/")
        name = database or self._database
        return f"postgresql://{self._owner}:{password}@/{name}?host={host}&port={_PORT}"

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    # -- steps -------------------------------------------------------------------------------

    def _take_lock(self, wait_seconds: float) -> None:
        assert self._home is not None
        deadline = time.monotonic() + wait_seconds
        # A lock dies with its process; a pid in a file would outlive it.
        lock = (self._home / "lock").open("a")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= deadline:
                    lock.close()
                    raise PostgresBusy(
                        f"another process runs the built-in Postgres in {self._root}"
                    ) from None
                time.sleep(_POLL_SECONDS)
            else:
                self._lock = lock
                return

    def _spawn_patiently(self, cluster: Cluster) -> None:
        for wait_seconds in _SHARED_MEMORY_WAITS:
            try:
                self._spawn(cluster)
            except PostgresFailed as error:
                if "pre-existing shared memory" not in str(error):
                    raise
                time.sleep(wait_seconds)
            else:
                return
        self._spawn(cluster)

    def _spawn(self, cluster: Cluster) -> None:
        self._socket = cluster.socket_directory(f".s.PGSQL.{_PORT}.lock")
        command = [str(cluster.binaries / "postgres"), "-D", str(cluster.data)]
        for name, value in self._server_settings(self._socket).items():
            command += ["-c", f"{name}={value}"]
        account = cluster.account
        owner = "-" if account is None else f"{account.uid}:{account.gid}"
        # The file of a crashed server still says "ready".
        stale = cluster.postmaster_lines()[:3]
        with cluster.log.open("ab") as output:
            log_start = output.tell()
            self._shim = subprocess.Popen(  # noqa: S603 - our own file
                [sys.executable, "-I", "-S", str(Path(shim.__file__)), owner, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                env=programs.ENVIRONMENT,
                # A terminal's Ctrl-C is for the daemon, which then stops the server in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            lines = cluster.postmaster_lines()
            if lines[:3] != stale and len(lines) >= 8 and lines[7].strip() == "ready":
                return
            if self._shim.poll() is not None or time.monotonic() > deadline:
                self._end_shim()
                with cluster.log.open("rb") as output:
                    output.seek(log_start)
                    said = output.read()[-1500:].decode(errors="replace").strip()
                raise PostgresFailed(f"Postgres did not start; its log says: {said}")
            time.sleep(_POLL_SECONDS)

    def _server_settings(self, socket: Path) -> dict[str, str]:
        switch = "on" if self._durable else "off"
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(socket),
            "unix_socket_permissions": "0700",
            "max_connections": "40",
            "shared_buffers": "64MB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d/%a ",
            "log_min_duration_statement": "500",
            "idle_in_transaction_session_timeout": "60s",
            "wal_compression": "pglz",
            "max_wal_size": "512MB",
            "fsync": switch,
            "full_page_writes": switch,
            "synchronous_commit": switch,
        }
        if sys.platform == "darwin" and self._durable:
            # There a plain fsync stops at the drive's cache.
            settings["wal_sync_method"] = "fsync_writethrough"
        return settings | self._settings

    def _ensure_database(self) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            known = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(known, (self._database,)).fetchone() is None:
                create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database))
                connection.execute(create)

    def _publish(self) -> None:
        assert self._home is not None
        published = self._home / "server.json"
        building = self._home / "server.json.new"
        try:
            building.write_text(json.dumps({"socket": str(self._socket), "pid": os.getpid()}))
            building.rename(published)
        except OSError as error:
            # For other commands alone: a full disk must not end a server that runs.
            for stale in (published, building):
                with contextlib.suppress(OSError):
                    stale.unlink(missing_ok=True)
            log.warning("postgres.not_published", error=str(error))

    def _running(self) -> bool:
        return self._shim is not None and self._shim.poll() is None

    def _restart(self) -> None:
        assert self._cluster is not None, "restart of a server that never started"
        with self._restarting:
            if self._stopping:
                return
            # The shim may have been killed alone; what it left is ended first.
            self._end_shim()
            self._cluster.stop_leftover()
            self._spawn_patiently(self._cluster)

    def _end_shim(self) -> None:
        running, self._shim = self._shim, None
        if running is None:
            return
        assert running.stdin is not None
        with contextlib.suppress(OSError):
            running.stdin.close()
        try:
            running.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def open_for_cli(root: Path) -> Iterator[LocalPostgres]:
    """Give a command the built-in server: the running one, else one that ends with the command.

    Raises PostgresFailed.
    """
    server = LocalPostgres(root)
    deadline = time.monotonic() + _ATTACH_SECONDS_MAX
    while True:
        try:
            server.start()
        except PostgresBusy:
            try:
                server.attach()
            except PostgresFailed:
                # Its owner is starting or stopping it: one of the two will work soon.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS * 5)
                continue
        break
    try:
        yield server
    finally:
        server.stop()


def _data_of(root: Path) -> Path:
    return home_of(root, None) / "data" if root.exists() else root / "data"
