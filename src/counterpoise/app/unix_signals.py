"""Signals as operators' wishes."""

import asyncio
import signal
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

_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


class SignalDesk:
    """Takes signals from the first moment on; hands them to the engine once there is one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._feed: Feed | None = None
        self._reload: Callable[[], None] | None = None
        self._stops = 0
        #: Set by a second stop, or by a first one before the engine runs: leave now.
        self.stop_now = asyncio.Event()

    def install(self) -> None:
        """Take the process's signals over."""
        loop = asyncio.get_running_loop()
        for number in WISHES:
            loop.add_signal_handler(number, self._take, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def open(self, feed: Feed, reload: Callable[[], None]) -> None:
        """Hand signals to the engine from now on."""
        self._feed, self._reload = feed, reload

    def _take(self, number: signal.Signals) -> None:
        if number in _STOPS:
            self._stops += 1
            if self._stops > 1 or self._feed is None:
                self.stop_now.set()
                return
        if self._feed is None:
            return
        now_ns = self._clock.now_ns()
        self._feed(
            ControlRequested(
                control_id=f"signal-{number.name}-{now_ns}",
                action=WISHES[number],
                actor="signal",
                reason=number.name,
                from_halt=False,
                received_ns=now_ns,
            )
        )

    def _hang_up(self) -> None:
        if self._reload is not None:
            self._reload()
