"""The server's directory: where it lies, how it is made, who may open it."""

import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from counterpoise.ledger.postgres import binaries as programs
from counterpoise.ledger.postgres.binaries import Account
from counterpoise.ledger.postgres.errors import PostgresFailed

#: File in the state directory that names the cluster's home when it lies elsewhere.
POINTER: Final = "location"
#: First version with the builtin locale provider, whose sort order depends on no system library.
_BUILTIN_LOCALE_MAJOR: Final = 17


def home_of(root: Path, account: Account | None) -> Path:
    """Return the cluster's home: `root`, or a place the account can reach if `root` is not one.

    A checkout under /root is such a case. The place is noted in `root`, so that a renamed
    checkout finds its record again.
    """
    pointer = root / POINTER
    if pointer.exists():
        return Path(pointer.read_text().strip())
    root.mkdir(parents=True, exist_ok=True, mode=0o755 if account else 0o700)
    if account is None or account.can_reach(root):
        return root
    home = programs.SHARED_HOME / hashlib.sha256(str(root).encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True, mode=0o755)
    if not account.can_reach(home):
        raise PostgresFailed(
            f"user {account.name}, who would run Postgres, reaches neither {root} nor {home}; "
            "set COUNTERPOISE_STATE_DIR to a directory it reaches"
        )
    write_private(pointer, f"{home}\n")
    return home


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One data directory and the programs for it."""

    #: Directory of everything below.
    home: Path
    #: Directory of `postgres` and `initdb`.
    binaries: Path
    #: Who runs it; None = we do.
    account: Account | None
    #: Name of the superuser of the cluster.
    owner: str
    #: False = nothing is synced; for throw-away tests only.
    durable: bool

    @property
    def data(self) -> Path:
        """The data directory, whole or absent."""
        return self.home / "data"

    @property
    def secret(self) -> Path:
        """File of the owner's password, mode 0600."""
        return self.home / "password"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "postgres.log"

    def ensure(self) -> None:
        """Make the cluster if there is none. Raises PostgresFailed."""
        if not (self.data / "PG_VERSION").exists():
            self._create()
        made_by = (self.data / "PG_VERSION").read_text().strip()
        installed = programs.version(self.binaries).partition(".")[0]
        if made_by != installed:
            raise PostgresFailed(
                f"{self.data} was made by Postgres {made_by}, the programs are {installed}; "
                "restore a dump of it with the new ones, or install the old ones"
            )

    def postmaster_lines(self) -> list[str]:
        """Return the lines of the server's pid file; empty = there is none."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def stop_leftover(self) -> None:
        """Stop a server nobody owns any more; the caller holds the lock, so it is not in use."""
        if not self.postmaster_lines():
            return
        control = [str(self.binaries / "pg_ctl"), "-D", str(self.data)]
        if self._run([*control, "status"]).returncode != 0:
            return
        stopped = self._run([*control, "-m", "fast", "-w", "-t", "60", "stop"])
        if self._run([*control, "status"]).returncode == 0:
            # It may as well have ended by itself meanwhile, as its killed owner's server does.
            self._check(stopped)
            raise PostgresFailed(f"a Postgres goes on in {self.data} although it was stopped")

    def socket_directory(self, name: str) -> Path:
        """Return where the socket `name` goes: the data directory, unless its path is too long.

        A socket's address holds 103 bytes on macOS, 107 on Linux.
        """
        if len(os.fsencode(self.data / name)) <= 103:
            return self.data
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:10]
        place = Path(f"/tmp/counterpoise-{os.getuid()}-{digest}")  # noqa: S108 - owner is checked
        place.mkdir(mode=0o700, exist_ok=True)
        owner = os.getuid() if self.account is None else self.account.uid
        found = place.lstat()
        if self.account is not None and found.st_uid == 0 and not place.is_symlink():
            os.chown(place, self.account.uid, self.account.gid)
        elif found.st_uid != owner or place.is_symlink():
            raise PostgresFailed(f"{place} belongs to somebody else; remove it")
        return place

    def _create(self) -> None:
        # Made aside and renamed: what a killed initdb leaves is never taken for a cluster.
        for leftover in self.home.glob(".init-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.home.glob(".password-*"):
            leftover.unlink()
        building = self.home / f".init-{secrets.token_hex(4)}"
        building.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        password_file = self.home / f".password-{secrets.token_hex(4)}"
        write_private(password_file, password)
        if self.account is not None:
            os.chown(building, self.account.uid, self.account.gid)
            os.chown(password_file, self.account.uid, self.account.gid)
        command = [
            str(self.binaries / "initdb"),
            f"--pgdata={building}",
            f"--username={self.owner}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--data-checksums",
            "--locale=C",
        ]
        if int(programs.version(self.binaries).partition(".")[0]) >= _BUILTIN_LOCALE_MAJOR:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.durable:
            command.append("--no-sync")
        try:
            self._check(self._run(command))
        finally:
            password_file.unlink()
        write_private(self.secret, password)
        building.rename(self.data)
        directory = os.open(self.home, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        account = self.account
        return subprocess.run(  # noqa: S603 - the server's own programs
            command,
            env=programs.ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )

    def _check(self, done: subprocess.CompletedProcess[str]) -> None:
        if done.returncode != 0:
            name = Path(done.args[0]).name
            said = done.stderr.strip()[-2000:]
            raise PostgresFailed(f"{name} ended with {done.returncode}: {said}")


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner reads, synced to the disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
