"""Reads what the last run left on record, for the daemon's start."""

from decimal import Decimal

from counterpoise.domain.orders import TERMINAL
from counterpoise.ledger.reader import LedgerReader, Row


class StartReader(LedgerReader):
    """The questions a start asks; a daemon flushes its journal before it asks them."""

    def unfinished_pairs(self, account_id: str) -> list[Row]:
        """Return pairs of decisions without an outcome, oldest first, with what was sent for them.

        `attempt_last` is the highest number of an order, None = none was sent;
        `client_order_ids` are all of them and `orders_filled` counts those with an execution.
        `increased` is a JSON object of base units by instrument: what its increases filled whose
        end is on record, by their executions or as their events say, whichever is more. Those
        without an end are among `open_intents`.
        `overtaken` is True where something else decided since, or was found that a person must
        know: then the pair may not grow any more.
        """
        return self.rows(
            """
            SELECT p.*, i.attempt_last, coalesce(i.client_order_ids, '{}') AS client_order_ids,
              coalesce(i.orders_filled, 0) AS orders_filled,
              coalesce(g.increased, '{}') AS increased,
              EXISTS (SELECT FROM audit.decision d WHERE d.account_id = p.account_id
                AND d.decided_ns >= p.opened_ns AND d.decision_id <> p.decision_id
                AND d.kind <> 'protection')
              OR EXISTS (SELECT FROM audit.incident n JOIN audit.run r USING (run_id)
                WHERE r.account_id = p.account_id AND n.opened_ns >= p.opened_ns
                AND n.severity = 'critical') AS overtaken
            FROM audit.pair p
            LEFT JOIN audit.decision_outcome o USING (decision_id)
            LEFT JOIN LATERAL (
              SELECT max(attempt) AS attempt_last,
                array_agg(client_order_id ORDER BY created_ns, spool_seq) AS client_order_ids,
                count(*) FILTER (WHERE EXISTS (
                  SELECT FROM audit.fill f WHERE f.client_order_id = n.client_order_id
                )) AS orders_filled
              FROM audit.order_intent n WHERE n.decision_id = p.decision_id) i ON true
            LEFT JOIN LATERAL (
              SELECT json_object_agg(instrument_id, filled::text) AS increased FROM (
                SELECT n.instrument_id,
                  sum(greatest(coalesce(e.filled, 0), coalesce(f.filled, 0))) AS filled
                FROM audit.order_intent n
                JOIN LATERAL (
                  SELECT max(filled_quantity) AS filled, bool_or(state = ANY(%(terminal)s)) AS over
                  FROM audit.order_event WHERE client_order_id = n.client_order_id) e ON e.over
                LEFT JOIN LATERAL (
                  SELECT sum(quantity) AS filled FROM audit.fill
                  WHERE client_order_id = n.client_order_id) f ON true
                WHERE n.decision_id = p.decision_id AND NOT n.reduce_only
                GROUP BY n.instrument_id) ended) g ON true
            WHERE p.account_id = %(account)s AND o.decision_id IS NULL
            ORDER BY p.opened_ns, p.spool_seq
            """,
            account=account_id,
            terminal=[state.value for state in TERMINAL],
        )

    def open_intents(self, account_id: str) -> list[Row]:
        """Return intents no terminal event followed, oldest first, with `state` (None = none yet).

        `executed` is the sum of their executions on record, base units. Any of them may be at the venue: each is looked up there at the start, never sent again.
        """
        return self.rows(
            """
            SELECT i.*, e.state, e.venue_order_id, e.filled_quantity, e.recorded_ns,
              (SELECT coalesce(sum(quantity), 0) FROM audit.fill
                WHERE client_order_id = i.client_order_id) AS executed
            FROM audit.order_intent i
            LEFT JOIN LATERAL (
              SELECT state, venue_order_id, filled_quantity, recorded_ns FROM audit.order_event
              WHERE client_order_id = i.client_order_id
              ORDER BY recorded_ns DESC, spool_seq DESC LIMIT 1) e ON true
            WHERE i.account_id = %(account)s AND NOT EXISTS (
              SELECT FROM audit.order_event
              WHERE client_order_id = i.client_order_id AND state = ANY(%(terminal)s))
            ORDER BY i.created_ns, i.spool_seq
            """,
            account=account_id,
            terminal=[state.value for state in TERMINAL],
        )

    def instruments_ordered(self, account_id: str) -> frozenset[str]:
        """Return instruments the daemon ever wanted to trade; a position elsewhere is foreign."""
        rows = self.rows(
            "SELECT DISTINCT instrument_id FROM audit.order_intent WHERE account_id = %(account)s",
            account=account_id,
        )
        return frozenset(row["instrument_id"] for row in rows)

    def last_fill_ns(self, account_id: str) -> int | None:
        """Return the venue's time of the newest fill on record; None = no fill."""
        rows = self.rows(
            "SELECT max(event_ns) AS newest FROM audit.fill WHERE account_id = %(account)s",
            account=account_id,
        )
        newest: int | None = rows[0]["newest"]
        return newest

    def memory_first_ns(self, account_id: str) -> int | None:
        """Return when the strategy's first memory on record was kept; None = none was."""
        rows = self.rows(
            "SELECT min(kept_ns) AS oldest FROM audit.memory WHERE account_id = %(account)s",
            account=account_id,
        )
        oldest: int | None = rows[0]["oldest"]
        return oldest

    def fills_unplaced(self, account_id: str) -> list[Row]:
        """Return fills that no position row of their instrument followed, oldest first.

        A daemon that died between the two rows leaves one: the newest position row may lack it.
        """
        return self.rows(
            """
            SELECT f.* FROM audit.fill f
            LEFT JOIN LATERAL (
              SELECT max(recorded_ns) AS recorded_ns FROM audit.position p
              WHERE p.account_id = f.account_id AND p.instrument_id = f.instrument_id) p ON true
            WHERE f.account_id = %(account)s AND f.received_ns > coalesce(p.recorded_ns, 0)
            ORDER BY f.event_ns, f.spool_seq
            """,
            account=account_id,
        )

    def last_instants(self, account_id: str, apart_ns: int) -> list[Row]:
        """Return the last moment each position has on record, and what was executed from it on.

        `apart_ns` = a position may be stamped so much later than its executions. `since_ns` = the
        last row's stamp less that; `before` = signed base units on record with an earlier stamp,
        0 = none is; `fill_ids` and `quantities` = executions from then on, signed base units.
        """
        return self.rows(
            """
            SELECT l.instrument_id, l.since_ns, coalesce(b.quantity, 0) AS before,
              coalesce(array_agg(f.fill_id) FILTER (WHERE f.fill_id IS NOT NULL), '{}')
                AS fill_ids,
              coalesce(array_agg(CASE f.side WHEN 'buy' THEN f.quantity ELSE -f.quantity END)
                FILTER (WHERE f.fill_id IS NOT NULL), '{}') AS quantities
            FROM (
              SELECT DISTINCT ON (instrument_id) instrument_id,
                event_ns - %(apart_ns)s::bigint AS since_ns FROM audit.position
              WHERE account_id = %(account)s AND event_ns > 0
              ORDER BY instrument_id, recorded_ns DESC, spool_seq DESC) l
            LEFT JOIN LATERAL (
              SELECT p.quantity FROM audit.position p
              WHERE p.account_id = %(account)s AND p.instrument_id = l.instrument_id
                AND p.event_ns > 0 AND p.event_ns < l.since_ns
              ORDER BY p.recorded_ns DESC, p.spool_seq DESC LIMIT 1) b ON true
            LEFT JOIN audit.fill f ON f.account_id = %(account)s
              AND f.instrument_id = l.instrument_id AND f.event_ns >= l.since_ns
            GROUP BY l.instrument_id, l.since_ns, b.quantity
            ORDER BY l.instrument_id
            """,
            account=account_id,
            apart_ns=apart_ns,
        )

    def transfers_since_memory(self, account_id: str) -> Decimal:
        """Return deposits less withdrawals that no kept memory of the strategy counts yet."""
        rows = self.rows(
            """
            SELECT coalesce(sum(transfer), 0) AS total FROM audit.transfer
            WHERE account_id = %(account)s AND recorded_ns > coalesce(
              (SELECT max(kept_ns) FROM audit.memory WHERE account_id = %(account)s), 0)
            """,
            account=account_id,
        )
        total: Decimal = rows[0]["total"]
        return total

    def losses(self, account_id: str) -> frozenset[str]:
        """Return the kinds of incidents of positions gone since the last cycle's decision.

        Of "leg.vanished", "core.vanished" and "stop.acted": what no decision answered yet.
        """
        rows = self.rows(
            """
            SELECT DISTINCT n.kind FROM audit.incident n JOIN audit.run r USING (run_id)
            WHERE r.account_id = %(account)s
              AND n.kind IN ('leg.vanished', 'core.vanished', 'stop.acted')
              AND n.opened_ns > coalesce((SELECT max(d.decided_ns) FROM audit.decision d
                WHERE d.account_id = %(account)s AND d.kind = 'cycle'), 0)
            """,
            account=account_id,
        )
        return frozenset(row["kind"] for row in rows)
