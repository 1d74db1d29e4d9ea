"""Slots lie on the clock, and a broken step ends the daemon."""

import asyncio
from typing import cast

import pytest

from counterpoise.app.runner import Runner, next_slot
from counterpoise.domain.events import Tick
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.execution.performer import Performer
from engine_world import START_NS, make_state
from scripted_venue import SettableClock


@pytest.mark.parametrize(
    ("now", "cycle", "slot"),
    [(0, 900, 900), (899, 900, 900), (900, 900, 1800), (901, 900, 1800), (61, 30, 90)],
)
def test_the_next_slot_is_strictly_later_and_on_the_grid(now: int, cycle: int, slot: int) -> None:
    assert next_slot(now * NS_PER_SECOND, cycle) == slot * NS_PER_SECOND


class Broken:
    """A performer whose first action shows a defect of ours."""

    def perform(self, done: list[actions.Action]) -> None:
        raise AssertionError(f"our bug in {len(done)} actions")


async def test_a_defect_is_kept_for_the_daemon_before_anything_else_happens() -> None:
    runner = Runner(make_state(), SettableClock(START_NS))
    runner.attach(cast("Performer", Broken()))
    with pytest.raises(AssertionError, match="our bug"):
        runner.feed(Tick(now_ns=START_NS))
    assert runner.broken.done()
    assert "our bug" in str(runner.broken.exception())


async def test_only_the_first_defect_counts() -> None:
    runner = Runner(make_state(), SettableClock(START_NS))
    runner.break_off(AssertionError("first"))
    runner.break_off(AssertionError("second"))
    assert str(runner.broken.exception()) == "first"
    await asyncio.sleep(0)
