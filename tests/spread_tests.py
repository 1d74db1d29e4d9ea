"""Which worker begins with which tests: each with a share of what waits, before what computes.

pytest-xdist gives each worker neighbouring tests, and an idle one half of what is left of the longest
queue, from its end. In the order of the directories one worker would hold nearly all daemons and
venues, and the others, done with what computes, would wait for it.
"""

from pathlib import Path

import pytest

#: Directories whose tests wait for processes and clocks, the longest first.
WAITING = ("acceptance", "simulation", "contract", "integration", "properties")
#: Fixtures of a whole session, each of which holds a process per parameter.
HELD = ("running", "process")


def spread(items: list[pytest.Item], workers: int, root: Path) -> list[pytest.Item]:
    """Return the same tests in the order in which they are dealt to so many workers.

    Tests of one file, and tests of one long-lived process, stay together and in their order.
    """
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(_group(item, root), []).append(item)
    queues: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for directory in WAITING:
        dealt = [0] * workers
        found = [group for (first, _), group in groups.items() if first == directory]
        for group in sorted(found, key=len, reverse=True):
            place = dealt.index(min(dealt))
            dealt[place] += len(group)
            queues[place] += group
    rest = [item for (first, _), group in groups.items() if first not in WAITING for item in group]
    return _filled(queues, rest)


def _group(item: pytest.Item, root: Path) -> tuple[str, str]:
    directory = item.path.relative_to(root).parts[0]
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    held = [f"{name}={parameters[name]}" for name in HELD if name in parameters]
    return directory, held[0] if held else str(item.path)


def _filled(queues: list[list[pytest.Item]], rest: list[pytest.Item]) -> list[pytest.Item]:
    # Shares are counted as pytest-xdist counts them; what is too much goes to whoever has room.
    left = sum(map(len, queues)) + len(rest)
    ordered: list[pytest.Item] = []
    for place, queue in enumerate(queues):
        size = left // (len(queues) - place)
        rest = queue[size:] + rest
        taken = queue[:size]
        taken += rest[: size - len(taken)]
        rest = rest[size - len(queue[:size]) :]
        ordered += taken
        left -= size
    return ordered
