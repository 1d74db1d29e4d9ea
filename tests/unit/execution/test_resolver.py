"""A timeout is unknown until evidence says otherwise, and "not found" alone proves nothing."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import Event, FillReported, OrderAbsent, OrderUpdate
from counterpoise.domain.orders import OrderState, Side
from counterpoise.engine import actions
from counterpoise.execution.resolver import SETTLE_NS, Resolver
from engine_world import START_NS
from scripted_venue import ScriptedVenue, SettableClock, a_fill, answer

KEY = "cp" + "1" * 30
ASK = actions.Resolve(
    instrument_id="BTCUSDT", client_order_id=KEY, created_ns=START_NS, expires_ns=START_NS + 1
)


class Desk:
    def __init__(self, *, late: bool) -> None:
        self.venue = ScriptedVenue()
        self.fed: list[Event] = []
        clock = SettableClock(START_NS + (SETTLE_NS + 2 if late else 2))
        self.resolver = Resolver(venue=self.venue, clock=clock, feed=self.fed.append)


async def test_an_order_that_is_found_is_told_with_its_fills_first() -> None:
    desk = Desk(late=False)
    desk.venue.found = [answer(KEY, OrderState.FILLED, "0.5")]
    desk.venue.fills = (a_fill(KEY, "0.5"), a_fill("another", "9", "f2"))
    await desk.resolver.resolve(ASK)
    first, last = desk.fed
    assert isinstance(first, FillReported)
    assert first.fill.quantity == Decimal("0.5")
    assert isinstance(last, OrderUpdate)
    assert last.state is OrderState.FILLED


async def test_not_found_while_the_request_may_still_arrive_says_nothing() -> None:
    desk = Desk(late=False)
    desk.venue.found = [None]
    await desk.resolver.resolve(ASK)
    assert desk.fed == []


async def test_absence_needs_every_piece_of_evidence() -> None:
    desk = Desk(late=True)
    desk.venue.found = [None, None]
    await desk.resolver.resolve(ASK)
    (absent,) = desk.fed
    assert isinstance(absent, OrderAbsent)
    assert "not found" in absent.evidence


async def test_an_execution_outweighs_not_found() -> None:
    desk = Desk(late=True)
    desk.venue.found = [None, None]
    desk.venue.fills = (a_fill(KEY, "0.2"),)
    await desk.resolver.resolve(ASK)
    last = desk.fed[-1]
    assert isinstance(last, OrderUpdate)
    assert (last.state, last.filled_quantity) == (OrderState.CANCELED, Decimal("0.2"))


async def test_an_order_that_turns_up_on_the_second_look_is_found() -> None:
    desk = Desk(late=True)
    desk.venue.found = [None, answer(KEY, OrderState.ACCEPTED)]
    await desk.resolver.resolve(ASK)
    (found,) = desk.fed
    assert isinstance(found, OrderUpdate)
    assert found.state is OrderState.ACCEPTED


async def test_a_contradiction_stays_unresolved() -> None:
    desk = Desk(late=True)
    desk.venue.found = [None, None]
    desk.venue.open_orders = (
        OpenOrder(
            client_order_id=KEY,
            venue_order_id="v1",
            instrument_id="BTCUSDT",
            side=Side.SELL,
            quantity=Decimal(1),
            filled_quantity=Decimal(0),
            price_limit=None,
            reduce_only=True,
            state=OrderState.ACCEPTED,
        ),
    )
    await desk.resolver.resolve(ASK)
    assert desk.fed == []


@pytest.mark.parametrize("late", [True, False])
async def test_a_venue_that_does_not_answer_proves_nothing(*, late: bool) -> None:
    desk = Desk(late=late)
    desk.venue.found = [VenueUnreachable("away")]
    await desk.resolver.resolve(ASK)
    assert desk.fed == []
    desk.venue.found = [None]
    desk.venue.account_error = VenueUnreachable("away")
    await desk.resolver.resolve(ASK)
    assert desk.fed == []
