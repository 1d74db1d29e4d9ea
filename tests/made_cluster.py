"""A migrated, empty cluster made once per run of the tests and copied to whoever asks for one.

Making one costs seconds of a core; a test that is about a first start makes its own.
"""

import atexit
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import LocalPostgres

#: Names the directory in which the processes of one run share theirs; unset = this one has its own.
SHARED: Final = "MADE_CLUSTER"


def share() -> Path:
    """Let the processes that this one starts share a cluster; return what to remove in the end."""
    path = _directory()
    os.environ[SHARED] = str(path)
    return path


def lay(state_dir: Path) -> None:
    """Put a stopped cluster with the schema of this version where a daemon looks for it."""
    # Owners are kept: the server does not run as root where root runs the tests.
    subprocess.run(["cp", "-a", str(_pattern()), str(state_dir / "postgres")], check=True)


@functools.cache
def _pattern() -> Path:
    if SHARED in os.environ:
        path = Path(os.environ[SHARED])
    else:
        path = _directory()
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    finished = path / "finished"
    with (path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(path / "postgres", ignore_errors=True)
            with LocalPostgres(path / "postgres", durable=False) as server:
                migrate.upgrade(server.dsn(), migrate.find_scripts())
            finished.touch()
    return path / "postgres"


def _directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    path.chmod(0o755)
    return path
