"""Decides many cycles over restarts of the code, then a fresh interpreter computes all of them again.

`replay_campaign.py --cycles 1000 --restarts 2`: the days of the fault campaign are played by one
interpreter after the other, each with its own hash seed and with crashes of the daemon inside; one
more interpreter replays what they recorded, byte for byte.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
#: Seeds of each interpreter's days begin this far apart.
SEEDS_APART = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What came of it."""

    interpreters: int
    #: Lives of the daemon in all days.
    lives: int
    #: Decisions by kind.
    decisions: dict[str, int]
    #: Result of the replay -> decisions.
    replayed: dict[str, int]
    #: First differences, at most ten.
    differences: list[str]
    seconds: float


def campaign(cycles: int, restarts: int) -> Campaign:
    """Play `cycles` cycles in `restarts` + 1 interpreters and replay them in another one."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        record = Path(directory) / "decisions.jsonl"
        lives, parts = 0, restarts + 1
        for part in range(parts):
            wanted = cycles * (part + 1) // parts - cycles * part // parts
            words = ("play", str(part * SEEDS_APART + 1), str(wanted), str(record))
            lives += run(part, *words)["lives"]
        told = run(parts, "replay", str(record))
    return Campaign(
        interpreters=parts,
        lives=lives,
        decisions=told["decisions"],
        replayed=told["replayed"],
        differences=told["differences"],
        seconds=time.monotonic() - began,
    )


def run(hash_seed: int, *words: str) -> Any:
    """Run one step in an interpreter of its own and return what it printed."""
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *words],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed + 1)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def play(seed: int, cycles: int, record: Path) -> dict[str, int]:
    """Play days from `seed` on until `cycles` cycles are decided; append every decision."""
    import virtual_loop
    import virtual_world
    from counterpoise.domain import records

    found = lives = 0
    with record.open("a", encoding="utf-8") as lines:
        while found < cycles:
            world = virtual_loop.run(virtual_world.live_through(seed))
            seed, lives = seed + 1, lives + world.lives
            for row in world.kept:
                if not isinstance(row, records.DecisionMade):
                    continue
                if row.kind == "cycle":
                    found += 1
                    if found > cycles:
                        break
                kept = ("decision_id", "kind", "strategy_version", "inputs", "outputs")
                lines.write(json.dumps({name: getattr(row, name) for name in kept}) + "\n")
    return {"lives": lives}


def replay(record: Path) -> dict[str, Any]:
    """Compute every decision of the file again."""
    from counterpoise.app import replay as app_replay

    with record.open(encoding="utf-8") as lines:
        rows = [json.loads(line) | {"decided_at": ""} for line in lines]
    results = list(app_replay.replay(rows))
    return {
        "decisions": dict(Counter(row["kind"] for row in rows)),
        "replayed": dict(Counter(result.result.value for result in results)),
        "differences": [r.detail for r in results if r.result in app_replay.FAILURES][:10],
    }


def main() -> int:
    """Play what was asked for; 1 = a decision came out otherwise."""
    steps = {"play": lambda w: play(int(w[0]), int(w[1]), Path(w[2])), "replay": _replay_words}
    if len(sys.argv) > 1 and sys.argv[1] in steps:
        sys.path.insert(0, str(HERE))
        sys.stdout.write(json.dumps(steps[sys.argv[1]](sys.argv[2:])))
        return 0
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cycles", type=int, default=1_000)
    asked.add_argument("--restarts", type=int, default=2)
    options = asked.parse_args()
    done = campaign(options.cycles, options.restarts)
    sys.stdout.write(
        f"{done.decisions} decided by {done.interpreters} interpreters in {done.lives} lives of "
        f"the daemon; replayed by another: {done.replayed}; {done.seconds:.0f} s\n"
    )
    for difference in done.differences:
        sys.stdout.write(f"  {difference[:400]}\n")
    return 0 if done.replayed.keys() == {"equal"} else 1


def _replay_words(words: list[str]) -> dict[str, Any]:
    return replay(Path(words[0]))


if __name__ == "__main__":
    sys.exit(main())
