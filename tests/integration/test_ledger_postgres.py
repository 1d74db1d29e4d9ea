"""The built-in server: first start, second owner, and every way to die."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from counterpoise.ledger.postgres import (
    LocalPostgres,
    PostgresBusy,
    PostgresFailed,
    binaries,
    cluster,
    open_for_cli,
)

ROOT = os.geteuid() == 0
SOURCE = str(Path(__file__).parents[2] / "src")

STARTER = """
import sys, time
from pathlib import Path
from counterpoise.ledger.postgres import LocalPostgres
server = LocalPostgres(Path(sys.argv[1]), durable=False).start()
print("ready", flush=True)
time.sleep(60)
"""


def ask(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement).fetchone()
    return None if row is None else row[0]


def postmaster(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split("\n")[0])


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@pytest.fixture
def root(reachable_path: Path) -> Path:
    return reachable_path / "postgres"


def other_owner(root: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_is_written_is_there_after_a_restart(root: Path) -> None:
    with LocalPostgres(root) as server:
        dsn = server.dsn()
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        for name, value in (
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("data_checksums", "on"),
            ("listen_addresses", ""),
        ):
            assert ask(dsn, f"SHOW {name}") == value
    with LocalPostgres(root) as server:
        assert server.dsn() == dsn
        assert ask(server.dsn(), "SELECT number FROM kept") == 7


def test_secrets_and_socket_are_private(root: Path) -> None:
    with LocalPostgres(root, durable=False) as server:
        assert stat.S_IMODE((root / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE((root / "data").stat().st_mode) == 0o700
        assert (root / "password").read_text() in server.dsn().replace("%3D", "=")
        wrong = server.dsn().replace((root / "password").read_text(), "guessed")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


@pytest.mark.skipif(not ROOT, reason="only root hands the server to another user")
def test_root_runs_it_as_somebody_else_and_opens_no_directory(reachable_path: Path) -> None:
    with LocalPostgres(reachable_path / "a", durable=False) as server:
        pid = postmaster(reachable_path / "a")
        owner = (reachable_path / "a" / "data").stat().st_uid
        assert owner != 0
        assert Path(f"/proc/{pid}").stat().st_uid == owner
        assert ask(server.dsn(), "SELECT 1") == 1


@pytest.mark.skipif(not ROOT, reason="only root hands the server to another user")
def test_below_a_closed_directory_the_cluster_lies_elsewhere(
    reachable_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = reachable_path / "shared"
    monkeypatch.setattr(binaries, "SHARED_HOME", shared)
    closed = reachable_path / "closed"
    closed.mkdir(mode=0o700)
    root = closed / "postgres"
    with LocalPostgres(root, durable=False) as server:
        assert ask(server.dsn(), "SELECT 1") == 1
        home = Path((root / "location").read_text().strip())
        assert home.parent == shared
        assert LocalPostgres(root).attach().dsn() == server.dsn()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    # A renamed checkout still finds its record.
    closed.rename(reachable_path / "renamed")
    with LocalPostgres(reachable_path / "renamed" / "postgres", durable=False) as server:
        assert f"host={home}/data" in server.dsn()


@pytest.mark.skipif(not ROOT, reason="only root hands the server to another user")
def test_programs_nobody_reaches_are_copied_once(reachable_path: Path) -> None:
    closed = reachable_path / "closed"
    programs = closed / "package" / "pginstall" / "bin"
    programs.mkdir(parents=True)
    closed.chmod(0o700)
    for name in ("postgres", "initdb"):
        (programs / name).write_text("#!/bin/sh\necho postgres '(PostgreSQL)' 99.1\n")
        (programs / name).chmod(0o700)
    nobody = binaries.Account(name="nobody", uid=65534, gid=65534)
    found = binaries.reachable_binaries(programs, nobody, reachable_path / "shared")
    assert found == reachable_path / "shared" / "package-99.1" / "package" / "pginstall" / "bin"
    assert nobody.can_reach(found / "initdb")
    assert not nobody.can_reach(programs / "initdb")
    first = (found / "initdb").stat().st_mtime_ns
    assert binaries.reachable_binaries(programs, nobody, reachable_path / "shared") == found
    assert (found / "initdb").stat().st_mtime_ns == first
    assert binaries.reachable_binaries(programs, None) == programs


def test_a_path_too_long_for_a_socket_works(reachable_path: Path) -> None:
    root = reachable_path / ("long" * 30)
    with LocalPostgres(root, durable=False) as server:
        assert "host=/tmp/counterpoise-" in server.dsn()
        assert ask(server.dsn(), "SELECT 1") == 1


def test_a_killed_initdb_leaves_nothing_in_the_way(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_run = cluster.Cluster._run

    def killed(self: cluster.Cluster, command: list[str]) -> "subprocess.CompletedProcess[str]":
        if command[0].endswith("initdb"):
            command = ["/usr/bin/timeout", "-s", "KILL", "0.15", *command]
        return real_run(self, command)

    monkeypatch.setattr(cluster.Cluster, "_run", killed)
    with pytest.raises(PostgresFailed, match="ended with"):
        LocalPostgres(root, durable=False).start()
    leftovers = [path.name for path in root.glob(".init-*")]
    assert len(leftovers) == 1
    assert not (root / "data").exists()
    monkeypatch.undo()
    with LocalPostgres(root, durable=False) as server:
        assert ask(server.dsn(), "SELECT 1") == 1
        assert list(root.glob(".init-*")) == []
        assert list(root.glob(".password-*")) == []


def test_a_leftover_server_that_ends_while_it_is_stopped_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_run = cluster.Cluster._run

    def ends_first(self: cluster.Cluster, command: list[str]) -> "subprocess.CompletedProcess[str]":
        if command[-1] == "stop":
            assert real_run(self, command).returncode == 0
        return real_run(self, command)

    server = LocalPostgres(root, durable=False).start()
    monkeypatch.setattr(cluster.Cluster, "_run", ends_first)
    try:
        found = server._cluster
        assert found is not None
        assert found.postmaster_lines() != []
        found.stop_leftover()
        assert found.postmaster_lines() == []
    finally:
        monkeypatch.undo()
        server.stop()


def test_a_failed_start_says_what_the_server_said(root: Path) -> None:
    server = LocalPostgres(root, durable=False, settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed, match="nonsense"):
        server.start()
    # The lock is free again.
    LocalPostgres(root, durable=False).start().stop()


def test_one_owner_at_a_time_and_commands_attach(root: Path) -> None:
    with LocalPostgres(root, durable=False) as server:
        with pytest.raises(PostgresBusy, match="another process"):
            LocalPostgres(root).start()
        pid = postmaster(root)
        with open_for_cli(root) as attached:
            assert attached.dsn() == server.dsn()
            assert ask(attached.dsn(), "SELECT 1") == 1
        assert postmaster(root) == pid
        assert running(pid)
    with pytest.raises(PostgresFailed, match="no built-in Postgres"):
        LocalPostgres(root).attach()
    with open_for_cli(root) as started:
        pid = postmaster(root)
        assert ask(started.dsn(), "SELECT 1") == 1
    assert not running(pid)


def test_it_ends_with_a_parent_killed_by_9_and_starts_again(root: Path) -> None:
    owner = other_owner(root)
    pid = postmaster(root)
    with owner:
        owner.kill()
    wait_until(lambda: not running(pid))
    assert "database system is shut down" in (root / "postgres.log").read_text()
    with LocalPostgres(root, durable=False, settings={}) as server:
        assert ask(server.dsn(), "SELECT 1") == 1


def test_it_ends_with_a_shim_killed_by_9(root: Path) -> None:
    with LocalPostgres(root, durable=False) as server:
        pid = postmaster(root)
        assert server._shim is not None
        server._shim.kill()
        wait_until(lambda: not running(pid))


async def test_a_killed_server_is_started_again(root: Path) -> None:
    server = LocalPostgres(root, durable=False)
    with server:
        watching = asyncio.create_task(server.supervise())
        for _ in range(2):
            pid = postmaster(root)
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while True:
                await asyncio.sleep(0.05)
                with contextlib.suppress(psycopg.OperationalError):
                    connection = await psycopg.AsyncConnection.connect(server.dsn())
                    await connection.close()
                    if postmaster(root) != pid:
                        break
                assert time.monotonic() < deadline
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        pid = postmaster(root)
    assert not running(pid)


def test_a_full_disk_hides_a_server_from_commands_and_ends_nothing(root: Path) -> None:
    with LocalPostgres(root, durable=False) as server:
        assert server._home is not None
        home = server._home
    (home / "server.json.new").symlink_to("/dev/full")
    with LocalPostgres(root, durable=False) as server:
        assert ask(server.dsn(), "SELECT 1") == 1
        with pytest.raises(PostgresFailed, match="no built-in Postgres runs"):
            LocalPostgres(root).attach()
