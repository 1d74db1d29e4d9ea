"""The books balance whatever order facts arrive in, however often, and once the late ones are in."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

import books_world
import ledger_samples
from books_world import Fact, Venue

_numbers = itertools.count(1)
NAMES = ("BTCUSDT", "ETHUSDT")
ZERO = Decimal(0)
MS = 1_000_000

money = st.decimals(-500, 500, places=6, allow_nan=False)
quantities = st.decimals("0.001", 5, places=3, allow_nan=False)
moments = st.integers(2, 60)


@pytest.fixture(scope="module")
def connection(postgres_server: Any) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute("CREATE DATABASE books_property TEMPLATE migrated STRATEGY file_copy")
    with psycopg.connect(
        postgres_server.dsn("books_property"), autocommit=True, row_factory=dict_row
    ) as opened:
        yield opened
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute("DROP DATABASE books_property WITH (FORCE)")


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    found: list[Fact] = []
    for number in range(draw(st.integers(0, 14))):
        at = draw(moments) * MS
        kind = draw(st.sampled_from(["fill", "fill", "forced", "funding", "transfer"]))
        if kind == "funding":
            found.append(books_world.funding("", number, at, draw(money)))
        elif kind == "transfer":
            found.append(books_world.transfer("", number, at, draw(money)))
        else:
            found.append(
                books_world.fill(
                    "",
                    number,
                    at,
                    instrument_id=draw(st.sampled_from(NAMES)),
                    side=draw(st.sampled_from(["buy", "sell"])),
                    quantity=draw(quantities),
                    fee=draw(money),
                    realised_pnl=draw(st.none() | money),
                    cause=draw(st.sampled_from(["liquidation", "adl", "settlement"]))
                    if kind == "forced"
                    else draw(st.sampled_from([None, "order"])),
                )
            )
    return found


def rows(connection: "psycopg.Connection[Any]", view: str, account: str) -> list[dict[str, Any]]:
    statement = f"SELECT * FROM audit.{view} WHERE account_id = %s"
    return connection.execute(statement.encode(), (account,)).fetchall()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    told=facts(),
    opening=money,
    held=st.fixed_dictionaries({name: st.sampled_from(["0", "1.5", "-2"]) for name in NAMES}),
    look_moments=st.lists(moments, max_size=4),
    skew=st.integers(0, 2),
)
def test_books_balance_in_any_order_of_telling(
    connection: "psycopg.Connection[Any]",
    data: st.DataObject,
    told: list[Fact],
    opening: Decimal,
    held: dict[str, str],
    look_moments: list[int],
    skew: int,
) -> None:
    account = f"account-{next(_numbers)}"
    told = [replace(fact, account_id=account) for fact in told]
    # Cash and positions are two answers: what happens between them is in one and not the other.
    opened_ns, skew_ns = MS + MS // 2, skew * MS
    before = {name: Decimal(quantity) for name, quantity in held.items() if quantity != "0"}
    venue = Venue(opening, before, told)
    looks = [
        books_world.look(
            account,
            number,
            at,
            venue.wallet(at),
            venue.positions(at + skew_ns),
            positions_ns=at + skew_ns,
            recorded_ns=at + skew_ns + number,
        )
        for number, at in enumerate([opened_ns, *(m * MS + MS // 2 for m in sorted(look_moments))])
    ]
    closed_ns = looks[-1].balance_ns
    late = set(data.draw(st.lists(st.sampled_from(told), unique=True)) if told else [])
    first = data.draw(st.permutations([f for f in told if f not in late]))
    again = data.draw(st.permutations([*told, *first]))

    writer = books_world.Writer(connection, account)
    writer.write([ledger_samples.run_started(f"run-{account}", account), *looks, *first])
    proof = rows(connection, "book_proof", account)[0]
    known = [fact for fact in told if fact not in late]
    assert proof["assets"] == venue.wallet(closed_ns)
    assert proof["difference"] == venue.wallet(closed_ns) - venue.wallet(closed_ns, known)
    _trial_balance(connection, account, venue)

    writer.write(again)
    proof = rows(connection, "book_proof", account)[0]
    assert proof["difference"] == 0
    assert all(row["difference"] == 0 for row in rows(connection, "book_positions", account))
    assert all(row["difference"] == 0 for row in rows(connection, "book_cycles", account))
    balances = _trial_balance(connection, account, venue)
    assert ("equity:suspense", "USDT") not in balances
    assert balances.get(("assets:wallet", "USDT"), ZERO) == venue.wallet(60 * MS)
    positions = venue.positions(62 * MS)
    for name in NAMES:
        assert balances.get((f"positions:{name}", name), ZERO) == positions.get(name, ZERO)


def _trial_balance(
    connection: "psycopg.Connection[Any]", account: str, venue: Venue
) -> dict[tuple[str, str], Decimal]:
    # Every commodity sums to zero, and balances are the sums of the entries.
    balances = {
        (row["book"], row["commodity"]): row["balance"]
        for row in rows(connection, "book_balances", account)
    }
    entries: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for row in rows(connection, "book_entries", account):
        entries[row["book"], row["commodity"]] += row["change"]
    assert balances == {key: change for key, change in entries.items() if change}
    for commodity in ("USDT", *NAMES):
        assert sum((a for (_, c), a in balances.items() if c == commodity), ZERO) == 0
    return balances
