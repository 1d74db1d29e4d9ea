"""Order by order, fill by fill: what the gate let through can never carry the book past its ceiling.

A machine plays an account: increases and reductions are asked for, orders fill at their worst
price, in part, end, or go missing; marks and equity move. A second, naive model plays out every
order in which what is at work can fill, and looks at the leverage each of them ends with.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import permutations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from counterpoise.domain.account import OpenOrder, TradingState
from counterpoise.domain.orders import ApprovedOrder, OrderIntent, OrderKind, OrderState, Side
from counterpoise.risk import gate
from counterpoise.risk.denials import Denial, DenialReason
from counterpoise.risk.view import RiskView
from risk_world import INSTRUMENTS, intent, view
from strategy_world import CORE, ETH, MARKS

NAMES = (CORE, ETH)
#: Base units of one step of the drawn quantities: 3,000 quote of either instrument.
STEP = {CORE: Decimal("0.05"), ETH: Decimal(1)}
FEE = Decimal(5) / 10_000
SLIPPAGE = Decimal(10) / 10_000
#: Orders of one instrument that may be at work: their orders of filling are all played out.
AT_WORK_MAX = 4

numbers = st.integers(0, 9)


class GateMachine(RuleBasedStateMachine):
    """One account, its orders and the gate in front of them."""

    @initialize(
        equity=st.sampled_from((8_000, 20_000, 60_000)),
        ceiling=st.sampled_from(("3", "2.5", "1")),
        held=st.lists(st.integers(-5, 5), min_size=len(NAMES), max_size=len(NAMES)),
    )
    def open_account(self, equity: int, ceiling: str, held: list[int]) -> None:
        self.ceiling = Decimal(ceiling)
        self.marks = {name: MARKS[name] for name in NAMES}
        self.held = {n: k * STEP[n] for n, k in zip(NAMES, held, strict=True)}
        self.equity = Decimal(equity)
        self.orders: dict[str, OpenOrder] = {}
        self.made = 0
        #: True = as of the last move of the market nothing can end above the ceiling.
        self.safe = self.worst() <= 0

    # -- what is asked for -------------------------------------------------------------------

    def view(self, **changes: object) -> RiskView:
        unknown = {o.instrument_id for o in self.orders.values() if o.state is OrderState.UNKNOWN}
        values: dict[str, object] = {
            "equity": self.equity,
            "quantities": dict(self.held),
            "marks": dict(self.marks),
            "open_orders": tuple(self.orders.values()),
            "unresolved": frozenset(unknown),
            "leverage_ceiling": self.ceiling,
        }
        return view(**(values | changes))

    def wish(
        self, name: str, side: Side, steps: int, *, market: bool, off: int, reduces: bool
    ) -> OrderIntent:
        self.made += 1
        tick = INSTRUMENTS[name].tick_size
        near = (self.marks[name] / tick).to_integral_value() * tick
        return intent(
            name,
            client_order_id=f"cp{self.made:030d}",
            side=side,
            quantity=steps * STEP[name],
            kind=OrderKind.MARKET if market else OrderKind.LIMIT,
            price_limit=None if market else near + off * side.sign * 10 * tick,
            reduce_only=reduces,
        )

    def full(self, name: str) -> bool:
        return sum(o.instrument_id == name for o in self.orders.values()) >= AT_WORK_MAX

    @rule(
        name=st.sampled_from(NAMES),
        side=st.sampled_from(Side),
        steps=st.integers(1, 12),
        market=st.booleans(),
        off=st.integers(-3, 3),
    )
    def somebody_wants_more(
        self, name: str, side: Side, steps: int, off: int, *, market: bool
    ) -> None:
        if self.full(name):
            return
        wanted = self.wish(name, side, steps, market=market, off=off, reduces=False)
        answer = gate.approve_increase(wanted, self.view())
        if isinstance(answer, Denial):
            unknown = any(
                o.state is OrderState.UNKNOWN and o.instrument_id == name
                for o in self.orders.values()
            )
            reasons = {DenialReason.LEVERAGE_EXCEEDED, DenialReason.EQUITY_NOT_POSITIVE}
            assert unknown or answer.reason in reasons, answer
            return
        assert answer.quantity == wanted.quantity, "an increase is approved whole or not at all"
        assert answer.leverage_worst is not None
        assert answer.leverage_worst <= self.ceiling
        self.orders[wanted.client_order_id] = gate.as_open_order(wanted, answer.quantity)
        assert self.worst() <= 0, "some way of filling ends above the ceiling"
        self.safe = True

    @rule(
        name=st.sampled_from(NAMES),
        steps=st.integers(1, 12),
        market=st.booleans(),
        off=st.integers(-3, 3),
        blind=st.booleans(),
        state=st.sampled_from(TradingState),
    )
    def somebody_reduces(
        self,
        name: str,
        steps: int,
        off: int,
        state: TradingState,
        *,
        market: bool,
        blind: bool,
    ) -> None:
        held = self.held[name]
        if self.full(name) or not held:
            return
        side = Side.SELL if held > 0 else Side.BUY
        wanted = self.wish(name, side, steps, market=market, off=off, reduces=True)
        seen = self.view(trading_state=state, lease_held=not blind, ledger_available=not blind)
        if blind:
            seen = replace(seen, equity=None, marks={}, clock_offset_ms=None, latency_ms_p99=None)
        answer = gate.approve_reduction(wanted, seen)
        assert isinstance(answer, ApprovedOrder), "a reduction is never denied"
        assert answer.quantity == min(wanted.quantity, abs(held))
        self.orders[wanted.client_order_id] = gate.as_open_order(wanted, answer.quantity)
        # It is never denied, so what it costs itself is not the gate's to promise.
        before, self.safe = self.safe, self.worst() <= 0
        assert self.safe or not before or self.worst() <= self.ceiling * self.cost_of(wanted)

    # -- what the venue does -----------------------------------------------------------------

    def pick(self, number: int) -> str:
        return list(self.orders)[number % len(self.orders)]

    @precondition(lambda self: self.orders)
    @rule(number=numbers, part=st.sampled_from(("0.25", "0.5", "1")))
    def an_order_fills(self, number: int, part: str) -> None:
        key = self.pick(number)
        order = self.orders[key]
        quantity = order.remaining * Decimal(part)
        held = self.held[order.instrument_id]
        if order.reduce_only:
            quantity = min(quantity, abs(held) if held * order.side.sign < 0 else Decimal(0))
        self.held[order.instrument_id] = held + order.side.sign * quantity
        self.equity -= quantity * self.cost(order)
        self.orders[key] = replace(
            order,
            filled_quantity=order.filled_quantity + quantity,
            state=order.state if order.state is OrderState.UNKNOWN else OrderState.PARTIALLY_FILLED,
        )
        if not self.orders[key].remaining:
            del self.orders[key]

    @precondition(lambda self: self.orders)
    @rule(number=numbers)
    def an_order_ends(self, number: int) -> None:
        del self.orders[self.pick(number)]

    @precondition(lambda self: self.orders)
    @rule(number=numbers)
    def nobody_knows_what_became_of_one(self, number: int) -> None:
        key = self.pick(number)
        self.orders[key] = replace(self.orders[key], state=OrderState.UNKNOWN)

    @rule(name=st.sampled_from(NAMES), bps=st.sampled_from((-900, -100, 100, 900)))
    def the_market_moves(self, name: str, bps: int) -> None:
        mark = (self.marks[name] * (10_000 + bps) / 10_000).quantize(Decimal("0.1"))
        self.equity += self.held[name] * (mark - self.marks[name])
        self.marks[name] = mark
        self.safe = self.worst() <= 0

    @rule(change=st.sampled_from((-3_000, 5_000)))
    def cash_moves(self, change: int) -> None:
        self.equity += change
        self.safe = self.worst() <= 0

    # -- the promises ------------------------------------------------------------------------

    @invariant()
    def what_was_approved_stays_under_the_ceiling(self) -> None:
        if not self.safe:
            return
        gross = sum((abs(self.held[name]) * self.marks[name] for name in NAMES), Decimal(0))
        assert gross <= self.ceiling * self.equity

    @invariant()
    def what_nobody_knows_counts_in_full(self) -> None:
        unknown = [o for o in self.orders.values() if o.state is OrderState.UNKNOWN]
        for order in unknown:
            if order.reduce_only:
                continue
            wanted = self.wish(
                order.instrument_id, order.side, 1, market=True, off=0, reduces=False
            )
            answer = gate.approve_increase(wanted, self.view())
            assert isinstance(answer, Denial), "its own leg must not grow"
            # Without the word for it, its quantity alone still counts, all of it.
            blind = self.view(unresolved=frozenset())
            after = gate.worst_case(blind, blind.open_orders)
            assert after is not None
            largest = after.quantities.get(order.instrument_id, Decimal(0))
            reached = self.held[order.instrument_id] + order.side.sign * order.quantity
            assert largest >= abs(reached)

    def cost_of(self, wanted: OrderIntent) -> Decimal:
        order = self.orders[wanted.client_order_id]
        return order.quantity * self.cost(order)

    def cost(self, order: OpenOrder) -> Decimal:
        mark = self.marks[order.instrument_id]
        paid = order.price_limit
        if paid is None:
            paid = mark * (1 + order.side.sign * SLIPPAGE)
        # Nobody is paid for a price better than the mark, in this model as in the gate's.
        slip = max((paid - mark) * order.side.sign, Decimal(0))
        return slip + (mark + slip) * FEE

    def worst(self) -> Decimal:
        """Gross less the ceiling's worth of equity, at its highest over all ways of filling.

        What is held may be gone before an order fills: a reduction is never denied.
        """
        total = -self.ceiling * self.equity
        for name in NAMES:
            mine = [o for o in self.orders.values() if o.instrument_id == name]
            total += max(
                abs(held) * self.marks[name] + self.ceiling * cost
                for start in {self.held[name], Decimal(0)}
                for held, cost in self.ends(start, mine)
            )
        return total

    def ends(self, held: Decimal, orders: list[OpenOrder]) -> Iterator[tuple[Decimal, Decimal]]:
        for count in range(len(orders) + 1):
            for chosen in permutations(orders, count):
                now, cost = held, Decimal(0)
                for order in chosen:
                    quantity = order.remaining
                    if order.reduce_only:
                        opposite = now * order.side.sign < 0
                        quantity = min(quantity, abs(now)) if opposite else Decimal(0)
                    now += order.side.sign * quantity
                    cost += quantity * self.cost(order)
                yield now, cost


TestGate = GateMachine.TestCase
TestGate.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
