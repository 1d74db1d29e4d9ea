"""A real daemon in a process of its own, on the built-in venue, with the record it writes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import made_cluster
import preloaded
import venue_process
from counterpoise.ledger.postgres import open_for_cli
from counterpoise.ledger.start_reader import StartReader
from counterpoise.simulator import client
from crash_venues import VENUES

T = TypeVar("T")

#: Whose protocol and rules the built-in venue has where a test does not say: the acceptance tests
#: are carried out on each of COUNTERPOISE_TEST_VENUES.
venue_played = "okx"
#: Longest wait for anything a daemon should do soon, seconds; machines are shared and slow.
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1


def wait_until(what: str, found: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Return the first answer that is neither None nor False; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = found()
        if answer is not None and answer is not False:
            return answer
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Daemon:
    """One state directory and, most of the time, the daemon that works in it."""

    def __init__(self, state_dir: Path, **variables: object) -> None:
        self.state_dir = state_dir
        self.log_path = state_dir / "daemon.log"
        self.variables = {
            "state_dir": str(state_dir),
            "profile": "demo",
            "log_format": "json",
            "cycle_seconds": "5",
            # The test machine's other tests delay frames; staleness has tests of its own.
            "latency_ms_max": "5000",
            "simulator_venue": venue_played,
            **{name: str(value) for name, value in variables.items()},
        }
        self.process: preloaded.Process | None = None
        #: Strategy version the next start claims to be; None = its own.
        self.strategy_version: str | None = None
        self._venues: list[preloaded.Process] = []
        #: True = the built-in venue is forked before the daemon would start it, which is cheaper.
        self.opens_venue = self.variables["profile"] == "demo"

    # -- the process -------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """The daemon's environment; nothing of the caller's own configuration."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("COUNTERPOISE_") and name != "PYTHONASYNCIODEBUG"
        }
        given = {f"COUNTERPOISE_{name.upper()}": v for name, v in self.variables.items()}
        return kept | given

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait`, until its first decision is on record."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        if self.opens_venue:
            self.open_venue()
        mark = self.log_size()
        with self.log_path.open("ab") as log:
            self.process = preloaded.start(
                self._command(), env=self.environment, stdout=log, stderr=log
            )
        if wait:
            self.wait_for("decision.made", after=mark)

    def start_with_whole_book(self, leverage: Decimal) -> None:
        """Start it until its first decision brought it to a leverage.

        On a busy machine a feed can be stale at the first decision, which then leaves hedges out:
        a restart decides anew.
        """
        for _ in range(3):
            mark = self.log_size()
            self.start()
            ended = self.wait_for("decision.ended", after=mark)
            if ended["outcome"] == "done" and Decimal(ended["leverage"]) >= leverage:
                return
            self.send(signal.SIGTERM)
            self.wait_exit(20)
        raise AssertionError(f"no whole book in three starts:\n{self.log_tail()}")

    def _command(self) -> list[str]:
        if self.strategy_version is None:
            return [sys.executable, "-m", "counterpoise.app.cli.main", "run"]
        # As a newer release would be: the constant is set before anything reads it.
        program = (
            "import sys; from counterpoise.strategy import parameters; "
            f"parameters.STRATEGY_VERSION = {self.strategy_version!r}; "
            "from counterpoise.app.cli import main; sys.argv = ['counterpoise', 'run']; main.main()"
        )
        return [sys.executable, "-c", program]

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon is gone:\n{self.log_tail()}"
        self.process.send_signal(number)

    def wait_exit(self, seconds: float) -> int:
        """Return its exit code; fails if it takes longer."""
        assert self.process is not None
        return self.process.wait(seconds)

    def cli(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run another command of the same checkout."""
        command = [sys.executable, "-m", "counterpoise.app.cli.main", *arguments]
        return preloaded.run(command, env=self.environment, timeout=timeout)

    def cli_json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it printed."""
        ran = self.cli(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    # -- its log -----------------------------------------------------------------------------

    def log_size(self) -> int:
        """Return how much it has logged, bytes."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log_path.read_text(errors="replace")[-4_000:]

    def events(
        self, name: str, *, after: int = 0, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Return logged events of a name, from a position in the log on, up to another."""
        if not self.log_path.exists():
            return []
        with self.log_path.open("rb") as log:
            log.seek(after)
            lines = log.read(-1 if before is None else before - after).splitlines()
        found = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("event") == name:
                found.append(entry)
        return found

    #: Longest wait for an event in its log, seconds.
    patience_seconds = PATIENCE_SECONDS

    def wait_for(self, name: str, *, after: int = 0, **wanted: object) -> dict[str, Any]:
        """Return the first event of a name, with these values, logged after a position."""

        def look() -> dict[str, Any] | None:
            for entry in self.events(name, after=after):
                if all(entry.get(key) == value for key, value in wanted.items()):
                    return entry
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended before {name}:\n{self.log_tail()}")
            return None

        try:
            return wait_until(name, look, seconds=self.patience_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    # -- the record and the venue's truth ----------------------------------------------------

    @contextmanager
    def reader(self) -> Iterator[StartReader]:
        """Read the embedded record, whoever runs the server."""
        with (
            open_for_cli(self.state_dir / "postgres") as server,
            StartReader(server.dsn()) as reader,
        ):
            yield reader

    @property
    def simulator_dir(self) -> Path:
        """Where the built-in venue keeps its state."""
        return self.state_dir / "simulator"

    def open_venue(self, **options: Any) -> int:
        """Start the built-in venue before the daemon does, with options of `client.options`.

        Returns its port.
        """
        told = {
            "seed": int(self.variables.get("simulator_seed", 7)),
            "venue": self.variables["simulator_venue"],
            "wallet": Decimal(self.variables.get("simulator_wallet", 10_000)),
        }
        if client.read_port(self.simulator_dir) is None:
            self._venues.append(venue_process.fork(self.simulator_dir, **{**told, **options}))
        port = client.read_port(self.simulator_dir)
        assert port is not None, "the built-in venue ended"
        return port

    @property
    def order_path(self) -> str:
        """Path of the venue's order entry."""
        return VENUES[self.variables["simulator_venue"]].order_path

    def venue(self) -> dict[str, Any]:
        """Return the built-in venue's truth."""
        return client.state(self.simulator_dir)

    def venue_positions(self) -> dict[str, Decimal]:
        """Return signed base units the venue says are held."""
        return {
            name: Decimal(str(held["quantity"]))
            for name, held in self.venue()["positions"].items()
            if Decimal(str(held["quantity"])) != 0
        }

    def ledger_positions(self) -> dict[str, Decimal]:
        """Return signed base units the record says are held."""
        with self.reader() as reader:
            return {
                row["instrument_id"]: row["quantity"]
                for row in reader.positions()
                if row["quantity"] != 0
            }

    def close(self) -> None:
        """End daemon and venue, whatever state they are in."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        client.stop(self.simulator_dir)
        for venue in self._venues:
            venue.wait(10)


@contextmanager
def daemon(*, first_start: bool = False, **variables: object) -> Iterator[Daemon]:
    """Return a daemon that was not started yet, in a directory of its own.

    With `first_start` there is nothing in it; else an empty record waits there.
    """
    state_dir = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    state_dir.chmod(0o755)
    if not first_start:
        made_cluster.lay(state_dir)
    made = Daemon(state_dir, **variables)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(state_dir, ignore_errors=True)
