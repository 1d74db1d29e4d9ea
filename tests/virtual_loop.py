"""An asyncio loop whose clock is virtual: nothing is waited for, time jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final

#: Every turn of the loop costs this much virtual time, seconds, so that a wait in turns ends.
TURN_SECONDS: Final = 20e-6


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs timers in their order at once. The same work takes the same virtual time."""

    def __init__(self) -> None:
        super().__init__(_Selector(self))
        self.seconds = 0.0

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self.seconds


class _Selector(selectors.SelectSelector):
    """Instead of waiting for a timer, moves the clock to it."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        """Move the clock; nothing real is waited for."""
        if timeout is None:
            raise RuntimeError("every task waits for another one: nothing can happen any more")
        self._loop.seconds += max(timeout, TURN_SECONDS)
        return []


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


class VirtualClock:
    """`ports.Clock` on a virtual loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, opened_ns: int) -> None:
        self._loop = loop
        self._opened_ns = opened_ns

    def now_ns(self) -> int:
        """Return virtual time, ns."""
        return self._opened_ns + round(self._loop.time() * 1e9)

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self._loop.time()
