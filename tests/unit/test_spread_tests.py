from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from spread_tests import spread

ROOT = Path("/tests")


def made(name, count, **parameters):
    found = []
    for number in range(count):
        item = SimpleNamespace(path=ROOT / name, number=number)
        if parameters:
            item.callspec = SimpleNamespace(params=parameters)
        found.append(item)
    return found


SUITE = [
    *made("acceptance/test_a.py", 3),
    *made("acceptance/test_b.py", 2),
    *made("contract/test_c.py", 4, running="okx"),
    *made("contract/test_d.py", 4, running="okx"),
    *made("contract/test_c.py", 4, running="bybit"),
    *made("unit/test_e.py", 20),
    *made("test_f.py", 3),
]


def blocks(ordered, workers):
    found, left = [], list(ordered)
    for place in range(workers):
        size = len(left) // (workers - place)
        found.append(left[:size])
        left = left[size:]
    return found


@pytest.mark.parametrize("workers", [2, 3, 4, 7])
def test_no_test_is_lost_or_done_twice(workers):
    ordered = spread(SUITE, workers, ROOT)
    assert Counter(map(id, ordered)) == Counter(map(id, SUITE))


def test_each_worker_begins_with_its_share_of_what_waits():
    first, second = blocks(spread(SUITE, 2, ROOT), 2)
    names = [
        [(item.path.parent.name, item.path.name) for item in block] for block in (first, second)
    ]
    assert names[0][:3] == [("acceptance", "test_a.py")] * 3
    assert names[1][:2] == [("acceptance", "test_b.py")] * 2
    # Tests of one process stay together, whatever their file.
    assert names[0][3:11] == [("contract", "test_c.py")] * 4 + [("contract", "test_d.py")] * 4
    assert names[1][2:6] == [("contract", "test_c.py")] * 4
    assert {item.callspec.params["running"] for item in second[2:6]} == {"bybit"}
    assert {directory for directory, _ in names[0][11:] + names[1][6:]} == {"unit", "tests"}


def test_a_share_that_is_too_long_is_handed_on():
    suite = [*made("contract/test_c.py", 9, running="okx"), *made("unit/test_e.py", 1)]
    first, second = blocks(spread(suite, 2, ROOT), 2)
    assert [item.number for item in first] == [0, 1, 2, 3, 4]
    assert [(item.path.name, item.number) for item in second] == [
        ("test_c.py", 5),
        ("test_c.py", 6),
        ("test_c.py", 7),
        ("test_c.py", 8),
        ("test_e.py", 0),
    ]
