"""A timeout is unknown until evidence says otherwise, and "not found" alone proves nothing."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder, Position
from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import (
    Event,
    FillReported,
    OrderAbsent,
    OrderUnresolved,
    OrderUpdate,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Fill, OrderState, Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.execution.resolver import LOOK_BACK_NS, POSITION_SPEAKS_NS, Resolver
from counterpoise.execution.sends import SETTLE_NS, Sends
from engine_world import START_NS
from scripted_venue import ScriptedVenue, SettableClock, a_fill, answer

KEY = "cp" + "1" * 30
ASK = actions.Resolve(
    instrument_id="BTCUSDT",
    client_order_id=KEY,
    created_ns=START_NS,
    expires_ns=START_NS + 1,
    quantity=Decimal("0.5"),
    sign=-1,
    reduce_only=True,
    position_before=Decimal("0.5"),
)

RESTING = OpenOrder(
    client_order_id=KEY,
    venue_order_id="v1",
    instrument_id="BTCUSDT",
    side=Side.SELL,
    quantity=Decimal(1),
    filled_quantity=Decimal(0),
    price_limit=None,
    reduce_only=True,
    state=OrderState.ACCEPTED,
)


def held(quantity: str) -> Position:
    return Position(
        instrument_id="BTCUSDT", quantity=Decimal(quantity), entry_price=Decimal(50_000)
    )


class Desk:
    def __init__(self, *, late: bool) -> None:
        self.venue = ScriptedVenue()
        self.venue.positions = (held("0.5"),)
        self.fed: list[Event] = []
        self.clock = SettableClock(START_NS + (SETTLE_NS + 2 if late else 2))
        self.sends = Sends(self.clock, self.venue.reduction_valid_ns)
        self.resolver = Resolver(
            venue=self.venue, clock=self.clock, feed=self.fed.append, sends=self.sends
        )


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


async def test_executions_are_looked_for_by_the_venues_clock_where_ours_is_ahead() -> None:
    desk = Desk(late=False)
    desk.venue.offset_ns = -90 * NS_PER_SECOND
    desk.venue.found = [answer(KEY, OrderState.FILLED, "0.5")]
    asked: list[int] = []

    async def fills_since(since_ns: int) -> tuple[Fill, ...]:
        asked.append(since_ns)
        return (a_fill(KEY, "0.5"),)

    desk.venue.fills_since = fills_since
    await desk.resolver.resolve(ASK)
    assert asked == [ASK.created_ns - 90 * NS_PER_SECOND - LOOK_BACK_NS]
    assert [type(event) for event in desk.fed] == [FillReported, OrderUpdate]


async def test_not_found_while_the_request_may_still_arrive_says_nothing() -> None:
    desk = Desk(late=False)
    desk.venue.found = [None]
    await desk.resolver.resolve(ASK)
    assert desk.fed == []


async def test_absence_waits_for_a_call_at_work_whatever_the_approval_says() -> None:
    desk = Desk(late=True)
    desk.sends.begin(KEY, ASK.expires_ns)
    desk.venue.found = [None, None]
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
    desk.venue.open_orders = (RESTING,)
    await desk.resolver.resolve(ASK)
    assert "listed as open" in unresolved(desk)


async def test_an_order_among_those_that_ended_is_found() -> None:
    desk = Desk(late=True)
    desk.venue.found = [None, None]
    desk.venue.ended = answer(KEY, OrderState.CANCELED)
    await desk.resolver.resolve(ASK)
    (found,) = desk.fed
    assert isinstance(found, OrderUpdate)
    assert found.state is OrderState.CANCELED


async def test_more_executions_than_were_ordered_leave_it_unresolved() -> None:
    desk = Desk(late=True)
    desk.venue.found = [None, None]
    desk.venue.fills = (a_fill(KEY, "0.6"),)
    await desk.resolver.resolve(ASK)
    assert "executions of 0.6 for an order of 0.5" in unresolved(desk)


async def test_a_position_that_moved_its_way_without_an_execution_leaves_it_unresolved() -> None:
    desk = Desk(late=True)
    desk.venue.positions = (held("0.2"),)
    desk.venue.found = [None, None]
    await desk.resolver.resolve(ASK)
    assert "the position moved by -0.3" in unresolved(desk)


@pytest.mark.parametrize("quantity", ["0.9", "-0.4"])
async def test_a_move_that_cannot_be_its_own_says_nothing(quantity: str) -> None:
    desk = Desk(late=True)
    desk.venue.positions = (held(quantity),)
    desk.venue.found = [None, None]
    await desk.resolver.resolve(ASK)
    assert isinstance(desk.fed[-1], OrderAbsent)


async def test_long_after_a_moved_position_is_no_evidence_any_more() -> None:
    desk = Desk(late=True)
    desk.clock.ns += POSITION_SPEAKS_NS
    desk.venue.positions = (held("0.2"),)
    desk.venue.found = [None, None]
    await desk.resolver.resolve(ASK)
    assert isinstance(desk.fed[-1], OrderAbsent)


async def test_an_order_older_than_the_list_of_ended_ones_needs_it_not() -> None:
    desk = Desk(late=True)
    desk.clock.ns += desk.venue.history_ns
    desk.venue.ended = VenueUnreachable("not asked for")
    desk.venue.found = [None, None]
    await desk.resolver.resolve(ASK)
    (absent,) = desk.fed
    assert isinstance(absent, OrderAbsent)
    assert "too old for that list" in absent.evidence


async def test_an_order_older_than_the_venues_memory_stays_unresolved() -> None:
    desk = Desk(late=True)
    desk.clock.ns += desk.venue.executions_ns
    desk.venue.found = [None]
    # Months of executions decide nothing any more and are not asked for.
    desk.venue.account_error = VenueUnreachable("not to be asked")
    await desk.resolver.resolve(ASK)
    assert "older than the executions" in unresolved(desk)


def unresolved(desk: Desk) -> str:
    last = desk.fed[-1]
    assert isinstance(last, OrderUnresolved)
    assert last.client_order_id == KEY
    return last.evidence


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


NOT_LISTED = VenueRejected("lists no BTCUSDT", code="INSTRUMENT_UNKNOWN")


async def test_an_order_ends_with_its_market_whatever_moved_the_position() -> None:
    desk = Desk(late=True)
    desk.venue.found = [NOT_LISTED]
    desk.venue.states = {"BTCUSDT": InstrumentState.DELISTED}
    desk.venue.positions = ()
    await desk.resolver.resolve(ASK)
    (absent,) = desk.fed
    assert isinstance(absent, OrderAbsent)
    assert "not listed any more" in absent.evidence
    assert absent.market_ended, "whether it traded is not known"


async def test_an_order_of_a_market_that_is_gone_keeps_what_it_executed() -> None:
    desk = Desk(late=True)
    desk.venue.found = [NOT_LISTED]
    desk.venue.states = {"BTCUSDT": InstrumentState.DELISTED}
    desk.venue.fills = (a_fill(KEY, "0.2"),)
    await desk.resolver.resolve(ASK)
    assert isinstance(desk.fed[0], FillReported)
    last = desk.fed[-1]
    assert isinstance(last, OrderUpdate)
    assert (last.state, last.filled_quantity) == (OrderState.CANCELED, Decimal("0.2"))
    desk.venue.found = [NOT_LISTED]
    desk.venue.fills = (a_fill(KEY, "0.6"),)
    await desk.resolver.resolve(ASK)
    assert "executions of 0.6 for an order of 0.5" in unresolved(desk)


@pytest.mark.parametrize("late", [True, False])
async def test_a_refused_question_about_a_listed_market_says_nothing(*, late: bool) -> None:
    desk = Desk(late=late)
    desk.venue.found = [NOT_LISTED]
    await desk.resolver.resolve(ASK)
    assert desk.fed == []


async def test_an_order_of_a_market_that_is_gone_is_not_over_while_it_may_be_under_way() -> None:
    desk = Desk(late=False)
    desk.venue.found = [NOT_LISTED]
    desk.venue.states = {"BTCUSDT": InstrumentState.DELISTED}
    await desk.resolver.resolve(ASK)
    assert desk.fed == []


async def test_an_order_listed_as_open_in_a_market_that_is_gone_stays_unresolved() -> None:
    desk = Desk(late=True)
    desk.venue.found = [NOT_LISTED]
    desk.venue.states = {"BTCUSDT": InstrumentState.DELISTED}
    desk.venue.open_orders = (RESTING,)
    await desk.resolver.resolve(ASK)
    assert "not listed" in unresolved(desk)
