"""A command goes to one account: of this state directory, named, or the only one there is."""

import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from counterpoise.app import address
from counterpoise.app.cli import control, main
from counterpoise.domain.events import ControlAction
from counterpoise.domain.records import ControlHandled, Record, TradingStateChanged
from counterpoise.ledger import controls, schema
from counterpoise.status.client import DaemonStatus
from ledger_samples import approved_order, intent_of, run_started

Command = Callable[..., tuple[int, str, str]]


def insert(dsn: str, *records: Record) -> None:
    with psycopg.connect(dsn) as connection:
        for record in records:
            table = schema.TABLES[type(record)]
            row = schema.row_of(record) | {"spool_id": "s", "spool_seq": time.time_ns()}
            columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
            connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values())
            )


def ran(dsn: str, account_id: str, started_ns: int = 1) -> None:
    run = dataclasses.replace(run_started(f"run-{account_id}", account_id), started_ns=started_ns)
    insert(dsn, run)


def asked(dsn: str) -> list[tuple[str, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT action, account_id FROM audit.control ORDER BY control_id"
        ).fetchall()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def counterpoise(
    database: str,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(state_dir))
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", database)
    monkeypatch.setattr(control, "ANSWER_SECONDS_MAX", 0.2)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["counterpoise", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return code or 0, out, err

    return run


def test_it_is_meant_for_the_daemon_of_the_state_directory(
    database: str, counterpoise: Command, state_dir: Path
) -> None:
    ran(database, "ours")
    ran(database, "theirs", started_ns=2)
    # It is starting: on which account is known, but nobody listens yet.
    address.write(state_dir, "ours", None)
    code, _, err = counterpoise("flatten")
    assert code == 1
    assert "no daemon of account ours answered" in err
    address.write(state_dir, "ours", 1)
    counterpoise("stop")
    assert asked(database) == [("flatten", "ours"), ("stop", "ours")]


def test_it_is_asked_for_when_nothing_tells(database: str, counterpoise: Command) -> None:
    code, _, err = counterpoise("pause")
    assert (code, err) == (1, "error: no account is on record; start the daemon first\n")
    ran(database, "one")
    ran(database, "one-shadow", started_ns=2)
    counterpoise("pause")
    ran(database, "two", started_ns=3)
    code, _, err = counterpoise("flatten")
    assert code == 2
    assert "--account is needed" in err
    assert err.endswith("on record are two, one\n")
    assert asked(database) == [("pause", "one")]


def test_an_account_that_the_database_does_not_know_is_not_waited_for(
    database: str, state_dir: Path, counterpoise: Command
) -> None:
    ran(database, "real")
    # A demo ran here once, on another database.
    address.write(state_dir, "paper-7", None)
    code, _, err = counterpoise("flatten")
    assert code == 2
    assert "--account is needed" in err
    assert "paper-7" in err
    assert "real" in err
    assert asked(database) == []


def test_it_can_be_named(database: str, counterpoise: Command, state_dir: Path) -> None:
    ran(database, "ours")
    ran(database, "theirs", started_ns=2)
    address.write(state_dir, "ours", None)
    for words in (
        ["pause"],
        ["resume"],
        ["flatten"],
        ["stop", "--flatten"],
        ["high-water", "reset"],
    ):
        counterpoise(*words, "--account", "theirs")
    assert {account_id for _, account_id in asked(database)} == {"theirs"}
    code, _, err = counterpoise("pause", "--account", "their")
    assert (code, err) == (2, "error: --account their: allowed is one of theirs, ours\n")
    code, _, err = counterpoise("pause", "--account", "ours-shadow")
    assert code == 2
    assert "takes no commands" in err
    assert len(asked(database)) == 5


def test_a_request_is_left_with_settings_that_no_start_would_take(
    database: str, counterpoise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(database, "ours")
    monkeypatch.setenv("COUNTERPOISE_VENUE", "okx")
    monkeypatch.setenv("COUNTERPOISE_VOLATILITY_TARGET", "much")
    for words in (["pause"], ["flatten"], ["stop"], ["stop", "--flatten"]):
        code, _, err = counterpoise(*words)
        assert (code, "no daemon of account ours answered" in err) == (1, True)
    counterpoise("resume", "--explain")
    wishes = ["pause", "flatten", "stop", "flatten_stop"]
    assert asked(database) == [(wish, "ours") for wish in wishes]
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", "mysql://host")
    code, _, err = counterpoise("flatten")
    assert code == 2
    assert err.startswith("error: COUNTERPOISE_DATABASE_URL=***: allowed is postgresql://")


def test_a_stop_of_another_account_than_the_directorys_own_is_refused(
    database: str, counterpoise: Command, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The record is the directory's own, and its daemon runs on one account.
    monkeypatch.delenv("COUNTERPOISE_DATABASE_URL")
    monkeypatch.setattr(control, "open_dsn", lambda _: contextlib.nullcontext(database))
    running = DaemonStatus(live=True, ready=True, facts={}, summary="trading")
    monkeypatch.setattr("counterpoise.status.client.ask", lambda *_: running)
    ran(database, "ours")
    ran(database, "theirs", started_ns=2)
    address.write(state_dir, "ours", 1)
    for words in (["stop"], ["stop", "--flatten"]):
        code, out, err = counterpoise(*words, "--account", "theirs")
        assert (code, out) == (2, "")
        assert err.startswith(f"error: --account theirs: the daemon of {state_dir} is that of ours")
        assert "COUNTERPOISE_STATE_DIR" in err
    assert asked(database) == []
    counterpoise("stop", "--account", "ours")
    counterpoise("stop")
    # What is not a stop waits for that account's next daemon, as ever.
    counterpoise("pause", "--account", "theirs")
    assert asked(database) == [("stop", "ours"), ("stop", "ours"), ("pause", "theirs")]


def test_a_statement_goes_to_the_account_of_its_order(
    database: str, counterpoise: Command, state_dir: Path
) -> None:
    ran(database, "ours")
    ran(database, "theirs")
    order = dataclasses.replace(intent_of(approved_order(reduce_only=True)), account_id="theirs")
    insert(database, order)
    address.write(state_dir, "ours", None)
    counterpoise("orders", "resolve", order.client_order_id, "--absent", "-r", "seen")
    assert asked(database) == [("resolve_order", "theirs")]


def test_the_answer_of_that_account_is_told(
    database: str,
    counterpoise: Command,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "ANSWER_SECONDS_MAX", 10.0)
    ran(database, "ours")
    ran(database, "theirs")
    address.write(state_dir, "ours", None)
    told = ControlHandled(
        control_id="",
        run_id="",
        action="pause",
        actor="me",
        reason="",
        result="done",
        message="",
        trading_state="reducing",
        handled_ns=time.time_ns(),
    )

    def answer() -> None:
        while not asked(database):
            time.sleep(0.02)
        for account_id, message in (("ours", "Ours."), ("theirs", "Theirs.")):
            control_id, run_id = "1", f"run-{account_id}"
            row = dataclasses.replace(told, control_id=control_id, run_id=run_id, message=message)
            insert(database, row)

    daemons = threading.Thread(target=answer)
    daemons.start()
    code, out, err = counterpoise("pause")
    daemons.join()
    assert (code, err) == (0, "")
    assert out == "pause: done; trading state reducing; Ours. (account ours)\n"


def test_what_holds_back_is_that_accounts(
    database: str, counterpoise: Command, state_dir: Path
) -> None:
    ran(database, "ours")
    ran(database, "theirs", started_ns=2)
    changed = TradingStateChanged(
        run_id="run-ours",
        account_id="ours",
        trading_state="reducing",
        causes=("operator", "stopping"),
        changed_ns=1,
    )
    insert(database, changed)
    address.write(state_dir, "ours", None)
    _, out, _ = counterpoise("resume", "--explain")
    assert "account ours" in out
    assert "held back by 1" in out
    _, out, _ = counterpoise("resume", "--explain", "--account", "theirs")
    assert "nothing holds it back" in out


async def test_a_command_given_while_no_daemon_runs_waits_for_its_own(
    database: str, counterpoise: Command, state_dir: Path
) -> None:
    ran(database, "ours")
    ran(database, "theirs")
    address.write(state_dir, "ours", None)
    counterpoise("flatten")
    async with await psycopg.AsyncConnection.connect(database) as connection:
        mine = await controls.pending(connection, "ours")
        assert [row[1] for row in mine] == [ControlAction.FLATTEN]
        assert await controls.pending(connection, "theirs") == []
        assert await controls.pending(connection, "a new one") == []
