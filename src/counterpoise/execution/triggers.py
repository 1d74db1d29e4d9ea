"""Asks the venue about orders it holds back until a mark is reached, and has them dropped."""

import structlog

from counterpoise.domain.errors import VenueError, VenueRejected
from counterpoise.domain.events import OrderAbsent, OrderUpdate, TriggersListed
from counterpoise.engine import actions as engine_actions
from counterpoise.execution.resolver import is_gone
from counterpoise.execution.sends import SendPermit, Sends, stamped_anew
from counterpoise.ports import Clock, Feed, Venue

log = structlog.get_logger(__name__)


class TriggerDesk:
    """One question of each kind at a time per order; the engine asks again."""

    def __init__(
        self, *, venue: Venue, permit: SendPermit, clock: Clock, feed: Feed, sends: Sends
    ) -> None:
        self._venue = venue
        self._permit = permit
        self._sends = sends
        self._clock = clock
        self._feed = feed
        self._listing = False
        #: Orders that are being asked about.
        self._asking: set[str] = set()

    async def list(self) -> None:
        """Feed the venue's list; nothing if it does not answer."""
        if self._listing:
            return
        self._listing = True
        asked_ns = self._clock.now_ns()
        try:
            found = await self._venue.triggers()
        except VenueError as error:
            log.warning("triggers.unanswered", error=str(error))
            return
        finally:
            self._listing = False
        self._feed(
            TriggersListed(triggers=found, asked_ns=asked_ns, received_ns=self._clock.now_ns())
        )

    async def cancel(self, action: engine_actions.CancelTrigger) -> None:
        """Have one dropped and feed what became of it."""
        try:
            await stamped_anew(
                lambda: self._venue.cancel_trigger(action.instrument_id, action.client_order_id),
                self._permit,
            )
        except VenueError as error:
            log.warning("trigger.cancel_unanswered", order=action.client_order_id, error=str(error))
        # Asked for even then: the request may have been carried out.
        await self._ask(action.instrument_id, action.client_order_id, expires_ns=None)

    async def resolve(self, action: engine_actions.ResolveTrigger) -> None:
        """Feed what became of one, or that the venue never had it."""
        await self._ask(action.instrument_id, action.client_order_id, expires_ns=action.expires_ns)

    async def _ask(
        self, instrument_id: str, client_order_id: str, *, expires_ns: int | None
    ) -> None:
        # `expires_ns` None = an absence proves nothing and is not told.
        if client_order_id in self._asking:
            return
        self._asking.add(client_order_id)
        try:
            found = await self._find(instrument_id, client_order_id)
        except VenueError as error:
            log.warning("trigger.unanswered", order=client_order_id, error=str(error))
            return
        finally:
            self._asking.discard(client_order_id)
        if found is not None:
            self._feed(found)
        elif expires_ns is not None and not self._sends.may_arrive(
            client_order_id, expires_ns, reduce_only=True
        ):
            self._feed(
                OrderAbsent(
                    client_order_id=client_order_id,
                    evidence=(
                        "not among orders held back, not found by its id; the request could no "
                        "longer be carried out"
                    ),
                    received_ns=self._clock.now_ns(),
                )
            )

    async def _find(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        # Nothing is held back in a market that is gone, and no question about it is answered.
        try:
            return await self._venue.find_trigger(instrument_id, client_order_id)
        except VenueRejected:
            if not await is_gone(self._venue, instrument_id):
                raise
            return None
