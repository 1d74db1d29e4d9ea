"""`daemon.json`: who runs in a state directory, on which account, and where it answers."""

import json
import os
import socket
from pathlib import Path

from counterpoise import __version__
from counterpoise.status.client import ADDRESS_FILE


def write(state_dir: Path, account_id: str, status_port: int | None) -> None:
    """Tell other commands of this state directory; `status_port` None = not listening yet.

    The account is told as early as it is known: a command given during the start, or after the
    end, is meant for it.
    """
    path = state_dir / ADDRESS_FILE
    beside = path.with_suffix(".new")
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
