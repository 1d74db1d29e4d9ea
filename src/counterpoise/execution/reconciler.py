"""Asks the venue for the whole account and for what the streams may have missed."""

from dataclasses import dataclass, replace
from typing import Final

import structlog

from counterpoise.domain.account import AccountSnapshot
from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import (
    AccountReconciled,
    FillReported,
    FundingPaid,
    ReconciliationFailed,
    Transferred,
    UpdateSource,
)
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.actions import RECONNECT
from counterpoise.ports import Clock, Feed, Venue

log = structlog.get_logger(__name__)

#: Executions are asked for from this long before the last answer: venues list them late.
OVERLAP_NS: Final = 60 * NS_PER_SECOND

#: Now and then from this much longer before it: some are listed minutes late. What was told before
#: is known by its id, so it costs a page for a hundred executions and no more.
LATE_NS: Final = 900 * NS_PER_SECOND

#: How often, seconds; a cycle and a stream that came back ask so in any case.
LATE_EVERY_SECONDS: Final = 60.0

#: The code of a list that is too long to be read.
_TOO_MANY_ROWS: Final = "TOO_MANY_ROWS"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    # What the venue answered to one question.
    fills: tuple[Fill, ...]
    payments: tuple[FundingPaid, ...]
    transfers: tuple[Transferred, ...]
    snapshot: AccountSnapshot


class Reconciler:
    """One question at a time; whoever asks meanwhile is answered by the next one."""

    def __init__(self, *, venue: Venue, clock: Clock, feed: Feed) -> None:
        self._venue = venue
        self._clock = clock
        self._feed = feed
        self._since_ns: int | None = None
        #: The venue's clock minus ours when that was noted, ns.
        self._offset_ns = 0
        #: Nothing before is asked for late, ns; None = nothing is on record and no question was
        #: answered yet. What moved the account before is in its first balance and no news.
        self._first_ns: int | None = None
        #: When it was last asked for what is listed late, monotonic seconds.
        self._late_at = float("-inf")
        self._asking = False
        #: Causes that came while a question was under way; each is there once.
        self._waiting: dict[str, None] = {}

    def since(self, since_ns: int, first_ns: int | None = None) -> None:
        """Ask for executions and funding from here on (the last one in the ledger).

        `first_ns` = the first decision on record; what was listed late is asked for back to there.
        """
        self._since_ns, self._first_ns = since_ns, first_ns

    async def reconcile(self, cause: str) -> None:
        """Feed missed fills and funding, then the account; or that the venue did not answer."""
        self._waiting[cause] = None
        if self._asking:
            return
        self._asking = True
        try:
            while self._waiting:
                causes, self._waiting = list(self._waiting), {}
                await self._ask(causes)
        finally:
            self._asking = False

    async def _ask(self, causes: list[str]) -> None:
        asked_ns, asked_at = self._clock.now_ns(), self._clock.monotonic()
        offset_ns = self._venue.offset_ns
        # Lists go by the venue's clock, and ours may be ahead of it, or have been: the earlier one.
        since_ns = asked_ns if self._since_ns is None else self._since_ns
        since_ns += min(0, offset_ns, self._offset_ns) - OVERLAP_NS
        waited = asked_at - self._late_at >= LATE_EVERY_SECONDS
        late = waited or not {RECONNECT, "cycle"}.isdisjoint(causes)
        try:
            look = await self._look(since_ns, causes, late=late)
        except VenueError as error:
            now_ns = self._clock.now_ns()
            for cause in causes:
                self._feed(
                    ReconciliationFailed(cause=cause, message=str(error), received_ns=now_ns)
                )
            return
        for fill in look.fills:
            self._feed(FillReported(fill=fill, source=UpdateSource.REST))
        for payment in look.payments:
            self._feed(payment)
        for transfer in look.transfers:
            self._feed(transfer)
        # A gap is closed before a cycle is decided that waited for the same answer.
        for cause in sorted(causes, key=lambda cause: cause != RECONNECT):
            self._feed(AccountReconciled(snapshot=look.snapshot, cause=cause, asked_ns=asked_ns))
        self._since_ns, self._offset_ns = asked_ns, self._venue.offset_ns
        self._first_ns = since_ns if self._first_ns is None else self._first_ns
        self._late_at = asked_at if late else self._late_at

    async def _look(self, since_ns: int, causes: list[str], *, late: bool) -> _Look:
        from_ns = since_ns
        if late and self._first_ns is not None:
            from_ns = min(since_ns, max(since_ns - LATE_NS, self._first_ns))
        try:
            return await self._look_from(from_ns, causes)
        except VenueError as error:
            if from_ns == since_ns or error.code != _TOO_MANY_ROWS:
                raise
            # An account this busy is followed all the same, if not so far back.
            log.warning("account.not_looked_far_back", error=str(error))
        return await self._look_from(since_ns, causes)

    async def _look_from(self, since_ns: int, causes: list[str]) -> _Look:
        fills = await self._venue.fills_since(since_ns)
        payments = await self._venue.funding_since(since_ns)
        snapshot = await self._venue.account()
        # After the account: every transfer in its balance is then among them, so that a deposit
        # is never profit, not even until the next question.
        transfers = await self._venue.transfers_since(since_ns)
        if RECONNECT in causes:
            # Whoever answers now may answer for another account than before.
            snapshot = replace(snapshot, account_id=await self._venue.account_id())
        return _Look(fills=fills, payments=payments, transfers=transfers, snapshot=snapshot)
