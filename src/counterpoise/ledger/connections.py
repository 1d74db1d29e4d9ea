"""How connections to Postgres are made: time limits everywhere, and the least role that does.

A dead peer shows in at most `KEEPALIVE` seconds; the server ends statements after
`STATEMENT_TIMEOUT_MS`; what neither sees (a frozen server) is timed by the caller.
"""

import asyncio
import contextlib
import re
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

#: Longest wait for a connection, seconds.
CONNECT_TIMEOUT_SECONDS: Final = 5
#: The server ends a statement that runs longer, ms.
STATEMENT_TIMEOUT_MS: Final = 5_000
#: The server ends a statement that waits longer for somebody else's lock, ms.
LOCK_TIMEOUT_MS: Final = 2_000
#: Longest wait for one round trip as the client measures it, seconds.
ROUND_TRIP_SECONDS: Final = 6.0

#: First idle probe, interval and count: a vanished peer is noticed after 11 seconds at most.
_KEEPALIVES_IDLE_SECONDS: Final = 5
_KEEPALIVES_INTERVAL_SECONDS: Final = 2
_KEEPALIVES_COUNT: Final = 3
_TCP_USER_TIMEOUT_MS: Final = 8_000

_ROLE_KNOWN: Final = (
    "SELECT pg_catalog.pg_has_role(oid, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = %s"
)


def connect_arguments(
    application_name: str,
    *,
    statement_ms: int = STATEMENT_TIMEOUT_MS,
    lock_ms: int = LOCK_TIMEOUT_MS,
) -> dict[str, Any]:
    """Return libpq's arguments for a connection that notices when the server is gone.

    `statement_ms` and `lock_ms` are the server's limits, ms; 0 = none.
    """
    options = {
        "statement_timeout": f"{statement_ms}ms",
        "lock_timeout": f"{lock_ms}ms",
        "idle_in_transaction_session_timeout": "30s",
        "tcp_keepalives_idle": str(_KEEPALIVES_IDLE_SECONDS),
        "tcp_keepalives_interval": str(_KEEPALIVES_INTERVAL_SECONDS),
        "tcp_keepalives_count": str(_KEEPALIVES_COUNT),
        "synchronous_commit": "on",
        "timezone": "UTC",
    }
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "keepalives": 1,
        "keepalives_idle": _KEEPALIVES_IDLE_SECONDS,
        "keepalives_interval": _KEEPALIVES_INTERVAL_SECONDS,
        "keepalives_count": _KEEPALIVES_COUNT,
        "tcp_user_timeout": _TCP_USER_TIMEOUT_MS,
        "application_name": application_name,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }


def place(url: str) -> str:
    """Return where a database is, for a person: its name and server, no user and no password."""
    parts = conninfo_to_dict(libpq_dsn(url))
    server = parts.get("host") or parts.get("hostaddr") or "its default server"
    port = f", port {parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('dbname') or 'of the default name'} at {server}{port}"


def check(url: str) -> None:
    """Refuse a URL that libpq and SQLAlchemy cannot read, or read apart; never says its parts.

    Raises ValueError.
    """
    before, at, _ = libpq_dsn(url).partition("://")[2].rpartition("@")
    try:
        conninfo_to_dict(libpq_dsn(url))
        sqlalchemy_url(url)
        # Where one of these stands before an "@" it is anybody's guess where the password ends.
        plain = not at or not any(sign in before for sign in "/?@")
    except (psycopg.Error, sa.exc.ArgumentError, ValueError):
        plain = False
    if not plain:
        raise ValueError(
            "it cannot be read as postgresql://user:password@host:port/database; write special "
            "characters of the password percent-encoded (% as %25, @ as %40, / as %2F, ? as %3F, "
            "# as %23)"
        )


def words(error: BaseException, url: str) -> str:
    """Return an error's own words without the URL's password, for a log line or a message."""
    said = str(error)
    written = re.match(r"[^:/?@]*:([^@]*)@", url.partition("://")[2])
    secrets = {written[1]} if written else set()
    with contextlib.suppress(psycopg.Error, ValueError):
        secrets.add(str(conninfo_to_dict(libpq_dsn(url)).get("password") or ""))
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        said = said.replace(secret, "***")
    return said


def libpq_dsn(url: str) -> str:
    """Return a database URL as libpq reads it: "postgresql://", without SQLAlchemy's driver."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise ValueError("the database URL must begin with postgresql://")
    return f"postgresql://{rest}"


def sqlalchemy_url(url: str) -> sa.URL:
    """Return a database URL as SQLAlchemy reads it, with psycopg as the driver."""
    return sa.make_url(libpq_dsn(url)).set(drivername="postgresql+psycopg")


async def open_async(
    dsn: str, application_name: str, role: str | None = None
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Open an autocommit connection acting as `role` where it may.

    Raises psycopg.OperationalError or TimeoutError while the server is away.
    """
    connecting = asyncio.ensure_future(
        psycopg.AsyncConnection.connect(
            libpq_dsn(dsn), autocommit=True, **connect_arguments(application_name)
        )
    )
    try:
        connection = await asyncio.wait_for(asyncio.shield(connecting), ROUND_TRIP_SECONDS)
    except BaseException:
        # Half a connection would hold the server's side open for a minute.
        connecting.add_done_callback(_close_late)
        raise
    try:
        if role is not None:
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                cursor = await connection.execute(_ROLE_KNOWN, (role,))
                if await cursor.fetchone() == (True,):
                    await connection.execute(set_role(role))
    except BaseException:
        await connection.close()
        raise
    return connection


def _close_late(connecting: asyncio.Task[psycopg.AsyncConnection[tuple[Any, ...]]]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().pgconn.finish()


def open_sync(
    dsn: str, application_name: str, role: str | None = None
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open an autocommit connection acting as `role` where it may.

    Raises psycopg.OperationalError while the server is away.
    """
    connection = psycopg.connect(
        libpq_dsn(dsn), autocommit=True, **connect_arguments(application_name)
    )
    try:
        if role is not None and connection.execute(_ROLE_KNOWN, (role,)).fetchone() == (True,):
            connection.execute(set_role(role))
    except BaseException:
        connection.close()
        raise
    return connection


def set_role(role: str) -> sql.Composed:
    """Return the statement that takes a role on."""
    return sql.SQL("SET ROLE {}").format(sql.Identifier(role))
