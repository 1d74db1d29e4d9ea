"""A sample of the fault campaign (`make sim`), and that a seed is all a day hangs on."""

import pytest

import fault_campaign
import virtual_loop
import virtual_world
from counterpoise.ledger import codec
from counterpoise.simulator.venues import VenueName

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("venue", list(VenueName))
@pytest.mark.parametrize("seed", range(9_001, 9_005))
def test_a_day_of_faults_ends_with_books_that_balance(seed: int, venue: VenueName) -> None:
    day = fault_campaign.play(seed, venue)
    assert day.findings == (), "\n".join(day.story)
    assert day.orders > 0
    assert day.fills > 0


@pytest.mark.parametrize("venue", list(VenueName))
def test_the_same_seed_is_the_same_day(venue: VenueName) -> None:
    first, second = (virtual_loop.run(virtual_world.live_through(17, venue)) for _ in range(2))
    assert [codec.encode(row) for row in first.kept] == [codec.encode(row) for row in second.kept]
    assert first.story == second.story
    assert first.lives > 1


def test_seeds_draw_their_venue() -> None:
    drawn = [virtual_world.venue_of(seed) for seed in range(300)]
    assert drawn == [virtual_world.venue_of(seed) for seed in range(300)]
    assert all(drawn.count(name) > 70 for name in VenueName)
