"""Orders the venue holds back: how they are sent, dropped, listed and asked about."""

import pytest

from counterpoise.domain.errors import PriceRefused, VenueRejected, VenueUnreachable
from counterpoise.domain.events import Event, OrderAbsent, OrderUpdate, TriggersListed
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState
from counterpoise.domain.records import IntentWritten
from counterpoise.engine import actions
from counterpoise.execution.performer import Performer
from counterpoise.execution.sends import SETTLE_NS
from counterpoise.ledger.journal import MemoryJournal
from engine_world import START_NS
from scripted_venue import ScriptedVenue, SettableClock, answer
from stop_world import stop_world

KEY = "cp" + "7" * 30


class Permit:
    fenced = False

    def may_increase(self) -> bool:
        return True


class Desk:
    def __init__(self, *, observe: bool = False) -> None:
        self.venue, self.clock = ScriptedVenue(), SettableClock(START_NS)
        self.journal = MemoryJournal(self.clock)
        self.permit = Permit()
        self.fed: list[Event] = []
        self.broken: list[BaseException] = []
        self.performer = Performer(
            venue=self.venue,
            journal=self.journal,
            permit=self.permit,
            clock=self.clock,
            feed=self.fed.append,
            on_stop=lambda _: None,
            on_broken=self.broken.append,
            observe=observe,
        )

    async def perform(self, *done: actions.Action) -> list[Event]:
        self.performer.perform(done)
        assert await self.performer.drain(5)
        assert self.broken == []
        return self.fed


def placing() -> actions.Submit:
    made = stop_world()
    made.tick(4)
    made.tick()
    return next(a for a in made.world.done if isinstance(a, actions.Submit))


def drop() -> actions.CancelTrigger:
    return actions.CancelTrigger(instrument_id="BTCUSDT", client_order_id=KEY)


def resolve() -> actions.ResolveTrigger:
    return actions.ResolveTrigger(instrument_id="BTCUSDT", client_order_id=KEY, expires_ns=START_NS)


async def test_a_stop_is_journaled_and_then_held_back_never_submitted() -> None:
    desk = Desk()
    told = await desk.perform(placing())
    (written,) = [r for r in desk.journal.records if isinstance(r, IntentWritten)]
    (sent,) = desk.venue.placed
    assert written.trigger_price == sent.intent.trigger_price
    assert written.trigger_price is not None
    assert desk.venue.submitted == []
    assert [e.state for e in told if isinstance(e, OrderUpdate)] == [
        OrderState.SUBMITTED,
        OrderState.ACCEPTED,
    ]


@pytest.mark.parametrize(
    ("error", "outside"),
    [(PriceRefused("far", code="51006"), True), (VenueRejected("no", code="51302"), False)],
)
async def test_a_refusal_says_whether_it_was_for_the_price(error, outside) -> None:
    desk = Desk()
    desk.venue.submit_answer = error
    last = (await desk.perform(placing()))[-1]
    assert isinstance(last, OrderUpdate)
    assert (last.state, last.price_refused) == (OrderState.REJECTED, outside)


async def test_what_became_of_a_dropped_one_is_asked_and_told() -> None:
    desk = Desk()
    desk.venue.trigger = answer(KEY, OrderState.CANCELED)
    assert await desk.perform(drop()) == [desk.venue.trigger]
    assert desk.venue.dropped == [KEY]


async def test_an_observer_and_a_fenced_daemon_drop_nothing() -> None:
    watching, fenced = Desk(observe=True), Desk()
    fenced.permit.fenced = True
    for desk in (watching, fenced):
        assert await desk.perform(drop()) == []
        assert desk.venue.dropped == []


async def test_absence_is_told_only_once_the_request_can_no_longer_arrive() -> None:
    desk = Desk()
    assert await desk.perform(resolve(), drop()) == []
    desk.clock.ns = START_NS + SETTLE_NS
    (absent,) = await desk.perform(resolve())
    assert isinstance(absent, OrderAbsent)
    assert absent.client_order_id == KEY


async def test_a_venue_that_does_not_answer_proves_nothing() -> None:
    desk = Desk()
    desk.clock.ns = START_NS + SETTLE_NS
    desk.venue.trigger = desk.venue.waiting = VenueUnreachable("away")
    assert await desk.perform(resolve(), actions.ListTriggers()) == []


async def test_a_list_carries_the_moment_it_was_asked_for() -> None:
    (told,) = await Desk().perform(actions.ListTriggers())
    assert told == TriggersListed(triggers=(), asked_ns=START_NS, received_ns=START_NS)


async def test_a_stop_ends_with_its_market_and_with_nothing_less() -> None:
    desk = Desk()
    desk.clock.ns += SETTLE_NS
    desk.venue.trigger = VenueRejected("lists no BTCUSDT", code="INSTRUMENT_UNKNOWN")
    assert await desk.perform(resolve()) == []
    desk.venue.states = {"BTCUSDT": InstrumentState.DELISTED}
    (absent,) = await desk.perform(resolve())
    assert isinstance(absent, OrderAbsent)
    assert absent.client_order_id == KEY
