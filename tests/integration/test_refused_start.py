"""A SIGQUIT during a start that the venue refuses is left to the next start."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import structlog

from counterpoise.app import address, configuration, daemon, refused_start
from counterpoise.domain.errors import LeaseLost, StartRefused, VenueUnreachable
from counterpoise.domain.events import ControlAction
from counterpoise.ledger import controls, schema
from ledger_samples import run_started


def ran(dsn: str, account_id: str) -> None:
    row = schema.row_of(run_started(f"run-{account_id}", account_id))
    row |= {"spool_id": "s", "spool_seq": time.time_ns()}
    columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
    with psycopg.connect(dsn) as connection:
        connection.execute(
            f"INSERT INTO audit.run ({columns}) VALUES ({marks})", list(row.values())
        )


async def pending(dsn: str, account_id: str) -> list[tuple[str, str]]:
    """Return what the next daemon of an account is asked for, and why."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        return [(row[1], row[3]) for row in await controls.pending(connection, account_id)]


async def quit_and_refuse(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGQUIT)
    await asyncio.sleep(0.05)
    raise VenueUnreachable("the venue does not answer")


async def quit_beside_another(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGQUIT)
    await asyncio.sleep(0.05)
    raise LeaseLost("lease okx:ours is held by another daemon")


async def refuse(*_: object, **__: object) -> Any:
    raise StartRefused("the key is wrong")


async def quit_twice(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGQUIT)
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGQUIT)
    await asyncio.sleep(5)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> structlog.testing.LogCapture:
    """Return what is logged here, however logging was set up before."""
    heard = structlog.testing.LogCapture()
    made = structlog.wrap_logger(None, processors=[heard], wrapper_class=structlog.BoundLogger)
    for module in (refused_start, daemon):
        monkeypatch.setattr(module, "log", made)
    return heard


def names(said: structlog.testing.LogCapture) -> list[str]:
    return [entry["event"] for entry in said.entries]


Start = Callable[..., int]


@pytest.fixture
def start(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", database)

    def run(opening: Any, *, commanded: bool = True) -> int:
        return daemon.run(configuration.load("demo"), opening=opening, commanded=commanded)

    return run


def test_it_becomes_a_command_to_the_account_that_ran_here(
    database: str, start: Start, tmp_path: Path, said: structlog.testing.LogCapture
) -> None:
    ran(database, "ours")
    ran(database, "theirs")
    address.write(tmp_path, "ours", None)
    with pytest.raises(VenueUnreachable):
        start(quit_and_refuse)
    asked = [(ControlAction.FLATTEN.value, "SIGQUIT during a start that was refused")]
    assert asyncio.run(pending(database, "ours")) == asked
    assert asyncio.run(pending(database, "theirs")) == []
    assert names(said) == ["stop.kept"]
    assert said.entries[0]["account"] == "ours"


def test_it_goes_to_the_account_that_the_venue_named(
    database: str, start: Start, tmp_path: Path
) -> None:
    ran(database, "ours")
    address.write(tmp_path, "ours", None)

    async def account() -> Any:
        os.kill(os.getpid(), signal.SIGQUIT)
        held = SimpleNamespace(instrument_id="SHIBUSDT")
        return SimpleNamespace(account_id="another", positions=[held], open_orders=())

    async def close() -> None:
        pass

    async def opened(*_: object, **__: object) -> Any:
        return SimpleNamespace(venue=SimpleNamespace(name="okx", account=account, close=close))

    with pytest.raises(StartRefused, match="the account holds SHIBUSDT"):
        start(opened)
    assert [action for action, _ in asyncio.run(pending(database, "another"))] == ["flatten"]
    assert asyncio.run(pending(database, "ours")) == []


@pytest.mark.parametrize("last", [None, "elsewhere"])
def test_where_no_account_is_known_that_is_said(
    last: str | None,
    database: str,
    start: Start,
    tmp_path: Path,
    said: structlog.testing.LogCapture,
) -> None:
    ran(database, "ours")
    if last is not None:
        address.write(tmp_path, last, None)
    with pytest.raises(VenueUnreachable):
        start(quit_and_refuse)
    assert names(said) == ["stop.not_kept", "stop.not_carried_out"]
    assert asyncio.run(pending(database, "ours")) == []


def test_the_daemon_that_runs_is_not_asked_by_a_second_one(
    database: str, start: Start, tmp_path: Path, said: structlog.testing.LogCapture
) -> None:
    ran(database, "ours")
    address.write(tmp_path, "ours", None)
    with pytest.raises(LeaseLost):
        start(quit_beside_another)
    assert names(said) == ["stop.not_kept", "stop.not_carried_out"]
    assert said.entries[0]["reason"] == "another daemon runs on the account"
    assert asyncio.run(pending(database, "ours")) == []


def test_nothing_is_asked_where_nobody_asked_or_would_not_wait(
    database: str, start: Start, tmp_path: Path
) -> None:
    ran(database, "ours")
    address.write(tmp_path, "ours", None)
    with pytest.raises(StartRefused):
        start(refuse)
    assert start(quit_twice) == 130
    with pytest.raises(VenueUnreachable):
        start(quit_and_refuse, commanded=False)
    assert asyncio.run(pending(database, "ours")) == []
