"""An order that the venue has is never called absent, whatever the venue is slow to say.

A machine plays one order at a venue whose lists lag behind each other: asked by id, among the open
ones, among those that ended, its executions, the position. Any of them may be blind at a time, but
not all of those that could show it. What the resolver feeds goes into a tracker; whatever is
lost, late or unanswered in between, it ends with what is true.
"""

from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from counterpoise.domain.account import OpenOrder, Position
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import (
    Event,
    FillReported,
    OrderAbsent,
    OrderUnresolved,
    OrderUpdate,
    UpdateSource,
)
from counterpoise.domain.orders import TERMINAL, Fill, OrderState, Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.order_tracker import OrderTracker
from counterpoise.execution.resolver import LOOK_BACK_NS, Resolver
from counterpoise.execution.sends import SETTLE_NS, Sends
from engine_world import START_NS
from scripted_venue import ScriptedVenue, SettableClock, a_fill, answer

KEY = "cp" + "4" * 30
QUANTITY = Decimal("0.5")
HELD = Decimal("0.7")
EXPIRES_NS = START_NS + 2 * NS_PER_SECOND

ID, OPEN, ENDED, FILLS, POSITION = "id", "open", "ended", "fills", "position"


class LaggingVenue(ScriptedVenue):
    """One order, and which of the lists do not show it yet."""

    def __init__(self) -> None:
        super().__init__()
        #: None = no request has arrived.
        self.order: OrderUpdate | None = None
        self.executed: list[Fill] = []
        self.blind: frozenset[str] = frozenset()
        self.refuses_at = -1
        self.asked = 0

    def shows(self) -> set[str]:
        """Return the lists that would show the order if they were up to date."""
        if self.order is None:
            return set()
        over = self.order.state in TERMINAL
        shown = {ID, ENDED} if over else {ID, OPEN}
        return shown | ({FILLS, POSITION} if self.executed else set())

    def _ask(self) -> None:
        self.asked += 1
        if self.asked == self.refuses_at:
            raise VenueUnreachable("no answer")

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        self._ask()
        return None if ID in self.blind else self.order

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        self._ask()
        return self.order if ENDED in self.shows() - self.blind else None

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        self._ask()
        assert since_ns <= START_NS - LOOK_BACK_NS
        return () if FILLS in self.blind else tuple(self.executed)

    async def account(self) -> Any:
        self._ask()
        done = sum((fill.quantity for fill in self.executed), Decimal(0))
        held = HELD - (Decimal(0) if POSITION in self.blind else done)
        self.positions = (
            Position(instrument_id="BTCUSDT", quantity=held, entry_price=Decimal(50_000)),
        )
        self.open_orders = ()
        if OPEN in self.shows() - self.blind:
            self.open_orders = (an_open_order(),)
        return await super().account()


def an_open_order(state: OrderState = OrderState.ACCEPTED) -> OpenOrder:
    return OpenOrder(
        client_order_id=KEY,
        venue_order_id="v1" if state is OrderState.ACCEPTED else None,
        instrument_id="BTCUSDT",
        side=Side.SELL,
        quantity=QUANTITY,
        filled_quantity=Decimal(0),
        price_limit=None,
        reduce_only=False,
        state=state,
    )


class ResolverMachine(RuleBasedStateMachine):
    """One order of unknown outcome."""

    @initialize(arrives=st.booleans(), late=st.booleans())
    def begin(self, *, arrives: bool, late: bool) -> None:
        self.venue = LaggingVenue()
        self.clock = SettableClock(START_NS)
        self.fed: list[Event] = []
        self.resolver = Resolver(
            venue=self.venue,
            clock=self.clock,
            feed=self._feed,
            sends=Sends(self.clock, self.venue.reduction_valid_ns),
        )
        self.tracker = OrderTracker()
        self.tracker.adopt(
            an_open_order(OrderState.UNKNOWN), created_ns=START_NS, expires_ns=EXPIRES_NS
        )
        self.seen: set[str] = set()
        #: True = the request is lost for good.
        self.lost = False
        if arrives:
            self.the_request_arrives()
        if late:
            self.clock.ns = EXPIRES_NS + SETTLE_NS

    def _feed(self, event: Event) -> None:
        self.fed.append(event)
        match event:
            case FillReported(fill=fill) if fill.fill_id not in self.seen:
                self.seen.add(fill.fill_id)
                self.tracker.executed(fill.instrument_id, fill.client_order_id, fill.quantity)
            case OrderUpdate():
                self.tracker.told(event)
            case OrderUnresolved() if KEY in self.tracker.active:
                self.tracker.leave_unresolved(KEY)
            case OrderAbsent():
                assert self.venue.order is None, f"the venue has it: {event.evidence}"
                assert self.clock.now_ns() >= EXPIRES_NS + SETTLE_NS, "it may still arrive"
                self.lost = True
                self._absent()

    def _absent(self) -> None:
        gone = answer(KEY, OrderState.REJECTED)
        self.tracker.told(gone)

    def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        # Nothing in it waits for anything outside of this machine.
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("the resolver waits for something that nobody does")

    # -- the venue ---------------------------------------------------------------------------

    @precondition(lambda self: self.venue.order is None and not self.lost)
    @rule()
    def the_request_arrives(self) -> None:
        if self.clock.now_ns() < EXPIRES_NS + SETTLE_NS:
            self.venue.order = answer(KEY, OrderState.ACCEPTED)

    @precondition(lambda self: self.venue.order is None)
    @rule()
    def the_request_is_lost(self) -> None:
        self.lost = True

    def _alive(self) -> bool:
        return self.venue.order is not None and self.venue.order.state not in TERMINAL

    @precondition(lambda self: self._alive())
    @rule(lots=st.integers(1, 5))
    def it_executes(self, lots: int) -> None:
        done = sum((fill.quantity for fill in self.venue.executed), Decimal(0))
        part = min(lots * QUANTITY / 5, QUANTITY - done)
        self.venue.executed.append(a_fill(KEY, str(part), f"f{len(self.venue.executed)}"))
        whole = done + part == QUANTITY
        state = OrderState.FILLED if whole else OrderState.PARTIALLY_FILLED
        self.venue.order = answer(KEY, state, str(done + part))

    @precondition(lambda self: self._alive())
    @rule()
    def it_is_canceled(self) -> None:
        assert self.venue.order is not None
        done = str(self.venue.order.filled_quantity)
        self.venue.order = answer(KEY, OrderState.CANCELED, done)

    @rule(seconds=st.sampled_from((1, 5, 30, 200)))
    def time_passes(self, seconds: int) -> None:
        self.clock.ns += seconds * NS_PER_SECOND

    @rule(
        lagging=st.sets(st.sampled_from((OPEN, ENDED, FILLS, POSITION))),
        by_id=st.sampled_from((False, False, False, True)),
        refuses_at=st.sampled_from((0, 0, 0, 0, 1, 2, 3, 4, 5)),
    )
    def it_is_asked_about(self, lagging: set[str], refuses_at: int, *, by_id: bool) -> None:
        # `by_id` = it is found by its id; 0 = every question is answered.
        blind = lagging if by_id else lagging | {ID}
        order = self.tracker.get(KEY)
        assert order is not None
        if order.over:
            return
        shows = self.venue.shows()
        if shows:
            # The position speaks only for a while, and not once something moved it that is known.
            spoken = order.held_before is None
            certain = shows - ({POSITION} if spoken else set())
            if certain <= blind:
                # One of them is up to date: rather a list than the order itself.
                others = sorted(certain - {ID})
                blind = blind - {others[self.clock.ns // NS_PER_SECOND % len(others)]}
        self.venue.blind = frozenset(blind)
        self.venue.asked, self.venue.refuses_at = 0, refuses_at
        self._finish(self.resolver.resolve(self.tracker.ask(KEY, self.clock.now_ns())))

    @rule()
    def the_stream_tells_it(self) -> None:
        if self.venue.order is not None and not self.lost:
            for fill in self.venue.executed:
                self._feed(FillReported(fill=fill, source=UpdateSource.STREAM))
            self._feed(self.venue.order)

    # -- the promises ------------------------------------------------------------------------

    @invariant()
    def what_is_over_is_over(self) -> None:
        order = self.tracker.get(KEY)
        assert order is not None
        if not order.over:
            return
        if self.venue.order is None:
            assert order.state is OrderState.REJECTED
            assert order.open_order.filled_quantity == 0
            return
        # An order that is no longer listed and had executions is over, filled by this much: the
        # lists may lag, and the executions that follow are counted all the same.
        assert order.state in TERMINAL - {OrderState.REJECTED}
        assert order.open_order.filled_quantity <= QUANTITY

    def teardown(self) -> None:
        if not hasattr(self, "venue"):
            return
        self.clock.ns += 60 * NS_PER_SECOND
        for _ in range(2):
            self.it_is_asked_about(set(), 0, by_id=True)
        order = self.tracker.get(KEY)
        assert order is not None
        if self.venue.order is None:
            assert order.state is OrderState.REJECTED, "nothing is left to wait for"
        elif order.state is not self.venue.order.state:
            assert order.over, "every list is open, and still nobody knows"


TestResolver = ResolverMachine.TestCase
TestResolver.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
