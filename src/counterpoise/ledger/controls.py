"""An operator's wishes: rows of `audit.control`, answered by rows of `audit.control_ack`.

A request is announced by NOTIFY; since an announcement is lost while nobody is connected, the
table is read again on every connection and every `POLL_SECONDS`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import psycopg
import structlog
from psycopg.rows import dict_row

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    OrderStatement,
    StatedEnd,
)
from counterpoise.ledger import connections, schema
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ports import Clock

#: How often the table is read without an announcement, seconds.
POLL_SECONDS: Final = 2.0
#: Pause before connecting again, seconds.
RECONNECT_SECONDS: Final = 0.5
#: How often an answer is looked for, seconds.
_ACK_POLL_SECONDS: Final = 0.1
#: Requests read at once.
PENDING_MAX: Final = 100

_AWAY: Final = (psycopg.Error, OSError, TimeoutError)

# A request names its account, whose daemon alone answers it. Earlier versions named none: those
# are over with any answer, and none is older than the account's first run.
_PENDING: Final = """
SELECT c.control_id, c.action, c.actor, c.reason, c.from_halt, c.client_order_id, c.stated_end,
  c.filled_quantity
FROM audit.control c
WHERE c.control_id > %(after)s
  AND (c.account_id = %(account)s OR c.account_id IS NULL AND c.requested_at >= (
    SELECT audit.moment(min(started_ns)) FROM audit.run WHERE account_id = %(account)s))
  AND NOT EXISTS (SELECT FROM audit.control_ack a WHERE a.control_id = c.control_id::text)
ORDER BY c.control_id LIMIT %(limit)s
"""

log = structlog.get_logger(__name__)

#: What `pending` gives per request: control_id, action, actor, reason, from_halt, and what is
#: stated of an order: client_order_id, stated_end, filled_quantity; None = nothing is.
Request = tuple[int, str, str, str, bool, str | None, str | None, Decimal | None]


def request(
    dsn: str,
    action: ControlAction,
    reason: str,
    from_halt: bool = False,  # noqa: FBT001, FBT002 - the operator's flag as it was typed
    *,
    account_id: str,
    statement: OrderStatement | None = None,
) -> str:
    """Write a request to the daemon of an account and return its id.

    `statement` comes with RESOLVE_ORDER and with nothing else.

    The actor is the database's session user. Raises LedgerUnavailable when Postgres is away.
    """
    try:
        with connections.open_sync(dsn, "counterpoise control", schema.OPERATOR_ROLE) as connection:
            row = connection.execute(
                "INSERT INTO audit.control (account_id, action, reason, from_halt, "
                "client_order_id, stated_end, filled_quantity) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING control_id",
                (
                    account_id,
                    action.value,
                    reason.replace("\x00", ""),
                    from_halt,
                    *_columns(statement),
                ),
            ).fetchone()
    except psycopg.Error as error:
        raise LedgerUnavailable(
            f"the request was not written: {connections.words(error, dsn)}"
        ) from error
    assert row is not None, "INSERT ... RETURNING gave no row"
    return str(row[0])


def accounts(reader: LedgerReader) -> list[str]:
    """Return the accounts a daemon ever ran on, the latest first; no shadow twins."""
    rows = reader.rows(
        "SELECT account_id FROM audit.run WHERE right(account_id, 7) <> '-shadow' "
        "GROUP BY account_id ORDER BY max(started_ns) DESC, account_id"
    )
    return [str(row["account_id"]) for row in rows]


def account_of_order(reader: LedgerReader, client_order_id: str) -> str | None:
    """Return the account of an order of ours; None = it is not on record."""
    rows = reader.rows(
        "SELECT account_id FROM audit.order_intent WHERE client_order_id = %(key)s",
        key=client_order_id,
    )
    return str(rows[0]["account_id"]) if rows else None


def wait_ack(
    dsn: str, control_id: str, account_id: str, timeout_seconds: float
) -> dict[str, Any] | None:
    """Return the answer of the account's daemon as a row; None = none came in time.

    Raises LedgerUnavailable when Postgres is away.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        with connections.open_sync(dsn, "counterpoise control", schema.READER_ROLE) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            while True:
                cursor.execute(
                    "SELECT a.* FROM audit.control_ack a JOIN audit.run r USING (run_id) "
                    "WHERE a.control_id = %s AND r.account_id = %s "
                    "ORDER BY a.handled_ns DESC LIMIT 1",
                    (control_id, account_id),
                )
                row = cursor.fetchone()
                if row is not None or time.monotonic() >= deadline:
                    return row
                time.sleep(_ACK_POLL_SECONDS)
    except psycopg.Error as error:
        raise LedgerUnavailable(
            f"the answer cannot be read: {connections.words(error, dsn)}"
        ) from error


async def pending(
    connection: psycopg.AsyncConnection[Any], account_id: str, after_id: int = 0
) -> list[Request]:
    """Return an account's requests behind `after_id` that were not answered, oldest first."""
    async with asyncio.timeout(connections.ROUND_TRIP_SECONDS):
        cursor = await connection.execute(
            _PENDING, {"after": after_id, "account": account_id, "limit": PENDING_MAX}
        )
        return await cursor.fetchall()


async def watch(
    dsn: str,
    feed_control: Callable[[ControlRequested], None],
    *,
    clock: Clock,
    account_id: str,
) -> None:
    """Feed each unanswered request to an account once, until cancelled; reconnect for ever.

    Requests older than this daemon are fed too. Start it after the journal was flushed, or an
    answer that is still in the spool lets its request be fed a second time.
    """
    delivered: set[int] = set()
    while True:
        try:
            connection = await connections.open_async(
                dsn, "counterpoise controls", schema.WRITER_ROLE
            )
            try:
                await connection.execute(f"LISTEN {schema.CONTROL_CHANNEL}")
                while True:
                    requests = await pending(connection, account_id)
                    for row in requests:
                        if row[0] not in delivered:
                            feed_control(_requested(row, clock.now_ns()))
                    # Whatever is no longer pending was answered and cannot come again.
                    delivered = {row[0] for row in requests}
                    async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                        pass
            finally:
                with contextlib.suppress(*_AWAY):
                    await connection.close()
        except _AWAY as error:
            log.warning("controls.away", error=connections.words(error, dsn).partition("\n")[0])
        await asyncio.sleep(RECONNECT_SECONDS)


def _columns(statement: OrderStatement | None) -> tuple[str | None, str | None, Decimal | None]:
    if statement is None:
        return None, None, None
    return statement.client_order_id, statement.end.value, statement.filled_quantity


def _requested(row: Request, received_ns: int) -> ControlRequested:
    control_id, action, actor, reason, from_halt, client_order_id, stated_end, filled = row
    statement = None
    if client_order_id is not None and stated_end is not None and filled is not None:
        statement = OrderStatement(
            client_order_id=client_order_id, end=StatedEnd(stated_end), filled_quantity=filled
        )
    return ControlRequested(
        control_id=str(control_id),
        action=ControlAction(action),
        actor=actor,
        reason=reason,
        from_halt=from_halt,
        received_ns=received_ns,
        statement=statement,
    )
