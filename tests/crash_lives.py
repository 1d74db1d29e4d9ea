"""Daemons that die, when each of them lived, and the leverage that the venue saw meanwhile."""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import naive_auditor
from counterpoise.simulator import client
from crash_points import DIED
from daemon_process import Daemon

PROGRAM: Final = str(Path(__file__).with_name("crashing_daemon.py"))
#: Between two looks at the venue, seconds.
LOOK_SECONDS: Final = 0.4
#: Stands for a leverage without equity.
ENDLESS: Final = Decimal(99)


class CrashingDaemon(Daemon):
    """A daemon whose next start dies at a point."""

    #: Several start at once on a machine that may be busy.
    patience_seconds = 180.0

    #: Point, passage and venue.
    trap: tuple[str, int, str] | None = None

    def __init__(self, state_dir: Path, **variables: object) -> None:
        super().__init__(state_dir, **variables)
        # Of each start: its time, where its log begins, and the time of a kill from here.
        self._starts: list[tuple[int, int]] = []
        self._kills_ns: dict[int, int] = {}

    def start(self, *, wait: bool = True) -> None:
        """Start it and remember when."""
        self._starts.append((time.time_ns(), self.log_size()))
        super().start(wait=wait)

    def kill(self) -> None:
        """End it as a power cut would, and remember when."""
        self._kills_ns[len(self._starts) - 1] = time.time_ns()
        super().kill()

    def _command(self) -> list[str]:
        if self.trap is None:
            return super()._command()
        return [sys.executable, PROGRAM, *(str(part) for part in self.trap)]

    def dead_within(self, seconds: float) -> bool:
        """Wait for it to die by itself."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return True
            time.sleep(0.02)
        return False

    def lives(self) -> list[dict[str, int | None]]:
        """Return when each began, when its guard had first looked, and when it was killed."""
        found: list[dict[str, int | None]] = []
        ends = [mark for _, mark in self._starts[1:]] + [self.log_size()]
        for number, ((began_ns, mark), end) in enumerate(zip(self._starts, ends, strict=True)):
            died = [entry["at_ns"] for entry in self.events(DIED, after=mark, before=end)]
            # The guard looks at what the start found out, and then the daemon says that it started.
            looked = [
                _ns(entry["time"])
                for name, kind in (("daemon.started", None), ("decision.made", "guard"))
                for entry in self.events(name, after=mark, before=end)
                if entry.get("kind") == kind
            ]
            found.append(
                {
                    "began_ns": began_ns,
                    "looked_ns": min(looked, default=None),
                    "ended_ns": died[0] if died else self._kills_ns.get(number),
                }
            )
        return found


def _ns(said: str) -> int:
    return round(datetime.fromisoformat(said).timestamp() * 1_000_000) * 1_000


def leverage_of(truth: Mapping[str, Any]) -> Decimal:
    """Return gross exposure per equity as the venue has them."""
    equity = Decimal(str(truth["equity"]))
    return Decimal(str(truth["gross_exposure"])) / equity if equity > 0 else ENDLESS


class LeverageWatch(threading.Thread):
    """Looks at the venue several times a second, whoever lives."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(daemon=True)
        self._state_dir = state_dir
        self._done = threading.Event()
        #: As `naive_auditor.audit_ceiling` wants them.
        self.looks: list[dict[str, Any]] = []

    def run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            try:
                truth = client.state(self._state_dir)
            except client.SimulatorUnavailable:
                continue
            self.looks.append(
                {
                    "at_ns": truth["wall_ns"],
                    "leverage": leverage_of(truth),
                    "fills_count": truth["fills_count"],
                    "wallet_balance": Decimal(str(truth["wallet_balance"])),
                    "marks": {
                        name: Decimal(str(held["mark"]))
                        for name, held in truth["positions"].items()
                    },
                }
            )

    def end(self) -> Decimal:
        """Stop looking and return the highest."""
        self._done.set()
        if self.ident is not None:
            self.join(5)
        return max((look["leverage"] for look in self.looks), default=Decimal(0))


def audit_leverage(
    made: CrashingDaemon,
    watch: LeverageWatch,
    fills: Sequence[Mapping[str, Any]],
    equity_rows: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Return where the venue's or the record's leverage is above the ceiling by our doing."""
    written = [
        {
            "at_ns": row["event_ns"],
            "leverage": row["leverage"],
            "fills_count": sum(fill["event_ns"] <= row["event_ns"] for fill in fills),
            "marks": None,
        }
        for row in equity_rows
        if row["leverage"] is not None
    ]
    looks = sorted([*watch.looks, *written], key=lambda look: look["at_ns"])
    return naive_auditor.audit_ceiling(looks, fills, made.lives())
