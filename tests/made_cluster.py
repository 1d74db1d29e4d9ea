"""A migrated, empty cluster made once per process and copied to each daemon that asks for one.

Making one costs seconds of a core; a test that is about a first start makes its own.
"""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import LocalPostgres


def lay(state_dir: Path) -> None:
    """Put a stopped cluster with the schema of this version where a daemon looks for it."""
    # Owners are kept: the server does not run as root where root runs the tests.
    subprocess.run(["cp", "-a", str(_pattern()), str(state_dir / "postgres")], check=True)


@functools.cache
def _pattern() -> Path:
    path = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    with LocalPostgres(path / "postgres", durable=False) as server:
        migrate.upgrade(server.dsn(), migrate.find_scripts())
    return path / "postgres"
