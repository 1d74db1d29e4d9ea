"""Plays seeded days and audits them: `fault_campaign.py --seeds 1-1000 --jobs 2`."""

import argparse
import functools
import multiprocessing
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import virtual_audit
import virtual_loop
import virtual_world
from counterpoise.domain import records
from counterpoise.simulator.venues import VenueName
from memory_record import MemoryReader

#: A day that takes longer than this is a finding by itself, CPU seconds.
CPU_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What came of a seed."""

    seed: int
    venue: str
    findings: tuple[str, ...]
    story: tuple[str, ...]
    lives: int
    orders: int
    fills: int
    decisions: int
    leverage_max: float
    cpu_seconds: float


def play(seed: int, venue: VenueName | None = None, depth: float | None = None) -> Day:
    """Play and audit one seed, at its venue and depth or at others."""
    began = time.process_time()
    world = virtual_loop.run(virtual_world.live_through(seed, venue, depth))
    reader = MemoryReader(world.kept)
    return Day(
        seed=seed,
        venue=world.name.value,
        findings=tuple(virtual_audit.audit(world)),
        story=tuple(world.story),
        lives=world.lives,
        orders=len(reader.all(records.IntentWritten)),
        fills=len(reader.all(records.FillSeen)),
        decisions=len(reader.all(records.DecisionMade)),
        leverage_max=float(world.leverage_max),
        cpu_seconds=time.process_time() - began,
    )


def seeds_of(text: str) -> list[int]:
    """Return the seeds of "7" or "1-1000"."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Play what was asked for; 1 = something was found."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", default="1-100")
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--venue", choices=list(VenueName), help="default: the seed's own")
    asked.add_argument("--depth", type=float, help="of the books, 1 = the venue's; default: drawn")
    options = asked.parse_args()
    seeds = seeds_of(options.seeds)
    forced = None if options.venue is None else VenueName(options.venue)
    again = "" if forced is None else f" VENUE={forced.value}"
    again += "" if options.depth is None else f" DEPTH={options.depth}"
    began = time.monotonic()
    days: list[Day] = []
    alone = functools.partial(play, venue=forced, depth=options.depth)
    with multiprocessing.get_context("fork").Pool(options.jobs, maxtasksperchild=100) as pool:
        for day in pool.imap_unordered(alone, seeds):
            days.append(day)
            if day.findings:
                say(f"seed {day.seed} at {day.venue}: {len(day.findings)} findings")
                for finding in day.findings[:6]:
                    say(f"    {finding[:400]}")
                say(f"    repeat: make sim SEEDS={day.seed}{again}")
            if len(days) % 100 == 0:
                say(f"{len(days)} days, {sum(bool(d.findings) for d in days)} with findings")
    if len(seeds) == 1:
        for line in days[0].story:
            say(f"  {line}")
    for name, count in sorted(Counter(d.venue for d in days).items()):
        clean = sum(d.venue == name and not d.findings for d in days)
        say(f"{name:7} {count} days, {clean} clean")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    failed = sorted(d.seed for d in days if d.findings)
    lives = Counter(d.lives for d in days)
    say(
        f"{len(days)} days, {sum(d.lives for d in days)} lives of the daemon (up to {max(lives)} a "
        f"day), {sum(d.decisions for d in days)} decisions, {sum(d.orders for d in days)} orders, "
        f"{sum(d.fills for d in days)} executions, highest leverage "
        f"{max(d.leverage_max for d in days):.3f}; {len(failed)} seeds with findings {failed[:20]}; "
        f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU seconds"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
