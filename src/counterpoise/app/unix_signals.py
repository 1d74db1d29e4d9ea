"""Signals as operators' wishes."""

import asyncio
import signal
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from counterpoise.domain.events import ControlAction, ControlRequested
from counterpoise.ports import Clock, Feed

log = structlog.get_logger(__name__)

#: What a signal asks for.
WISHES: Final = {
    signal.SIGTERM: ControlAction.STOP,
    signal.SIGINT: ControlAction.STOP,
    signal.SIGQUIT: ControlAction.FLATTEN_STOP,
    signal.SIGUSR1: ControlAction.PAUSE,
    signal.SIGUSR2: ControlAction.RESUME,
}

#: Pauses and resumes that wait for the engine; of more the oldest go, as each overrides those
#: before it.
WISHES_KEPT_MAX: Final = 16

_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
_STOP_ACTIONS: Final = frozenset(WISHES[number] for number in _STOPS)


class SignalDesk:
    """Takes signals from the first moment on; hands them to the engine once there is one."""

    def __init__(self, clock: Clock, *, trades: bool = True, flatten_on_stop: bool = False) -> None:
        """`trades` = it may close positions; `flatten_on_stop` = any stop is to close them."""
        self._clock = clock
        self._feed: Feed | None = None
        self._reload: Callable[[], None] | None = None
        #: Stops that close positions: those before the engine runs wait for it.
        self._closing = (_STOPS if flatten_on_stop else {signal.SIGQUIT}) if trades else frozenset()
        self._stops: list[signal.Signals] = []
        #: Wishes of the start and the warm-up, in order.
        self._kept: deque[ControlRequested] = deque()
        self._reload_wished = False
        #: Set by a second stop, or by a first one that closes nothing before the engine runs:
        #: leave now.
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

    def waiting(self) -> tuple[str, ...]:
        """Return the stops that no engine has heard of, as the signals' names."""
        return tuple(wish.reason for wish in self._kept if wish.action in _STOP_ACTIONS)

    def settle(self, number: signal.Signals) -> None:
        """Forget a stop that somebody else has taken over."""
        reason = number.name
        self._kept = deque(wish for wish in self._kept if wish.reason != reason)

    def _take(self, number: signal.Signals) -> None:
        if number in _STOPS and not self._waits_its_turn(number):
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
            self._keep(wish)
        else:
            self._feed(wish)

    def _waits_its_turn(self, number: signal.Signals) -> bool:
        # False = leave at once.
        before = tuple(self._stops)
        self._stops.append(number)
        # To close positions is more than was asked for so far.
        more = number is signal.SIGQUIT and signal.SIGQUIT not in before
        if before and not more:
            return False
        return self._feed is not None or number in self._closing

    def _keep(self, wish: ControlRequested) -> None:
        if wish.action in _STOP_ACTIONS:
            log.warning("stop.waits", signal=wish.reason, until="the engine runs; again = at once")
        others = [kept for kept in self._kept if kept.action not in _STOP_ACTIONS]
        if wish.action not in _STOP_ACTIONS and len(others) >= WISHES_KEPT_MAX:
            self._kept.remove(others[0])
        self._kept.append(wish)

    def _hang_up(self) -> None:
        if self._reload is None:
            self._reload_wished = True
        else:
            self._reload()
