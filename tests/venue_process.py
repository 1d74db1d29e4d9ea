"""A simulator as its users start it, pointed at by the one line it prints when it is ready."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import preloaded
from counterpoise.simulator import client, files

#: One administrative request, seconds.
REQUEST_SECONDS_MAX = 30.0
#: A simulator that was told to stop is gone after this, seconds.
STOP_SECONDS_MAX = 15.0

# Proxies of the environment must not come between two processes of one machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fork(state_dir: Path, **options: Any) -> preloaded.Process:
    """Do what `client.ensure_running` does where none runs, forking instead of starting."""
    state_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "counterpoise.simulator"]
    command += client.options(state_dir, **options)
    kept = {n: value for n, value in os.environ.items() if n != "PYTHONASYNCIODEBUG"}
    log_path = files.log_path(state_dir)
    with log_path.open("a") as log:
        process = preloaded.start(command, env=kept, stdout=log, stderr=log)
    deadline = time.monotonic() + client.START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        if client.read_port(state_dir) is not None:
            return process
        time.sleep(0.02)
    raise AssertionError(f"{' '.join(command)} ended:\n{log_path.read_text()[-3_000:]}")


class VenueProcess:
    """One running simulator. `speed` 0: its market stands still until `advance`."""

    def __init__(self, venue: str, log_path: Path, **options: object) -> None:
        self.venue = venue
        self._command = [sys.executable, "-m", "counterpoise.app.cli.main", "simulator"]
        self._command += ["--venue", venue]
        for name, value in options.items():
            self._command += [f"--{name.replace('_', '-')}", str(value)]
        # A file, so that a wordy simulator never waits for its reader.
        self._log = log_path.open("w+")
        # asyncio's debug mode is for what is tested, which is not the simulator here.
        kept = {n: value for n, value in os.environ.items() if n != "PYTHONASYNCIODEBUG"}
        self._process = preloaded.start(
            self._command, env=kept, stdout=subprocess.PIPE, stderr=self._log
        )
        self._ready: dict[str, str] | None = None

    @property
    def ready(self) -> dict[str, str]:
        """What it printed: venue, rest, ws, api_key, secret, password. Waits for it."""
        if self._ready is None:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                self._process.wait(STOP_SECONDS_MAX)
                self._log.seek(0)
                log = self._log.read()[-3_000:]
                raise AssertionError(f"{' '.join(self._command)} ended:\n{log}")
            self._ready = json.loads(line)
        return self._ready

    @property
    def port(self) -> int:
        """Its one port."""
        return int(self.ready["rest"].rstrip("/").rpartition(":")[2])

    def ask(self, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        """Return an administrative answer; a body makes it a POST."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with _OPENER.open(request, timeout=REQUEST_SECONDS_MAX) as response:
            answer = json.loads(response.read())
        assert isinstance(answer, dict)
        return answer

    def attempt(
        self, path: str, body: dict[str, object] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and answer of a request that may be refused."""
        try:
            return 200, self.ask(path, body)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read())

    def state(self) -> dict[str, Any]:
        """Return the truth by unified symbol."""
        return self.ask("/_state")

    def truth(self) -> dict[str, Any]:
        """Return the whole truth by our instrument ids."""
        return self.ask("/_truth")

    def advance(self, seconds: float) -> int:
        """Grant a lock-step market some seconds; return its time, ns."""
        return int(self.ask("/_control", {"advance_seconds": seconds})["now_ns"])

    def fault(self, kind: str, **details: object) -> None:
        """Order a fault."""
        self.ask("/_control", {"kind": kind, **details})

    def shock(self, symbol: str, fraction: Decimal, seconds: float) -> None:
        """Move a market by a fraction over some seconds."""
        self.ask("/_shock", {"symbol": symbol, "fraction": str(fraction), "seconds": seconds})

    def stop(self) -> int:
        """End it as an operator would; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS_MAX)
        finally:
            self._process.kill()
            self._process.wait(STOP_SECONDS_MAX)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._log.close()


@contextmanager
def venue_process(venue: str, log_path: Path, **options: object) -> Iterator[VenueProcess]:
    """Run a simulator for as long as the block lasts; it must end cleanly."""
    process = VenueProcess(venue, log_path, **options)
    try:
        yield process
    except BaseException:
        process.stop()
        raise
    assert process.stop() == 0, "the simulator did not stop cleanly"
