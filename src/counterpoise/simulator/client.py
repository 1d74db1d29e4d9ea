"""Finding, starting, stopping and asking a simulator from another process. Synchronous."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from counterpoise.simulator import files
from counterpoise.simulator.keys import Credentials

#: A started simulator must answer within this.
START_SECONDS_MAX: Final = 60.0
#: A stopped one must be gone within this.
STOP_SECONDS_MAX: Final = 15.0
#: One administrative request.
REQUEST_SECONDS_MAX: Final = 10.0
#: How often a start or stop is looked at.
_POLL_SECONDS: Final = 0.05

# Children outlive their parent on purpose; they are held here so that one that ended is reaped.
_STARTED: Final[list["subprocess.Popen[bytes]"]] = []

# Proxies of the environment must not come between two processes of one machine.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SimulatorUnavailable(Exception):
    """No simulator answers for a state directory, or it refused the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSimulator:
    """What `port.json` says."""

    #: TCP port on 127.0.0.1.
    port: int
    #: Its process.
    pid: int
    #: When it began to listen, ns.
    started_ns: int


def read_port(state_dir: Path) -> int | None:
    """Return the port a simulator of this directory listens on; None = none answers."""
    running = _running(state_dir)
    return None if running is None else running.port


def credentials(state_dir: Path) -> Credentials:
    """Return the key of the simulator's account; SimulatorUnavailable if none was made yet."""
    found = files.read_credentials(state_dir)
    if found is None:
        raise SimulatorUnavailable(f"{state_dir} holds no credentials; start the simulator first")
    return found


def state(state_dir: Path) -> dict[str, Any]:
    """Return the venue's truth (`GET /_truth`): equity, positions, orders, fills, marks."""
    return _ask(state_dir, "/_truth", None)


def shock(state_dir: Path, symbol: str, fraction: Decimal, seconds: float) -> dict[str, Any]:
    """Move a market by `fraction` of its price over `seconds` ("BTCUSDT" or OKX's symbol)."""
    body = {"symbol": symbol, "fraction": str(fraction), "seconds": seconds}
    return _ask(state_dir, "/_shock", body)


def fault(state_dir: Path, kind: str, **details: object) -> dict[str, Any]:
    """Order a fault (`simulator.faults.Fault`): path_contains, count, seconds, ..."""
    return _ask(state_dir, "/_control", {"kind": kind, **details})


def ensure_running(
    state_dir: Path,
    *,
    seed: int,
    fresh: bool = False,
    wallet: Decimal | None = None,
    venue: str = "okx",
    weight_minute: int | None = None,
    python: str = sys.executable,
) -> int:
    """Return the port of a running simulator, starting one that outlives this process if needed.

    `fresh` stops a running one and opens a new account and market. `venue` names whose protocol
    and rules a new one has; OKX's has the demonstration's rules. `weight_minute` is what Binance's
    allows, None = Binance's own. Raises SimulatorUnavailable
    with the end of its log when it does not come up.
    """
    if fresh:
        stop(state_dir)
    port = read_port(state_dir)
    if port is not None:
        return port
    state_dir.mkdir(parents=True, exist_ok=True)
    command = [python, "-m", "counterpoise.simulator"]
    command += options(state_dir, seed=seed, wallet=wallet, venue=venue)
    command += ["--fresh"] if fresh else []
    command += [] if weight_minute is None else ["--weight-minute", str(weight_minute)]
    with files.log_path(state_dir).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own module, no shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # `-m` finds packages of the working directory: this very one, installed or not.
            cwd=Path(__file__).resolve().parents[2],
        )
    _STARTED.append(process)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        # Another process may have won the race to start it; whoever listens is the one.
        port = read_port(state_dir)
        if port is not None:
            return port
        if process.poll() not in (None, files.EXIT_ALREADY_RUNNING):
            break
        time.sleep(_POLL_SECONDS)
    tail = files.log_path(state_dir).read_text(errors="replace")[-2_000:]
    raise SimulatorUnavailable(f"the simulator of {state_dir} did not start:\n{tail}")


def options(
    state_dir: Path, *, seed: int, wallet: Decimal | None = None, venue: str = "okx"
) -> list[str]:
    """Return what the simulator's program is told to open or go on with a venue (`ensure_running`)."""
    told = ["--state-dir", str(state_dir.resolve()), "--seed", str(seed)]
    told += [] if venue == "okx" else ["--venue", venue]
    return told if wallet is None else [*told, "--wallet", str(wallet)]


def stop(state_dir: Path) -> bool:
    """End the simulator of this directory cleanly; False = none was running."""
    running = _running(state_dir)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while time.monotonic() < deadline:
        if not files.is_locked(state_dir):
            _reap(running.pid)
            return True
        time.sleep(_POLL_SECONDS)
    raise SimulatorUnavailable(f"simulator {running.pid} of {state_dir} does not stop")


def _reap(pid: int) -> None:
    # A child of ours that has let go of its directory ends within a moment.
    for each in _STARTED:
        if each.pid == pid:
            each.wait(STOP_SECONDS_MAX)
    _STARTED[:] = [each for each in _STARTED if each.poll() is None]


def _running(state_dir: Path) -> RunningSimulator | None:
    document = files.read_json(files.port_path(state_dir))
    if document is None:
        return None
    running = RunningSimulator(
        port=int(document["port"]), pid=int(document["pid"]), started_ns=int(document["started_ns"])
    )
    # A file left by a killed simulator may name a port that is somebody else's by now.
    try:
        answer = _open(running.port, "/_alive", None)
    except SimulatorUnavailable:
        return None
    return running if answer.get("pid") == running.pid else None


def _ask(state_dir: Path, path: str, body: dict[str, object] | None) -> dict[str, Any]:
    running = _running(state_dir)
    if running is None:
        raise SimulatorUnavailable(f"no simulator of {state_dir} answers")
    return _open(running.port, path, body)


def _open(port: int, path: str, body: dict[str, object] | None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with _OPENER.open(request, timeout=REQUEST_SECONDS_MAX) as response:
            answer = json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        raise SimulatorUnavailable(
            f"{path}: {refusal.read().decode(errors='replace')}"
        ) from refusal
    except (OSError, ValueError) as failure:
        raise SimulatorUnavailable(f"{path} on port {port}: {failure}") from failure
    if not isinstance(answer, dict):
        raise SimulatorUnavailable(f"{path} on port {port} answers {answer!r}")
    return answer
