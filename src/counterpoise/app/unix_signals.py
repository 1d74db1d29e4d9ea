"""Signals as operators' wishes."""

import asyncio
import signal
from collections import deque
from collections.abc import Callable
from typing import Final

from counterpoise.domain.events import ControlAction, ControlRequested
from counterpoise.ports import Clock, Feed

#: What a signal asks for.
WISHES: Final = {
    signal.SIGTERM: ControlAction.STOP,
    signal.SIGINT: ControlAction.STOP,
    signal.SIGQUIT: ControlAction.FLATTEN_STOP,
    signal.SIGUSR1: ControlAction.PAUSE,
    signal.SIGUSR2: ControlAction.RESUME,
}

#: Wishes that wait for the engine; of more the oldest go, as each overrides those before it.
WISHES_KEPT_MAX: Final = 16

_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


class SignalDesk:
    """Takes signals from the first moment on; hands them to the engine once there is one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._feed: Feed | None = None
        self._reload: Callable[[], None] | None = None
        self._stops = 0
        #: Wishes of the start and the warm-up, in order.
        self._kept: deque[ControlRequested] = deque(maxlen=WISHES_KEPT_MAX)
        self._reload_wished = False
        #: Set by a second stop, or by a first one before the engine runs: leave now.
        self.stop_now = asyncio.Event()

    def install(self) -> None:
        """Take the process's signals over."""
        loop = asyncio.get_running_loop()
        for number in WISHES:
            loop.add_signal_handler(number, self._take, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def open(self, feed: Feed, reload: Callable[[], None]) -> None:
        """Hand signals to the engine from now on, those that came before first."""
        self._feed, self._reload = feed, reload
        if self._reload_wished:
            reload()
        while self._kept:
            feed(self._kept.popleft())

    def _take(self, number: signal.Signals) -> None:
        if number in _STOPS:
            self._stops += 1
            if self._stops > 1 or self._feed is None:
                self.stop_now.set()
                return
        now_ns = self._clock.now_ns()
        wish = ControlRequested(
            control_id=f"signal-{number.name}-{now_ns}",
            action=WISHES[number],
            actor="signal",
            reason=number.name,
            from_halt=False,
            received_ns=now_ns,
        )
        if self._feed is None:
            self._kept.append(wish)
        else:
            self._feed(wish)

    def _hang_up(self) -> None:
        if self._reload is None:
            self._reload_wished = True
        else:
            self._reload()
