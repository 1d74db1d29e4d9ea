"""The stops of a modelled venue: held back by the exchange model, told as a venue's adapter tells them.

The same troubles as for orders: requests lost, late or refused, answers lost, pushes late or never.
The order a stop sends is told under the stop's own id, as the adapters do.
"""

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Protocol

from counterpoise.domain.account import WaitingTrigger
from counterpoise.domain.errors import OutcomeUnknown, VenueRejected, VenueUnreachable
from counterpoise.domain.events import Event, OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState, Side
from counterpoise.domain.units import NS_PER_MS
from counterpoise.exchange import events as exchange_events
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import (
    ExchangeOrder,
    OrderRefused,
    TriggerDirection,
    TriggerSource,
)
from counterpoise.exchange.triggers import NewTrigger, TriggerOrder, TriggerState
from counterpoise.ports import Clock

#: What a stop's state is to its owner while no order of it is known.
_STATES: Final = {
    TriggerState.LIVE: OrderState.ACCEPTED,
    TriggerState.TRIGGERED: OrderState.ACCEPTED,
    TriggerState.CANCELED: OrderState.CANCELED,
    TriggerState.FAILED: OrderState.REJECTED,
}


class _Trouble(Protocol):
    request_lost: float
    answer_lost: float
    request_late: float
    unreachable: float
    refused: float


class ModelledTriggers:
    """The trigger calls of `ports.Venue`; `ModelledVenue` has the rest."""

    has_triggers = True
    exchange: Exchange
    trouble: Any
    _clock: Clock
    _draw: random.Random
    _chance: Callable[[float], bool]
    _asked: Callable[[], Any]
    advance: Callable[[], None]
    _tell: Callable[[Any], None]
    _push_private: Callable[[Callable[[], list[Event]]], None]
    _order_update: Callable[[ExchangeOrder, UpdateSource], OrderUpdate]
    account_name: str
    answer_seconds: float

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Hold a reduction back; what becomes of the request does not hang on who waits for it."""
        trouble: _Trouble = self.trouble
        if self._chance(trouble.unreachable):
            await asyncio.sleep(0.01)
            raise VenueUnreachable("connection refused")
        if self._chance(trouble.request_lost):
            await asyncio.sleep(self.answer_seconds)
            raise OutcomeUnknown("no answer in time")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[OrderUpdate] = loop.create_future()
        answer.add_done_callback(lambda each: each.cancelled() or each.exception())
        late = self._chance(trouble.request_late)
        seconds = self._draw.uniform(1.0, 9.0) if late else self._draw.uniform(0.002, 0.02)
        loop.call_later(seconds, self._stop_arrives, order, answer)
        if self._chance(trouble.answer_lost):
            await asyncio.sleep(self.answer_seconds)
            raise OutcomeUnknown("no answer in time")
        try:
            async with asyncio.timeout(self.answer_seconds):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise OutcomeUnknown("no answer in time") from None

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Drop a stop; one that is over is no error."""
        await self._asked()
        found = self._stop(client_order_id)
        if found is not None and found.live:
            order_id = found.trigger_order_id
            self._tell(self.exchange.cancel_trigger(self.account_name, order_id=order_id))
        if self._chance(self.trouble.answer_lost):
            raise OutcomeUnknown("no answer in time")

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what became of a stop, or of the order it sent."""
        await self._asked()
        found = self._stop(client_order_id)
        if found is None:
            return None
        if found.order_id is not None:
            sent = self.exchange.order(self.account_name, order_id=found.order_id)
            if sent is not None:
                return self._order_update(sent, UpdateSource.REST)
        return self._stop_update(found, UpdateSource.REST)

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return every stop that waits."""
        await self._asked()
        return tuple(
            WaitingTrigger(
                client_order_id=each.client_order_id,
                venue_order_id=each.trigger_order_id,
                instrument_id=each.instrument_id,
                side=each.terms.side,
                quantity=each.terms.quantity,
                trigger_price=each.terms.trigger_price,
                reduce_only=each.terms.reduce_only,
            )
            for each in self.exchange.trigger_orders(self.account_name)
            if each.live
        )

    def tell_stop(self, event: exchange_events.TriggerChanged) -> None:
        """Push what became of a stop."""
        told = event.trigger
        if told.state is TriggerState.TRIGGERED:
            # From here on its order is told under its id.
            return
        self._push_private(lambda: [self._stop_update(told, UpdateSource.STREAM)])

    def name_of(self, order: ExchangeOrder) -> str | None:
        """Return the id an order is told under: its stop's, if it came from one."""
        return order.trigger.client_order_id if order.trigger else order.client_order_id

    def _stop(self, client_order_id: str) -> TriggerOrder | None:
        return self.exchange.trigger_order(self.account_name, client_order_id=client_order_id)

    def _stop_arrives(self, order: JournaledOrder, answer: "asyncio.Future[OrderUpdate]") -> None:
        self.advance()
        try:
            update = self._take_stop(order)
        except VenueRejected as refusal:
            if not answer.done():
                answer.set_exception(refusal)
            return
        if not answer.done():
            answer.set_result(update)

    def _take_stop(self, order: JournaledOrder) -> OrderUpdate:
        intent = order.intent
        if self._chance(self.trouble.refused):
            raise VenueRejected("not now", code="51008")
        assert intent.trigger_price is not None, "a stop waits for a mark"
        rising = intent.side is Side.BUY
        wanted = NewTrigger(
            instrument_id=intent.instrument_id,
            side=intent.side,
            quantity=order.approved.quantity,
            trigger_price=intent.trigger_price,
            source=TriggerSource.MARK,
            direction=TriggerDirection.RISING if rising else TriggerDirection.FALLING,
            reduce_only=True,
            with_position=True,
            client_order_id=intent.client_order_id,
        )
        try:
            placed, happened = self.exchange.place_trigger(self.account_name, wanted)
        except OrderRefused as refusal:
            raise VenueRejected(refusal.message, code=refusal.reason.value) from refusal
        self._tell(happened)
        taken = self.exchange.trigger_order(self.account_name, order_id=placed.order_id)
        assert taken is not None
        return self._stop_update(taken, UpdateSource.REST)

    def _stop_update(self, stop: TriggerOrder, source: UpdateSource) -> OrderUpdate:
        return OrderUpdate(
            client_order_id=stop.client_order_id,
            venue_order_id=stop.trigger_order_id,
            instrument_id=stop.instrument_id,
            state=_STATES[stop.state],
            filled_quantity=None if stop.live else Decimal(0),
            average_price=None,
            source=source,
            code=None if stop.failure is None else stop.failure.value,
            message="",
            order=None,
            event_ns=stop.updated_ns // NS_PER_MS * NS_PER_MS,
            received_ns=self._clock.now_ns(),
        )
