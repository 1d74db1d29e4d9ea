"""Asks the venue for the whole account and for what the streams may have missed."""

from dataclasses import replace
from typing import Final

from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import (
    AccountReconciled,
    FillReported,
    ReconciliationFailed,
    UpdateSource,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.actions import RECONNECT
from counterpoise.ports import Clock, Feed, Venue

#: Executions are asked for from this long before the last answer: venues list them late.
OVERLAP_NS: Final = 60 * NS_PER_SECOND


class Reconciler:
    """One question at a time; whoever asks meanwhile is answered by the next one."""

    def __init__(self, *, venue: Venue, clock: Clock, feed: Feed) -> None:
        self._venue = venue
        self._clock = clock
        self._feed = feed
        self._since_ns: int | None = None
        #: The venue's clock minus ours when that was noted, ns.
        self._offset_ns = 0
        self._asking = False
        #: Causes that came while a question was under way; each is there once.
        self._waiting: dict[str, None] = {}

    def since(self, since_ns: int) -> None:
        """Ask for executions and funding from here on (the last one in the ledger)."""
        self._since_ns = since_ns

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
        asked_ns = self._clock.now_ns()
        offset_ns = self._venue.offset_ns
        # Lists go by the venue's clock, and ours may be ahead of it, or have been: the earlier one.
        since_ns = asked_ns if self._since_ns is None else self._since_ns
        since_ns += min(0, offset_ns, self._offset_ns) - OVERLAP_NS
        try:
            fills = await self._venue.fills_since(since_ns)
            payments = await self._venue.funding_since(since_ns)
            snapshot = await self._venue.account()
            # After the account: every transfer in its balance is then among them, so that a
            # deposit is never profit, not even until the next question.
            transfers = await self._venue.transfers_since(since_ns)
            if RECONNECT in causes:
                # Whoever answers now may answer for another account than before.
                snapshot = replace(snapshot, account_id=await self._venue.account_id())
        except VenueError as error:
            now_ns = self._clock.now_ns()
            for cause in causes:
                self._feed(
                    ReconciliationFailed(cause=cause, message=str(error), received_ns=now_ns)
                )
            return
        for fill in fills:
            self._feed(FillReported(fill=fill, source=UpdateSource.REST))
        for payment in payments:
            self._feed(payment)
        for transfer in transfers:
            self._feed(transfer)
        # A gap is closed before a cycle is decided that waited for the same answer.
        for cause in sorted(causes, key=lambda cause: cause != RECONNECT):
            self._feed(AccountReconciled(snapshot=snapshot, cause=cause, asked_ns=asked_ns))
        self._since_ns, self._offset_ns = asked_ns, self._venue.offset_ns
