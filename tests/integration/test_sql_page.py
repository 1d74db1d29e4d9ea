"""Every query of docs/sql.md runs and answers, on days of record that the books explain."""

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import sql_page
import year_of_record
from counterpoise.ledger import connections, reporting, schema
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ledger.rows import iso

pytestmark = pytest.mark.timeout(180)

CYCLES = 800
NOW = iso(year_of_record.BEGIN_NS + (CYCLES - 1) * 900_000_000_000 + 60_000_000_000)
QUESTIONS = sql_page.questions(NOW)


@pytest.fixture(scope="module")
def reader(postgres_server: Any) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute("CREATE DATABASE sql_page TEMPLATE migrated STRATEGY file_copy")
    year_of_record.fill(postgres_server.dsn("sql_page"), CYCLES)
    with psycopg.connect(
        postgres_server.dsn("sql_page"), autocommit=True, row_factory=dict_row
    ) as connection:
        connection.execute(connections.set_role(schema.READER_ROLE))
        yield connection
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute("DROP DATABASE sql_page WITH (FORCE)")


def test_there_are_twenty_questions() -> None:
    assert list(QUESTIONS) == list(range(1, 21))


@pytest.mark.parametrize("number", QUESTIONS)
def test_a_reader_gets_an_answer(reader: "psycopg.Connection[Any]", number: int) -> None:
    rows = reader.execute(QUESTIONS[number][1].encode()).fetchall()
    # No cycle is missing in days that were made whole.
    assert bool(rows) is (number != 20)


def test_the_answers_are_those_of_the_facts(reader: "psycopg.Connection[Any]") -> None:
    def answer(number: int) -> list[dict[str, Any]]:
        return reader.execute(QUESTIONS[number][1].encode()).fetchall()

    assert len(answer(1)) == 96
    assert answer(14)[0]["difference"] == 0
    assert all(row["difference"] == 0 for row in answer(15))
    fills = reader.execute("SELECT sum(fee) AS fees FROM audit.fill").fetchone()
    proof = answer(14)[0]
    assert fills is not None
    # Fills after the venue's last answer are in no proof yet; the last cycle sent none.
    assert proof["fees"] == -fills["fees"]
    held = {row["instrument_id"]: row["quantity"] for row in answer(11)}
    booked = reader.execute(
        "SELECT commodity, balance FROM audit.book_balances WHERE book = 'positions:' || commodity"
    ).fetchall()
    assert held == {row["commodity"]: row["balance"] for row in booked}
    effect = answer(16)[0]
    assert effect["intervals"] == 7 * 96 - 1
    assert effect["variance_reduction"] == pytest.approx(0.99, abs=0.02)
    assert effect["residual_beta"] == pytest.approx(0.1, abs=0.05)
    assert {row["code"]: row["decisions"] for row in answer(4)}["BAND_LEG"] == CYCLES // 32
    assert {row["fee_bps"] for row in answer(8)} == {Decimal("5.000")}


def test_a_days_effectiveness_is_that_of_its_span(reader: "psycopg.Connection[Any]") -> None:
    names = "account_id, intervals, variance_reduction, variance_reduction_predicted, residual_beta"
    span = "'2026-01-03', '2026-01-04'"
    daily = reader.execute(
        f"SELECT day::text, {names} FROM audit.hedge_effectiveness_daily({span})".encode()
    ).fetchall()
    whole = reader.execute(
        f"SELECT {names} FROM audit.hedge_effectiveness({span})".encode()
    ).fetchone()
    assert whole is not None
    assert len(daily) == 1
    assert daily[0].pop("day") == "2026-01-03"
    assert whole["intervals"] == 95
    assert daily[0] == pytest.approx(whole)


def test_a_report_of_a_long_span_thins_the_legs_and_keeps_the_newest(
    reader: "psycopg.Connection[Any]", postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "LEG_POINTS_MAX", 100)
    until_ns = year_of_record.BEGIN_NS + CYCLES * 900_000_000_000
    with LedgerReader(postgres_server.dsn("sql_page")) as opened:
        data = reporting.read(opened, year_of_record.ACCOUNT, year_of_record.BEGIN_NS, until_ns)
    for name in year_of_record.LEGS:
        points = [row for row in data.legs if row["instrument_id"] == name]
        assert len(points) == 100
        assert points[-1]["at"] == max(row["at"] for row in data.equity)
        gaps = {(b["at"] - a["at"]).total_seconds() for a, b in itertools.pairwise(points)}
        assert gaps == {8 * 900.0}
    figures = reporting.figures(data)
    assert figures["decisions_cycle_traded"] == CYCLES // 32
    assert figures["orders_denied"] == 8
    assert figures["incidents_critical"] + figures["incidents_error"] == 1
    assert figures["books_difference"] == 0
