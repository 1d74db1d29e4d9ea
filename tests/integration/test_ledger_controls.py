"""An operator's wishes reach the daemon once each, whatever the connection does."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    OrderStatement,
    StatedEnd,
)
from counterpoise.domain.records import ControlHandled, Record
from counterpoise.ledger import controls, schema
from counterpoise.ledger.reader import LedgerReader
from ledger_samples import ACCOUNT, RealClock, run_started


def insert(dsn: str, *records: Record) -> None:
    with psycopg.connect(dsn) as connection:
        for record in records:
            table = schema.TABLES[type(record)]
            row = schema.row_of(record) | {"spool_id": "s", "spool_seq": time.time_ns()}
            columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
            connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                list(row.values()),
            )


def request_of_an_older_version(dsn: str, action: ControlAction) -> str:
    """Write a request that names no account."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "INSERT INTO audit.control (action, reason) VALUES (%s, '') RETURNING control_id",
            (action.value,),
        ).fetchone()
    assert row is not None
    return str(row[0])


def acknowledge(
    dsn: str, control_id: str, account_id: str = ACCOUNT, message: str = "Paused."
) -> None:
    run_id = f"run-of-{account_id}"
    handled = ControlHandled(
        control_id=control_id,
        run_id=run_id,
        action="pause",
        actor="me",
        reason="",
        result="done",
        message=message,
        trading_state="reducing",
        handled_ns=time.time_ns(),
    )
    insert(dsn, run_started(run_id, account_id), handled)


@contextlib.asynccontextmanager
async def watching(dsn: str, account_id: str = ACCOUNT) -> AsyncIterator[list[ControlRequested]]:
    fed: list[ControlRequested] = []
    task = asyncio.create_task(
        controls.watch(dsn, fed.append, clock=RealClock(), account_id=account_id)
    )
    try:
        yield fed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_fed(fed: list[ControlRequested], count: int, seconds: float) -> float:
    started = time.monotonic()
    while len(fed) < count:
        assert time.monotonic() - started < seconds, fed
        await asyncio.sleep(0.01)
    return time.monotonic() - started


async def test_a_request_arrives_at_once_with_what_was_said(database: str) -> None:
    async with watching(database) as fed:
        await asyncio.sleep(0.3)
        control_id = await asyncio.to_thread(
            controls.request,
            database,
            ControlAction.RESUME,
            "all is well",
            from_halt=True,
            account_id=ACCOUNT,
        )
        assert await until_fed(fed, 1, 1.5) < 1.0
    (asked,) = fed
    assert (asked.control_id, asked.action, asked.actor, asked.reason, asked.from_halt) == (
        control_id,
        ControlAction.RESUME,
        "counterpoise_owner",
        "all is well",
        True,
    )
    assert 0 <= time.time_ns() - asked.received_ns < 5_000_000_000


async def test_older_requests_come_in_order_and_answered_ones_never(database: str) -> None:
    first, second, third = (
        controls.request(database, action, "", account_id=ACCOUNT)
        for action in (ControlAction.PAUSE, ControlAction.FLATTEN, ControlAction.STOP)
    )
    acknowledge(database, second)
    async with watching(database) as fed:
        await until_fed(fed, 2, 3.0)
        # Read again without an answer: still once each.
        await asyncio.sleep(controls.POLL_SECONDS + 0.3)
    assert [asked.control_id for asked in fed] == [first, third]


async def test_a_request_made_while_disconnected_is_not_lost(database: str) -> None:
    async with watching(database) as fed:
        await asyncio.sleep(0.3)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                "datname = current_database() AND application_name = 'counterpoise controls'"
            )
        control_id = await asyncio.to_thread(
            controls.request, database, ControlAction.PAUSE, "", account_id=ACCOUNT
        )
        await until_fed(fed, 1, 5.0)
    assert [asked.control_id for asked in fed] == [control_id]


async def test_a_request_reaches_its_own_account_only(database: str) -> None:
    ours = controls.request(database, ControlAction.PAUSE, "", account_id=ACCOUNT)
    controls.request(database, ControlAction.FLATTEN, "", account_id="another")
    answered = controls.request(database, ControlAction.FLATTEN_STOP, "", account_id="another")
    acknowledge(database, answered, "another")
    last = controls.request(database, ControlAction.RESUME, "", account_id=ACCOUNT)
    async with watching(database) as fed:
        await until_fed(fed, 2, 3.0)
        await asyncio.sleep(0.2)
    assert [asked.control_id for asked in fed] == [ours, last]


async def test_a_request_to_nobody_is_over_with_any_answer_and_never_older_than_the_account(
    database: str,
) -> None:
    request_of_an_older_version(database, ControlAction.FLATTEN_STOP)
    started = dataclasses.replace(run_started("run-x"), started_ns=time.time_ns())
    insert(database, started)
    answered = request_of_an_older_version(database, ControlAction.FLATTEN)
    acknowledge(database, answered, "another")
    meant = request_of_an_older_version(database, ControlAction.PAUSE)
    async with watching(database) as fed:
        await until_fed(fed, 1, 3.0)
        await asyncio.sleep(0.2)
    assert [asked.control_id for asked in fed] == [meant]
    async with watching(database, "a new one") as fed:
        await asyncio.sleep(0.5)
    assert fed == []


def test_another_accounts_answer_is_not_taken_for_ours(database: str) -> None:
    control_id = request_of_an_older_version(database, ControlAction.PAUSE)
    acknowledge(database, control_id, "one", "Told by one.")
    acknowledge(database, control_id, "two", "Told by two.")
    for account_id, message in (("one", "Told by one."), ("two", "Told by two.")):
        answer = controls.wait_ack(database, control_id, account_id, 0.1)
        assert answer is not None
        assert answer["message"] == message
    assert controls.wait_ack(database, control_id, "three", 0.1) is None


def test_accounts_are_told_the_latest_first_and_an_order_has_one(database: str) -> None:
    for started_ns, account_id in enumerate(("one", "two", "two-shadow"), start=1):
        run = dataclasses.replace(run_started(account_id, account_id), started_ns=started_ns)
        insert(database, run)
    with LedgerReader(database) as reader:
        assert controls.accounts(reader) == ["two", "one"]
        assert controls.account_of_order(reader, "cp-nobody's") is None


def test_the_answer_is_waited_for(database: str) -> None:
    control_id = controls.request(database, ControlAction.PAUSE, "lunch", account_id=ACCOUNT)
    assert controls.wait_ack(database, control_id, ACCOUNT, 0.15) is None
    acknowledge(database, control_id)
    answer = controls.wait_ack(database, control_id, ACCOUNT, 5.0)
    assert answer is not None
    assert (answer["result"], answer["message"]) == ("done", "Paused.")
    with LedgerReader(database) as reader:
        (shown,) = reader.controls()
    assert (shown["reason"], shown["result"], shown["trading_state"]) == (
        "lunch",
        "done",
        "reducing",
    )


async def test_a_statement_about_an_order_travels_with_its_request(database: str) -> None:
    said = OrderStatement(
        client_order_id="cp7", end=StatedEnd.ENDED, filled_quantity=Decimal("0.250")
    )
    control_id = controls.request(
        database, ControlAction.RESOLVE_ORDER, "seen", account_id=ACCOUNT, statement=said
    )
    async with watching(database) as fed:
        await until_fed(fed, 1, 3.0)
    assert (fed[0].control_id, fed[0].statement) == (control_id, said)
    with LedgerReader(database) as reader:
        (shown,) = reader.controls()
    columns = ("client_order_id", "stated_end", "filled_quantity", "result")
    assert [shown[name] for name in columns] == ["cp7", "ended", Decimal("0.250"), None]


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("action, reason", "'resolve_order', ''"),
        ("action, reason, client_order_id", "'resolve_order', '', 'cp7'"),
        (
            "action, reason, client_order_id, stated_end, filled_quantity",
            "'pause', '', 'cp7', 'absent', 0",
        ),
        (
            "action, reason, client_order_id, stated_end, filled_quantity",
            "'resolve_order', '', 'cp7', 'ended', -1",
        ),
    ],
)
def test_half_a_statement_is_none(database: str, columns: str, values: str) -> None:
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        connection.execute(f"INSERT INTO audit.control ({columns}) VALUES ({values})")


def test_without_a_database_the_operator_is_told(tmp_path: Path) -> None:
    nowhere = f"postgresql://x@/x?host={tmp_path}"
    with pytest.raises(LedgerUnavailable, match="not written"):
        controls.request(nowhere, ControlAction.PAUSE, "", account_id=ACCOUNT)
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        controls.wait_ack(nowhere, "1", ACCOUNT, 0.1)
