"""Takes log lines off the loop: a thread writes them, and nothing waits for whoever reads them.

A full disk under the log loses lines; a reader that stalls (a terminal at Ctrl-S, a container
runtime that hangs) makes them wait in memory, and past a bound loses them. Either is counted and
said once lines flow again. Neither raises into a caller or holds it, and so not the guard either.
"""

import atexit
import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TextIO

#: Lines that may wait for their reader; some megabytes.
LINES_MAX: Final = 10_000
#: Of those, kept for critical lines: records and reductions that have no other place.
LINES_KEPT_FOR_CRITICAL: Final = 2_000
#: The end of the process waits this long for lines to be written, seconds.
DRAIN_SECONDS_MAX: Final = 1.0
#: Losses are said at most this often while lines go on being lost, seconds.
SAY_LOST_SECONDS: Final = 1.0

#: Descriptors that are never closed and given to another file: written to past Python's buffers,
#: whose locks a stalled write would keep to the end of the process.
_STANDARD: Final = frozenset({1, 2})

_writers: "weakref.WeakSet[LogWriter]" = weakref.WeakSet()


class LogWriter:
    """Writes lines to one stream in order. `write` may be called from any thread."""

    def __init__(
        self, out: TextIO, say_lost: Callable[[int], str], *, lines_max: int = LINES_MAX
    ) -> None:
        """Start the thread; `say_lost` gives the line that says how many lines were lost."""
        self._out = out
        self._say_lost = say_lost
        self._lines_max = lines_max
        self._descriptor = _standard_descriptor(out)
        #: Lines that were lost since it was said last.
        self._lost = 0
        self._said_at = float("-inf")
        #: The last line was written in part: its rest is lost, and the next begins anew.
        self._cut = False
        self._begin()
        _writers.add(self)

    @property
    def lost(self) -> int:
        """Lines that were lost and not said to be yet."""
        return self._lost

    def write(self, line: str, *, critical: bool = False) -> None:
        """Have a line (without its end) written soon, or count it as lost; never waits."""
        reserve = 0 if critical else min(LINES_KEPT_FOR_CRITICAL, self._lines_max // 5)
        if self._lines.qsize() >= self._lines_max - reserve:
            self._lose(1)
        else:
            self._lines.put(line)

    def drain(self, seconds_max: float) -> bool:
        """Wait until what came so far is written or lost; False = the time was over first."""
        mark = threading.Event()
        self._lines.put(mark)
        return mark.wait(seconds_max)

    def begin_in_child(self) -> None:
        """Begin anew in a process that was forked: what waits is the parent's to write."""
        self._lost = 0
        self._begin()

    def _begin(self) -> None:
        # A queue of this kind may be entered by a collection of garbage in the midst of `put`.
        self._lines: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._counting = threading.RLock()
        threading.Thread(
            target=self._run, args=(self._lines,), name="log writer", daemon=True
        ).start()

    def _lose(self, count: int) -> None:
        with self._counting:
            self._lost += count

    # -- the thread's side -------------------------------------------------------------------

    def _run(self, lines: "SimpleQueue[str | threading.Event]") -> None:
        while True:
            entry = lines.get()
            if isinstance(entry, threading.Event):
                entry.set()
                continue
            if not self._put(entry):
                self._lose(1)
            elif self._lost:
                self._tell_lost(now=lines.empty())

    def _tell_lost(self, *, now: bool) -> None:
        if not now and time.monotonic() - self._said_at < SAY_LOST_SECONDS:
            return
        count = self._lost
        if self._put(self._say_lost(count)):
            self._lose(-count)
            self._said_at = time.monotonic()

    def _put(self, line: str) -> bool:
        # False = it is lost: a full disk, a reader that is gone, a stream that was closed.
        try:
            if self._descriptor is None:
                self._out.write(f"{line}\n")
                self._out.flush()
            else:
                encoding = self._out.encoding or "utf-8"
                start = "\n" if self._cut else ""
                self._write_out(f"{start}{line}\n".encode(encoding, "backslashreplace"))
        except Exception:  # noqa: BLE001  the thread must live, whatever a stream raises
            return False
        return True

    def _write_out(self, content: bytes) -> None:
        assert self._descriptor is not None, "there is a descriptor"
        left = memoryview(content)
        while left:
            try:
                written = os.write(self._descriptor, left)
            except BlockingIOError:
                # Somebody who shares the stream made it so.
                select.select([], [self._descriptor], [], SAY_LOST_SECONDS)
                continue
            left = left[written:]
            self._cut = len(left) > 0


def drain(seconds_max: float = DRAIN_SECONDS_MAX) -> bool:
    """Wait until every line is written or lost; False = a stream stalls."""
    deadline = time.monotonic() + seconds_max
    drained = [writer.drain(max(0.0, deadline - time.monotonic())) for writer in tuple(_writers)]
    return all(drained)


def leave(exit_code: int) -> None:
    """End the process now, as `os._exit` does, once the log is written or stalls."""
    drain()
    os._exit(exit_code)


def _standard_descriptor(out: TextIO) -> int | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if out.fileno() in _STANDARD:
            return out.fileno()
    return None


def _begin_in_child() -> None:
    for writer in tuple(_writers):
        writer.begin_in_child()


os.register_at_fork(after_in_child=_begin_in_child)
atexit.register(drain)
