"""Reads a moment as an operator types it."""

import re
import time
from datetime import UTC, datetime
from typing import Final

from counterpoise.domain.errors import SettingsError
from counterpoise.domain.units import (
    NS_PER_DAY,
    NS_PER_HOUR,
    NS_PER_MINUTE,
    NS_PER_MS,
    NS_PER_SECOND,
)

_AGO: Final = re.compile(r"^(\d{1,6})([smhd])$")
_UNITS: Final = {"s": NS_PER_SECOND, "m": NS_PER_MINUTE, "h": NS_PER_HOUR, "d": NS_PER_DAY}


def since_ns(text: str | None, now_ns: int | None = None) -> int | None:
    """Return ns since the epoch for "90m" (ago) or an ISO 8601 time; None = no limit.

    A time without an offset is UTC. Raises SettingsError.
    """
    return None if text is None else moment_ns("--since", text, now_ns)


def utc_ms(option: str, text: str) -> int:
    """Return ms since the epoch for "90d" (ago) or an ISO 8601 day or time, UTC."""
    return moment_ns(option, text) // NS_PER_MS


def utc_text(moment_ms: int | None) -> str | None:
    """Return a moment in ms since the epoch as people write it; None stays None."""
    if moment_ms is None:
        return None
    return datetime.fromtimestamp(moment_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M")


def moment_ns(option: str, text: str, now_ns: int | None = None) -> int:
    """Return ns since the epoch for what was given to `option`. Raises SettingsError."""
    ago = _AGO.match(text)
    if ago is not None:
        return (time.time_ns() if now_ns is None else now_ns) - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{option} {text}: allowed is 30s, 90m, 6h, 2d or a time such as 2026-01-31T09:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000) * (NS_PER_SECOND // 1_000)
