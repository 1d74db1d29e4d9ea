"""A log that cannot be written, or whose reader stalls, holds nobody and ends nothing."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from counterpoise.app import log_writer
from counterpoise.app.log_writer import LogWriter

TESTS = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"}


def lost(count: int) -> str:
    return f"lost {count}"


class Gate(io.StringIO):
    """A stream that a test stalls, breaks and lets go on."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.broken = False

    def write(self, text: str) -> int:
        self.open.wait(30)
        if self.broken:
            raise OSError(28, "No space left on device")
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


def stalled(lines_max: int) -> tuple[Gate, LogWriter]:
    """Return a writer whose thread hangs with a first line in its hands."""
    out = Gate()
    out.open.clear()
    writer = LogWriter(out, lost, lines_max=lines_max)
    writer.write("first")
    deadline = time.monotonic() + 5
    while writer._lines.qsize():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return out, writer


def test_lines_are_written_in_order() -> None:
    out = Gate()
    writer = LogWriter(out, lost)
    for number in range(500):
        writer.write(str(number))
    assert writer.drain(5.0)
    assert out.lines == [str(number) for number in range(500)]


def test_what_does_not_fit_is_lost_and_said_once_it_flows_again() -> None:
    out, writer = stalled(10)
    for number in range(20):
        writer.write(str(number))
    assert writer.lost == 12
    assert not writer.drain(0.05)
    out.open.set()
    assert writer.drain(5.0)
    kept = [line for line in out.lines if not line.startswith("lost")]
    assert kept == ["first", *(str(number) for number in range(8))]
    assert [line for line in out.lines if line.startswith("lost")] == ["lost 12"]
    assert writer.lost == 0
    writer.write("after")
    assert writer.drain(5.0)
    assert out.lines[-1] == "after"


def test_critical_lines_have_room_of_their_own() -> None:
    out, writer = stalled(10)
    for number in range(20):
        writer.write(str(number))
    writer.write("the only record of a reduction", critical=True)
    out.open.set()
    assert writer.drain(5.0)
    assert "the only record of a reduction" in out.lines


def test_a_full_disk_loses_lines_and_says_how_many_when_there_is_room() -> None:
    out = Gate()
    writer = LogWriter(out, lost)
    out.broken = True
    for number in range(3):
        writer.write(str(number))
    assert writer.drain(5.0)
    assert (out.lines, writer.lost) == ([], 3)
    out.broken = False
    writer.write("room again")
    assert writer.drain(5.0)
    assert out.lines == ["room again", "lost 3"]


def test_a_closed_stream_loses_lines_and_nothing_else() -> None:
    out = io.StringIO()
    writer = LogWriter(out, lost)
    out.close()
    writer.write("x")
    assert writer.drain(5.0)
    assert writer.lost == 1


STALL = """
import asyncio, os, structlog
from counterpoise.app import logs
logs.configure("json", "info")
log = structlog.get_logger("x")

async def main():
    async def tick():
        while True:
            os.write(1, b"tick\\n")
            await asyncio.sleep(0.02)
    ticking = asyncio.ensure_future(tick())
    for n in range(1500):
        log.warning("stream.down", number=n, reason="x" * 300)
        if n % 10 == 0:
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.2)
    ticking.cancel()
    os.write(1, b"end\\n")

asyncio.run(main())
"""


def test_a_reader_that_stalls_holds_neither_the_loop_nor_the_end_of_the_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        killing = threading.Timer(30, process.kill)
        killing.start()
        # The log, far more than a pipe holds, is read by nobody.
        said = process.stdout.read().decode().split()
        assert process.wait(10) == 0, "it ends though its log was not read"
        killing.cancel()
        assert said[-1] == "end"
        assert said.count("tick") > 10
        lines = process.stderr.read().splitlines()
    found = [json.loads(line)["number"] for line in lines[:-1]]
    assert found == list(range(len(found))), "in order from the first on"
    assert found


FULL = """
import asyncio, sys
from pathlib import Path
from counterpoise.app import logs
logs.configure("json", "info")
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from ledger_samples import RealClock, approved_order, decision, intent_of

async def main():
    with Spool(Path(sys.argv[1])) as spool:
        shipper = Shipper(spool, "postgresql://x@127.0.0.1:1/x", RealClock(), chain_name="t:1")
        journal = PostgresJournal(spool, shipper, RealClock())
        spool._fail("spool could not be written: disk is full")
        for number in range(2):
            journal.append(decision(number))
            order = approved_order(reduce_only=True, number=number)
            print((await journal.journal_order(order, intent_of(order))).durability.value)
        print(journal._thread.is_alive(), journal.lost_count)

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_reduction_goes_out_with_the_disk_of_spool_and_log_full(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", FULL, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=full,
            env=ENVIRONMENT,
            timeout=30,
            check=False,
        )
    assert done.stdout.decode().split() == ["log", "log", "True", "4"]
    assert done.returncode == 0


FORKING = """
import os, structlog
from counterpoise.app import logs
logs.configure("json", "info")
log = structlog.get_logger()
log.warning("before")
pid = os.fork()
log.warning("child" if pid == 0 else "parent")
if pid == 0:
    from counterpoise.app import log_writer
    log_writer.leave(0)
os.waitpid(pid, 0)
log.warning("after")
"""


def test_a_forked_process_writes_its_own_lines_and_nobodys_twice() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=30,
        check=True,
    )
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert sorted(events) == ["after", "before", "child", "parent"]


def test_a_line_that_was_cut_is_lost_and_the_next_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []
    room = [3, 2, 0, 99, 99]

    def write(_descriptor: int, content: memoryview) -> int:
        taken = bytes(content[: room.pop(0)])
        if not taken:
            raise OSError(28, "No space left on device")
        written.append(taken)
        return len(taken)

    monkeypatch.setattr(log_writer, "os", SimpleNamespace(write=write))
    writer = LogWriter(io.StringIO(), lost)
    writer._descriptor = 2
    writer.write("whole or not")
    writer.write("next")
    assert writer.drain(5.0)
    assert b"".join(written) == b"whole\nnext\nlost 1\n"
