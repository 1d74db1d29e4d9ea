"""Which sets of numbers, on which stretches of time."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Literal

from counterpoise.domain.errors import SettingsError
from counterpoise.domain.units import NS_PER_DAY

#: Sets of numbers of one sweep.
SETS_MAX: Final = 100_000
#: Characters of a task's key; 64 bits do not collide by chance.
KEY_LENGTH: Final = 16

Part = Literal["all", "train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of decisions."""

    part: Part
    #: Number of the walk-forward step; 0 without one.
    number: int
    #: First decision and end, ns.
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One set of numbers on one window."""

    #: Same data, code version, numbers and window: same key.
    key: str
    #: Name -> value as text.
    changes: dict[str, str]
    window: Window


def parse_grid(texts: Sequence[str]) -> list[dict[str, str]]:
    """Return every combination of `name=a,b,c` texts, the last name moving fastest."""
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        named = [value.strip() for value in values.split(",")]
        if not equals or not name.strip() or not all(named) or len(set(named)) < len(named):
            raise SettingsError(f"--grid {text}: allowed is name=a,b,c with values that differ")
        if name.strip() in axes:
            raise SettingsError(f"--grid {text}: {name.strip()} is named twice")
        axes[name.strip()] = named
    count = 1
    for values_named in axes.values():
        count *= len(values_named)
    if count > SETS_MAX:
        raise SettingsError(f"--grid: {count} combinations; allowed are {SETS_MAX}")
    return [dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())]


def walk_forward(
    from_ns: int, to_ns: int, *, train_days: float, test_days: float, purge_days: float
) -> list[Window]:
    """Return pairs of windows: train, then the purge, then test; each step moves by a test.

    The purge keeps what train has seen, in rolling figures as well, out of the test (Lopez de
    Prado, "Advances in Financial Machine Learning", 2018, chapter 7). SettingsError: no pair fits.
    """
    if min(train_days, test_days) <= 0 or purge_days < 0:
        raise SettingsError("--train-days and --test-days: allowed are lengths above 0")
    train, test, purge = (int(days * NS_PER_DAY) for days in (train_days, test_days, purge_days))
    found: list[Window] = []
    at = from_ns
    while at + train + purge + test <= to_ns:
        number = len(found) // 2 + 1
        begin = at + train + purge
        found += [
            Window(part="train", number=number, from_ns=at, to_ns=at + train),
            Window(part="test", number=number, from_ns=begin, to_ns=begin + test),
        ]
        at += test
    if not found:
        days = (to_ns - from_ns) / NS_PER_DAY
        raise SettingsError(
            f"--train-days {train_days:g}, --purge-days {purge_days:g}, --test-days {test_days:g}:"
            f" together at most the {days:.1f} days there are decisions for"
        )
    return found


def make_tasks(
    identity: Mapping[str, Any], sets: Sequence[dict[str, str]], windows: Sequence[Window]
) -> list[Task]:
    """Return a task for every set and window; `identity` is all that is the same for them."""
    return [
        Task(key=_key(identity, changes, window), changes=changes, window=window)
        for window in windows
        for changes in sets
    ]


def _key(identity: Mapping[str, Any], changes: Mapping[str, str], window: Window) -> str:
    text = json.dumps(
        {
            "identity": identity,
            "changes": changes,
            "part": window.part,
            "from_ns": window.from_ns,
            "to_ns": window.to_ns,
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
