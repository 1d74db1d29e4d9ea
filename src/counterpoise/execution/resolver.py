"""Finds out what became of an order: Found, ProvenAbsent, or Unresolved.

A timeout is unknown, never failed. The evidence is asked for in order: the order by our id, the
open orders, the orders that ended, the executions, the position. "Not found" counts only when the
request can no longer be carried out and every piece of the evidence agrees; evidence that
contradicts itself, or lies beyond what the venue remembers, leaves the order Unresolved.

A market that is gone is a piece of evidence, too: the venue answers no question about its orders any
more, and none of them can still be carried out.
"""

from decimal import Decimal
from typing import Final

import structlog

from counterpoise.domain.account import AccountSnapshot
from counterpoise.domain.errors import VenueError, VenueRejected
from counterpoise.domain.events import (
    FillReported,
    OrderAbsent,
    OrderUnresolved,
    OrderUpdate,
    UpdateSource,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions as engine_actions
from counterpoise.execution.sends import Sends
from counterpoise.ports import Clock, Feed, Venue

log = structlog.get_logger(__name__)

#: What the venue lists of an order is looked for from this long before it was made: the clocks
#: differ, and perhaps by more than was measured. Our ids are never used again, so nothing else is found.
LOOK_BACK_NS: Final = 60 * NS_PER_SECOND
#: A moved position is evidence for this long after an approval's end: by then the venue lists the
#: execution that moved it, or something else did.
POSITION_SPEAKS_NS: Final = 300 * NS_PER_SECOND


async def is_gone(venue: Venue, instrument_id: str) -> bool:
    """Tell whether a market is listed no more; a refused question alone does not say so."""
    states = await venue.instrument_states((instrument_id,))
    return states.get(instrument_id) is InstrumentState.DELISTED


class Resolver:
    """Asks once per action; the engine asks again until the order is over."""

    def __init__(self, *, venue: Venue, clock: Clock, feed: Feed, sends: Sends) -> None:
        self._venue = venue
        self._sends = sends
        self._clock = clock
        self._feed = feed
        #: Orders that are being asked about.
        self._asking: set[str] = set()

    async def resolve(self, action: engine_actions.Resolve) -> None:
        """Feed what the venue's evidence says; feed nothing while it says nothing.

        An order that is being asked about already is not asked about a second time.
        """
        if action.client_order_id in self._asking:
            return
        self._asking.add(action.client_order_id)
        try:
            await self._ask(action)
        finally:
            self._asking.discard(action.client_order_id)

    async def _ask(self, action: engine_actions.Resolve) -> None:
        gone = False
        try:
            try:
                found = await self._venue.find_order(action.instrument_id, action.client_order_id)
            except VenueRejected:
                if not await is_gone(self._venue, action.instrument_id):
                    raise
                found, gone = None, True
            if found is not None:
                await self._found(action, found)
                return
            if self._sends.may_arrive(
                action.client_order_id, action.expires_ns, reduce_only=action.reduce_only
            ):
                return
            await (self._end_with_market(action) if gone else self._prove_absent(action))
        except VenueError as error:
            log.warning("order.unanswered", order=action.client_order_id, error=str(error))

    async def _found(self, action: engine_actions.Resolve, found: OrderUpdate) -> None:
        # The executions go first, so that an order is never over before its fills are known.
        if found.filled_quantity:
            await self._fills(action)
        self._feed(found)

    async def _fills(self, action: engine_actions.Resolve) -> Decimal:
        total = Decimal(0)
        for fill in await self._venue.fills_since(self._listed_from_ns(action)):
            if fill.client_order_id == action.client_order_id:
                total += fill.quantity
                self._feed(FillReported(fill=fill, source=UpdateSource.REST))
        return total

    def _listed_from_ns(self, action: engine_actions.Resolve) -> int:
        # By the venue's clock: ours may be ahead of it by any time.
        return action.created_ns + min(0, self._venue.offset_ns) - LOOK_BACK_NS

    async def _prove_absent(self, action: engine_actions.Resolve) -> None:
        key = action.client_order_id
        if self._clock.now_ns() - action.created_ns > self._venue.executions_ns:
            # Months of executions would be asked for that can decide nothing any more.
            self._unresolved(action, "it is older than the executions the venue remembers")
            return
        snapshot = await self._venue.account()
        listed = any(o.client_order_id == key for o in snapshot.open_orders)
        history_reaches = self._clock.now_ns() - action.created_ns <= self._venue.history_ns
        ended = None
        if history_reaches:
            ended = await self._venue.find_ended(
                action.instrument_id, key, self._listed_from_ns(action)
            )
        filled = await self._fills(action)
        again = await self._venue.find_order(action.instrument_id, key)
        found = again or ended
        if found is not None:
            self._feed(found)
            return
        doubt = self._doubt(action, snapshot, listed=listed, filled=filled)
        if doubt is not None:
            self._unresolved(action, doubt)
        elif filled > 0:
            # Executed and no longer listed as an order: it is over, filled by this much.
            self._feed(self._ended(action, filled))
        else:
            asked = "not among orders that ended" if history_reaches else "too old for that list"
            self._feed(
                OrderAbsent(
                    client_order_id=key,
                    evidence=(
                        f"asked by id twice: not found; not among open orders; {asked}; no "
                        "execution since it was made; the position did not move by it; the "
                        "request could no longer be carried out"
                    ),
                    received_ns=self._clock.now_ns(),
                )
            )

    async def _end_with_market(self, action: engine_actions.Resolve) -> None:
        snapshot = await self._venue.account()
        filled = await self._fills(action)
        if any(o.client_order_id == action.client_order_id for o in snapshot.open_orders):
            self._unresolved(action, "listed as open in a market that is not listed")
        elif filled > action.quantity:
            self._unresolved(action, f"executions of {filled} for an order of {action.quantity}")
        elif filled > 0:
            self._feed(self._ended(action, filled))
        else:
            # What the venue closed with the market moved the position: it is no evidence here.
            self._feed(
                OrderAbsent(
                    client_order_id=action.client_order_id,
                    evidence=(
                        "its market is not listed any more; not among open orders; no execution "
                        "is listed since it was made; the request could no longer be carried out"
                    ),
                    received_ns=self._clock.now_ns(),
                    market_ended=True,
                )
            )

    def _doubt(
        self,
        action: engine_actions.Resolve,
        snapshot: AccountSnapshot,
        *,
        listed: bool,
        filled: Decimal,
    ) -> str | None:
        # What speaks against every simple end; None = nothing does.
        if listed:
            return "listed as open, but not found by its id"
        if filled > action.quantity:
            return f"executions of {filled} for an order of {action.quantity}"
        spoken = self._clock.now_ns() > action.expires_ns + POSITION_SPEAKS_NS
        if action.position_before is None or filled or spoken:
            return None
        held = {p.instrument_id: p.quantity for p in snapshot.positions}
        moved = held.get(action.instrument_id, Decimal(0)) - action.position_before
        if 0 < moved * action.sign <= action.quantity:
            # Perhaps its execution, which is only listed later.
            return f"the position moved by {moved} its way, and no execution explains that"
        return None

    def _unresolved(self, action: engine_actions.Resolve, evidence: str) -> None:
        log.warning("order.unresolved", order=action.client_order_id, evidence=evidence)
        self._feed(
            OrderUnresolved(
                client_order_id=action.client_order_id,
                evidence=evidence,
                received_ns=self._clock.now_ns(),
            )
        )

    def _ended(self, action: engine_actions.Resolve, filled: Decimal) -> OrderUpdate:
        now_ns = self._clock.now_ns()
        return OrderUpdate(
            client_order_id=action.client_order_id,
            venue_order_id=None,
            instrument_id=action.instrument_id,
            state=OrderState.CANCELED,
            filled_quantity=filled,
            average_price=None,
            source=UpdateSource.REST,
            code=None,
            message="no longer listed; ended with the executions found",
            order=None,
            event_ns=now_ns,
            received_ns=now_ns,
        )
