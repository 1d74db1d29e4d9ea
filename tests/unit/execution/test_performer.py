"""Journal first, then the venue; and every answer becomes the one state it proves."""

import asyncio
from typing import Any

import pytest

from counterpoise.domain.errors import (
    OutcomeUnknown,
    SpoolFailed,
    StampRefused,
    VenueError,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import CycleDue, Event, OrderAbsent, OrderUpdate
from counterpoise.domain.orders import (
    ApprovedOrder,
    Durability,
    JournaledOrder,
    OrderState,
)
from counterpoise.domain.records import IntentWritten
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.execution.performer import Performer
from counterpoise.ledger.journal import MemoryJournal
from engine_world import START_NS, ready
from scripted_venue import ScriptedVenue, SettableClock

CANCEL = actions.Cancel(instrument_id="BTCUSDT", client_order_id="x")
HEDGED = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}


class Permit:
    """A lease that a test gives and takes."""

    def __init__(self) -> None:
        self.held = True
        self.fenced = False

    def may_increase(self) -> bool:
        return self.held


class Desk:
    """A performer with everything around it in the test's hands."""

    def __init__(
        self,
        *,
        observe: bool = False,
        reduction_valid_ns: int = 0,
        venue: ScriptedVenue | None = None,
    ) -> None:
        self.venue: Any = venue or ScriptedVenue()
        self.venue.reduction_valid_ns = reduction_valid_ns
        self.clock = SettableClock(START_NS)
        self.journal = MemoryJournal(self.clock)
        self.permit = Permit()
        self.fed: list[Event] = []
        self.stops: list[actions.StopDaemon] = []
        self.broken: list[BaseException] = []
        self.performer = Performer(
            venue=self.venue,
            journal=self.journal,
            permit=self.permit,
            clock=self.clock,
            feed=self.fed.append,
            on_stop=self.stops.append,
            on_broken=self.broken.append,
            observe=observe,
        )

    async def perform(self, *done: actions.Action) -> list[OrderState]:
        """Perform, wait for every call, and return the states that were told."""
        self.performer.perform(done)
        assert await self.performer.drain(5)
        return [e.state for e in self.fed if isinstance(e, OrderUpdate)]

    def codes(self) -> list[str | None]:
        return [e.code for e in self.fed if isinstance(e, OrderUpdate)]


def reduction() -> actions.Submit:
    world = ready(positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    return next(a for a in world.done if isinstance(a, actions.Submit))


def increase() -> actions.Submit:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    return next(a for a in world.done if isinstance(a, actions.Submit))


async def test_an_order_is_journaled_before_it_is_sent() -> None:
    desk = Desk()
    order = increase()
    assert await desk.perform(order) == [OrderState.SUBMITTED, OrderState.ACCEPTED]
    (sent,) = desk.venue.submitted
    assert sent.durability is Durability.POSTGRES
    (written,) = [r for r in desk.journal.records if isinstance(r, IntentWritten)]
    assert written.client_order_id == sent.intent.client_order_id


class Stepped(ScriptedVenue):
    """Refuses the first stamp, as a venue does after a step of our clock."""

    refusals = 1
    sends = 0
    on_refusal = staticmethod(lambda: None)

    def _look(self) -> None:
        self.sends += 1
        self.refusals -= 1
        if self.refusals >= 0:
            self.on_refusal()
            raise StampRefused("the stamp is 90 s ahead", code="50102")

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        self._look()
        return await super().submit(order)

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        self._look()
        await super().cancel(instrument_id, client_order_id)


async def test_a_reduction_refused_for_its_stamp_alone_is_sent_once_more() -> None:
    desk = Desk(venue=Stepped())
    order = reduction()
    assert await desk.perform(order) == [OrderState.SUBMITTED, OrderState.ACCEPTED]
    (sent,) = desk.venue.submitted
    assert (sent.approved, desk.venue.sends) == (order.approved, 2)
    again = Desk(venue=Stepped())
    again.venue.refusals = 2
    assert await again.perform(reduction()) == [OrderState.SUBMITTED, OrderState.REJECTED]
    assert (again.codes()[-1], again.venue.sends) == ("50102", 2)


async def test_nothing_is_sent_once_more_after_the_lease_was_lost() -> None:
    desk = Desk(venue=Stepped())

    def fence() -> None:
        desk.permit.fenced = True

    desk.venue.on_refusal = fence
    assert await desk.perform(reduction()) == [OrderState.SUBMITTED, OrderState.REJECTED]
    assert (desk.venue.submitted, desk.venue.sends) == ([], 1)
    canceling = Desk(venue=Stepped())
    canceling.venue.on_refusal = lambda: setattr(canceling.permit, "fenced", True)
    await canceling.perform(CANCEL)
    assert (canceling.venue.canceled, canceling.venue.sends) == ([], 1)


async def test_an_increase_withdrawn_meanwhile_is_not_sent_once_more() -> None:
    desk, order = Desk(venue=Stepped()), increase()
    desk.venue.on_refusal = lambda: desk.performer.perform([withdrawal(order)])
    assert await desk.perform(order) == [OrderState.SUBMITTED, OrderState.REJECTED]
    assert (desk.codes()[-1], desk.venue.submitted, desk.venue.sends) == ("50102", [], 1)
    # Nor without the lease, nor after its approval.
    leased, late = Desk(venue=Stepped()), Desk(venue=Stepped())
    leased.venue.on_refusal = lambda: setattr(leased.permit, "held", False)
    late.venue.on_refusal = lambda: late.clock.step(60 * NS_PER_SECOND)
    for other in (leased, late):
        assert await other.perform(increase()) == [OrderState.SUBMITTED, OrderState.REJECTED]
        assert (other.venue.submitted, other.venue.sends) == ([], 1)


async def test_a_cancel_refused_for_its_stamp_alone_is_sent_once_more() -> None:
    desk = Desk(venue=Stepped())
    await desk.perform(CANCEL)
    assert (desk.venue.canceled, desk.venue.sends) == (["x"], 2)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (VenueRejected("no", code="51008"), OrderState.REJECTED, "51008"),
        (VenueUnreachable("refused"), OrderState.REJECTED, "UNREACHABLE"),
        (OutcomeUnknown("timeout"), OrderState.UNKNOWN, "TIMEOUT"),
        (OutcomeUnknown("no id", code="50026"), OrderState.UNKNOWN, "50026"),
    ],
)
async def test_each_failure_proves_one_state(
    error: VenueError, state: OrderState, code: str
) -> None:
    desk = Desk()
    desk.venue.submit_answer = error
    assert await desk.perform(increase()) == [OrderState.SUBMITTED, state]
    assert desk.codes()[-1] == code
    assert len(desk.venue.submitted) == 1, "nothing is ever sent twice"


async def test_without_postgres_an_increase_is_not_sent_and_a_reduction_is() -> None:
    desk = Desk()
    desk.journal.available = False
    assert await desk.perform(increase()) == [OrderState.EXPIRED]
    assert desk.codes() == ["NOT_JOURNALED"]
    assert desk.venue.submitted == []
    await desk.perform(reduction())
    (sent,) = desk.venue.submitted
    assert sent.durability is Durability.SPOOL


def question(order: actions.Submit) -> actions.Resolve:
    intent = order.approved.intent
    return actions.Resolve(
        instrument_id=intent.instrument_id,
        client_order_id=intent.client_order_id,
        created_ns=START_NS,
        expires_ns=order.approved.expires_ns,
        quantity=order.approved.quantity,
        sign=intent.side.sign,
        reduce_only=intent.reduce_only,
        position_before=None,
    )


@pytest.mark.parametrize("make", [reduction, increase])
async def test_a_lost_order_is_absent_only_when_the_venue_would_not_take_it_any_more(make) -> None:
    desk = Desk(reduction_valid_ns=60 * NS_PER_SECOND)
    order = make()
    sent_ns = desk.clock.ns = order.approved.expires_ns - NS_PER_SECOND
    desk.venue.submit_answer = OutcomeUnknown("timeout")
    assert await desk.perform(order) == [OrderState.SUBMITTED, OrderState.UNKNOWN]
    absent_after = 70 if order.approved.intent.reduce_only else 11
    for seconds in (absent_after - 1, absent_after):
        assert not [e for e in desk.fed if isinstance(e, OrderAbsent)]
        desk.clock.ns = sent_ns + seconds * NS_PER_SECOND
        desk.venue.found = [None, None]
        await desk.perform(question(order))
    (absent,) = [e for e in desk.fed if isinstance(e, OrderAbsent)]
    assert absent.client_order_id == order.approved.intent.client_order_id


async def test_a_dead_disk_does_not_stand_in_front_of_a_reduction() -> None:
    desk = Desk()
    desk.journal.failure = SpoolFailed("disk")
    await desk.perform(increase())
    assert desk.venue.submitted == []
    await desk.perform(reduction())
    (sent,) = desk.venue.submitted
    assert sent.durability is Durability.LOG


async def test_an_increase_whose_approval_ended_is_not_sent() -> None:
    desk = Desk()
    order = increase()
    desk.clock.ns = order.approved.expires_ns
    assert await desk.perform(order) == [OrderState.EXPIRED]
    assert desk.codes() == ["APPROVAL_EXPIRED"]
    assert desk.venue.submitted == []


async def test_a_late_reduction_is_sent_all_the_same() -> None:
    desk = Desk()
    order = reduction()
    desk.clock.ns = order.approved.expires_ns + 10**12
    await desk.perform(order)
    assert len(desk.venue.submitted) == 1


async def test_a_lease_in_doubt_stops_increases_and_a_lost_one_everything() -> None:
    desk = Desk()
    desk.permit.held = False
    await desk.perform(increase())
    assert desk.codes() == ["LEASE_NOT_HELD"]
    await desk.perform(reduction())
    assert len(desk.venue.submitted) == 1
    desk.permit.fenced = True
    await desk.perform(reduction(), actions.Cancel(instrument_id="BTCUSDT", client_order_id="x"))
    assert len(desk.venue.submitted) == 1
    assert desk.venue.canceled == []


async def test_records_keep_their_order_and_a_stop_is_passed_on() -> None:
    desk = Desk()
    world = ready(positions=HEDGED)
    writes = [a for a in world.done if isinstance(a, actions.Write)]
    stop = actions.StopDaemon(reason="r", exit_code=0)
    await desk.perform(*writes, stop)
    assert desk.journal.records == [a.record for a in writes]
    assert desk.stops == [stop]


async def test_observing_sends_and_cancels_nothing() -> None:
    desk = Desk(observe=True)
    await desk.perform(reduction(), actions.Cancel(instrument_id="BTCUSDT", client_order_id="x"))
    assert desk.venue.submitted == []
    assert desk.venue.canceled == []
    assert desk.codes() == ["OBSERVE"]


async def test_a_defect_while_performing_ends_the_daemon() -> None:
    desk = Desk()

    async def breaks(*_: object) -> None:
        raise AssertionError("our bug")

    desk.venue.cancel = breaks  # type: ignore[method-assign,assignment]
    desk.performer.perform([actions.Cancel(instrument_id="BTCUSDT", client_order_id="x")])
    await desk.performer.drain(1)
    await asyncio.sleep(0)
    (error,) = desk.broken
    assert str(error) == "our bug"


async def test_drain_gives_up_on_a_call_that_hangs() -> None:
    desk = Desk()
    gate = asyncio.Event()

    async def hang(*_: object) -> None:
        await gate.wait()

    desk.venue.cancel = hang  # type: ignore[method-assign,assignment]
    desk.performer.perform([actions.Cancel(instrument_id="BTCUSDT", client_order_id="x")])
    assert await desk.performer.drain(0.05) is False


async def test_drain_waits_for_what_an_answer_starts() -> None:
    desk = Desk()
    first, second = reduction(), increase()
    told: list[OrderState] = []

    def feed(event: Event) -> None:
        assert isinstance(event, OrderUpdate)
        told.append(event.state)
        if told == [OrderState.SUBMITTED, OrderState.REJECTED]:
            desk.performer.perform([second])

    desk.performer = Performer(
        venue=desk.venue,
        journal=desk.journal,
        permit=desk.permit,
        clock=desk.clock,
        feed=feed,
        on_stop=desk.stops.append,
        on_broken=desk.broken.append,
    )
    desk.venue.submit_answer = VenueRejected("no", code="51006")
    desk.performer.perform([first])
    assert await desk.performer.drain(5)
    assert told == [OrderState.SUBMITTED, OrderState.REJECTED] * 2


async def test_what_drain_gives_up_is_told_as_it_is_known_and_nothing_follows() -> None:
    desk = Desk()
    gate = asyncio.Event()
    on_its_way, waiting, follows = reduction(), increase(), question(reduction())
    journal_order = desk.journal.journal_order

    async def slow(approved: ApprovedOrder, intent: IntentWritten) -> JournaledOrder:
        if approved is waiting.approved:
            await gate.wait()
        return await journal_order(approved, intent)

    sent: list[JournaledOrder] = []

    async def hang(order: JournaledOrder) -> OrderUpdate:
        sent.append(order)
        await gate.wait()
        raise AssertionError("nobody opens it")

    desk.journal.journal_order = slow  # type: ignore[method-assign]
    desk.venue.submit = hang  # type: ignore[method-assign]
    desk.performer.perform([on_its_way, waiting])
    assert await desk.performer.drain(0.05) is False
    assert [order.approved for order in sent] == [on_its_way.approved]
    ends = {
        event.client_order_id: (event.state, event.code)
        for event in desk.fed
        if isinstance(event, OrderUpdate)
    }
    assert ends == {
        on_its_way.approved.intent.client_order_id: (OrderState.UNKNOWN, "STOPPED"),
        waiting.approved.intent.client_order_id: (OrderState.EXPIRED, "STOPPED"),
    }
    # Records are still taken; calls are not.
    desk.performer.perform([follows, reduction(), actions.Write(record=waiting.intent)])
    assert await desk.performer.drain(5)
    assert len(sent) == 1
    assert desk.journal.records[-1] == waiting.intent
    assert desk.broken == []


class Held:
    """Holds a call until the test lets it go on."""

    def __init__(self, call: Any) -> None:
        self.begun, self.gate, self._call = asyncio.Event(), asyncio.Event(), call

    async def __call__(self, *given: Any) -> Any:
        answer = await self._call(*given)
        self.begun.set()
        await self.gate.wait()
        return answer


def withdrawal(order: actions.Submit) -> actions.Withdraw:
    return actions.Withdraw(client_order_id=order.approved.intent.client_order_id)


async def test_an_increase_withdrawn_in_the_journal_is_never_sent() -> None:
    desk, order = Desk(), increase()
    held = Held(desk.journal.journal_order)
    desk.journal.journal_order = held  # type: ignore[method-assign]
    desk.performer.perform([order])
    await held.begun.wait()
    desk.performer.perform([withdrawal(order)])
    held.gate.set()
    assert await desk.perform() == [OrderState.EXPIRED]
    assert desk.codes() == ["WITHDRAWN"]
    assert desk.venue.submitted == []


async def test_an_increase_withdrawn_on_its_way_goes_on_and_is_answered_by_the_venue() -> None:
    desk, order = Desk(), increase()
    held = Held(desk.venue.submit)
    desk.venue.submit = held
    desk.performer.perform([order])
    await held.begun.wait()
    desk.performer.perform([withdrawal(order)])
    held.gate.set()
    assert await desk.perform() == [OrderState.SUBMITTED, OrderState.ACCEPTED]
    # It is over, and there is nothing left to withdraw.
    assert await desk.perform(withdrawal(order)) == [OrderState.SUBMITTED, OrderState.ACCEPTED]


async def test_a_withdrawal_that_follows_the_word_of_the_send_comes_too_late() -> None:
    desk, order = Desk(), increase()

    def fed(event: Event) -> None:
        desk.fed.append(event)
        if isinstance(event, OrderUpdate) and event.state is OrderState.SUBMITTED:
            desk.performer.perform([withdrawal(order)])

    desk.performer._feed = fed
    assert await desk.perform(order) == [OrderState.SUBMITTED, OrderState.ACCEPTED]
    assert len(desk.venue.submitted) == 1


async def test_a_reduction_is_never_withdrawn() -> None:
    desk, order = Desk(), reduction()
    assert await desk.perform(order, withdrawal(order)) == [
        OrderState.SUBMITTED,
        OrderState.ACCEPTED,
    ]


async def test_a_withdrawal_is_of_one_order_and_of_its_time_alone() -> None:
    desk, order = Desk(), increase()
    # Nothing of that name is at work: it does not wait for one that comes later.
    other = actions.Withdraw(client_order_id="cp" + "0" * 30)
    assert await desk.perform(withdrawal(order), other, order) == [
        OrderState.SUBMITTED,
        OrderState.ACCEPTED,
    ]
