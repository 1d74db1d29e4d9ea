"""The guard between cycles, in the engine: it reduces enough, and never twice for the same excess.

A machine moves marks, cash and time, and plays the venue of the reductions: they fill whole, in
part or not at all, are refused, stay without an answer, or end before their execution is told.
"""

from copy import deepcopy
from decimal import Decimal
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from counterpoise.domain.events import BalanceUpdate, Tick
from counterpoise.domain.orders import ApprovedOrder, IntentSource, OrderState
from counterpoise.domain.records import DecisionMade
from counterpoise.engine import unshown
from counterpoise.engine.order_tracker import REDUCTION_COUNTS_NS
from counterpoise.risk.guard import GuardReason
from engine_world import MARKS, World, ready

#: Books within their limits, of which the market makes others.
BOOKS: tuple[dict[str, tuple[str, str]], ...] = (
    {"BTCUSDT": ("0.30", "50000"), "ETHUSDT": ("-5", "2500")},
    {"BTCUSDT": ("0.18", "50000"), "ETHUSDT": ("-7", "2500")},
    {"BTCUSDT": ("0.30", "50000")},
)
CASH = Decimal(10_000)
#: A venue that refuses for ever is not in this: after this many rounds every order fills.
ROUNDS_MAX = 60
numbers = st.integers(0, 9)


@cache
def warm_world() -> World:
    return ready()


class GuardMachine(RuleBasedStateMachine):
    """A book, its market and the venue of its reductions."""

    @initialize(book=st.integers(0, len(BOOKS) - 1))
    def begin(self, book: int) -> None:
        self.world = deepcopy(warm_world())
        self.world.after(0.1)
        self.world.reconcile("cycle", positions=BOOKS[book])
        self.marks = dict(MARKS)
        self.checked = len(self.world.submits())
        self.decided = len(self.guards())
        #: Filled and over, their executions not told yet.
        self.untold: list[tuple[ApprovedOrder, Decimal]] = []
        #: True = since the last decision of the guard nothing happened but time, and little of it.
        self.quiet_ns: int | None = None

    def guards(self) -> list[DecisionMade]:
        found = self.world.records(DecisionMade)
        return [r for r in found if isinstance(r, DecisionMade) and r.kind == "guard"]

    def at_work(self) -> list[ApprovedOrder]:
        active = self.world.state.orders.active
        return [s for s in self.world.submits() if s.intent.client_order_id in active]

    def tell_marks(self) -> None:
        for name, mark in self.marks.items():
            self.world.book(name, mark)
            self.world.mark(name, mark)

    # -- market and account ------------------------------------------------------------------

    @rule(name=st.sampled_from(sorted(MARKS)), bps=st.sampled_from((-1_200, -400, 300, 900)))
    def the_market_moves(self, name: str, bps: int) -> None:
        self.quiet_ns = None
        self.world.after(0.3)
        self.marks[name] = (self.marks[name] * (10_000 + bps) / 10_000).quantize(Decimal("0.1"))
        self.world.book(name, self.marks[name])
        self.world.mark(name, self.marks[name])

    @rule(part=st.sampled_from(("0.8", "0.95", "1.1")))
    def cash_moves(self, part: str) -> None:
        self.quiet_ns = None
        self.world.after(0.3)
        cash = self.world.state.account.wallet_balance
        assert cash is not None
        told = (cash * Decimal(part)).quantize(Decimal("0.01"))
        self.world.feed(
            BalanceUpdate(balance=self.world.balance(str(told)), received_ns=self.world.now_ns)
        )

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds: int) -> None:
        before = len(self.guards())
        for _ in range(seconds):
            self.world.after(1)
            self.tell_marks()
            self.world.feed(Tick(now_ns=self.world.now_ns))
            if self.quiet_ns is not None:
                # A reduction that is not over after this long counts no more, by design.
                since_ns = self.world.now_ns - REDUCTION_COUNTS_NS
                orders = self.world.state.orders
                old = any(o.created_ns < since_ns for o in orders.active.values())
                old = old or any(told_ns < since_ns for told_ns in orders.unshown.values())
                assert old or len(self.guards()) == before, "it was sent twice for one excess"

    # -- the venue of the reductions -----------------------------------------------------------

    def pick(self, number: int) -> ApprovedOrder | None:
        found = self.at_work()
        return found[number % len(found)] if found else None

    @rule(number=numbers, part=st.sampled_from(("0.3", "0.7", "1", "1")))
    def one_fills(self, number: int, part: str) -> None:
        order = self.pick(number)
        if order is not None:
            self.fill(order, Decimal(part))

    @rule(number=numbers)
    def one_fills_and_its_execution_is_late(self, number: int) -> None:
        order = self.pick(number)
        if order is None or order.quantity > self.held(order.intent.instrument_id):
            return
        # What stands against the excess is the same as before: nothing new is to be sent.
        self.world.after(0.05)
        self.untold.append((order, order.quantity))
        key, name = order.intent.client_order_id, order.intent.instrument_id
        self.world.order(key, OrderState.FILLED, name=name, filled=str(order.quantity))

    @rule(number=numbers)
    def a_position_shows_it(self, number: int) -> None:
        if not self.untold:
            return
        self.quiet_ns = None
        name = self.untold[number % len(self.untold)][0].intent.instrument_id
        sign = -1 if self.world.state.account.quantities()[name] < 0 else 1
        held = self.held(name)
        self.untold = [each for each in self.untold if each[0].intent.instrument_id != name]
        self.world.after(0.05)
        self.world.position(name, str(sign * held), str(MARKS[name]) if held else None)
        assert name not in unshown.reducing(self.world.state) or self.at_work()

    def held(self, name: str) -> Decimal:
        # The truth, without its sign.
        off = sum((q for o, q in self.untold if o.intent.instrument_id == name), Decimal(0))
        return abs(self.world.state.account.quantities().get(name, Decimal(0))) - off

    def fill(self, order: ApprovedOrder, part: Decimal) -> None:
        self.quiet_ns = None
        self.world.after(0.05)
        name = order.intent.instrument_id
        held = self.held(name)
        lot = self.world.state.instruments[name].lot_size
        quantity = min((order.quantity * part / lot).to_integral_value() * lot, held)
        if quantity <= 0:
            key = order.intent.client_order_id
            self.world.order(key, OrderState.CANCELED, name=name, filled="0")
        else:
            self.world.fill(order, quantity)

    @rule(
        number=numbers,
        end=st.sampled_from((OrderState.CANCELED, OrderState.REJECTED, OrderState.UNKNOWN)),
    )
    def one_does_not(self, number: int, end: OrderState) -> None:
        order = self.pick(number)
        if order is None:
            return
        self.quiet_ns = None
        key, name = order.intent.client_order_id, order.intent.instrument_id
        if end is OrderState.UNKNOWN:
            self.world.order(key, end, name=name, venue_order_id=None)
        else:
            self.world.order(key, end, name=name, filled="0")

    # -- the promises ------------------------------------------------------------------------

    @invariant()
    def only_reductions_and_no_more_than_is_held(self) -> None:
        for order in self.world.submits()[self.checked :]:
            assert order.intent.reduce_only
            assert order.intent.source is IntentSource.GUARD
            held = self.world.state.account.quantities()[order.intent.instrument_id]
            assert order.intent.side.sign * held < 0
        self.checked = len(self.world.submits())
        held_now = self.world.state.account.quantities()
        for name, quantity in self.world.state.orders.reducing(self.world.now_ns).items():
            assert quantity <= abs(held_now.get(name, Decimal(0)))

    @invariant()
    def a_decision_leaves_the_target_once_it_is_filled(self) -> None:
        made = self.guards()
        if len(made) == self.decided:
            return
        self.decided = len(made)
        self.quiet_ns = self.world.now_ns
        if made[-1].reasons != (GuardReason.LEVERAGE.value,):
            return
        state = self.world.state
        # As they counted when it was decided.
        decided_ns = made[-1].decided_ns
        working = state.orders.reducing(decided_ns)
        for key, told_ns in state.orders.unshown.items():
            order = state.orders.finished[key]
            if decided_ns - told_ns <= REDUCTION_COUNTS_NS:
                name = order.open_order.instrument_id
                working[name] = working.get(name, Decimal(0)) + order.unshown
        equity = state.account.equity(self.marks)
        assert equity is not None
        left = cost = Decimal(0)
        for name, held in state.account.quantities().items():
            off = working.get(name, Decimal(0))
            left += (abs(held) - off) * self.marks[name]
            cost += off * self.marks[name] * state.guard.cost_bps / 10_000
        lots = sum(
            (self.marks[n] * rules.lot_size for n, rules in state.instruments.items()), Decimal(0)
        )
        # What was at work before may cost a little more than was planned for it.
        assert left == 0 or left <= state.guard.leverage_target * (equity - cost) + lots + cost

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        while self.untold:
            self.a_position_shows_it(0)
        for _ in range(ROUNDS_MAX):
            for order in self.at_work():
                self.fill(order, Decimal(1))
            self.time_passes(1)
            self.only_reductions_and_no_more_than_is_held()
        state = self.world.state
        gross = sum(
            (abs(q) * self.marks[n] for n, q in state.account.quantities().items()), Decimal(0)
        )
        equity = state.account.equity(self.marks)
        assert equity is not None
        assert gross == 0 or gross < state.guard.leverage_trigger * equity


TestGuard = GuardMachine.TestCase
TestGuard.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
