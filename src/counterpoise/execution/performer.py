"""Performs the engine's actions: journal first, then the venue.

`perform` never blocks and never calls back at once: what it starts answers later through `feed`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import structlog

from counterpoise.domain.errors import (
    LedgerError,
    OutcomeUnknown,
    PositionDoubtful,
    PriceRefused,
    VenueError,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState
from counterpoise.engine import actions as engine_actions
from counterpoise.execution import reconciler, resolver, triggers
from counterpoise.execution.sends import SendPermit, Sends, stamped_anew
from counterpoise.ports import Clock, Feed, Journal, Venue

log = structlog.get_logger(__name__)

#: Calls at work at once; above it questions are dropped, as the engine asks again. Orders and
#: cancels are never dropped: plans and their attempts bound them.
TASKS_MAX: Final = 256
#: Calls that were cancelled get this long to put down what they know, seconds.
CANCEL_SECONDS_MAX: Final = 0.5


class Performer:
    """Turns actions into calls, and answers into events."""

    def __init__(
        self,
        *,
        venue: Venue,
        journal: Journal,
        permit: SendPermit,
        clock: Clock,
        feed: Feed,
        on_stop: Callable[[engine_actions.StopDaemon], None],
        on_broken: Callable[[BaseException], None],
        observe: bool = False,
    ) -> None:
        self._venue = venue
        self._journal = journal
        self._permit = permit
        self._clock = clock
        self._feed = feed
        self._on_stop = on_stop
        self._on_broken = on_broken
        self._observe = observe
        self._reconciler = reconciler.Reconciler(venue=venue, clock=clock, feed=feed)
        self._sends = Sends(clock, venue.reduction_valid_ns)
        self._resolver = resolver.Resolver(venue=venue, clock=clock, feed=feed, sends=self._sends)
        self._triggers = triggers.TriggerDesk(
            venue=venue, permit=permit, clock=clock, feed=feed, sends=self._sends
        )
        self._tasks: set[asyncio.Task[None]] = set()
        #: Nothing is started any more.
        self._over = False

    @property
    def reconciler(self) -> reconciler.Reconciler:
        """The one that asks for the whole account."""
        return self._reconciler

    def perform(self, actions: Sequence[engine_actions.Action]) -> None:
        """Start every action, in order; records keep their order, calls run side by side."""
        for action in actions:
            match action:
                case engine_actions.Write(record=record):
                    self._journal.append(record)
                case engine_actions.StopDaemon():
                    self._on_stop(action)
                case _ if self._over:
                    log.warning("call.not_started", kind=type(action).__name__)
                case engine_actions.Submit():
                    self._sends.begin(
                        action.approved.intent.client_order_id, action.approved.expires_ns
                    )
                    self._start(self._submit(action))
                case engine_actions.Withdraw(client_order_id=key):
                    # Starts nothing: its call looks once more before the bytes leave.
                    self._sends.withdraw(key)
                case engine_actions.Cancel():
                    self._start(self._cancel(action))
                case engine_actions.CancelTrigger():
                    self._start(self._cancel_trigger(action))
                case _:
                    self._question(action)

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait until nothing is at work; False = the time was over first, see `end`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        # An answer may start the next call.
        while self._tasks and (left := deadline - loop.time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        if not self._tasks:
            return True
        await self.end()
        return False

    async def end(self) -> None:
        """Cancel what is at work and start no call any more; records are still written.

        An order that was on its way is told as unknown, one that was not as never sent. Safe to
        call twice.
        """
        self._over = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CANCEL_SECONDS_MAX)

    def _question(
        self,
        action: engine_actions.Reconcile
        | engine_actions.Resolve
        | engine_actions.ListTriggers
        | engine_actions.ResolveTrigger,
    ) -> None:
        if not self._has_room(type(action).__name__):
            return
        match action:
            case engine_actions.Reconcile(cause=cause):
                self._start(self._reconciler.reconcile(cause))
            case engine_actions.Resolve():
                self._start(self._resolver.resolve(action))
            case engine_actions.ListTriggers():
                self._start(self._triggers.list())
            case engine_actions.ResolveTrigger():
                self._start(self._triggers.resolve(action))

    def _has_room(self, kind: str) -> bool:
        if len(self._tasks) < TASKS_MAX:
            return True
        log.warning("question.dropped", kind=kind, at_work=len(self._tasks))
        return False

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            # A broken invariant ends the process.
            self._on_broken(error)

    async def _submit(self, action: engine_actions.Submit) -> None:
        intent = action.approved.intent
        try:
            journaled = await self._journaled(action)
            if journaled is not None:
                self._answer(action, OrderState.SUBMITTED, None, "")
                await self._send(action, journaled)
        finally:
            self._sends.end(intent.client_order_id, reduce_only=intent.reduce_only)

    async def _journaled(self, action: engine_actions.Submit) -> JournaledOrder | None:
        # None = it may not be sent, which was told.
        intent = action.approved.intent
        try:
            journaled = await self._journal.journal_order(action.approved, action.intent)
        except LedgerError as error:
            log.warning("order.not_journaled", order=intent.client_order_id, error=str(error))
            self._answer(action, OrderState.EXPIRED, "NOT_JOURNALED", str(error))
            return None
        except asyncio.CancelledError:
            self._given_up(action, OrderState.EXPIRED, "not sent")
            raise
        refusal = self._refusal(journaled)
        if refusal is not None:
            self._answer(action, OrderState.EXPIRED, refusal, "not sent")
            return None
        return journaled

    async def _send(self, action: engine_actions.Submit, journaled: JournaledOrder) -> None:
        intent = action.approved.intent
        place = self._venue.submit if intent.trigger_price is None else self._venue.place_trigger
        try:
            update = await stamped_anew(
                lambda: place(journaled),
                self._permit,
                may_follow=lambda: self._refusal(journaled) is None,
            )
        except PositionDoubtful as error:
            words = str(error)
            self._answer(action, OrderState.REJECTED, error.code, words, position_doubtful=True)
        except VenueRejected as error:
            outside = isinstance(error, PriceRefused)
            words = str(error)
            self._answer(action, OrderState.REJECTED, error.code, words, price_refused=outside)
        except VenueUnreachable as error:
            self._answer(action, OrderState.REJECTED, error.code or "UNREACHABLE", str(error))
        except OutcomeUnknown as error:
            self._answer(action, OrderState.UNKNOWN, error.code or "TIMEOUT", str(error))
        except asyncio.CancelledError:
            self._given_up(action, OrderState.UNKNOWN, "given up on its way")
            raise
        else:
            named = update.client_order_id == intent.client_order_id and update.venue_order_id
            if named or update.state is OrderState.UNKNOWN:
                self._feed(update)
            else:
                # An answer that does not name the order proves nothing, whatever else it says.
                self._answer(action, OrderState.UNKNOWN, "NO_ORDER_ID", "answer without an id")

    def _refusal(self, journaled: JournaledOrder) -> str | None:
        # The last look before the bytes leave, each time they would; a reduction is only stopped
        # by a new owner.
        if self._observe:
            return "OBSERVE"
        if self._permit.fenced:
            return "FENCED"
        return None if journaled.intent.reduce_only else self._increase_refusal(journaled)

    def _increase_refusal(self, journaled: JournaledOrder) -> str | None:
        if self._sends.is_withdrawn(journaled.intent.client_order_id):
            # The engine decided otherwise while it was in the journal.
            return "WITHDRAWN"
        if not self._permit.may_increase():
            return "LEASE_NOT_HELD"
        if self._clock.now_ns() >= journaled.approved.expires_ns:
            return "APPROVAL_EXPIRED"
        return None

    async def _cancel(self, action: engine_actions.Cancel) -> None:
        if self._observe or self._permit.fenced:
            return
        try:
            await stamped_anew(
                lambda: self._venue.cancel(action.instrument_id, action.client_order_id),
                self._permit,
            )
        except VenueError as error:
            log.warning("cancel.unanswered", order=action.client_order_id, error=str(error))

    async def _cancel_trigger(self, action: engine_actions.CancelTrigger) -> None:
        if not (self._observe or self._permit.fenced):
            await self._triggers.cancel(action)

    def _given_up(self, action: engine_actions.Submit, state: OrderState, message: str) -> None:
        # Only by our own end: whoever else takes the loop down wants nothing more from us.
        if self._over:
            self._answer(action, state, "STOPPED", message)

    def _answer(
        self,
        action: engine_actions.Submit,
        state: OrderState,
        code: str | None,
        message: str,
        *,
        position_doubtful: bool = False,
        price_refused: bool = False,
    ) -> None:
        intent = action.approved.intent
        now_ns = self._clock.now_ns()
        self._feed(
            OrderUpdate(
                client_order_id=intent.client_order_id,
                venue_order_id=None,
                instrument_id=intent.instrument_id,
                state=state,
                filled_quantity=None,
                average_price=None,
                source=UpdateSource.LOCAL,
                code=code,
                message=message,
                order=None,
                event_ns=now_ns,
                received_ns=now_ns,
                position_doubtful=position_doubtful,
                price_refused=price_refused,
            )
        )
