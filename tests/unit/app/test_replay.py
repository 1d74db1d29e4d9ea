from decimal import Decimal

import pytest

from counterpoise.app import replay
from counterpoise.app.replay import ReplayResult, first_difference
from counterpoise.engine import flattening
from counterpoise.ledger import codec
from counterpoise.strategy.parameters import STRATEGY_VERSION

INPUTS = flattening.FlattenInputs(
    core_instrument="BTCUSDT",
    quantities={"BTCUSDT": Decimal("0.15"), "ETHUSDT": Decimal("-1.5")},
    working={"ETHUSDT": Decimal("0.5")},
)


def row(**other):
    return {
        "decision_id": "4a9bb39891d98ce5",
        "decided_at": "2026-11-22T01:09:16.408Z",
        "kind": "flatten",
        "strategy_version": STRATEGY_VERSION,
        "inputs": codec.encode(INPUTS),
        "outputs": codec.encode(flattening.recompute(INPUTS)),
        **other,
    }


def test_the_same_bytes_are_equal():
    (found,) = replay.replay([row()])
    assert (found.result, found.detail) == (ReplayResult.EQUAL, "")
    assert found.result not in replay.FAILURES


def test_a_changed_input_is_found_by_its_output():
    changed = row(inputs=row()["inputs"].replace('"-1.5"', '"-1.6"'))
    (found,) = replay.replay([changed])
    assert found.result is ReplayResult.DIFFERENT
    assert found.detail == "$.changes[1].quantity: stored '1.0', computed '1.1'"
    assert found.result in replay.FAILURES


def test_other_spaces_are_other_bytes():
    (found,) = replay.replay([row(outputs=row()["outputs"] + " ")])
    assert (found.result, found.detail) == (
        ReplayResult.DIFFERENT,
        "the same values in other bytes",
    )


def test_another_version_is_reported_and_not_failed():
    (found,) = replay.replay([row(strategy_version="0.9.0", inputs="{}")])
    assert found.result is ReplayResult.OTHER_VERSION
    assert found.detail == f"made by version 0.9.0; this is {STRATEGY_VERSION}"
    assert found.result not in replay.FAILURES


@pytest.mark.parametrize("broken", [{"inputs": "{}"}, {"inputs": "{"}, {"kind": "guess"}])
def test_what_cannot_be_read_fails(broken):
    (found,) = replay.replay([row(**broken)])
    assert found.result is ReplayResult.UNREADABLE
    assert found.detail
    assert found.result in replay.FAILURES


@pytest.mark.parametrize(
    ("stored", "computed", "words"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 1.0}, "$.a: stored 1, computed 1.0"),
        ({"a": True}, {"a": 1}, "$.a: stored True, computed 1"),
        ({"b": {"c": [1, 2]}}, {"b": {"c": [1, 3]}}, "$.b.c[1]: stored 2, computed 3"),
        ([1], [1, 2], "$: 1 elements stored, 2 computed"),
        ({"a": 1, "b": 2}, {"a": 1}, "$.b: only stored"),
        ({"a": 1}, {"a": 1, "b": 2}, "$.b: only computed"),
        ({"a": None}, {"a": []}, "$.a: stored None, computed []"),
    ],
)
def test_the_first_difference_is_named_by_its_path(stored, computed, words):
    assert first_difference(stored, computed) == words
