"""A year of 15-minute cycles with ten legs in a real Postgres: its size, and docs/sql.md's queries.

The year is made by INSERT ... SELECT (`tests/year_of_record.py`). Each query runs nine times; the
best wall time is told, and the least time the server's process spent on a processor, which other
work on the machine disturbs less. `COUNTERPOISE_BENCH_CYCLES` shortens the year.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import sql_page
import year_of_record
from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import LocalPostgres
from counterpoise.ledger.rows import iso

RUNS = 9
_SIZES = """
SELECT coalesce(i.inhparent::regclass, c.oid::regclass)::text AS name,
  sum(pg_total_relation_size(c.oid))::bigint AS bytes, sum(c.reltuples)::bigint AS rows
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind = 'r'
GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 1000000 ORDER BY 2 DESC
"""


def processor_ms(pid: int) -> float | None:
    """Return what a process used so far; None = this system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    except OSError:
        return None


def measure(connection: "psycopg.Connection", query: str) -> tuple[float, float | None, int]:
    wall, used, rows = [], [], 0
    for _ in range(RUNS):
        before, began = processor_ms(connection.info.backend_pid), time.perf_counter()
        rows = len(connection.execute(query).fetchall())
        wall.append((time.perf_counter() - began) * 1e3)
        after = processor_ms(connection.info.backend_pid)
        if before is not None and after is not None:
            used.append(after - before)
    return min(wall), min(used) if used else None, rows


def main() -> None:
    cycles = int(os.environ.get("COUNTERPOISE_BENCH_CYCLES", year_of_record.CYCLES_PER_YEAR))
    root = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        with LocalPostgres(root / "postgres", durable=False) as server:
            dsn = server.dsn()
            migrate.upgrade(dsn, migrate.find_scripts())
            began = time.monotonic()
            year_of_record.fill(dsn, cycles)
            print(f"{cycles} cycles written in {time.monotonic() - began:.0f} s")
            with psycopg.connect(dsn, autocommit=True) as connection:
                report(connection, cycles)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def report(connection: "psycopg.Connection", cycles: int) -> None:
    rows = connection.execute(_SIZES).fetchall()
    for name, size, count in rows:
        print(f"{name:26} {count:>10} rows {size / 1e6:>8.1f} MB")
    total = connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]
    print(f"{'database':26} {total / 1e6:>22.1f} MB, {total / cycles:.0f} bytes a cycle")
    now = iso(year_of_record.BEGIN_NS + (cycles - 1) * 900_000_000_000 + 60_000_000_000)
    for number, (words, query) in sql_page.questions(now).items():
        wall, used, found = measure(connection, query)
        processor = "-" if used is None else f"{used:.1f}"
        print(
            f"{number:>3} {words[:64]:64} {found:>5} rows {wall:>7.1f} ms, processor {processor} ms"
        )


if __name__ == "__main__":
    main()
