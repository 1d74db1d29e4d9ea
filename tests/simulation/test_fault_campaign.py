"""A sample of the fault campaign (`make sim`), and that a seed is all a day hangs on."""

import pytest

import fault_campaign
import virtual_loop
import virtual_world
from counterpoise.ledger import codec

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("seed", range(9_001, 9_011))
def test_a_day_of_faults_ends_with_books_that_balance(seed: int) -> None:
    day = fault_campaign.play(seed)
    assert day.findings == (), "\n".join(day.story)
    assert day.orders > 0
    assert day.fills > 0


def test_the_same_seed_is_the_same_day() -> None:
    first, second = (virtual_loop.run(virtual_world.live_through(17)) for _ in range(2))
    assert [codec.encode(row) for row in first.kept] == [codec.encode(row) for row in second.kept]
    assert first.story == second.story
    assert first.lives > 1
