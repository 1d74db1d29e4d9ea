"""Several orders at once, and a wire that repeats, delays, reorders and loses what the venue says.

The venue's true story of each order goes on while messages about it wait in a bag, from which any
comes at any time, any number of times. Executions are told apart from updates, as on real streams.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import TERMINAL, ApprovedOrder, OrderState, Side
from counterpoise.engine.order_tracker import OrderTracker
from counterpoise.risk import gate
from counterpoise.risk.worst_case import may_fill
from risk_world import intent, view
from strategy_world import CORE, ETH, MARKS

QUANTITY = Decimal("0.1")
ORDERS_MAX = 4
numbers = st.integers(0, 99)


@dataclass(slots=True)
class Truth:
    """One order at the venue."""

    name: str
    state: OrderState = OrderState.ACCEPTED
    filled: Decimal = Decimal(0)
    #: How often the venue spoke of it; its clock.
    told: int = 0
    #: Executions as (number, quantity).
    executions: list[tuple[int, Decimal]] = field(default_factory=list)


class TrackerMachine(RuleBasedStateMachine):
    """Orders, what is true of them, and what the tracker was told."""

    @initialize()
    def begin(self) -> None:
        self.tracker = OrderTracker()
        self.truth: dict[str, Truth] = {}
        self.bag: list[OrderUpdate] = []
        self.unseen: list[tuple[str, int, Decimal]] = []
        self.last: dict[str, tuple[OrderState, Decimal]] = {}

    @precondition(lambda self: len(self.truth) < ORDERS_MAX)
    @rule(name=st.sampled_from((CORE, ETH)), reduces=st.booleans())
    def send(self, name: str, *, reduces: bool) -> None:
        key = f"cp{len(self.truth):030d}"
        wanted = intent(
            name,
            client_order_id=key,
            price_limit=MARKS[name],
            reduce_only=reduces,
            side=Side.SELL if name == CORE and reduces else Side.BUY,
            quantity=QUANTITY,
        )
        approve = gate.approve_reduction if reduces else gate.approve_increase
        approved = approve(wanted, view(equity=Decimal(200_000)))
        assert isinstance(approved, ApprovedOrder)
        self.tracker.journaled(approved, Decimal(1))
        self.truth[key] = Truth(name=name)
        self._says(key)

    def _pick(self, number: int, *, living: bool = True) -> str | None:
        keys = [k for k, t in self.truth.items() if not living or t.state not in TERMINAL]
        return keys[number % len(keys)] if keys else None

    def _says(self, key: str) -> None:
        truth = self.truth[key]
        truth.told += 1
        self.bag.append(
            OrderUpdate(
                client_order_id=key,
                venue_order_id=f"v{key}",
                instrument_id=truth.name,
                state=truth.state,
                filled_quantity=truth.filled,
                average_price=None,
                source=UpdateSource.STREAM,
                code=None,
                message="",
                order=None,
                event_ns=truth.told,
                received_ns=truth.told,
            )
        )

    @rule(number=numbers, lots=st.integers(1, 10))
    def executes(self, number: int, lots: int) -> None:
        key = self._pick(number)
        if key is None:
            return
        truth = self.truth[key]
        quantity = min(lots * QUANTITY / 10, QUANTITY - truth.filled)
        truth.filled += quantity
        whole = truth.filled == QUANTITY
        truth.state = OrderState.FILLED if whole else OrderState.PARTIALLY_FILLED
        truth.executions.append((len(truth.executions), quantity))
        self.unseen.append((key, len(truth.executions) - 1, quantity))
        self._says(key)

    @rule(number=numbers, end=st.sampled_from((OrderState.CANCELED, OrderState.EXPIRED)))
    def ends(self, number: int, end: OrderState) -> None:
        key = self._pick(number)
        if key is not None:
            self.truth[key].state = end
            self._says(key)

    @rule(number=numbers)
    def our_call_times_out(self, number: int) -> None:
        key = self._pick(number, living=False)
        if key is None:
            return
        truth = self.truth[key]
        self._tell(
            OrderUpdate(
                client_order_id=key,
                venue_order_id=None,
                instrument_id=truth.name,
                state=OrderState.UNKNOWN,
                filled_quantity=None,
                average_price=None,
                source=UpdateSource.LOCAL,
                code=None,
                message="",
                order=None,
                event_ns=0,
                received_ns=0,
            )
        )

    @precondition(lambda self: self.bag)
    @rule(number=numbers, again=st.booleans())
    def a_message_comes(self, number: int, *, again: bool) -> None:
        place = number % len(self.bag)
        self._tell(self.bag[place] if again else self.bag.pop(place))

    @precondition(lambda self: self.bag)
    @rule(number=numbers)
    def a_message_is_lost(self, number: int) -> None:
        del self.bag[number % len(self.bag)]

    @precondition(lambda self: self.unseen)
    @rule(number=numbers)
    def an_execution_comes(self, number: int) -> None:
        # Which one is told twice is seen by its id before the tracker is asked.
        key, _, quantity = self.unseen.pop(number % len(self.unseen))
        self.tracker.executed(self.truth[key].name, key, quantity)

    @rule(number=numbers)
    def evidence_leaves_it_open(self, number: int) -> None:
        key = self._pick(number, living=False)
        if key is not None and key in self.tracker.active:
            self.tracker.leave_unresolved(key)

    @rule(number=numbers)
    def a_stranger_appears(self, number: int) -> None:
        before = (dict(self.tracker.active), dict(self.tracker.finished))
        self.tracker.told(
            OrderUpdate(
                client_order_id=None,
                venue_order_id=f"x{number % 3}",
                instrument_id=CORE,
                state=OrderState.ACCEPTED if number % 2 else OrderState.CANCELED,
                filled_quantity=Decimal(0),
                average_price=None,
                source=UpdateSource.STREAM,
                code=None,
                message="",
                order=None,
                event_ns=1,
                received_ns=1,
            )
        )
        assert before == (self.tracker.active, self.tracker.finished)

    def _tell(self, update: OrderUpdate) -> None:
        key = update.client_order_id
        assert key is not None
        before = self.tracker.get(key)
        changed = self.tracker.told(update)
        after = self.tracker.get(key)
        assert (changed is None) == (before == after)
        repeated = self.tracker.told(update)
        assert repeated is None or update.state is OrderState.UNKNOWN, "told twice, it moved twice"

    # -- the promises ------------------------------------------------------------------------

    @invariant()
    def what_is_tracked_is_never_less_than_what_may_happen(self) -> None:
        for key, truth in self.truth.items():
            order = self.tracker.get(key)
            assert order is not None, "an order was forgotten"
            assert (key in self.tracker.active) != (key in self.tracker.finished)
            assert (key in self.tracker.finished) == (order.state in TERMINAL)
            open_order = order.open_order
            assert 0 <= open_order.filled_quantity <= truth.filled
            if order.over:
                assert truth.state is order.state, "it is said to be over and is not"
                continue
            left = Decimal(0) if truth.state in TERMINAL else QUANTITY - truth.filled
            assert may_fill(open_order) >= left
            assert open_order in self.tracker.open_orders()
            if order.state is OrderState.UNKNOWN:
                assert may_fill(open_order) == QUANTITY
                assert truth.name in self.tracker.unresolved()

    @invariant()
    def nothing_goes_back(self) -> None:
        for key in self.truth:
            order = self.tracker.get(key)
            assert order is not None
            now = (order.state, order.open_order.filled_quantity)
            state, filled = self.last.get(key, now)
            assert now[1] >= filled
            assert state not in TERMINAL or now[0] is state
            self.last[key] = now

    def teardown(self) -> None:
        if not hasattr(self, "tracker"):
            return
        for key, _, quantity in self.unseen:
            self.tracker.executed(self.truth[key].name, key, quantity)
        # What was lost is asked for: the venue's answer is its present truth.
        for key in self.truth:
            self._says(key)
            self.tracker.told(self.bag[-1])
        for key, truth in self.truth.items():
            order = self.tracker.get(key)
            assert order is not None
            assert order.state is truth.state
            assert order.open_order.filled_quantity == truth.filled
        self.what_is_tracked_is_never_less_than_what_may_happen()
        listed = tuple(
            OpenOrder(
                client_order_id=key,
                venue_order_id=f"v{key}",
                instrument_id=truth.name,
                side=Side.BUY,
                quantity=QUANTITY,
                filled_quantity=truth.filled,
                price_limit=None,
                reduce_only=False,
                state=truth.state,
            )
            for key, truth in self.truth.items()
            if truth.state not in TERMINAL
        )
        assert self.tracker.reconciled(listed, 2**62) == []
        gone = self.tracker.reconciled((), 2**62)
        assert {o.open_order.client_order_id for o in gone} == set(self.tracker.active)


TestTracker = TrackerMachine.TestCase
TestTracker.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
