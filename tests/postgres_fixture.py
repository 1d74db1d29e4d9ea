"""A throw-away Postgres per test session, and a migrated database of its own per test."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import made_cluster
from counterpoise.ledger.postgres import LocalPostgres

_numbers = itertools.count(1)


@pytest.fixture
def reachable_path() -> Iterator[Path]:
    """A directory that an unprivileged server can reach even when root runs the tests."""
    path = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[LocalPostgres]:
    """One running server, nothing synced, with a migrated database named `migrated`."""
    path = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        made_cluster.lay(path)
        with LocalPostgres(path / "postgres", durable=False) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                (own,) = connection.execute("SELECT current_database()").fetchone()
                template = sql.SQL("CREATE DATABASE migrated TEMPLATE {}")
                connection.execute(template.format(sql.Identifier(own)))
            yield server
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def database(postgres_server: LocalPostgres) -> Iterator[str]:
    """The address of an empty migrated database."""
    name = f"test_{next(_numbers)}"
    template = sql.SQL("CREATE DATABASE {} TEMPLATE migrated STRATEGY file_copy")
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(template.format(sql.Identifier(name)))
    yield postgres_server.dsn(name)
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
        connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture
def empty_database(postgres_server: LocalPostgres) -> Iterator[str]:
    """The address of a database without any schema of ours."""
    name = f"empty_{next(_numbers)}"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres_server.dsn(name)
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
        connection.execute(drop.format(sql.Identifier(name)))
