"""`daemon.json`: who runs in a state directory, on which account, and where it answers.

It is for other commands alone: a disk that takes nothing more keeps no daemon from its book.
"""

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Final

import structlog

from counterpoise import __version__
from counterpoise.app.way_out import on_thread
from counterpoise.status.client import ADDRESS_FILE

log = structlog.get_logger(__name__)

#: A disk gets this long to take the file, seconds.
WRITE_SECONDS_MAX: Final = 3.0


async def tell(state_dir: Path, account_id: str, status_port: int | None) -> None:
    """Do what `write` does, and go on without it where the disk hangs."""
    if not await on_thread(lambda: write(state_dir, account_id, status_port), WRITE_SECONDS_MAX):
        log.warning("address.not_written", error="the disk does not answer")


def write(state_dir: Path, account_id: str, status_port: int | None) -> None:
    """Tell other commands of this state directory; `status_port` None = not listening yet.

    The account is told as early as it is known: a command given during the start, or after the
    end, is meant for it. Where it cannot be written there is none, so that no command takes
    another run's for this one's.
    """
    path = state_dir / ADDRESS_FILE
    beside = path.with_suffix(".new")
    try:
        beside.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": socket.gethostname(),
                    "account_id": account_id,
                    "status_port": status_port,
                    "version": __version__,
                }
            )
        )
        beside.replace(path)
    except OSError as error:
        for stale in (path, beside):
            with contextlib.suppress(OSError):
                stale.unlink(missing_ok=True)
        log.warning(
            "address.not_written",
            error=str(error),
            effect="commands do not find this daemon by its state directory; name the account",
        )
