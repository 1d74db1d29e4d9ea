"""Whatever fills, refusals and timeouts come, a pair ends complete or unwound.

A machine plays the venue of one decision: orders fill whole, in part or not at all, are refused,
or stay without an answer until the evidence comes; ends are told before executions; the market
moves and data go missing. At every step nothing increases that the gate would not allow or beyond
what was decided, nothing increases while more stands alone than may, and in the end nothing
stands alone.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from counterpoise.domain.account import TradingState
from counterpoise.domain.events import (
    CycleDue,
    FillReported,
    OrderAbsent,
    Tick,
    UpdateSource,
)
from counterpoise.domain.orders import ApprovedOrder, Fill, IntentSource, OrderState
from counterpoise.domain.records import DecisionEnded, PairOpened
from counterpoise.engine import actions, pairing, working
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.engine.pairing import Pair
from counterpoise.engine.plan import PairProgress, Plan, attempts_after
from counterpoise.ledger import codec
from engine_world import MARKS, World, ready

#: Worlds before the decision, made once: warming the signals is what takes time.
BOOKS: list[dict[str, tuple[str, str]]] = [
    {},
    {"BTCUSDT": ("0.05", "50000"), "ETHUSDT": ("-0.9", "2500")},
    {"BTCUSDT": ("0.28", "50000"), "ETHUSDT": ("-4.4", "2500")},
]


@cache
def warm_world() -> World:
    return ready()


def world_with(positions: dict[str, tuple[str, str]], *, passive: bool) -> World:
    world = deepcopy(warm_world())
    parameters = ExecutionParameters(passive_seconds=Decimal(4 if passive else 0))
    world.state.run = replace(world.state.run, execution=parameters)
    world.after(0.1)
    world.reconcile("cycle", positions=positions)
    world.done.clear()
    return world


@dataclass(frozen=True)
class Untold:
    """An execution that the venue has not told of yet."""

    order: ApprovedOrder
    quantity: Decimal
    event_ns: int

    @property
    def name(self) -> str:
        return self.order.intent.instrument_id

    @property
    def signed(self) -> Decimal:
        return self.quantity * self.order.intent.side.sign


#: An adversary may not answer for ever: then every order fills.
SECONDS_MAX = 500


class PairMachine(RuleBasedStateMachine):
    """One decision against a venue that does what it likes."""

    @initialize(passive=st.booleans(), book=st.integers(0, len(BOOKS) - 1))
    def decide(self, *, passive: bool, book: int) -> None:
        start = BOOKS[book]
        self.world = world_with(start, passive=passive)
        self.world.after(0.1)
        self.world.feed(CycleDue(slot_ns=self.world.now_ns, now_ns=self.world.now_ns))
        self.world.reconcile("cycle", positions=start)
        self.checked = self.seen = 0
        self.held_back = False
        self.untold: list[Untold] = []
        self.increased: dict[tuple[str, str], Decimal] = {}

    # -- the venue ---------------------------------------------------------------------------

    def _at_work(self) -> dict[str, ApprovedOrder]:
        active = self.world.state.orders.active
        sent = {s.intent.client_order_id: s for s in self.world.submits()}
        return {key: sent[key] for key in sorted(active) if key in sent}

    def _pick(self, number: int) -> ApprovedOrder | None:
        found = list(self._at_work().values())
        return found[number % len(found)] if found else None

    def _held(self) -> dict[str, Decimal]:
        # The truth: what the account shows and what it was not told of.
        held = dict(self.world.state.account.quantities())
        for each in self.untold:
            held[each.name] = held.get(each.name, Decimal(0)) + each.signed
        return held

    def _fill(self, order: ApprovedOrder, quantity: Decimal, *, told: bool = True) -> None:
        held = self._held().get(order.intent.instrument_id, Decimal(0))
        if order.intent.reduce_only:
            # The venue lets a reduction take no more than is held.
            quantity = min(quantity, abs(held) if held * order.intent.side.sign < 0 else Decimal(0))
        self.world.after(0.01)
        if quantity <= 0:
            key = order.intent.client_order_id
            name = order.intent.instrument_id
            self.world.order(key, OrderState.CANCELED, name=name, filled="0")
            return
        if order.intent.increases:
            decided = (order.intent.decision_id, order.intent.instrument_id)
            self.increased[decided] = self.increased.get(decided, Decimal(0)) + quantity
        if told:
            self.world.fill(order, quantity)
            return
        self.untold.append(Untold(order, quantity, self.world.now_ns))
        end = OrderState.FILLED if quantity == order.quantity else OrderState.CANCELED
        key, name = order.intent.client_order_id, order.intent.instrument_id
        self.world.order(key, end, name=name, filled=str(quantity))

    def _tell(self, each: Untold) -> None:
        self.world.fills += 1
        intent = each.order.intent
        self.world.feed(
            FillReported(
                fill=Fill(
                    fill_id=f"f{self.world.fills}",
                    instrument_id=each.name,
                    client_order_id=intent.client_order_id,
                    venue_order_id="v1",
                    side=intent.side,
                    quantity=each.quantity,
                    price=MARKS[each.name],
                    fee=Decimal("0.5"),
                    fee_currency="USDT",
                    liquidity=None,
                    realised_pnl=None,
                    event_ns=each.event_ns,
                    received_ns=self.world.now_ns,
                ),
                source=UpdateSource.STREAM,
            )
        )

    @rule(number=st.integers(0, 9), part=st.sampled_from(["0.3", "1"]))
    def ends_before_its_executions_are_told(self, number: int, part: str) -> None:
        order = self._pick(number)
        if order is None:
            return
        lot = self.world.state.instruments[order.intent.instrument_id].lot_size
        quantity = (order.quantity * Decimal(part) / lot).to_integral_value() * lot
        self._fill(order, quantity, told=False)

    @precondition(lambda self: self.untold)
    @rule(number=st.integers(0, 9))
    def an_execution_is_told(self, number: int) -> None:
        self._tell(self.untold.pop(number % len(self.untold)))

    @precondition(lambda self: self.untold)
    @rule(number=st.integers(0, 9))
    def a_position_is_told_first(self, number: int) -> None:
        name = self.untold[number % len(self.untold)].name
        held = self._held().get(name, Decimal(0))
        self.world.after(0.01)
        self.world.position(name, str(held), str(MARKS[name]) if held else None)
        later = [each for each in self.untold if each.name == name]
        self.untold = [each for each in self.untold if each.name != name]
        for each in later:
            self._tell(each)
        assert self.world.state.account.quantities().get(name, Decimal(0)) == held

    @rule(number=st.integers(0, 9))
    def fills(self, number: int) -> None:
        order = self._pick(number)
        if order is not None:
            self._fill(order, order.quantity)

    @rule(number=st.integers(0, 9), part=st.sampled_from(["0.1", "0.5", "0.9"]))
    def fills_in_part(self, number: int, part: str) -> None:
        order = self._pick(number)
        if order is None:
            return
        lot = self.world.state.instruments[order.intent.instrument_id].lot_size
        self._fill(order, (order.quantity * Decimal(part) / lot).to_integral_value() * lot)

    @rule(
        number=st.integers(0, 9),
        end=st.sampled_from([OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED]),
    )
    def ends_without_a_fill(self, number: int, end: OrderState) -> None:
        order = self._pick(number)
        if order is not None:
            name = order.intent.instrument_id
            source = UpdateSource.LOCAL if end is OrderState.REJECTED else UpdateSource.STREAM
            key = order.intent.client_order_id
            self.world.order(key, end, name=name, filled="0", source=source)

    @rule(number=st.integers(0, 9))
    def times_out(self, number: int) -> None:
        order = self._pick(number)
        if order is not None:
            key, name = order.intent.client_order_id, order.intent.instrument_id
            self.world.order(key, OrderState.UNKNOWN, name=name, venue_order_id=None)

    @rule(number=st.integers(0, 9))
    def is_proven_absent(self, number: int) -> None:
        order = self._pick(number)
        if order is None:
            return
        key = order.intent.client_order_id
        if self.world.state.orders.active[key].state is OrderState.UNKNOWN:
            now = self.world.now_ns
            self.world.feed(OrderAbsent(client_order_id=key, evidence="m", received_ns=now))

    @rule(seconds=st.integers(1, 5))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.after(1)
            self.world.market()
            self.world.feed(Tick(now_ns=self.world.now_ns))

    @rule(off=st.booleans())
    def the_clock_is_off(self, *, off: bool) -> None:
        self.world.state.clock_offset_ms = 9_000.0 if off else 0.0

    @precondition(lambda self: not self.held_back)
    @rule()
    def somebody_pauses(self) -> None:
        self.held_back = True
        self.world.done += working.drop_increases(self.world.state, "paused")

    @rule()
    def the_daemon_is_killed(self) -> None:
        plans = list(self.world.state.plans.values())
        if not plans:
            return
        rows = [r for r in self.world.records(PairOpened) if isinstance(r, PairOpened)]
        held = {
            name: (str(quantity), str(MARKS[name]))
            for name, quantity in self._held().items()
            if quantity != 0
        }
        self.untold.clear()
        old = self.world
        self.world = world_with({}, passive=bool(old.state.run.execution.passive_seconds))
        self.world.now_ns = old.now_ns
        self.world.fills = old.fills
        self.world.after(0.5)
        self.world.market()
        self.world.reconcile("start", positions=held)
        self.world.done[:0] = old.done
        self.world.state.clock_offset_ms = old.state.clock_offset_ms
        for plan in plans:
            for row in rows:
                if row.decision_id != plan.decision_id:
                    continue
                sent = [s.intent for s in old.submits() if s.intent.decision_id == row.decision_id]
                last = max((intent.attempt for intent in sent), default=None)
                self.world.state.plans[plan.decision_id] = Plan(
                    decision_id=plan.decision_id,
                    source=IntentSource.CYCLE,
                    phases=[],
                    started_ns=self.world.now_ns,
                    attempts_from=attempts_after(last),
                    order_ids=list(plan.order_ids),
                    pair=PairProgress(
                        pair=codec.decode(row.body, Pair),
                        budget=row.notional * 20,
                        resumed=True,
                        increased_before=self._on_record(old, row.decision_id),
                    ),
                )
        for key, order in old.state.orders.active.items():
            unknown = replace(order.open_order, state=OrderState.UNKNOWN)
            self.world.state.orders.adopt(
                unknown, created_ns=order.created_ns, expires_ns=order.expires_ns, rests=order.rests
            )
            assert key == unknown.client_order_id

    def _on_record(self, world: World, decision_id: str) -> dict[str, Decimal]:
        # As the ledger gives it: what is over, by instrument; what is not is taken up as unknown.
        found: dict[str, Decimal] = {}
        for name in MARKS:
            filled = self.increased.get((decision_id, name), Decimal(0))
            going = [o for o in world.state.orders.active.values() if o.decision_id == decision_id]
            mine = [o.open_order for o in going if o.open_order.instrument_id == name]
            found[name] = filled - sum((o.filled_quantity for o in mine), Decimal(0))
        return found

    # -- the promises ------------------------------------------------------------------------

    @invariant()
    def orders_keep_the_rules(self) -> None:
        sent = self.world.submits()
        ids = [s.intent.client_order_id for s in sent]
        assert len(ids) == len(set(ids)), "a client order id was used twice"
        for order in sent[self.checked :]:
            assert len(order.intent.client_order_id) <= 32
            if order.intent.reduce_only:
                assert not order.intent.rests, "a reduction never waits"
                continue
            assert order.leverage_worst is not None
            assert order.leverage_worst <= 3
            assert self.world.state.trading_state is TradingState.ACTIVE
        self.checked = len(sent)

    @invariant()
    def gross_stays_under_the_ceiling(self) -> None:
        held = self._held()
        gross = sum((abs(q) * MARKS[name] for name, q in held.items()), Decimal(0))
        equity = self.world.state.account.equity(MARKS)
        assert equity is not None
        assert gross <= 3 * equity

    @invariant()
    def nothing_that_makes_it_worse_is_sent_while_it_stands_too_long(self) -> None:
        sent = self.world.submits()
        new, self.seen = sent[self.seen :], len(sent)
        for plan in self.world.state.plans.values():
            if plan.pair is None or not plan.pair.used_up:
                continue
            pair, held = plan.pair.pair, self._held()
            if not pairing.is_naked(pair, held):
                continue
            now = pairing.exposure(held, pair.weights)
            for order in new:
                intent = order.intent
                if intent.increases and intent.decision_id == plan.decision_id:
                    assert intent.side.sign * pair.weights[intent.instrument_id] * now < 0

    @invariant()
    def no_decision_increases_more_than_it_wanted(self) -> None:
        for row in self.world.records(PairOpened):
            assert isinstance(row, PairOpened)
            pair = codec.decode(row.body, Pair)
            for name in pair.planned:
                wanted = pairing.increase(pair, name)
                assert self.increased.get((row.decision_id, name), Decimal(0)) <= wanted

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        while self.untold:
            self._tell(self.untold.pop())
        self.world.state.clock_offset_ms = 0.0
        for _ in range(SECONDS_MAX):
            while self._at_work():
                for order in list(self._at_work().values()):
                    self._fill(order, order.quantity)
            if not self.world.state.plans:
                break
            self.time_passes(1)
        assert self.world.state.plans == {}, "the decision never ended"
        rows = [r for r in self.world.records(PairOpened) if isinstance(r, PairOpened)]
        ends = [r for r in self.world.records(DecisionEnded) if isinstance(r, DecisionEnded)]
        for row in rows:
            pair = codec.decode(row.body, Pair)
            held = self.world.state.account.quantities()
            (ended,) = [e for e in ends if e.decision_id == row.decision_id]
            assert ended.naked_leg_seconds is not None
            assert not pairing.is_naked(pair, held), (ended, held)
            assert ended.outcome in {"done", "unwound", "incomplete"}
        assert not [a for a in self.world.done if isinstance(a, actions.StopDaemon)]


TestPairExecution = PairMachine.TestCase
TestPairExecution.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
