"""Whatever the market and the client do, a trigger order does what it said, once, or nothing."""

from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.events import ExchangeEvent, OrderChanged, TriggerChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import (
    NewOrder,
    OrderRefused,
    TriggerDirection,
    TriggerSource,
)
from counterpoise.exchange.parameters import demo_parameters
from counterpoise.exchange.triggers import NewTrigger, TriggerState

D = Decimal
BTC = "BTCUSDT"
OPENED_NS = 1_800_000_000 * NS_PER_SECOND
_DEMO = demo_parameters(13)
PARAMETERS = replace(_DEMO, instruments=_DEMO.instruments[:1], history_days=1)
STEP_NS = PARAMETERS.step_ms * NS_PER_MS
TICK = PARAMETERS.instruments[0].instrument.tick_size
SAVED = Exchange.create(PARAMETERS, OPENED_NS).save()


@dataclass(frozen=True)
class Wait:
    steps: int


@dataclass(frozen=True)
class Shock:
    bps: int


@dataclass(frozen=True)
class Trade:
    side: Side
    lots: int


@dataclass(frozen=True)
class Rest:
    """A stop or a profit this far from the mark; None lots = all of the position."""

    side: Side
    bps: int
    lots: int | None
    reduce_only: bool
    with_position: bool


@dataclass(frozen=True)
class Cancel:
    place: int


SIDES = st.sampled_from(list(Side))
MOVES = st.one_of(
    st.builds(Wait, st.integers(1, 6)),
    st.builds(Shock, st.integers(-300, 300)),
    st.builds(Trade, SIDES, st.integers(1, 300)),
    st.builds(
        Rest, SIDES, st.integers(-200, 200), st.none() | st.integers(1, 300), st.booleans(),
        st.booleans(),
    ),
    st.builds(Cancel, st.integers(0, 5)),
)  # fmt: skip


class World:
    """A venue, and what was seen of it."""

    def __init__(self) -> None:
        self.exchange = Exchange.restore(PARAMETERS, SAVED)
        self.exchange.open_account("a", D(100_000))
        #: Marks of every step since the beginning.
        self.marks: list[tuple[int, Decimal]] = []
        #: States told of each trigger order, in order.
        self.told: dict[str, list[TriggerState]] = {}
        self._held = D(0)

    def do(self, move: Wait | Shock | Trade | Rest | Cancel) -> None:
        try:
            self._do(move)
        except OrderRefused:
            return

    def _do(self, move: Wait | Shock | Trade | Rest | Cancel) -> None:
        exchange = self.exchange
        match move:
            case Wait(steps):
                for _ in range(steps):
                    self.see(exchange.advance((exchange.now_ns // STEP_NS + 1) * STEP_NS))
                    self.marks.append((exchange.now_ns, exchange.mark(BTC)))
            case Shock(bps):
                exchange.shock(BTC, bps / 10_000, 0)
            case Trade(side, lots):
                order = NewOrder(
                    instrument_id=BTC, side=side, quantity=self.quantity(lots),
                    kind=OrderKind.MARKET,
                )  # fmt: skip
                self.see(exchange.place("a", order)[1])
            case Rest():
                self.see(exchange.place_trigger("a", self.terms(move))[1])
            case Cancel(place):
                live = [each for each in exchange.trigger_orders("a") if each.live]
                if place < len(live):
                    name = live[place].trigger_order_id
                    self.see(exchange.cancel_trigger("a", order_id=name))

    def quantity(self, lots: int) -> Decimal:
        return lots * self.exchange.instrument(BTC).lot_size

    def terms(self, wish: Rest) -> NewTrigger:
        price = self.exchange.mark(BTC) * (1 + D(wish.bps) / 10_000) // TICK * TICK
        rising = wish.bps > 0
        return NewTrigger(
            instrument_id=BTC, side=wish.side, trigger_price=price,
            quantity=None if wish.lots is None else self.quantity(wish.lots),
            source=TriggerSource.MARK,
            direction=TriggerDirection.RISING if rising else TriggerDirection.FALLING,
            reduce_only=wish.reduce_only, with_position=wish.with_position,
        )  # fmt: skip

    def see(self, events: list[ExchangeEvent]) -> None:
        for event in events:
            if isinstance(event, TriggerChanged):
                states = self.told.setdefault(event.trigger.trigger_order_id, [])
                states.append(event.trigger.state)
            elif isinstance(event, OrderChanged) and event.fill is not None:
                before = self._held
                self._held += event.fill.side.sign * event.fill.quantity
                if event.order.trigger is not None and event.order.reduce_only:
                    # Smaller than it was, and never through zero.
                    assert abs(self._held) < abs(before)
                    assert self._held * before >= 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MOVES, min_size=5, max_size=30))
def test_once_or_never_and_no_reduction_grows(
    moves: list[Wait | Shock | Trade | Rest | Cancel],
) -> None:
    world = World()
    for move in [*moves, Wait(2)]:
        world.do(move)
    final = {TriggerState.TRIGGERED, TriggerState.CANCELED, TriggerState.FAILED}
    for order in world.exchange.trigger_orders("a"):
        states = world.told[order.trigger_order_id]
        assert states[0] is TriggerState.LIVE
        assert not final & set(states[:-1])
        assert states[-1] is order.state
        terms = order.terms
        crossed = [
            at_ns
            for at_ns, mark in world.marks
            if order.created_ns < at_ns and terms.direction.reached(mark, terms.trigger_price)
        ]
        match order.state:
            case TriggerState.LIVE:
                assert crossed == []
            case TriggerState.CANCELED:
                assert all(at_ns >= order.updated_ns for at_ns in crossed)
            case TriggerState.TRIGGERED | TriggerState.FAILED:
                # At the first step that reached it, not before and not later.
                assert order.triggered_ns == crossed[0]
        assert (order.order_id is not None) == (order.state is TriggerState.TRIGGERED)
