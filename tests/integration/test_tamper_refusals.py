"""A part of `make tamper`: nobody below the owner may change a row, and the owner meets a trigger."""

import asyncio
from pathlib import Path

import psycopg
import pytest

import tamper_campaign
from counterpoise.ledger import schema
from tampering import SEALED, write

pytestmark = pytest.mark.timeout(240)


def test_every_change_of_every_table_is_refused_to_every_role(
    database: str, tmp_path: Path
) -> None:
    asyncio.run(write(database, tmp_path / "spool", range(3)))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(tamper_campaign.ROWS_OF_OTHERS)
    tally = tamper_campaign.Tally()
    tamper_campaign.refusals(database, tally)
    assert tally.missed == []
    tables = tamper_campaign.tables()
    # As many as there are: whoever adds a table adds it to the campaign.
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
        ).fetchall()
    assert tables == [name for (name,) in found]
    for role in (schema.WRITER_ROLE, schema.OPERATOR_ROLE, schema.READER_ROLE):
        for kind in ("update", "delete", "truncate", "triggers off", "table dropped"):
            assert tally.refused[role, kind] == len(tables), (role, kind)
    for role in ("owner", "owner as replica"):
        for kind in ("update", "delete", "truncate"):
            assert tally.refused[role, kind] == len(tables), (role, kind)
    assert tally.refused[schema.WRITER_ROLE, "insert"] == 2
    assert tally.refused[schema.OPERATOR_ROLE, "insert"] == len(SEALED) + 2
    assert tally.refused[schema.READER_ROLE, "insert"] == len(SEALED) + 3
