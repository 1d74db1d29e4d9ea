"""The paper account's file: one line per change, each with its checksum, each on disk at return.

A line that was being written when the power went is the last one and does not count; whatever it
would have said was never told to anybody. A damaged line in front of others is refused.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from counterpoise.domain.errors import StartRefused, VenueUnreachable

#: Shape of the lines; a file of another shape is refused.
FORMAT: Final = 1
#: A file longer than this is written anew with what still counts, bytes.
BYTES_MAX: Final = 16 * 1024 * 1024

_Line = dict[str, Any]


class PaperFile:
    """One account's file. It is read by anybody and written by the one process that claimed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._file: int | None = None
        self._failure: str | None = None
        #: Bytes in it.
        self.length = 0

    @property
    def claimed(self) -> bool:
        """Whether this process may write."""
        return self._lock is not None

    @property
    def failure(self) -> str | None:
        """Why nothing can be written any more; None = it can."""
        return self._failure

    def read(self) -> tuple[Mapping[str, Any], list[_Line]] | None:
        """Return the account's head and its changes, oldest first; None = there is no account.

        StartRefused: the file is damaged or of another version.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StartRefused(f"the paper account {self.path} cannot be read: {error}") from error
        lines = content.split(b"\n")
        # Behind the last line end stands what was not finished.
        found: list[_Line] = []
        for number, line in enumerate(lines[:-1]):
            value = _opened(line)
            if value is None and number == len(lines) - 2:
                break
            if value is None:
                raise StartRefused(
                    f"line {number + 1} of the paper account {self.path} is damaged; restore the "
                    "file, or begin a new account with `counterpoise run --fresh`"
                )
            found.append(value)
        if not found:
            return None
        head = found[0]
        if head.get("format") != FORMAT:
            raise StartRefused(
                f"the paper account {self.path} is of format {head.get('format')} and this version "
                f"reads {FORMAT}; begin a new one with `counterpoise run --fresh`"
            )
        return head, found[1:]

    def claim(self) -> None:
        """Become the only writer until `close`. StartRefused: another process is, or no disk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartRefused(
                f"the paper account {self.path} cannot be kept: {error}; COUNTERPOISE_STATE_DIR "
                "must be a directory that can be written"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StartRefused(
                f"another daemon trades the paper account {self.path}: stop it first "
                "(`counterpoise stop`), or give this one a COUNTERPOISE_STATE_DIR of its own"
            ) from error
        self._lock = lock

    def set_aside(self) -> Path | None:
        """Move the account out of the way under its own name; None = there was none."""
        assert self.claimed, "only the writer moves it"
        if not self.path.exists():
            return None
        try:
            found = self.read()
            name = self.path.stem if found is None else str(found[0].get("account_id"))
        except StartRefused:
            name = f"{self.path.stem}-damaged"
        aside = self.path.with_name(f"{name}.aside")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{name}.aside{number}")
        self.path.replace(aside)
        return aside

    def rewrite(self, head: Mapping[str, Any], whole: _Line) -> None:
        """Put a new file in the old one's place: the head and one line that has all that counts.

        VenueUnreachable: the disk fails.
        """
        assert self.claimed, "only the writer writes"
        content = _sealed({"format": FORMAT, **head}) + _sealed(whole)
        beside = self.path.with_suffix(".new")
        try:
            made = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _write(made, content)
            except OSError:
                os.close(made)
                raise
            beside.replace(self.path)
            _sync_directory(self.path.parent)
        except OSError as error:
            raise self._failed(error) from error
        if self._file is not None:
            os.close(self._file)
        self._file, self.length = made, len(content)

    def append(self, change: _Line) -> None:
        """Add a change; it is on disk at return. VenueUnreachable: the disk fails, for good."""
        assert self._file is not None, "rewrite it first"
        if self._failure is not None:
            raise VenueUnreachable(self._failure)
        content = _sealed(change)
        try:
            _write(self._file, content)
        except OSError as error:
            raise self._failed(error) from error
        self.length += len(content)

    def close(self) -> None:
        """Stop writing; safe to call twice."""
        for opened in (self._file, self._lock):
            if opened is not None:
                os.close(opened)
        self._file = self._lock = None

    def _failed(self, error: OSError) -> VenueUnreachable:
        # What a failed fsync left on disk is not known: nothing is written after it.
        self._failure = f"the paper account {self.path} cannot be written: {error}"
        return VenueUnreachable(self._failure)


def _sealed(value: Mapping[str, Any]) -> bytes:
    body = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _opened(line: bytes) -> _Line | None:
    seal, _, body = line.partition(b" ")
    if seal != b"%08x" % zlib.crc32(body):
        return None
    value: _Line = json.loads(body)
    return value


def _write(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)


def _sync_directory(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
