"""Reads the record. Synchronous; changes nothing.

A row is a plain dict: Decimals stay Decimals, JSON columns are their exact text, and each
`*_ns` has a readable `*_at` beside it. Rows that are still in the spool are not seen.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.ledger import connections, schema
from counterpoise.ledger.rows import readable

Row = dict[str, Any]

#: Rows fetched at once while iterating.
_CHUNK_ROWS: Final = 200

_DECISIONS: Final = """
SELECT d.decision_id, d.run_id, d.account_id, d.kind, d.slot_ns, d.decided_ns, d.trading_state,
  d.action, d.reasons, d.summary, d.strategy_version, d.equity, d.leverage, d.leverage_max,
  o.outcome, o.summary AS outcome_summary, o.orders_sent, o.orders_filled,
  o.leverage AS outcome_leverage, o.leverage_max AS outcome_leverage_max, o.ended_ns
FROM audit.decision d LEFT JOIN audit.decision_outcome o USING (decision_id)
"""


#: Tables whose rows belong to no account.
_OF_NO_ACCOUNT: Final = ("audit.incident", "audit.controls")


class LedgerReader:
    """One connection that reads; use it as a context manager.

    Where a question names no account, those of shadow twins are left out.
    """

    def __init__(self, dsn: str) -> None:
        """Connect as the reader where that role may be taken. Raises LedgerUnavailable."""
        self._dsn = dsn
        try:
            self._connection = connections.open_sync(dsn, "counterpoise reader", schema.READER_ROLE)
        except psycopg.Error as error:
            raise LedgerUnavailable(_away(error, dsn)) from error
        # The exact text as it was written, not a parsed and reordered object.
        self._connection.adapters.register_loader("json", TextLoader)

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # -- decisions ---------------------------------------------------------------------------

    def decisions(
        self,
        limit: int = 20,
        since_ns: int | None = None,
        kind: str | None = None,
        account_id: str | None = None,
    ) -> list[Row]:
        """Return decisions with their outcomes (None = not ended), newest first, no bodies."""
        return self.rows(
            _DECISIONS
            + """
            WHERE (%(since)s::bigint IS NULL OR d.decided_ns >= %(since)s)
              AND (%(kind)s::text IS NULL OR d.kind = %(kind)s)
              AND (d.account_id = %(account)s
                OR %(account)s::text IS NULL AND right(d.account_id, 7) <> '-shadow')
            ORDER BY d.decided_ns DESC, d.spool_seq DESC LIMIT %(limit)s
            """,
            since=since_ns,
            kind=kind,
            account=account_id,
            limit=limit,
        )

    def decision(self, id_prefix: str) -> Row | None:
        """Return one decision with inputs and outputs as text; None = there is none.

        Raises LookupError when several ids begin so.
        """
        found = self.rows(
            "SELECT * FROM (SELECT decision_id, inputs, outputs FROM audit.decision "  # noqa: S608
            "WHERE starts_with(decision_id, %(prefix)s) ORDER BY length(decision_id) LIMIT 2) body "
            f"JOIN ({_DECISIONS}) row USING (decision_id)",
            prefix=id_prefix,
        )
        whole = [row for row in found if row["decision_id"] == id_prefix]
        if len(found) > 1 and not whole:
            raise LookupError(f"more than one decision begins with {id_prefix!r}; give more of it")
        return _first(whole or found)

    def explain_rows(self, id_prefix: str) -> dict[str, Any] | None:
        """Return everything that belongs to one decision; None = there is none.

        Keys: decision (Row), markets, signals, denials, intents, order_events, fills (lists in
        order of time) and outcome (Row or None). Raises LookupError for an ambiguous prefix.
        """
        decision = self.decision(id_prefix)
        if decision is None:
            return None
        key = decision["decision_id"]
        of_orders = (
            "client_order_id IN (SELECT client_order_id FROM audit.order_intent "
            "WHERE decision_id = %(key)s)"
        )
        outcomes = self._table("decision_outcome", "decision_id = %(key)s", "ended_ns", key=key)
        return {
            "decision": decision,
            "markets": self._table(
                "market_snapshot", "decision_id = %(key)s", "instrument_id", key=key
            ),
            "signals": self._table("signals", "decision_id = %(key)s", "instrument_id", key=key),
            "denials": self._table(
                "order_denial", "decision_id = %(key)s", "denied_ns, spool_seq", key=key
            ),
            "intents": self._table(
                "order_intent", "decision_id = %(key)s", "created_ns, spool_seq", key=key
            ),
            "order_events": self._table(
                "order_event", of_orders, "recorded_ns, spool_seq", key=key
            ),
            "fills": self._table("fill", of_orders, "event_ns, spool_seq", key=key),
            "outcome": outcomes[0] if outcomes else None,
        }

    def decision_records(
        self,
        since_ns: int | None = None,
        until_ns: int | None = None,
        account_id: str | None = None,
    ) -> Iterator[Row]:
        """Yield decisions made in [since, until) with inputs and outputs, oldest first."""
        statement = """
            SELECT * FROM audit.decision
            WHERE (%(since)s::bigint IS NULL OR decided_ns >= %(since)s)
              AND (%(until)s::bigint IS NULL OR decided_ns < %(until)s)
              AND (%(account)s::text IS NULL OR account_id = %(account)s)
            ORDER BY decided_ns, spool_seq
        """
        values = {"since": since_ns, "until": until_ns, "account": account_id}
        # A server-side cursor, which needs a transaction: the record may be years long.
        with (
            self._connection.transaction(),
            self._connection.cursor("decision_records", row_factory=dict_row) as cursor,
        ):
            cursor.itersize = _CHUNK_ROWS
            cursor.execute(statement, values)
            for row in cursor:
                yield readable(row)

    def unfinished_decisions(self, account_id: str) -> list[Row]:
        """Return decisions of the account without an outcome, oldest first: a run was cut off."""
        return self.rows(
            _DECISIONS + "WHERE d.account_id = %(account)s AND o.decision_id IS NULL "
            "ORDER BY d.decided_ns, d.spool_seq",
            account=account_id,
        )

    # -- orders and fills --------------------------------------------------------------------

    def orders(self, limit: int = 20, account_id: str | None = None) -> list[Row]:
        """Return orders with their last state, newest first (view `audit.orders`)."""
        return self._newest("audit.orders", "created_ns", limit, account_id)

    def unknown_orders(self, account_id: str | None = None) -> list[Row]:
        """Return orders whose fate is not known, oldest first, with what the venue's evidence says.

        `unresolved` = the evidence leaves it open; otherwise it is still being asked about.
        `stated` = what an operator stated of it and no daemon has taken up yet, None = nothing.
        """
        return self.rows(
            """
            SELECT o.client_order_id, o.account_id, o.instrument_id, o.side, o.quantity,
              o.filled_quantity, o.reduce_only, o.created_at, o.code = 'UNRESOLVED' AS unresolved,
              o.message AS evidence, s.stated_end AS stated
            FROM audit.orders o
            LEFT JOIN LATERAL (
              SELECT stated_end FROM audit.controls c
              WHERE c.client_order_id = o.client_order_id AND c.result IS NULL
              ORDER BY control_id DESC LIMIT 1) s ON true
            WHERE o.state = 'unknown' AND (o.account_id = %(account)s
              OR %(account)s::text IS NULL AND right(o.account_id, 7) <> '-shadow')
            ORDER BY o.created_ns, o.client_order_id
            """,
            account=account_id,
        )

    def fills(self, limit: int = 20, account_id: str | None = None) -> list[Row]:
        """Return executions, newest first."""
        return self._newest("audit.fill", "event_ns", limit, account_id)

    # -- account -----------------------------------------------------------------------------

    def positions(self, account_id: str | None = None) -> list[Row]:
        """Return the newest position row of each account and instrument, flat ones included."""
        return self.rows(
            """
            SELECT DISTINCT ON (account_id, instrument_id) * FROM audit.position
            WHERE account_id = %(account)s
              OR %(account)s::text IS NULL AND right(account_id, 7) <> '-shadow'
            ORDER BY account_id, instrument_id, recorded_ns DESC, spool_seq DESC
            """,
            account=account_id,
        )

    def equity_last(self, account_id: str | None = None) -> Row | None:
        """Return the newest equity row; None = there is none."""
        return _first(self._newest("audit.equity", "event_ns", 1, account_id))

    def equity_max(self, account_id: str) -> Row | None:
        """Return the equity row with the highest NAV per unit, the high-water mark's source."""
        rows = self.rows(
            "SELECT * FROM audit.equity WHERE account_id = %(account)s AND unit_nav IS NOT NULL "
            "ORDER BY unit_nav DESC, event_ns LIMIT 1",
            account=account_id,
        )
        return _first(rows)

    def equity_history(self, account_id: str, since_ns: int, limit: int = 10_000) -> list[Row]:
        """Return equity rows from `since_ns` on, oldest first."""
        return self.rows(
            "SELECT * FROM audit.equity WHERE account_id = %(account)s AND event_ns >= %(since)s "
            "ORDER BY event_ns, spool_seq LIMIT %(limit)s",
            account=account_id,
            since=since_ns,
            limit=limit,
        )

    def memory_last(self, account_id: str) -> Row | None:
        """Return the strategy's newest memory; `body` is its canonical JSON; None = none."""
        return _first(self._newest("audit.memory", "kept_ns", 1, account_id))

    def transfers(self, limit: int = 20, account_id: str | None = None) -> list[Row]:
        """Return deposits and withdrawals, newest first."""
        return self._newest("audit.transfer", "event_ns", limit, account_id)

    def trading_state_last(self, account_id: str) -> Row | None:
        """Return the newest trading state and its causes; None = none."""
        return _first(self._newest("audit.trading_state", "changed_ns", 1, account_id))

    def trading_state_at(self, account_id: str, moment_ns: int) -> Row | None:
        """Return the trading state that held at a moment; None = none was recorded by then."""
        return _first(
            self.rows(
                "SELECT * FROM audit.trading_state WHERE account_id = %(account)s "
                "AND changed_ns <= %(moment)s ORDER BY changed_ns DESC, spool_seq DESC LIMIT 1",
                account=account_id,
                moment=moment_ns,
            )
        )

    # -- the daemon itself -------------------------------------------------------------------

    def runs(self, limit: int = 20) -> list[Row]:
        """Return starts of the daemon with how they ended (None = killed or running)."""
        return self.rows(
            "SELECT r.*, e.reason, e.exit_code, e.ended_ns FROM audit.run r "
            "LEFT JOIN audit.run_end e USING (run_id) WHERE right(r.account_id, 7) <> '-shadow' "
            "ORDER BY r.started_ns DESC, r.spool_seq DESC LIMIT %(limit)s",
            limit=limit,
        )

    def incidents(self, limit: int = 20) -> list[Row]:
        """Return incidents, newest first."""
        return self._newest("audit.incident", "opened_ns", limit, None)

    def controls(self, limit: int = 20) -> list[Row]:
        """Return operators' requests with their answers, newest first (view `audit.controls`)."""
        return self._newest("audit.controls", "control_id", limit, None)

    def be_patient(self, seconds: int) -> None:
        """Let the server take longer over one question from now on than a command may wait."""
        self._connection.execute(f"SET statement_timeout = '{seconds}s'".encode())

    # -- views -------------------------------------------------------------------------------

    def view(self, name: str, *, order: str) -> list[Row]:
        """Return a whole view of schema `audit`; `name` and `order` are the caller's constants."""
        return self.rows(f"SELECT * FROM audit.{name} ORDER BY {order}")  # noqa: S608

    def rows(self, statement: str, **values: object) -> list[Row]:
        """Return what a SELECT gives, values by name. Raises LedgerUnavailable."""
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(statement.encode(), values)
                return [readable(row) for row in cursor.fetchall()]
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise LedgerUnavailable(
                "the database has no schema of ours: run `counterpoise database upgrade`"
            ) from error
        except psycopg.OperationalError as error:
            raise LedgerUnavailable(_away(error, self._dsn)) from error

    # -- plumbing ----------------------------------------------------------------------------

    def _newest(self, table: str, order: str, limit: int, account_id: str | None) -> list[Row]:
        where = "WHERE t.account_id = %(account)s"
        if account_id is None:
            where = "" if table in _OF_NO_ACCOUNT else "WHERE right(t.account_id, 7) <> '-shadow'"
        tie = "" if table in ("audit.orders", "audit.controls") else ", t.spool_seq DESC"
        return self.rows(
            f"SELECT * FROM {table} t {where} "  # noqa: S608 - names from this file
            f"ORDER BY t.{order} DESC{tie} LIMIT %(limit)s",
            account=account_id,
            limit=limit,
        )

    def _table(self, name: str, where: str, order: str, **values: object) -> list[Row]:
        return self.rows(
            f"SELECT * FROM audit.{name} WHERE {where} ORDER BY {order}",  # noqa: S608
            **values,
        )


def _away(error: psycopg.Error, dsn: str) -> str:
    return f"Postgres does not answer: {connections.words(error, dsn)}"


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
