"""Results as JSON lines: each is on disk before the next is waited for.

A line that a crash cut off is dropped at the next start; its task runs again.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from counterpoise.domain.errors import DataError

#: One line: key, data, changes, window, figures, day_returns, seconds.
Row = dict[str, Any]


class Results:
    """The file of one or more sweeps."""

    def __init__(self, file: IO[str], rows: dict[str, Row]) -> None:
        self._file = file
        #: By key, in the order they were written.
        self.rows = rows

    def add(self, row: Row) -> None:
        """Append a result; on return it survives a crash."""
        self._file.write(json.dumps(row, sort_keys=True) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows[row["key"]] = row


@contextmanager
def open_results(path: Path) -> Iterator[Results]:
    """Open a file of results, or begin it. DataError: another sweep writes it, or it is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise DataError(f"another sweep writes to {path}; wait for it") from taken
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind("\n") + 1]
        if len(whole) < len(text):
            file.truncate(len(whole.encode()))
        rows: dict[str, Row] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                rows[row["key"]] = row
            except (ValueError, KeyError, TypeError) as wrong:
                raise DataError(f"{path} line {number} is no result of a sweep") from wrong
        yield Results(file, rows)
