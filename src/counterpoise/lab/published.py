"""What a result says on standard output and in the detail file.

Standard output is one object: `{"policies": {NAME: {figures}}, "data": {facts}}`. The detail file
holds one JSON object per line; `docs/lab.md` documents both.
"""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from counterpoise.domain.errors import DataError
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.lab.bootstrap import BLOCK_DAYS, COVERAGE, DRAWS
from counterpoise.lab.result import DataFacts, LabDecision, LabFill, LabResult, PolicyResult, Series

#: Version of the detail file's schema.
DETAIL_SCHEMA: Final = 1

_ENCODER: Final = msgspec.json.Encoder(order="sorted", decimal_format="string")


def moment(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(result: LabResult) -> dict[str, Any]:
    """Return the object that `--json` prints."""
    return {
        "policies": {name: _policy(policy) for name, policy in result.policies.items()},
        "data": _data(result.data, result),
    }


def encode(value: object) -> str:
    """Return JSON with sorted keys; the same value gives the same text."""
    return _ENCODER.encode(value).decode()


def write_detail(result: LabResult, path: Path) -> None:
    """Write the detail file. Raises DataError where the file cannot be written."""
    try:
        with path.open("w", encoding="utf-8") as handle:
            for line in detail_lines(result):
                handle.write(encode(line) + "\n")
    except OSError as wrong:
        raise DataError(f"--detail {path}: {wrong.strerror}") from wrong


def detail_lines(result: LabResult) -> Iterator[dict[str, Any]]:
    """Yield the lines: one header, then each policy's blocks and decisions in order of time."""
    ids = result.data.instrument_ids
    yield {
        "kind": "header",
        "schema": DETAIL_SCHEMA,
        "instruments": list(ids),
        "data": _data(result.data, result),
        "policies": {name: _parameters(policy) for name, policy in result.policies.items()},
    }
    for name, policy in result.policies.items():
        rows = _blocks(name, policy.series, ids)
        for decision in policy.decisions:
            yield {"kind": "decision", "policy": name, **_decision(decision)}
        yield from rows


def _policy(policy: PolicyResult) -> dict[str, Any]:
    found: dict[str, Any] = dict(policy.metrics)
    found["extras"] = policy.extras
    if policy.intervals:
        found["intervals"] = {
            name: [interval.low, interval.high] for name, interval in policy.intervals.items()
        }
    return found


def _data(facts: DataFacts, result: LabResult) -> dict[str, Any]:
    said: dict[str, Any] = {
        "instruments": list(facts.instrument_ids),
        "core": facts.core_id,
        "bar_seconds": facts.bar_seconds,
        "bars_from": moment(facts.bars_from_ns),
        "bars_to": moment(facts.bars_to_ns),
        "decisions_from": moment(facts.decisions_from_ns),
        "decisions_to": moment(facts.decisions_to_ns),
        "decisions_from_reason": facts.decisions_from_reason,
        "gaps": facts.gaps,
        "stale": facts.stale,
        "funding": facts.funding,
        "assumptions": facts.assumptions,
    }
    if any(policy.intervals for policy in result.policies.values()):
        said["intervals"] = {"coverage": COVERAGE, "draws": DRAWS, "block_days": BLOCK_DAYS}
    return said


def _parameters(policy: PolicyResult) -> dict[str, Any]:
    return {each.name: getattr(policy.parameters, each.name) for each in fields(policy.parameters)}


def _decision(decision: LabDecision) -> dict[str, Any]:
    return {
        "at": moment(decision.time_ns),
        "time_ns": decision.time_ns,
        "by": decision.kind,
        "action": decision.action,
        "reasons": list(decision.reasons),
        "summary": decision.summary,
        "equity": decision.equity,
        "held": decision.held,
        "targets": decision.targets,
        "fills": [_fill(fill) for fill in decision.fills],
        "notes": list(decision.notes),
    }


def _fill(fill: LabFill) -> dict[str, Any]:
    return {each.name: getattr(fill, each.name) for each in fields(fill)}


def _blocks(name: str, series: Series, ids: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    plain = [each.name for each in fields(Series) if each.name not in {"legs", "times_ns"}]
    columns = [getattr(series, column).tolist() for column in plain]
    legs = series.legs.tolist()
    for place, (time_ns, *values) in enumerate(
        zip(series.times_ns.tolist(), *columns, strict=True)
    ):
        held = {each: leg for each, leg in zip(ids, legs[place], strict=True) if leg != 0.0}
        row = {column: _finite(value) for column, value in zip(plain, values, strict=True)}
        yield {
            "kind": "block",
            "policy": name,
            "at": moment(time_ns),
            "time_ns": time_ns,
            **row,
            "legs": held,
        }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
