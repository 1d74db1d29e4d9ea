"""Ways past what hangs: a disk that does not answer must not keep the process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from counterpoise.app import log_writer

T = TypeVar("T")

#: A process that has said goodbye may take this long to end by itself, seconds.
LEAVE_SECONDS_MAX: Final = 10.0
#: After a disk that hung, everything that is still open gets this long together, seconds: an
#: embedded server's stop may wait for the same disk.
CLOSE_REST_SECONDS_MAX: Final = 60.0
#: What a process that was broken off leaves with.
EXIT_FAILED: Final = 1


def begin_on_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Begin `work` on a thread of its own and return what will become of it.

    Not on the loop's own threads: those are waited for at the end, however long they hang.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def give(answer: T) -> None:
        if not future.done():
            future.set_result(answer)

    def fail(error: BaseException) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        # The loop may be closed by the end of it: then nobody waits.
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001  told to whoever waits
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(fail, error)
        else:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(give, answer)

    threading.Thread(target=run, name="closing", daemon=True).start()
    return future


async def from_thread(work: Callable[[], T], seconds_max: float) -> T:
    """Return what `work` gives on a thread of its own.

    Raises TimeoutError when it does not end in time, and what `work` raises; whatever ends the
    wait, the thread is left behind.
    """
    async with asyncio.timeout(seconds_max):
        return await begin_on_thread(work)


async def on_thread(work: Callable[[], None], seconds_max: float) -> bool:
    """Do `work` on a thread of its own; False = it did not end in time and is left behind.

    What `work` raises is raised.
    """
    try:
        await from_thread(work, seconds_max)
    except TimeoutError:
        return False
    return True


class WayOut:
    """Ends the process by force once it is over and something still hangs."""

    def __init__(
        self,
        *,
        seconds_max: float = LEAVE_SECONDS_MAX,
        leave: Callable[[int], None] = log_writer.leave,
    ) -> None:
        self._seconds_max = seconds_max
        self._leave = leave
        self._timer: threading.Timer | None = None
        #: True = something was left behind, so that whatever else ends here may hang as well.
        self.hangs = False

    def hang(self) -> None:
        """Something was left behind: what is still to be closed gets its time, and no more."""
        self.hangs = True
        self._start(EXIT_FAILED, CLOSE_REST_SECONDS_MAX)

    def arm(self, exit_code: int) -> None:
        """Leave with this code unless `disarm` comes in time."""
        self._start(exit_code, self._seconds_max)

    def disarm(self) -> None:
        """The loop and its threads have ended; nothing to force unless something else hangs."""
        if self._timer is not None and not self.hangs:
            self._timer.cancel()

    def _start(self, exit_code: int, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self._leave, (exit_code,))
        self._timer.daemon = True
        self._timer.start()
