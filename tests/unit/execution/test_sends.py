"""A request that the venue may still carry out proves nothing by not being found."""

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.execution.sends import SETTLE_NS, Sends
from engine_world import START_NS
from scripted_venue import SettableClock

#: As long as a venue takes a reduction's stamp in these tests.
VALID_NS = 60 * NS_PER_SECOND
LIVES_NS = VALID_NS + SETTLE_NS
EXPIRES_NS = START_NS + 2 * NS_PER_SECOND


class Desk:
    def __init__(self, valid_ns: int = VALID_NS) -> None:
        self.clock = SettableClock(START_NS)
        self.sends = Sends(self.clock, valid_ns)

    def send(self, key: str, *, reduce_only: bool, seconds: int = 5) -> int:
        """Send one whose call takes some time; return when that was over."""
        self.sends.begin(key, EXPIRES_NS)
        self.clock.ns += seconds * NS_PER_SECOND
        self.sends.end(key, reduce_only=reduce_only)
        return self.clock.ns

    def lives_until(
        self, key: str, expires_ns: int = EXPIRES_NS, *, reduce_only: bool = True
    ) -> int:
        """Return the first moment at which it can not be carried out any more."""
        for at_ns in range(self.clock.ns, self.clock.ns + 3 * LIVES_NS, NS_PER_SECOND):
            self.clock.ns = at_ns
            if not self.sends.may_arrive(key, expires_ns, reduce_only=reduce_only):
                return at_ns
        raise AssertionError(f"{key} never ends")


def test_an_increase_ends_with_its_approval() -> None:
    desk = Desk()
    desk.send("a", reduce_only=False)
    assert desk.lives_until("a", reduce_only=False) == EXPIRES_NS + SETTLE_NS


def test_a_step_of_our_clock_does_not_end_an_increase() -> None:
    desk = Desk()
    desk.send("a", reduce_only=False, seconds=0)
    desk.clock.step(90 * NS_PER_SECOND)
    began_ns = desk.clock.ns
    assert (
        desk.lives_until("a", reduce_only=False) == began_ns + (EXPIRES_NS - START_NS) + SETTLE_NS
    )


def test_a_reduction_lives_as_long_as_the_venue_takes_its_stamp() -> None:
    desk = Desk()
    over_ns = desk.send("a", reduce_only=True)
    assert desk.lives_until("a") == over_ns + LIVES_NS


@pytest.mark.parametrize("reduce_only", [True, False])
def test_nothing_ends_while_its_call_is_at_work(*, reduce_only: bool) -> None:
    desk = Desk()
    desk.sends.begin("a", EXPIRES_NS)
    desk.clock.ns += 10 * LIVES_NS
    assert desk.sends.may_arrive("a", EXPIRES_NS, reduce_only=reduce_only)
    desk.sends.end("a", reduce_only=reduce_only)
    alive = desk.sends.may_arrive("a", EXPIRES_NS, reduce_only=reduce_only)
    assert alive is reduce_only


def test_what_another_process_sent_left_before_this_one_began() -> None:
    assert Desk().lives_until("a") == START_NS + LIVES_NS
    # An increase was made at its approval and ends with it, whoever sent it.
    assert Desk().lives_until("a", reduce_only=False) == EXPIRES_NS + SETTLE_NS
    assert Desk(valid_ns=0).lives_until("a") == EXPIRES_NS + SETTLE_NS


def test_a_wall_clock_that_steps_ends_no_reduction() -> None:
    desk = Desk()
    over_ns = desk.send("a", reduce_only=True)
    monotonic = desk.clock.monotonic
    desk.clock.monotonic = lambda: monotonic() - 3_600.0  # type: ignore[method-assign]
    desk.clock.ns += 3_600 * NS_PER_SECOND
    assert desk.lives_until("a") == over_ns + LIVES_NS + 3_600 * NS_PER_SECOND


def test_what_is_over_is_forgotten_and_stays_over() -> None:
    desk = Desk()
    for number in range(1_000):
        desk.send(f"r{number}", reduce_only=number % 2 == 0)
    at_work = [
        key
        for key in desk.sends._until
        if desk.sends.may_arrive(key, START_NS, reduce_only=int(key[1:]) % 2 == 0)
    ]
    # The last increase was sent five seconds ago.
    assert at_work == [*(f"r{number}" for number in range(986, 1_000, 2)), "r999"]
    assert len(desk.sends._until) <= 8
    assert not desk.sends.may_arrive("r0", EXPIRES_NS, reduce_only=True)


def test_a_withdrawal_is_kept_until_the_call_is_over_and_ends_with_it() -> None:
    sends = Desk().sends
    sends.withdraw("a")
    sends.begin("a", EXPIRES_NS)
    assert not sends.is_withdrawn("a"), "nothing of that name was at work when it was asked"
    sends.withdraw("a")
    sends.begin("b", EXPIRES_NS)
    assert (sends.is_withdrawn("a"), sends.is_withdrawn("b")) == (True, False)
    # It may still arrive as far as anybody else knows: its own update says that it does not.
    assert sends.may_arrive("a", EXPIRES_NS, reduce_only=False)
    sends.end("a", reduce_only=False)
    assert not sends.is_withdrawn("a")
