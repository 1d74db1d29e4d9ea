"""Ways past what hangs: a disk that does not answer must not keep the process."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Final

#: A process that has said goodbye may take this long to end by itself, seconds.
LEAVE_SECONDS_MAX: Final = 10.0


async def on_thread(work: Callable[[], None], seconds_max: float) -> bool:
    """Do `work` on a thread of its own; False = it did not end in time and is left behind.

    Not on the loop's own threads: those are waited for at the end, however long they hang. What
    `work` raises is raised.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001  told to whoever waits
            error = raised
        # The loop may be closed by now: then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name="closing", daemon=True).start()
    try:
        async with asyncio.timeout(seconds_max):
            await future
    except TimeoutError:
        return False
    return True


class WayOut:
    """Ends the process by force once it is over and a thread still hangs."""

    def __init__(self, *, seconds_max: float = LEAVE_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._timer: threading.Timer | None = None
        #: True = something was left behind that the interpreter's own end would wait for.
        self.hangs = False

    def arm(self, exit_code: int) -> None:
        """Leave with this code unless `disarm` comes in time."""
        self._timer = threading.Timer(self._seconds_max, os._exit, (exit_code,))
        self._timer.daemon = True
        self._timer.start()

    def disarm(self) -> None:
        """The loop and its threads have ended; nothing to force unless something else hangs."""
        if self._timer is not None and not self.hangs:
            self._timer.cancel()
