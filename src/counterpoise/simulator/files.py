"""The simulator's state directory: what lies there and how it is written."""

import fcntl
import json
import os
import random
import secrets
import time
from pathlib import Path
from typing import Any, Final, TextIO

from counterpoise.simulator.keys import Credentials

#: Exit code of a simulator that finds another one at work in its directory.
EXIT_ALREADY_RUNNING: Final = 17

_STATE_FILES: Final = (
    "state.sqlite",
    "state.sqlite-wal",
    "state.sqlite-shm",
    "credentials.json",
)


def port_path(state_dir: Path) -> Path:
    """Where a listening simulator says so."""
    return state_dir / "port.json"


def lock_path(state_dir: Path) -> Path:
    """What a running simulator holds; gone = its directory was removed."""
    return state_dir / "lock"


def log_path(state_dir: Path) -> Path:
    """Where a detached simulator logs."""
    return state_dir / "simulator.log"


def store_path(state_dir: Path) -> Path:
    """Where accounts and market are kept."""
    return state_dir / "state.sqlite"


def write_json(path: Path, document: dict[str, Any], *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old or the new one whole, and durably."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(document, handle, sort_keys=True)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a file's object; None = no such file or not whole."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def write_port(state_dir: Path, *, port: int, started_ns: int) -> None:
    """Say where this process listens, and remember the port for the next start."""
    write_json(port_path(state_dir), {"port": port, "pid": os.getpid(), "started_ns": started_ns})
    write_json(state_dir / "port-last.json", {"port": port})


def last_port(state_dir: Path) -> int | None:
    """Return the port of the simulator before; None = there was none."""
    document = read_json(state_dir / "port-last.json")
    return None if document is None else int(document["port"])


def read_credentials(state_dir: Path) -> Credentials | None:
    """Return the account's key; None = none was made."""
    document = read_json(state_dir / "credentials.json")
    if document is None:
        return None
    return Credentials(
        api_key=str(document["api_key"]),
        secret=str(document["secret"]),
        passphrase=str(document["passphrase"]),
        account_id=str(document["account_id"]),
    )


def make_credentials(state_dir: Path, *, seed: int | None = None) -> Credentials:
    """Make and write the key of a new account, readable by its owner alone.

    With `seed` it is the same key each time: an event log then is the same, too.
    """
    draw = secrets.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311
    made = Credentials(
        api_key=f"{draw.getrandbits(128):032x}",
        secret=f"{draw.getrandbits(128):032X}",
        passphrase=f"{draw.getrandbits(64):016x}",
        account_id=str(10**17 + draw.randrange(9 * 10**17)),
    )
    document = {
        "api_key": made.api_key,
        "secret": made.secret,
        "passphrase": made.passphrase,
        "account_id": made.account_id,
    }
    write_json(state_dir / "credentials.json", document, mode=0o600)
    return made


def set_aside(state_dir: Path) -> Path | None:
    """Move the account, market and key into a dated directory; None = there were none."""
    found = [state_dir / name for name in _STATE_FILES if (state_dir / name).exists()]
    if not found:
        return None
    aside = state_dir / f"aside-{time.time_ns()}"
    aside.mkdir()
    for path in found:
        path.rename(aside / path.name)
    return aside


def lock(state_dir: Path) -> TextIO | None:
    """Take the directory for this process; None = another simulator has it.

    The lock is the kernel's: it ends with the process, however that ends.
    """
    handle = lock_path(state_dir).open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def is_locked(state_dir: Path) -> bool:
    """Tell whether a simulator has the directory."""
    held = lock(state_dir)
    if held is None:
        return True
    held.close()
    return False
