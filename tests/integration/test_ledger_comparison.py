"""An account beside its twin, from rows written by hand; and the twin where nobody asks for it."""

import asyncio
import contextlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from counterpoise.domain.records import MarketSeen, Record
from counterpoise.ledger.comparison import FIGURES, comparison, totals
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from ledger_samples import (
    ACCOUNT,
    RealClock,
    approved_order,
    decision,
    equity,
    fill,
    intent_of,
    position,
    run_started,
)

TWIN = f"{ACCOUNT}-shadow"
SLOT_NS = 900 * 1_000_000_000


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


def market(number: int, quantity: str) -> MarketSeen:
    return MarketSeen(
        decision_id=f"decision-{number}",
        instrument_id="BTCUSDT",
        mark=Decimal(30_000),
        index=None,
        bid=None,
        ask=None,
        funding_rate=None,
        mark_age_ms=1,
        book_age_ms=1,
        event_ns=1,
        quantity=Decimal(quantity),
        leg="core",
    )


def order(number: int, decision_id: str, account_id: str, *, reduce_only: bool) -> Record:
    intent = intent_of(approved_order(reduce_only=reduce_only, number=number))
    return replace(intent, decision_id=decision_id, account_id=account_id)


def executed(number: int, key: int, account_id: str, quantity: str, price: str) -> Record:
    return fill(
        number,
        account_id=account_id,
        client_order_id=f"cp{key:030d}",
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal("0.5"),
    )


def recorded(database: str, directory: Path) -> None:
    slot = {"slot_ns": SLOT_NS, "decided_ns": SLOT_NS + 5}
    write(
        database,
        directory,
        run_started(),
        run_started("run-twin", TWIN),
        decision(1, action="traded", **slot),
        decision(2, account_id=TWIN, equity=Decimal(9_000), **slot),
        # A slot of the twin's alone, another kind, and another account.
        decision(3, account_id=TWIN, slot_ns=2 * SLOT_NS, decided_ns=2 * SLOT_NS),
        decision(4, kind="guard", slot_ns=2 * SLOT_NS, decided_ns=2 * SLOT_NS),
        decision(5, account_id="another", **slot),
        market(1, "0.10"),
        market(2, "0"),
        market(3, "0.03"),
        market(5, "9"),
        order(1, "decision-1", ACCOUNT, reduce_only=False),
        order(2, "decision-2", TWIN, reduce_only=False),
        order(3, "decision-2", TWIN, reduce_only=False),
        executed(1, 1, ACCOUNT, "0.010", "30030"),
        executed(2, 2, TWIN, "0.010", "29970"),
        executed(3, 3, TWIN, "0.020", "30000"),
        equity(1),
        equity(2, account_id=TWIN, equity=Decimal(8_990)),
        position(1),
        position(2, account_id=TWIN, quantity=Decimal("0.03")),
    )


def test_slots_are_lined_up_by_instrument(database: str, tmp_path: Path) -> None:
    recorded(database, tmp_path)
    with LedgerReader(database) as reader:
        later, both = comparison(reader, ACCOUNT, 0)
    assert (later["slot_ns"], later["live_action"], later["twin_held"]) == (
        2 * SLOT_NS,
        None,
        Decimal("0.03"),
    )
    assert both["slot_at"].startswith("1970-01-01T00:15:00")
    live = {name: both[f"live_{name}"] for name in FIGURES}
    twin = {name: both[f"twin_{name}"] for name in FIGURES}
    assert live == {
        "action": "traded",
        "equity": Decimal("10000.50"),
        "leverage": None,
        "held": Decimal("0.10"),
        "traded": Decimal("0.010"),
        "price": Decimal(30_030),
        "slippage_bps": Decimal("10.00"),
        "fee": Decimal("0.5"),
    }
    # Bought below the mark: better than it.
    assert (twin["traded"], twin["price"], twin["fee"]) == (
        Decimal("0.030"),
        Decimal(29_990),
        Decimal(1),
    )
    assert (twin["equity"], twin["slippage_bps"]) == (Decimal(9_000), Decimal("-3.33"))


def test_totals_weigh_slippage_by_what_was_traded(database: str, tmp_path: Path) -> None:
    recorded(database, tmp_path)
    with LedgerReader(database) as reader:
        live, twin = totals(reader, ACCOUNT, 0)
        # From the second slot on the account itself did nothing.
        later, _ = totals(reader, ACCOUNT, 2 * SLOT_NS)
    assert (live["account_id"], twin["account_id"]) == (ACCOUNT, TWIN)
    assert (live["equity"], twin["equity"]) == (Decimal(10_010), Decimal(8_990))
    assert (live["cycles"], twin["cycles"]) == (1, 2)
    assert (live["turnover"], twin["turnover"]) == (Decimal("300.30"), Decimal("899.70"))
    assert (live["slippage_bps"], twin["slippage_bps"]) == (Decimal("10.00"), Decimal("-3.33"))
    assert (later["cycles"], later["turnover"], later["slippage_bps"]) == (0, 0, None)


def test_a_question_that_names_no_account_leaves_twins_out(database: str, tmp_path: Path) -> None:
    recorded(database, tmp_path)
    with LedgerReader(database) as reader:
        assert {row["account_id"] for row in reader.decisions()} == {ACCOUNT, "another"}
        assert [row["account_id"] for row in reader.runs()] == [ACCOUNT]
        assert [row["account_id"] for row in reader.fills()] == [ACCOUNT]
        assert [row["account_id"] for row in reader.orders()] == [ACCOUNT]
        assert [row["account_id"] for row in reader.positions()] == [ACCOUNT]
        newest = reader.equity_last()
        assert newest is not None
        assert newest["account_id"] == ACCOUNT
        assert [row["account_id"] for row in reader.positions(TWIN)] == [TWIN]
        # Replay looks at all of them.
        assert len(list(reader.decision_records())) == 5
