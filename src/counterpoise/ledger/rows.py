"""Makes a database row fit for people: a readable time beside each count of nanoseconds."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from counterpoise.domain.units import NS_PER_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Columns that say how a row came here; no reader of the record wants them.
_ORIGIN: Final = ("spool_id", "spool_seq", "shipped_at", "row_id")


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with `*_at` (ISO 8601, UTC, ms) beside `*_ns`, without its origin."""
    result: dict[str, Any] = {}
    for name, value in row.items():
        if name in _ORIGIN:
            continue
        result[name] = value
        if name.endswith("_ns"):
            result[name.removesuffix("_ns") + "_at"] = None if value is None else iso(value)
    return result


def iso(moment_ns: int) -> str:
    """Return "2026-11-22T10:15:00.123Z", rounded down to the millisecond."""
    moment = _EPOCH + timedelta(milliseconds=moment_ns // NS_PER_MS)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
