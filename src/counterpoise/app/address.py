"""`daemon.json`: who runs in a state directory, on which account, and where it answers."""

import contextlib
import json
import os
import socket
from pathlib import Path

import structlog

from counterpoise import __version__
from counterpoise.status.client import ADDRESS_FILE

log = structlog.get_logger(__name__)


def write(state_dir: Path, account_id: str, status_port: int | None) -> None:
    """Tell other commands of this state directory; `status_port` None = not listening yet.

    The account is told as early as it is known: a command given during the start, or after the
    end, is meant for it. Commands are all that need it: a disk that does not take it (full, read
    only) is said and holds no daemon up.
    """
    path = state_dir / ADDRESS_FILE
    beside = path.with_suffix(".new")
    told = json.dumps(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "account_id": account_id,
            "status_port": status_port,
            "version": __version__,
        }
    )
    try:
        beside.write_text(told)
        beside.replace(path)
    except OSError as error:
        # What stands there is of an earlier run: no command may trust it.
        for old in (beside, path):
            with contextlib.suppress(OSError):
                old.unlink()
        log.error(
            "address.not_written",
            path=str(path),
            reason=str(error),
            remedy="make room; until the next start commands need --account, stops a signal",
        )
