"""One line of the checklist."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a point stands."""

    OK = "ok"
    #: The daemon starts; a person should know.
    WARNING = "warning"
    #: The daemon would not start, or would not trade.
    FAILED = "failed"
    #: Not looked at, because something before it failed.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One point and how it stands."""

    #: Fixed name: "key permissions", "stream latency", "lots ETHUSDT".
    check: str
    #: How it stands.
    outcome: Outcome
    #: What was found, in words.
    found: str
    #: What to do; "" = nothing.
    remedy: str = ""
    #: The figures behind the words, by name.
    figures: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a row of output."""
        return {
            "check": self.check,
            "outcome": self.outcome.value,
            "found": self.found,
            "remedy": self.remedy,
            "figures": self.figures,
        }


def ok(check: str, found: str, **figures: object) -> Finding:
    """Return a point that holds."""
    return Finding(check=check, outcome=Outcome.OK, found=found, figures=_text(figures))


def warning(check: str, found: str, remedy: str, **figures: object) -> Finding:
    """Return a point a person should know of."""
    return Finding(
        check=check, outcome=Outcome.WARNING, found=found, remedy=remedy, figures=_text(figures)
    )


def failed(check: str, found: str, remedy: str, **figures: object) -> Finding:
    """Return a point that keeps the daemon from starting or trading."""
    return Finding(
        check=check, outcome=Outcome.FAILED, found=found, remedy=remedy, figures=_text(figures)
    )


def skipped(checks: Iterable[str], because: str) -> list[Finding]:
    """Return points that could not be looked at."""
    return [
        Finding(check=check, outcome=Outcome.SKIPPED, found=f"not looked at: {because}")
        for check in checks
    ]


def has_failed(found: Iterable[Finding]) -> bool:
    """Tell whether a point failed."""
    return any(each.outcome is Outcome.FAILED for each in found)


def _text(figures: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in figures.items()}
