"""A disk that hangs at a stop keeps neither the loop nor the lease."""

import asyncio
import threading
import time
from pathlib import Path

import psycopg
import pytest

from counterpoise.app import way_out as way_out_module
from counterpoise.app import write_path
from counterpoise.app.database import Database
from counterpoise.app.settings import Settings
from counterpoise.app.way_out import WayOut
from counterpoise.domain.errors import SpoolFailed, StartRefused
from counterpoise.ledger.spool import Spool
from ledger_samples import RealClock, decision


async def longest_pause(pauses: list[float]) -> None:
    while True:
        started = time.monotonic()
        await asyncio.sleep(0.01)
        pauses.append(time.monotonic() - started)


@pytest.mark.parametrize("hangs", [True, False])
async def test_the_lease_is_free_whatever_the_disk_does(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr(write_path, "CLOSE_SECONDS_MAX", 0.3)
    monkeypatch.setattr(write_path, "FLUSH_SECONDS_MAX", 0.3)
    made: list[Spool] = []

    class Kept(Spool):
        def __init__(self, directory: Path) -> None:
            super().__init__(directory)
            made.append(self)

    monkeypatch.setattr(write_path, "Spool", Kept)
    left: list[int] = []
    monkeypatch.setattr(way_out_module, "CLOSE_REST_SECONDS_MAX", 0.1)
    way_out, settings = WayOut(leave=left.append), Settings(state_dir=tmp_path)
    freed, held = threading.Event(), threading.Event()

    def hold() -> None:
        # As a writer does while its fsync does not return.
        with made[0]._writing:
            held.set()
            freed.wait(60)

    pauses: list[float] = []
    watching = asyncio.create_task(longest_pause(pauses))
    try:
        async with write_path.open_ledger(
            settings, Database(dsn=database, local=None), "okx:7", RealClock(), way_out
        ) as ledger:
            ledger.journal.append(decision(1))
            assert await ledger.journal.flush(10.0)
            if hangs:
                threading.Thread(target=hold, daemon=True).start()
                assert held.wait(10)
                ledger.journal.append(decision(2))
            pauses.clear()
            started = time.monotonic()
        assert time.monotonic() - started < 10
        # The pause that is going on ends first.
        await asyncio.sleep(0.05)
        assert max(pauses) < 0.8, "the loop was held"
    finally:
        watching.cancel()
        freed.set()
    assert way_out.hangs is hangs
    way_out.disarm()
    await asyncio.sleep(0.3)
    assert left == ([1] if hangs else [])
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT released FROM ops.lease").fetchall()
    assert found == [(True,)]
    # It returns after all: the record is on disk or was said to be lost, nothing between.
    for thread in threading.enumerate():
        if thread.name in ("closing", "journal"):
            await asyncio.to_thread(thread.join, 10)
    with Spool(tmp_path / "spool") as spool:
        assert spool.last_seq + ledger.journal.lost_count == (2 if hangs else 1)


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_spool_that_does_not_open_leaves_the_lease_free(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    freed = threading.Event()

    class Held(Spool):
        def __init__(self, directory: Path) -> None:
            freed.wait(60)
            raise SpoolFailed(f"{directory} answers too late")

    if hangs:
        monkeypatch.setattr(write_path, "OPEN_SECONDS_MAX", 0.2)
        monkeypatch.setattr(write_path, "Spool", Held)
    raised = StartRefused if hangs else SpoolFailed
    settings = Settings(state_dir=tmp_path)
    try:
        with Spool(tmp_path / "spool"), pytest.raises(raised, match="spool"):
            async with write_path.open_ledger(
                settings, Database(dsn=database, local=None), "okx:7", RealClock(), WayOut()
            ):
                raise AssertionError("it opened")
    finally:
        freed.set()
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT released FROM ops.lease").fetchall()
    assert found == [(True,)]
