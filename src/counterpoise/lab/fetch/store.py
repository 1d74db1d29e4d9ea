"""A series on disk: part files while it is fetched, one Parquet file when it is whole.

A part is written under another name, synced and renamed, and says in its own name which span it
answers; the whole file keeps its spans in its metadata. So a fetch that was cut off anywhere asks
again only for what no file answers, and a row can never come twice.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from counterpoise.domain.errors import DataError
from counterpoise.lab.fetch.audit import Fault, Findings, audit
from counterpoise.lab.fetch.series import Rows, Series
from counterpoise.lab.fetch.spans import Span, merged

#: Key of the file's metadata under which its spans are kept, as JSON.
SPANS_KEY: Final = b"counterpoise.spans_ms"

_TEMPORARY: Final = ".tmp"


class SeriesStore:
    """The files of one series."""

    def __init__(self, directory: Path, series: Series) -> None:
        self.series = series
        self._path = series.path(directory)
        self._parts = self._path.with_suffix(".parts")

    def covered(self) -> list[Span]:
        """Return the spans that files answer."""
        spans = [_part_span(path) for path in self._part_paths()]
        if self._path.exists():
            spans += self._whole_spans()
        return merged(spans)

    def add(self, span: Span, rows: Rows) -> None:
        """Keep the answer to a span; on return it survives a crash."""
        self._parts.mkdir(parents=True, exist_ok=True)
        path = self._parts / f"{span.since_ms}-{span.until_ms}.parquet"
        _write(self._table(rows), path)

    def finish(self, faults: Sequence[Fault]) -> Findings:
        """Join parts and the whole file, write the gaps beside it and return what it looks like.

        `faults` are rows that were refused on the way.
        """
        spans = self.covered()
        tables = [self.read(path) for path in (self._path, *self._part_paths()) if path.exists()]
        empty = np.empty((0, len(self.series.columns)))
        rows = np.concatenate([empty, *tables])
        # A part that the whole file took over before a crash says the same rows once more.
        _, first = np.unique(rows[:, 0], return_index=True)
        rows = rows[first]
        table = self._table(rows).replace_schema_metadata({SPANS_KEY: json.dumps(spans).encode()})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _write(table, self._path)
        shutil.rmtree(self._parts, ignore_errors=True)
        findings = audit(self.series, rows)
        self._write_gaps(findings, faults)
        return findings

    def read(self, path: Path | None = None) -> Rows:
        """Return the rows of its file, shape (rows, columns). DataError: unreadable."""
        path = path or self._path
        try:
            table = parquet.read_table(path)
        except (pa.ArrowException, OSError) as wrong:
            raise DataError(f"{path}: {wrong}") from wrong
        if table.schema.names != list(self.series.columns):
            raise DataError(
                f"{path} has the columns {', '.join(table.schema.names)}; "
                f"allowed: {', '.join(self.series.columns)}"
            )
        if table.schema.field("ts").type != pa.int64():
            raise DataError(f"{path}: ts is {table.schema.field('ts').type}; allowed: int64")
        columns = [table.column(name).to_numpy() for name in self.series.columns]
        return np.column_stack(columns).astype(np.float64)

    def _table(self, rows: Rows) -> Any:
        names = self.series.columns
        columns = [pa.array(rows[:, 0].astype(np.int64))]
        columns += [pa.array(rows[:, place]) for place in range(1, len(names))]
        return pa.table(columns, names=list(names))

    def _part_paths(self) -> list[Path]:
        return sorted(self._parts.glob("*.parquet"), key=_part_span)

    def _whole_spans(self) -> list[Span]:
        metadata = parquet.read_schema(self._path).metadata or {}
        if SPANS_KEY in metadata:
            return [Span(*each) for each in json.loads(metadata[SPANS_KEY])]
        # A file from elsewhere: it answers from its first row to its last.
        times = self.read()[:, 0]
        if not len(times):
            return []
        return [Span(int(times.min()), int(times.max()) + self.series.step_ms)]

    def _write_gaps(self, findings: Findings, faults: Sequence[Fault]) -> None:
        told = findings.as_dict()
        told["refused"] = [fault._asdict() for fault in faults]
        path = self._path.with_suffix(".gaps.json")
        temporary = path.with_name(path.name + _TEMPORARY)
        temporary.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(path)


def _part_span(path: Path) -> Span:
    since, _, until = path.stem.partition("-")
    return Span(int(since), int(until))


def _write(table: Any, path: Path) -> None:
    # Whole or not at all, also if the machine stops in the middle.
    temporary = path.with_name(path.name + _TEMPORARY)
    with temporary.open("wb") as file:
        parquet.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
