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


def test_a_lead_that_a_venue_confirms_is_let_go_of_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    # A minute ahead, and back: ours stays where it was.
    machine.passes(1, step=60)
    assert machine.passes(1, step=-60) == 1_062 * NS_PER_SECOND
    machine.clock.give_way(60 * NS_PER_SECOND)
    assert machine.passes(8) == 1_069 * NS_PER_SECOND
    # Told again on the way, it goes on from there, and ends where the wall clock is.
    machine.clock.give_way(59 * NS_PER_SECOND)
    assert machine.passes(8 * 59) == machine.wall
    assert machine.passes(100) == machine.wall


def test_a_wall_clock_that_the_venue_does_not_confirm_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    machine.passes(1, step=-600)
    # The venue says that ours is right, behind, or within what is noise.
    for ahead_ns in (0, -NS_PER_SECOND, clocks.LEAD_NS_MAX):
        before = machine.clock.now_ns()
        machine.clock.give_way(ahead_ns)
        assert machine.passes(80) == before + 80 * NS_PER_SECOND


def test_a_venue_that_the_wall_clock_does_not_confirm_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    machine.clock.give_way(60 * NS_PER_SECOND)
    assert machine.passes(80) == machine.wall


def test_while_it_gives_way_a_step_forward_is_followed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    machine.passes(1, step=60)
    machine.passes(1, step=-60)
    machine.clock.give_way(60 * NS_PER_SECOND)
    machine.passes(8)
    assert machine.passes(1, step=120) == machine.wall
    assert machine.passes(8) == machine.wall
