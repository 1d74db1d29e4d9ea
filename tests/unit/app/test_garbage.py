import gc
import weakref

import pytest

from counterpoise.app import garbage


@pytest.fixture
def as_before():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Node:
    pass


def circle():
    node = Node()
    node.itself = node
    return weakref.ref(node)


@pytest.mark.usefixtures("as_before")
def test_what_is_there_is_let_alone_and_what_comes_is_still_searched():
    before = circle()
    held = [Node()]
    garbage.settle()
    assert before() is None, "searched once"
    assert gc.get_freeze_count() > 10_000
    assert not any(found is held for found in gc.get_objects()), "no longer gone through"
    after = circle()
    gc.collect()
    assert after() is None
