"""Runs the crash matrix: `crash_matrix.py --runs 500 --seed 1 --jobs 4`, and prints its table."""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import psycopg

import crash_run
from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import LocalPostgres
from crash_points import POINTS
from crash_venues import VENUES

#: Every so many runs the daemon's own embedded server is used, which dies with it.
EMBEDDED_EVERY = 20


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def shared_server() -> Iterator[LocalPostgres]:
    """Run one server for all runs, with a migrated database to copy for each."""
    path = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        with LocalPostgres(path / "postgres", durable=False) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE migrated")
            migrate.upgrade(server.dsn("migrated"), migrate.find_scripts())
            yield server
    finally:
        shutil.rmtree(path, ignore_errors=True)


def run_all(
    cases: Sequence[crash_run.Case], server: LocalPostgres, jobs: int, *, verbose: bool = True
) -> list[crash_run.Outcome]:
    """Run cases side by side and return what came of each."""
    outcomes: list[crash_run.Outcome] = []
    with ThreadPoolExecutor(jobs) as pool:
        works = [
            pool.submit(
                crash_run.run_case,
                case,
                None if case.number % EMBEDDED_EVERY == EMBEDDED_EVERY - 1 else server,
            )
            for case in cases
        ]
        for work in as_completed(works):
            try:
                outcome = work.result()
            except BaseException:
                # Runs at work end what they started; the others never begin.
                pool.shutdown(cancel_futures=True)
                raise
            outcomes.append(outcome)
            if verbose:
                say(line(outcome))
            for finding in outcome.findings:
                say(f"    {finding}")
            if outcome.findings:
                say(f"    repeat: {outcome.case.command}")
    return sorted(outcomes, key=lambda each: each.case.number)


def line(outcome: crash_run.Outcome) -> str:
    """Return one run in a line."""
    case = outcome.case
    return (
        f"{'FAILED' if outcome.findings else 'ok':6} {case.number:4} {case.venue:7} "
        f"{case.point:24} {case.fault:13} {'died there' if outcome.reached else 'died later':10} "
        f"{outcome.stage:22} -> {outcome.resolved:13} {outcome.orders:2} orders "
        f"{outcome.fills:2} fills, settled in {outcome.settled_seconds:4.1f} s, "
        f"leverage <= {outcome.leverage_max:.2f}"
    )


def table(outcomes: Sequence[crash_run.Outcome]) -> str:
    """Return the runs by point."""
    by_point: dict[str, list[crash_run.Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_point[outcome.case.point].append(outcome)
    rows = [f"{'point':25} runs there clean  at the crash / how it was resolved"]
    for name in [*POINTS, crash_run.RANDOM]:
        each = by_point.get(name)
        if not each:
            continue
        stages = ", ".join(f"{n} {what}" for what, n in Counter(o.stage for o in each).items())
        ends = ", ".join(f"{n} {what}" for what, n in Counter(o.resolved for o in each).items())
        rows.append(
            f"{name:25} {len(each):4} {sum(o.reached for o in each):5} "
            f"{sum(not o.findings for o in each):5}  {stages} / {ends}"
        )
    return "\n".join(rows)


def asked_for(text: str) -> Callable[[str, str], bool]:
    """Return what picks points and faults of "POINT:FAULT,POINT"."""
    wanted = [each.partition(":")[::2] for each in text.split(",")]
    return lambda point, fault: any(point == p and f in ("", fault) for p, f in wanted)


def main() -> int:
    """Run what was asked for; 1 = something was found."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=500)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--jobs", type=int, default=4)
    asked.add_argument("--only", default="", help="POINT, POINT:FAULT, several by commas")
    asked.add_argument("--venue", default="all", choices=[*VENUES, "all"])
    asked.add_argument("--log", action="store_true", help="print a failed run's log")
    options = asked.parse_args()
    only = asked_for(options.only) if options.only else None
    venues = list(VENUES) if options.venue == "all" else [options.venue]
    began = time.monotonic()
    with shared_server() as server:
        cases = crash_run.cases(options.runs, options.seed, only, venues)
        outcomes = run_all(cases, server, options.jobs)
    say(table(outcomes))
    for venue in venues:
        each = [o for o in outcomes if o.case.venue == venue]
        clean, there = sum(not o.findings for o in each), sum(o.reached for o in each)
        say(f"{venue:7} {len(each):4} runs, {there} died at their point, {clean} clean")
    failed = [each for each in outcomes if each.findings]
    for outcome in failed:
        say(
            f"FAILED {outcome.case.venue} {outcome.case.point} {outcome.case.fault}: {outcome.findings[0]}"
        )
        say(f"  repeat: {outcome.case.command}")
        if options.log:
            say(outcome.log)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    say(
        f"{len(outcomes)} runs, {sum(o.reached for o in outcomes)} died at their point, "
        f"{len(failed)} failed; {time.monotonic() - began:.0f} s, "
        f"{used.ru_utime + used.ru_stime:.0f} CPU seconds of daemons and venues"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
