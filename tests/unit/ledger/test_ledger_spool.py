import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from counterpoise.domain.errors import SpoolFailed
from counterpoise.ledger.spool import NewRecord, Spool


def record(number: int, size: int = 0) -> NewRecord:
    return NewRecord(table="fill", body=f"{number}" + "x" * size, created_ns=number)


def test_records_come_back_in_order_with_consecutive_numbers(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        assert spool.append([record(1), record(2)]) == 1
        assert spool.append([record(3)]) == 3
        found = spool.read(after=1, limit=10, bytes_max=1000)
        assert [(one.seq, one.table, one.body, one.created_ns) for one in found] == [
            (2, "fill", "2", 2),
            (3, "fill", "3", 3),
        ]


def test_a_batch_is_bounded_by_bytes_but_never_empty(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append([record(1, 50), record(2, 50), record(3, 50)])
        assert [one.seq for one in spool.read(0, 10, 110)] == [1, 2]
        assert [one.seq for one in spool.read(0, 10, 1)] == [1]
        assert [one.seq for one in spool.read(0, 2, 1000)] == [1, 2]


def test_numbers_and_name_outlive_deletion_and_reopening(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        name = spool.spool_id
        spool.append([record(1), record(2)])
        spool.delete_through(2)
        assert spool.read(0, 10, 1000) == []
        assert spool.bytes_waiting == 0
    with Spool(tmp_path) as spool:
        assert (spool.spool_id, spool.last_seq) == (name, 2)
        assert spool.append([record(3)]) == 3


def test_a_full_spool_is_dead_for_good(tmp_path: Path) -> None:
    with Spool(tmp_path, bytes_max=1000) as spool:
        spool.append([record(1, 500)])
        with pytest.raises(SpoolFailed, match="full"):
            spool.append([record(2, 500)])
        with pytest.raises(SpoolFailed, match="full"):
            spool.append([record(3)])
        assert spool.failure is not None


def test_what_waits_still_counts_after_reopening(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append([record(1, 500)])
        waiting = spool.bytes_waiting
    with Spool(tmp_path) as spool:
        assert spool.bytes_waiting == waiting == 500 + 1 + 64


def test_a_failed_write_is_not_tried_again(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append([record(1)])
        pages = spool._writer.execute("PRAGMA page_count").fetchone()[0]
        spool._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(SpoolFailed, match="could not be written"):
            spool.append([record(2, 100_000)])
        # There would be room for this one; the spool does not look.
        with pytest.raises(SpoolFailed):
            spool.append([record(3)])
        assert [one.body for one in spool.read(0, 10, 1000)] == ["1"]
        assert spool.last_seq == 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(SpoolFailed, match="in use"):
        Spool(tmp_path)
    Spool(tmp_path).close()


def test_a_file_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(b"not a database" * 500)
    with pytest.raises(SpoolFailed, match="cannot be opened"):
        Spool(tmp_path)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    writer = """
import sys
from pathlib import Path
from counterpoise.ledger.spool import NewRecord, Spool
spool = Spool(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    seq = spool.append([NewRecord(table="fill", body=str(number), created_ns=number)])
    print(seq, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    with Spool(tmp_path) as spool:
        bodies = [one.body for one in spool.read(0, 1_000_000, 1 << 30)]
        assert bodies[: len(acknowledged)] == [str(seq) for seq in acknowledged]
        assert spool.last_seq - acknowledged[-1] in (0, 1)
