"""What a start asks of Postgres is asked beside the loop, in time, and refused in words."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from counterpoise.app import database as app_database
from counterpoise.app import last_run
from counterpoise.app.settings import Settings
from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import migrate
from counterpoise.ledger.start_reader import StartReader
from frozen_proxy import FrozenProxy


async def longest_pause(pauses: list[float]) -> None:
    while True:
        started = time.monotonic()
        await asyncio.sleep(0.01)
        pauses.append(time.monotonic() - started)


async def refusal(start: Callable[[], Any]) -> str:
    """Return with which words a start is refused; the loop goes on meanwhile."""
    pauses: list[float] = []
    watching = asyncio.create_task(longest_pause(pauses))
    try:
        with pytest.raises(StartRefused) as refused:
            async with asyncio.timeout(20):
                await start()
    finally:
        watching.cancel()
    assert max(pauses) < 0.8, "the loop was held"
    return str(refused.value)


async def enter(opening: AbstractAsyncContextManager[object]) -> None:
    async with opening:
        raise AssertionError("it opened")


async def test_a_frozen_record_refuses_the_start(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_run, "READ_SECONDS_MAX", 1.0)
    with FrozenProxy(database, b"audit.pair p") as proxy:
        assert (await last_run.read(proxy.dsn, "7")).recorded == {}
        proxy.armed.set()
        words = await refusal(lambda: last_run.read(proxy.dsn, "7"))
        assert "127.0.0.1" in words
        assert "within 1 s" in words
        assert proxy.password not in words


async def test_a_frozen_schema_refuses_the_start(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_database, "REVISION_SECONDS_MAX", 1.0)
    with FrozenProxy(database, b"schema_version") as proxy:
        settings = Settings(state_dir=tmp_path, database_url=SecretStr(proxy.dsn))
        async with app_database.opened(settings) as opened:
            assert opened.dsn == proxy.dsn
        proxy.armed.set()
        words = await refusal(lambda: enter(app_database.opened(settings)))
        assert "127.0.0.1" in words
        assert proxy.password not in words


async def test_an_older_schema_is_migrated_by_the_start(
    empty_database: str, tmp_path: Path
) -> None:
    settings = Settings(state_dir=tmp_path, database_url=SecretStr(empty_database))
    async with app_database.opened(settings):
        assert migrate.current(empty_database) == migrate.head(migrate.find_scripts())
        with StartReader(empty_database) as reader:
            assert reader.open_intents("7") == []


def test_another_start_that_migrates_is_named(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_MS", 200)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (migrate._LOCK_KEY,))
        with pytest.raises(StartRefused, match="another start or command migrates the schema"):
            migrate.upgrade(database, migrate.find_scripts())


def test_a_table_that_somebody_holds_is_not_waited_for_long(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_MS", 200)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE ops.schema_version IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StartRefused, match="end that session"):
            migrate.upgrade(database, migrate.find_scripts())
