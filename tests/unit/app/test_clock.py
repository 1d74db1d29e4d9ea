"""Our clock never goes back, and follows a wall clock that is ahead."""

import pytest

from counterpoise.app import clock as clocks
from counterpoise.domain.units import NS_PER_SECOND


class Machine:
    """The two clocks of a machine, set by a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = 1_000 * NS_PER_SECOND, 5 * NS_PER_SECOND
        monkeypatch.setattr(clocks.time, "time_ns", lambda: self.wall)
        monkeypatch.setattr(clocks.time, "monotonic_ns", lambda: self.steady)
        self.clock = clocks.SystemClock()

    def passes(self, seconds: float, *, step: float = 0.0) -> int:
        self.steady += int(seconds * NS_PER_SECOND)
        self.wall += int((seconds + step) * NS_PER_SECOND)
        return self.clock.now_ns()


def test_it_advances_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine(monkeypatch).passes(2) == 1_002 * NS_PER_SECOND


def test_a_wall_clock_set_back_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    assert machine.passes(1, step=-600) == 1_001 * NS_PER_SECOND
    assert machine.passes(1) == 1_002 * NS_PER_SECOND


def test_a_wall_clock_that_is_ahead_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    assert machine.passes(1, step=3_600) == 4_601 * NS_PER_SECOND
    assert machine.passes(1) == 4_602 * NS_PER_SECOND
