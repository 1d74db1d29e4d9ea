"""Computes recorded decisions again and compares them, byte for byte, with what was recorded.

A decision is a pure function of what its row stores. A row of another strategy version may
rightly differ: it is reported and not failed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import msgspec

from counterpoise.engine import cycle, flattening, guarding, protecting
from counterpoise.ledger import codec
from counterpoise.strategy.parameters import STRATEGY_VERSION


class ReplayResult(StrEnum):
    """What came of a comparison."""

    #: The same bytes.
    EQUAL = "equal"
    #: Other bytes: strategy, risk or the record changed without a new version.
    DIFFERENT = "different"
    #: Made by another strategy version; not computed.
    OTHER_VERSION = "other_version"
    #: The stored inputs do not fit this version's types.
    UNREADABLE = "unreadable"


#: Results that fail a replay.
FAILURES: Final = frozenset({ReplayResult.DIFFERENT, ReplayResult.UNREADABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One decision computed again."""

    decision_id: str
    #: When it was made, ISO 8601.
    decided_at: str
    kind: str
    result: ReplayResult
    #: Where the first difference is and what stands there, or why it is unreadable; "" = none.
    detail: str


#: kind -> (type of the inputs, what computes the outputs).
_RULES: Final[Mapping[str, tuple[type[Any], Callable[[Any], object]]]] = {
    "cycle": (cycle.CycleInputs, cycle.recompute),
    "flatten": (flattening.FlattenInputs, flattening.recompute),
    "guard": (guarding.GuardInputs, guarding.recompute),
    protecting.KIND: (protecting.ProtectionInputs, protecting.recompute),
}


def replay(rows: Iterable[Mapping[str, Any]]) -> Iterator[Replayed]:
    """Yield one result per row of `decision`, in their order."""
    for row in rows:
        result, detail = _compare(row)
        yield Replayed(
            decision_id=row["decision_id"],
            decided_at=row["decided_at"],
            kind=row["kind"],
            result=result,
            detail=detail,
        )


def first_difference(stored: Any, computed: Any, path: str = "$") -> str:
    """Return the JSON path of the first difference and both values; "" = none."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        return _objects(stored, computed, path)
    if isinstance(stored, list) and isinstance(computed, list):
        return _arrays(stored, computed, path)
    # Types count: 1 and 1.0 and true are different text.
    if type(stored) is type(computed) and stored == computed:
        return ""
    return f"{path}: stored {stored!r}, computed {computed!r}"


def _objects(stored: dict[str, Any], computed: dict[str, Any], path: str) -> str:
    for key in sorted(stored.keys() | computed.keys()):
        if key not in stored or key not in computed:
            return f"{path}.{key}: only {'stored' if key in stored else 'computed'}"
        found = first_difference(stored[key], computed[key], f"{path}.{key}")
        if found:
            return found
    return ""


def _arrays(stored: list[Any], computed: list[Any], path: str) -> str:
    for index, (left, right) in enumerate(zip(stored, computed, strict=False)):
        found = first_difference(left, right, f"{path}[{index}]")
        if found:
            return found
    if len(stored) != len(computed):
        return f"{path}: {len(stored)} elements stored, {len(computed)} computed"
    return ""


def _compare(row: Mapping[str, Any]) -> tuple[ReplayResult, str]:
    if row["strategy_version"] != STRATEGY_VERSION:
        detail = f"made by version {row['strategy_version']}; this is {STRATEGY_VERSION}"
        return ReplayResult.OTHER_VERSION, detail
    rules = _RULES.get(row["kind"])
    if rules is None:
        return ReplayResult.UNREADABLE, f"no rule computes decisions of kind {row['kind']}"
    inputs_type, recompute = rules
    try:
        inputs = codec.decode(row["inputs"], cast("type[object]", inputs_type))
    except ValueError as error:
        return ReplayResult.UNREADABLE, str(error)
    computed = codec.encode(recompute(inputs))
    if computed == row["outputs"]:
        return ReplayResult.EQUAL, ""
    difference = first_difference(
        msgspec.json.decode(row["outputs"]), msgspec.json.decode(computed)
    )
    return ReplayResult.DIFFERENT, difference or "the same values in other bytes"
