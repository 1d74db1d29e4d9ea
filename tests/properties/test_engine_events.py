"""Whatever order events come in, the engine keeps its promises and never breaks.

A random walk feeds marks, books, positions, balances, fills, order states, reconciliations,
cycles, controls and outages, with duplicates and late messages, and looks at every step.
"""

import random
from decimal import Decimal

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    CycleDue,
    LedgerHealth,
    OrderAbsent,
    ReconciliationFailed,
    StreamAlive,
    StreamDown,
    StreamName,
    Tick,
)
from counterpoise.domain.orders import TERMINAL, ApprovedOrder, OrderState
from counterpoise.domain.records import DecisionMade
from counterpoise.engine import actions, guarding
from counterpoise.engine.cycle import CycleInputs
from counterpoise.engine.cycle import recompute as recompute_cycle
from counterpoise.ledger import codec
from engine_world import MARKS, World, ready

STEPS = 250
ENDS = [OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED]
BETWEEN = [OrderState.SUBMITTED, OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED]


class Walk:
    """One random history, reproduced by its seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world: World = ready(positions={"BTCUSDT": ("0.2", "50000")})
        self.marks = dict(MARKS)
        self.checked = 0

    def step(self) -> None:
        self.world.after(self.random.choice([0, 0.001, 0.2, 1, 5]))
        moves = [self.mark] * 6 + [self.order] * 6 + [self.tick] * 4
        moves += [self.book, self.position, self.cycle, self.control, self.outage, self.absent]
        self.random.choice(moves)()
        self.check()

    def mark(self) -> None:
        name = self.random.choice(list(self.marks))
        moved = self.marks[name] * Decimal(str(1 + self.random.gauss(0, 0.03)))
        tick = self.world.state.instruments[name].tick_size
        self.marks[name] = max(tick, (moved / tick).to_integral_value() * tick)
        self.world.mark(name, self.marks[name])

    def book(self) -> None:
        name = self.random.choice(list(self.marks))
        self.world.book(name, self.marks[name])

    def order(self) -> None:
        sent = self.world.submits()
        if not sent:
            return
        approved = self.random.choice(sent[-4:])
        if self.random.random() < 0.4:
            part = self.random.choice([None, approved.quantity / 2])
            self.world.fill(approved, part)
            return
        state = self.random.choice(ENDS[1:] + BETWEEN + [OrderState.UNKNOWN])
        filled = str(approved.quantity / 4) if self.random.random() < 0.3 else None
        intent = approved.intent
        self.world.order(intent.client_order_id, state, name=intent.instrument_id, filled=filled)

    def position(self) -> None:
        name = self.random.choice(list(self.marks))
        held = self.world.state.account.quantities().get(name, Decimal(0))
        told = self.random.choice([held, held / 2, Decimal(0)])
        self.world.position(name, str(told), None if told == 0 else str(self.marks[name]))

    def cycle(self) -> None:
        now = self.world.now_ns
        self.world.feed(CycleDue(slot_ns=now, now_ns=now))
        if self.random.random() < 0.2:
            failed = ReconciliationFailed(cause="cycle", message="no", received_ns=now)
            self.world.feed(failed)
            return
        held = {
            name: (str(quantity), str(self.marks[name]))
            for name, quantity in self.world.state.account.quantities().items()
        }
        wallet = self.world.state.account.wallet_balance or Decimal(1)
        self.world.reconcile("cycle", positions=held, wallet=str(wallet))

    def control(self) -> None:
        action = self.random.choice(
            [ControlAction.PAUSE, ControlAction.RESUME, ControlAction.FLATTEN]
        )
        self.world.feed(
            ControlRequested(
                control_id=str(self.world.now_ns),
                action=action,
                actor="walk",
                reason="",
                from_halt=True,
                received_ns=self.world.now_ns,
            )
        )

    def outage(self) -> None:
        now, available = self.world.now_ns, self.random.random() < 0.5
        self.world.feed(LedgerHealth(available=available, backlog_age_seconds=0.0, received_ns=now))
        stream = self.random.choice(list(StreamName))
        self.world.feed(StreamDown(stream=stream, reason="walk", received_ns=now))
        self.world.feed(StreamAlive(stream=stream, received_ns=now))

    def absent(self) -> None:
        for key in list(self.world.state.orders.active)[:1]:
            self.world.feed(
                OrderAbsent(client_order_id=key, evidence="walk", received_ns=self.world.now_ns)
            )

    def tick(self) -> None:
        self.world.feed(Tick(now_ns=self.world.now_ns))

    # -- promises ----------------------------------------------------------------------------

    def check(self) -> None:
        sent = self.world.submits()
        for approved in sent[self.checked :]:
            self.check_order(approved)
        self.checked = len(sent)
        ids = [s.intent.client_order_id for s in sent]
        assert len(ids) == len(set(ids)), "a client order id was used twice"
        for key, order in self.world.state.orders.active.items():
            assert order.state not in TERMINAL, key
        for plan in self.world.state.plans.values():
            unshown = not self.world.state.orders.unshown.keys().isdisjoint(plan.order_ids)
            pair = plan.pair is not None
            assert not plan.done or pair or unshown, "nothing else is looked at afterwards"

    def check_order(self, approved: ApprovedOrder) -> None:
        state = self.world.state
        held = state.account.quantities().get(approved.intent.instrument_id, Decimal(0))
        if approved.intent.reduce_only:
            assert held * approved.intent.side.sign <= 0, "a reduction on the position's own side"
            return
        assert approved.leverage_worst is not None
        assert approved.leverage_worst <= 3
        assert state.trading_state is TradingState.ACTIVE
        assert state.ledger_available


@pytest.mark.parametrize("seed", range(12))
def test_a_random_history_breaks_no_promise(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(STEPS):
        walk.step()
    rows = [r for r in walk.world.records(DecisionMade) if isinstance(r, DecisionMade)]
    assert rows
    for row in rows:
        assert row.reasons
        if row.kind == "cycle":
            inputs = codec.decode(row.inputs, CycleInputs)
            assert codec.encode(recompute_cycle(inputs)) == row.outputs
        elif row.kind == "guard":
            verdict = guarding.recompute(codec.decode(row.inputs, guarding.GuardInputs))
            assert codec.encode(verdict) == row.outputs


def test_the_same_history_asks_for_the_same_actions() -> None:
    first, second = Walk(99), Walk(99)
    for _ in range(STEPS):
        first.step()
        second.step()
    assert first.world.done == second.world.done
    assert any(isinstance(a, actions.Submit) for a in first.world.done)
