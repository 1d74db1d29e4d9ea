"""What the streams may have missed is told before the account it explains."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.account import AccountSnapshot
from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import (
    AccountReconciled,
    Event,
    FillReported,
    FundingPaid,
    ReconciliationFailed,
    Transferred,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.execution.reconciler import LATE_EVERY_SECONDS, LATE_NS, OVERLAP_NS, Reconciler
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
    clock.ns += NS_PER_SECOND
    await reconciler.reconcile("stream_down")
    assert venue.since == [START_NS - 10**12 - OVERLAP_NS, START_NS - OVERLAP_NS]


class Late(Asked):
    """Lists an execution, a payment and a transfer of one moment some time after it."""

    def __init__(self, clock: SettableClock, happened_ns: int, late_ns: int) -> None:
        super().__init__()
        self._clock, self._happened_ns, self._late_ns = clock, happened_ns, late_ns

    def _listed(self, since_ns: int) -> bool:
        shown = self._clock.ns >= self._happened_ns + self._late_ns
        return shown and self._happened_ns >= since_ns

    async def fills_since(self, since_ns: int) -> tuple:  # type: ignore[type-arg]
        await super().fills_since(since_ns)
        fill = replace(a_fill("cp" + "1" * 30, "0.5"), event_ns=self._happened_ns)
        return (fill,) if self._listed(since_ns) else ()

    async def funding_since(self, since_ns: int) -> tuple:  # type: ignore[type-arg]
        payment = FundingPaid(
            instrument_id="BTCUSDT",
            payment_id="p",
            payment=Decimal(1),
            event_ns=self._happened_ns,
            received_ns=1,
        )
        return (payment,) if self._listed(since_ns) else ()

    async def transfers_since(self, since_ns: int) -> tuple:  # type: ignore[type-arg]
        moved = Transferred(
            transfer_id="t", transfer=Decimal(1), event_ns=self._happened_ns, received_ns=1
        )
        return (moved,) if self._listed(since_ns) else ()


@pytest.mark.parametrize(
    ("cause", "every"), [("stream_down", 5), ("cycle", 60), ("cycle", 900), ("doubt", 30)]
)
@pytest.mark.parametrize("late", [30, 90, 180, 800])
async def test_what_is_listed_late_is_found_however_often_the_account_was_asked(
    cause: str, every: int, late: int
) -> None:
    clock, fed = SettableClock(START_NS), list[Event]()
    venue = Late(clock, START_NS + 7 * NS_PER_SECOND, late * NS_PER_SECOND)
    reconciler = Reconciler(venue=venue, clock=clock, feed=fed.append)
    reconciler.since(START_NS)
    for _ in range(2_700 // every):
        await reconciler.reconcile(cause)
        clock.ns += every * NS_PER_SECOND
    kinds = {type(event) for event in fed}
    assert {FillReported, FundingPaid, Transferred} <= kinds


async def test_the_long_look_back_is_taken_once_a_minute_and_where_something_waits_for_it() -> None:
    venue, clock = Asked(), SettableClock(START_NS)
    reconciler = Reconciler(venue=venue, clock=clock, feed=lambda _event: None)
    reconciler.since(START_NS, START_NS - 10**15)
    far: list[bool] = []
    for cause, seconds in [
        ("start", 0), ("stream_down", 5), ("stream_down", 30), ("cycle", 10), ("reconnect", 10),
        ("stream_down", 5), ("stream_down", LATE_EVERY_SECONDS), ("doubt", 5),
    ]:  # fmt: skip
        clock.ns += round(seconds * NS_PER_SECOND)
        before_ns = clock.ns - round(seconds * NS_PER_SECOND)
        await reconciler.reconcile(cause)
        short_ns = before_ns - OVERLAP_NS
        assert venue.since[-1] in (short_ns, short_ns - LATE_NS)
        far.append(venue.since[-1] < short_ns)
    assert far == [True, False, False, True, True, False, True, False]


async def test_what_happened_before_the_first_question_of_all_is_never_asked_for() -> None:
    # The deposit that opened the account would be counted a second time.
    venue, clock = Asked(), SettableClock(START_NS)
    reconciler = Reconciler(venue=venue, clock=clock, feed=lambda _event: None)
    reconciler.since(START_NS)
    for _ in range(30):
        await reconciler.reconcile("cycle")
        clock.ns += 60 * NS_PER_SECOND
    assert min(venue.since) == START_NS - OVERLAP_NS
    again = Reconciler(venue=venue, clock=clock, feed=lambda _event: None)
    venue.since = []
    again.since(START_NS, START_NS - 100 * NS_PER_SECOND)
    await again.reconcile("start")
    assert venue.since == [START_NS - 100 * NS_PER_SECOND]


async def test_an_account_with_too_much_to_list_is_followed_without_the_long_look_back() -> None:
    class Busy(Asked):
        async def fills_since(self, since_ns: int) -> tuple:  # type: ignore[type-arg]
            await super().fills_since(since_ns)
            if since_ns < START_NS - OVERLAP_NS:
                raise VenueRejected("more than 5000 rows", code="TOO_MANY_ROWS")
            return self.fills

    venue, fed = Busy(), list[Event]()
    reconciler = Reconciler(venue=venue, clock=SettableClock(START_NS), feed=fed.append)
    reconciler.since(START_NS, START_NS - 10**15)
    await reconciler.reconcile("start")
    assert [type(event) for event in fed] == [AccountReconciled]
    assert venue.since == [START_NS - OVERLAP_NS - LATE_NS, START_NS - OVERLAP_NS]
    # Where the short one is too long as well, it is said.
    reconciler.since(START_NS - 1)
    await reconciler.reconcile("stream_down")
    assert isinstance(fed[-1], ReconciliationFailed)


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
