"""What was written reads back: for people, for the start of a daemon, for replay."""

import asyncio
import contextlib
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.domain.records import Record, TransferSeen
from counterpoise.ledger import codec
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from counterpoise.ledger.start_reader import StartReader
from ledger_samples import (
    ACCOUNT,
    RealClock,
    approved_order,
    decision,
    denial,
    equity,
    fill,
    incident,
    intent_of,
    memory,
    order_event,
    outcome,
    pair,
    position,
    run_started,
    trading_state,
)


def write(dsn: str, directory: Path, *records: Record) -> None:
    async def ship() -> None:
        with Spool(directory) as spool:
            shipper = Shipper(spool, dsn, RealClock(), chain_name="okx:okx-7")
            journal = PostgresJournal(spool, shipper, RealClock())
            shipping = asyncio.create_task(shipper.run())
            for record in records:
                journal.append(record)
            assert await journal.flush(10.0)
            journal.close()
            shipping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await shipping
            assert shipper.refused_count == 0

    asyncio.run(ship())


def test_decisions_newest_first_with_their_outcomes(database: str, tmp_path: Path) -> None:
    write(
        database,
        tmp_path,
        decision(1),
        outcome(1),
        decision(2, kind="guard", action="traded"),
        decision(3, account_id="another"),
    )
    with StartReader(database) as reader:
        found = reader.decisions(account_id=ACCOUNT)
        assert [(row["decision_id"], row["outcome"]) for row in found] == [
            ("decision-2", None),
            ("decision-1", "done"),
        ]
        last = found[1]
        assert last["decided_ns"] == 1_000_000_005
        assert last["decided_at"] == "1970-01-01T00:00:01.000Z"
        assert last["ended_at"] == "1970-01-01T00:00:01.000Z"
        assert last["equity"] == Decimal("10000.50")
        assert str(last["leverage_max"]) == "1.250"
        assert last["reasons"] == ["CORE_ON_TARGET", "HEDGE_KEPT"]
        assert found[0]["ended_at"] is None
        assert "spool_seq" not in last
        assert [row["decision_id"] for row in reader.decisions(kind="guard")] == ["decision-2"]
        assert [row["decision_id"] for row in reader.decisions(limit=1)] == ["decision-3"]
        assert [row["decision_id"] for row in reader.decisions(since_ns=2_000_000_005)] == [
            "decision-3",
            "decision-2",
        ]
        assert [row["decision_id"] for row in reader.unfinished_decisions(ACCOUNT)] == [
            "decision-2"
        ]


def test_one_decision_is_explained_whole(database: str, tmp_path: Path) -> None:
    approved = approved_order(reduce_only=True)
    order_id = approved.intent.client_order_id
    write(
        database,
        tmp_path,
        decision(1),
        denial(),
        intent_of(approved),
        order_event("e2", order_id, "filled", recorded_ns=20),
        order_event("e1", order_id, "submitted", recorded_ns=10),
        fill(1, client_order_id=order_id),
        outcome(1),
        decision(12),
    )
    with LedgerReader(database) as reader:
        # A whole id is never ambiguous, though another one begins with it.
        found = reader.explain_rows("decision-1")
        assert found is not None
        assert found["decision"]["inputs"] == '{"b":1,"a":"1.50"}'
        assert [row["reason"] for row in found["denials"]] == ["LEVERAGE_EXCEEDED"]
        assert found["denials"][0]["body"] == '{"leverage":"3.07"}'
        assert [row["client_order_id"] for row in found["intents"]] == [order_id]
        assert [row["state"] for row in found["order_events"]] == ["submitted", "filled"]
        assert [row["fee"] for row in found["fills"]] == [Decimal("-0.0150")]
        assert found["outcome"]["summary"] == "Filled."
        assert (found["markets"], found["signals"]) == ([], [])
        row = reader.decision("decision-12")
        assert row is not None
        assert (row["decision_id"], row["outcome"]) == ("decision-12", None)
        assert reader.decision("nothing") is None
        with pytest.raises(LookupError, match="more than one"):
            reader.explain_rows("decision-")


def test_open_intents_are_those_no_end_is_known_of(database: str, tmp_path: Path) -> None:
    orders = [approved_order(reduce_only=True, number=number) for number in range(1, 6)]
    ids = [order.intent.client_order_id for order in orders]
    write(
        database,
        tmp_path,
        *(intent_of(order) for order in orders),
        order_event("a", ids[1], "submitted", recorded_ns=1, venue_order_id=None),
        order_event("b", ids[1], "unknown", recorded_ns=2, venue_order_id=None),
        order_event("c", ids[2], "filled", recorded_ns=1),
        # A late "accepted" does not open what was over.
        order_event("d", ids[2], "accepted", recorded_ns=5),
        order_event("e", ids[3], "partially_filled", filled_quantity=Decimal("0.001")),
        order_event("f", ids[4], "rejected"),
        fill(1, client_order_id=ids[3]),
        fill(2, client_order_id=ids[3], quantity=Decimal("0.002")),
    )
    with StartReader(database) as reader:
        found = {row["client_order_id"]: row for row in reader.open_intents(ACCOUNT)}
        assert {key: row["state"] for key, row in found.items()} == {
            ids[0]: None,
            ids[1]: "unknown",
            ids[3]: "partially_filled",
        }
        assert found[ids[3]]["filled_quantity"] == Decimal("0.001")
        assert {key: row["executed"] for key, row in found.items()} == {
            ids[0]: Decimal(0),
            ids[1]: Decimal(0),
            ids[3]: Decimal("0.003"),
        }
        assert found[ids[0]]["quantity"] == Decimal("0.010")
        assert found[ids[0]]["reduce_only"] is True
        assert reader.open_intents("another") == []
        assert reader.instruments_ordered(ACCOUNT) == {"BTCUSDT"}
        assert reader.instruments_ordered("another") == set()
        shown = {row["client_order_id"]: row["state"] for row in reader.orders()}
        assert shown[ids[0]] == "journaled"
        assert shown[ids[4]] == "rejected"


def test_the_newest_of_everything_that_changes(database: str, tmp_path: Path) -> None:
    write(
        database,
        tmp_path,
        position(1),
        position(3, quantity=Decimal("-0.5")),
        position(2),
        position(2, position_event_id="eth", instrument_id="ETHUSDT", quantity=Decimal(0)),
        equity(1, unit_nav=Decimal("1.2")),
        equity(2, unit_nav=Decimal("1.1"), equity=Decimal(9)),
        memory(1),
        memory(2),
        trading_state(1, "active"),
        trading_state(2, "reducing", "operator", "database"),
        fill(7),
        fill(5),
    )
    with StartReader(database) as reader:
        held = {row["instrument_id"]: row["quantity"] for row in reader.positions()}
        assert held == {"BTCUSDT": Decimal("-0.5"), "ETHUSDT": Decimal(0)}
        last = reader.equity_last(ACCOUNT)
        assert last is not None
        assert last["equity"] == 9
        top = reader.equity_max(ACCOUNT)
        assert top is not None
        assert top["unit_nav"] == Decimal("1.2")
        assert [row["event_ns"] for row in reader.equity_history(ACCOUNT, 1)] == [1, 2]
        kept = reader.memory_last(ACCOUNT)
        assert kept is not None
        assert kept["body"] == '{"number":2}'
        state = reader.trading_state_last(ACCOUNT)
        assert state is not None
        assert (state["trading_state"], state["causes"]) == ("reducing", ["operator", "database"])
        assert reader.last_fill_ns(ACCOUNT) == 7
        assert reader.memory_first_ns(ACCOUNT) == 1
        assert [row["fill_id"] for row in reader.fills()] == ["f7", "f5"]
        for nothing in (
            reader.equity_last("another"),
            reader.equity_max("another"),
            reader.memory_last("another"),
            reader.trading_state_last("another"),
            reader.last_fill_ns("another"),
            reader.memory_first_ns("another"),
        ):
            assert nothing is None


def transfer(number: int, quote: str) -> TransferSeen:
    return TransferSeen(
        account_id=ACCOUNT,
        transfer_id=f"t{number}",
        run_id="run-1",
        transfer=Decimal(quote),
        event_ns=number,
        recorded_ns=number,
    )


def test_transfers_count_until_a_memory_was_kept_after_them(database: str, tmp_path: Path) -> None:
    write(
        database,
        tmp_path,
        transfer(1, "5000"),
        memory(2),
        transfer(3, "-40.5"),
        transfer(4, "10"),
        # The same bill told again: one row.
        transfer(4, "10"),
    )
    with StartReader(database) as reader:
        assert reader.transfers_since_memory(ACCOUNT) == Decimal("-30.5")
        assert reader.transfers_since_memory("another") == 0
        assert [row["transfer_id"] for row in reader.transfers()] == ["t4", "t3", "t1"]


def test_replay_reads_every_decision_in_order_with_its_exact_text(
    database: str, tmp_path: Path
) -> None:
    text = '{"b":1,  "a":"1.50"}'
    write(database, tmp_path, decision(2), decision(1, inputs=text), decision(3))
    with LedgerReader(database) as reader:
        found = list(reader.decision_records())
        assert [row["decision_id"] for row in found] == ["decision-1", "decision-2", "decision-3"]
        assert found[0]["inputs"] == text
        some = reader.decision_records(since_ns=2_000_000_005, until_ns=3_000_000_005)
        assert [row["decision_id"] for row in some] == ["decision-2"]
        # A reader that stops half way leaves the connection usable.
        next(reader.decision_records())
        assert len(reader.decisions()) == 3


def test_runs_and_the_right_to_read_only(database: str, tmp_path: Path) -> None:
    write(database, tmp_path, run_started())
    with LedgerReader(database) as reader:
        (run,) = reader.runs()
        assert (run["run_id"], run["ended_ns"], run["ended_at"]) == ("run-1", None, None)
        assert reader.incidents() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader._connection.execute("INSERT INTO audit.run SELECT * FROM audit.run")


def test_without_a_database_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        LedgerReader(f"postgresql://x@/x?host={tmp_path}")


def test_what_the_venue_took_is_answered_after_a_restart_until_a_cycle_decided(
    database: str, tmp_path: Path
) -> None:
    write(
        database,
        tmp_path,
        run_started(),
        run_started("another", "another"),
        incident(1, "core.vanished"),
        decision(2, decided_ns=2),
        incident(3, "leg.vanished"),
        incident(4, "account.drift"),
        decision(5, decided_ns=5, kind="guard"),
        incident(6, "core.vanished", run_id="another"),
    )
    with StartReader(database) as reader:
        assert reader.losses(ACCOUNT) == {"leg.vanished"}
        assert reader.losses("another") == {"core.vanished"}
    write(database, tmp_path, decision(7, decided_ns=7))
    with StartReader(database) as reader:
        assert reader.losses(ACCOUNT) == set()


def test_fills_that_no_position_row_followed_are_told_apart(database: str, tmp_path: Path) -> None:
    write(
        database,
        tmp_path,
        run_started(),
        fill(1),
        position(2),
        # Followed in the same step: both rows have its moment.
        fill(3),
        position(4),
        fill(5),
        fill(6, instrument_id="ETHUSDT"),
    )
    with StartReader(database) as reader:
        found = [(row["instrument_id"], row["fill_id"]) for row in reader.fills_unplaced(ACCOUNT)]
        assert found == [("BTCUSDT", "f5"), ("ETHUSDT", "f6")]
        assert reader.fills_unplaced("another") == []


def test_the_last_moment_of_a_position_comes_with_what_was_executed_from_it_on(
    database: str, tmp_path: Path
) -> None:
    write(
        database,
        tmp_path,
        run_started(),
        position(1, event_ns=10, quantity=Decimal(1)),
        fill(2, event_ns=15),
        fill(3, event_ns=16, quantity=Decimal(2)),
        position(4, event_ns=20, quantity=Decimal(3)),
        fill(5, event_ns=20, quantity=Decimal(4), side="sell"),
        # A start that knows the quantity only has no stamp for it.
        position(6, event_ns=0, quantity=Decimal(3)),
        position(7, event_ns=20, quantity=Decimal(5), instrument_id="ETHUSDT"),
        position(8, event_ns=16, quantity=Decimal(7), instrument_id="SOLUSDT"),
        position(9, event_ns=20, quantity=Decimal(5), instrument_id="SOLUSDT"),
        fill(10, event_ns=20, instrument_id="XRPUSDT"),
    )
    with StartReader(database) as reader:
        btc, eth, sol = reader.last_instants(ACCOUNT, 4)
        assert (btc["instrument_id"], btc["since_ns"], btc["before"]) == ("BTCUSDT", 16, Decimal(1))
        executions = dict(zip(btc["fill_ids"], btc["quantities"], strict=True))
        assert executions == {"f3": Decimal(2), "f5": Decimal(-4)}
        assert (eth["instrument_id"], eth["since_ns"], eth["before"]) == ("ETHUSDT", 16, Decimal(0))
        assert (eth["fill_ids"], eth["quantities"]) == ([], [])
        # A row of that very moment is no row of before.
        assert (sol["instrument_id"], sol["before"]) == ("SOLUSDT", Decimal(0))
        assert reader.last_instants("another", 4) == []


@pytest.mark.parametrize(
    ("later", "overtaken"),
    [
        ((), False),
        ((incident(4, "stream.down", severity="warning"),), False),
        ((incident(2, "leg.vanished"),), False),
        ((incident(4, "leg.vanished"),), True),
        ((decision(4, decided_ns=4, kind="guard"),), True),
        ((decision(4, decided_ns=4, kind="protection"),), False),
        ((decision(4, decided_ns=4, kind="guard", account_id="another"),), False),
    ],
)
def test_a_pair_left_behind_says_whether_it_may_still_grow(
    database: str, tmp_path: Path, later: tuple[Record, ...], *, overtaken: bool
) -> None:
    first = decision(3, decided_ns=3)
    opened = pair(3, decision_id=first.decision_id)
    write(database, tmp_path, run_started(), decision(2, decided_ns=2), first, opened, *later)
    with StartReader(database) as reader:
        (row,) = reader.unfinished_pairs(ACCOUNT)
        assert (row["decision_id"], row["overtaken"]) == (first.decision_id, overtaken)


def test_a_pair_left_behind_says_what_its_ended_increases_filled(
    database: str, tmp_path: Path
) -> None:
    orders = [approved_order(reduce_only=False, number=number) for number in range(1, 5)]
    orders.append(approved_order(reduce_only=True, number=5))
    ids = [order.intent.client_order_id for order in orders]
    write(
        database,
        tmp_path,
        run_started(),
        decision(1),
        pair(1),
        *(intent_of(order) for order in orders),
        # Two executions on record, of which the events tell the first only.
        order_event("a", ids[0], "partially_filled", filled_quantity=Decimal("0.001")),
        order_event("b", ids[0], "canceled", recorded_ns=2),
        fill(1, client_order_id=ids[0]),
        fill(2, client_order_id=ids[0]),
        # Told as filled, and its executions were lost.
        order_event("c", ids[1], "filled", filled_quantity=Decimal("0.010")),
        # No end: it is looked up. And a reduction grows nothing.
        order_event("d", ids[2], "partially_filled", filled_quantity=Decimal("0.003")),
        order_event("e", ids[4], "filled", filled_quantity=Decimal("0.010")),
    )
    with StartReader(database) as reader:
        (row,) = reader.unfinished_pairs(ACCOUNT)
        assert codec.decode(row["increased"], dict[str, Decimal]) == {"BTCUSDT": Decimal("0.012")}
        assert row["client_order_ids"] == ids
    write(database, tmp_path, decision(2), pair(2))
    with StartReader(database) as reader:
        assert [r["increased"] for r in reader.unfinished_pairs(ACCOUNT)][1] == "{}"
