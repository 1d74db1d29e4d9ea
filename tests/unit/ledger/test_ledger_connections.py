"""What is said of a database never holds its password."""

import psycopg
import pytest

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.ledger import connections
from counterpoise.ledger.reader import LedgerReader


@pytest.mark.parametrize("said", ["s3%40horse", "s3@horse"])
def test_a_password_in_an_error_is_starred_as_written_and_as_meant(said: str) -> None:
    error = psycopg.OperationalError(f'no such thing: "{said}" at host')
    shown = connections.words(error, "postgresql://me:s3%40horse@host/x")
    assert shown == 'no such thing: "***" at host'


def test_a_password_in_the_question_mark_part_is_starred() -> None:
    url = "postgresql://host/x?user=me&password=s3-horse"
    assert connections.words(ValueError("bad s3-horse"), url) == "bad ***"


def test_a_reader_passes_no_password_on() -> None:
    with pytest.raises(LedgerUnavailable) as refused:
        LedgerReader("postgresql://me:s3%zzhorse@127.0.0.1:1/x")
    assert "does not answer" in str(refused.value)
    assert "horse" not in str(refused.value)


def test_a_place_names_server_and_database_alone() -> None:
    shown = connections.place("postgresql://me:s3-horse@db.example:5999/record")
    assert shown == "database record at db.example, port 5999"
