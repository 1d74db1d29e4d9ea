"""What the streams may have missed is told before the account it explains."""

import asyncio
from decimal import Decimal

from counterpoise.domain.account import AccountSnapshot
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import (
    AccountReconciled,
    Event,
    FillReported,
    FundingPaid,
    ReconciliationFailed,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.execution.reconciler import OVERLAP_NS, Reconciler
from engine_world import START_NS
from scripted_venue import ScriptedVenue, SettableClock, a_fill


class Asked(ScriptedVenue):
    """Remembers from when on it was asked."""

    since: list[int]

    async def fills_since(self, since_ns: int) -> tuple:  # type: ignore[type-arg]
        self.since = [*getattr(self, "since", []), since_ns]
        return self.fills


async def test_fills_and_funding_come_before_the_account() -> None:
    venue, fed = Asked(), list[Event]()
    venue.fills = (a_fill("cp" + "1" * 30, "0.5"),)
    venue.payments = (
        FundingPaid(
            instrument_id="BTCUSDT", payment_id="p", payment=Decimal(1), event_ns=1, received_ns=1
        ),
    )
    reconciler = Reconciler(venue=venue, clock=SettableClock(START_NS), feed=fed.append)
    await reconciler.reconcile("cycle")
    assert [type(e) for e in fed] == [FillReported, FundingPaid, AccountReconciled]


async def test_the_next_question_overlaps_the_one_before() -> None:
    venue, fed, clock = Asked(), list[Event](), SettableClock(START_NS)
    reconciler = Reconciler(venue=venue, clock=clock, feed=fed.append)
    reconciler.since(START_NS - 10**12)
    await reconciler.reconcile("start")
    clock.ns += 10**12
    await reconciler.reconcile("cycle")
    assert venue.since == [START_NS - 10**12 - OVERLAP_NS, START_NS - OVERLAP_NS]


async def test_lists_are_asked_for_by_the_venues_clock_where_ours_is_ahead() -> None:
    ahead_ns = 90 * NS_PER_SECOND
    venue, clock = Asked(), SettableClock(START_NS)
    reconciler = Reconciler(venue=venue, clock=clock, feed=lambda _event: None)
    reconciler.since(START_NS)
    # Our clock steps; at the first question nobody knows it yet, at the second it is measured.
    clock.ns += ahead_ns
    await reconciler.reconcile("cycle")
    venue.offset_ns = -ahead_ns
    await reconciler.reconcile("cycle")
    # It is back: what was asked while it was ahead is asked from there on.
    venue.offset_ns = 0
    clock.ns += ahead_ns
    await reconciler.reconcile("cycle")
    assert venue.since == [START_NS - OVERLAP_NS] * 3


async def test_no_answer_is_told_and_asks_from_the_same_moment_again() -> None:
    venue, fed = Asked(), list[Event]()
    venue.account_error = VenueUnreachable("away")
    reconciler = Reconciler(venue=venue, clock=SettableClock(START_NS), feed=fed.append)
    reconciler.since(START_NS)
    await reconciler.reconcile("cycle")
    (failed,) = fed
    assert isinstance(failed, ReconciliationFailed)
    await reconciler.reconcile("cycle")
    assert venue.since == [START_NS - OVERLAP_NS, START_NS - OVERLAP_NS]


async def test_who_asks_meanwhile_is_answered_by_the_next_question() -> None:
    venue, fed = Asked(), list[Event]()
    reconciler = Reconciler(venue=venue, clock=SettableClock(START_NS), feed=fed.append)
    gate = asyncio.Event()
    whole = venue.account

    async def slow() -> AccountSnapshot:
        await gate.wait()
        return await whole()

    venue.account = slow  # type: ignore[method-assign]
    first = asyncio.ensure_future(reconciler.reconcile("cycle"))
    await asyncio.sleep(0)
    for _ in range(50):
        await reconciler.reconcile("rejected")
    gate.set()
    await first
    causes = [e.cause for e in fed if isinstance(e, AccountReconciled)]
    assert causes == ["cycle", "rejected"]
    assert len(venue.since) == 2


class Slow(Asked):
    """Answers for the account when the test lets it, and then for what was there when asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def account(self) -> AccountSnapshot:
        snapshot = await super().account()
        await self.gate.wait()
        return snapshot


async def test_an_answer_says_when_it_was_asked_for() -> None:
    venue, fed, clock = Slow(), list[Event](), SettableClock(START_NS)
    reconciler = Reconciler(venue=venue, clock=clock, feed=fed.append)
    first = asyncio.ensure_future(reconciler.reconcile("stream_down"))
    await asyncio.sleep(0)
    clock.ns += NS_PER_SECOND
    await reconciler.reconcile("cycle")
    await reconciler.reconcile("reconnect")
    clock.ns += NS_PER_SECOND
    venue.gate.set()
    await first
    answers = [e for e in fed if isinstance(e, AccountReconciled)]
    # What closes a gap comes before the cycle that would be decided with it open.
    assert [(e.cause, (e.asked_ns - START_NS) // NS_PER_SECOND) for e in answers] == [
        ("stream_down", 0),
        ("reconnect", 2),
        ("cycle", 2),
    ]
