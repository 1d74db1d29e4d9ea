"""A living daemon acts before its stops do, and leaves none of its legs without one."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.account import Position
from counterpoise.domain.events import (
    AccountReconciled,
    ControlAction,
    ControlRequested,
    StreamAlive,
    StreamName,
    Tick,
)
from counterpoise.domain.orders import ApprovedOrder, IntentSource, OrderState, Side
from counterpoise.domain.records import ControlHandled, IncidentOpened
from counterpoise.engine import actions, stop_fit, views
from counterpoise.engine.run import STOP_NS_MAX, ForeignPolicy
from engine_world import MARKS, World, ready
from stop_world import StopWorld, stop_run, stop_world

BTC, ETH = "BTCUSDT", "ETHUSDT"


def settled(positions: dict[str, tuple[str, str]] | None = None) -> StopWorld:
    made = stop_world() if positions is None else stop_world(positions=positions)
    made.tick(4)
    made.tick()
    assert stop_fit.lacking(made.world.state) == []
    return made


def guard_orders(world: World) -> list[ApprovedOrder]:
    return [a for a in world.submits() if a.intent.source is IntentSource.GUARD]


def move(made: StopWorld, marks: dict[str, Decimal]) -> None:
    """Let a second pass in which marks and books move there."""
    world = made.world
    world.after(1)
    for name, mark in marks.items():
        tick = world.state.instruments[name].tick_size
        there = (mark / tick).quantize(Decimal(1)) * tick
        world.book(name, there)
        world.mark(name, there)
    world.feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=world.now_ns))
    made.answer(world.feed(Tick(now_ns=world.now_ns)))


def hit(made: StopWorld) -> list[str]:
    """Return the legs whose stops all are at their mark or beyond."""
    found = []
    for name, stops in made.by_leg().items():
        mark = made.world.state.market.mark(name)
        assert mark is not None
        triggers = [s.intent.trigger_price for s in stops if s.intent.trigger_price is not None]
        below = stops[0].intent.side is Side.SELL
        if all(mark <= t if below else mark >= t for t in triggers):
            found.append(name)
    return found


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("beta", ["1", "1.3"])
def test_a_common_move_within_a_cycle_meets_the_guard_before_any_stop(sign: int, beta: str) -> None:
    made = settled({BTC: ("0.29", "50000"), ETH: ("-4.6", "2500")})
    for second in range(1, 280):
        part = sign * Decimal("0.00075") * second
        marks = {BTC: MARKS[BTC] * (1 + part), ETH: MARKS[ETH] * (1 + Decimal(beta) * part)}
        move(made, marks)
        if guard_orders(made.world):
            break
        assert hit(made) == [], f"after {second} s"
    # A rise makes the hedged book larger than its equity allows; a fall makes it smaller.
    assert bool(guard_orders(made.world)) is (sign > 0)


def test_a_core_alone_meets_the_guard_before_its_stop() -> None:
    made = settled({BTC: ("0.34", "50000")})
    for second in range(1, 400):
        move(made, {BTC: MARKS[BTC] * (1 - Decimal("0.00075") * second), ETH: MARKS[ETH]})
        if guard_orders(made.world):
            break
        assert hit(made) == []
    assert guard_orders(made.world)


def test_a_slow_grind_moves_a_stop_a_few_times_and_only_away() -> None:
    made = settled({BTC: ("0.29", "50000"), ETH: ("-4.6", "2500")})
    move(made, MARKS)
    placed = {name: [stops[0]] for name, stops in made.by_leg().items()}
    for second in range(1, 600):
        part = Decimal("0.00025") * second
        move(made, {name: mark * (1 - part) for name, mark in MARKS.items()})
        for name, stops in made.by_leg().items():
            placed[name] += [s for s in stops if s not in placed[name]]
    triggers = [s.intent.trigger_price for s in placed[BTC]]
    assert triggers == sorted(triggers, reverse=True), "down, out of the mark's way"
    assert 2 <= len(triggers) <= 4
    # The hedge's mark went away from its stop, which is the next cycle's to follow.
    assert len(placed[ETH]) == 1


def test_a_mark_that_comes_back_moves_nothing() -> None:
    made = settled({BTC: ("0.29", "50000"), ETH: ("-4.6", "2500")})
    taken = made.taken
    for _ in range(20):
        for part in ("0.03", "0"):
            move(made, {name: mark * (1 - Decimal(part)) for name, mark in MARKS.items()})
    assert made.taken == taken


def test_a_stop_is_replaced_before_the_old_one_goes_within_a_cycle_too() -> None:
    made = settled({BTC: ("0.29", "50000"), ETH: ("-4.6", "2500")})
    (old,) = made.by_leg()[BTC]
    for _ in range(6):
        move(made, {name: mark * Decimal("0.92") for name, mark in MARKS.items()})
        assert made.by_leg()[BTC], "never without one"
    (new,) = made.by_leg()[BTC]
    assert new is not old
    assert made.dropped == [old.intent.client_order_id]


def test_a_leg_of_little_volatility_keeps_its_stop_ahead_of_the_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def calm(state) -> None:
        state.betas = {ETH: Decimal("0.05")}
        state.volatilities = {BTC: Decimal("0.55"), ETH: Decimal("0.0275")}

    monkeypatch.setattr(views, "refresh_betas", calm)
    world = ready(stop_run(), positions={BTC: ("0.33", "50000"), ETH: ("-3.8", "2500")})
    calm(world.state)
    made = StopWorld(world)
    made.tick(4)
    made.tick()
    (first,) = made.by_leg()[ETH]
    assert first.intent.trigger_price is not None
    assert first.intent.trigger_price < MARKS[ETH] * Decimal("1.012")
    for cycle in range(1, 40):
        world.state.cycle_slot_ns = world.after(890)
        marks = {name: mark * (1 + Decimal("0.001") * cycle) for name, mark in MARKS.items()}
        for _ in range(5):
            move(made, marks)
            assert hit(made) == [], f"in cycle {cycle}"


@pytest.mark.parametrize("policy", [ForeignPolicy.REFUSE, ForeignPolicy.IGNORE])
def test_dust_of_an_instrument_that_is_not_followed_leaves_guard_and_stops(policy) -> None:
    world = ready(stop_run(foreign=policy), positions={BTC: ("0.38", "50000")})
    dust = Position(
        instrument_id="SOLUSDT",
        quantity=Decimal("0.006"),
        entry_price=Decimal(150),
        event_ns=world.now_ns,
        mark=Decimal(150),
    )
    for cause in ("cycle", "doubt", "cycle"):
        world.after(30)
        world.market()
        seen = world.snapshot(positions={BTC: ("0.38", "50000")})
        seen = replace(seen, positions=(*seen.positions, replace(dust, event_ns=world.now_ns)))
        world.feed(AccountReconciled(snapshot=seen, cause=cause))
    made = StopWorld(world)
    made.tick(4)
    made.tick()
    assert "SOLUSDT" in world.state.account.quantities()
    assert sorted(made.by_leg()) == [BTC]
    for second in range(1, 90):
        move(made, {BTC: MARKS[BTC] * (1 - Decimal("0.001") * second)})
        if guard_orders(world):
            break
    (cut, *_) = guard_orders(world)
    assert cut.intent.instrument_id == BTC
    mark = world.state.market.mark(BTC)
    assert mark is not None
    assert mark > MARKS[BTC] * Decimal("0.94"), "net beta of 2 is reached at 5.5 %"


def ask_to_stop(made: StopWorld) -> None:
    made.answer(
        made.world.feed(
            ControlRequested(
                control_id="c1",
                action=ControlAction.STOP,
                actor="test",
                reason="",
                from_halt=False,
                received_ns=made.world.now_ns,
            )
        )
    )


def ends(world: World) -> list[actions.StopDaemon]:
    return [a for a in world.done if isinstance(a, actions.StopDaemon)]


def told(world: World) -> tuple[str, str]:
    (row,) = world.records(ControlHandled)
    assert isinstance(row, ControlHandled)
    return row.result, row.message


def missing(world: World) -> list[IncidentOpened]:
    rows = [r for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]
    return [r for r in rows if r.kind == "stop.missing"]


def test_a_stop_that_holds_waits_until_what_just_filled_has_its_stop() -> None:
    made = settled()
    made.world.after(1)
    made.world.position(BTC, "0.3", "50000")
    ask_to_stop(made)
    assert ends(made.world) == []
    for _ in range(5):
        made.tick()
        if ends(made.world):
            break
    (end,) = ends(made.world)
    assert end.exit_code == 0
    assert Decimal("0.3") in [stop.quantity for stop in made.by_leg()[BTC]]
    assert told(made.world) == ("done", "stopped: orders ended, positions left as they are")
    assert missing(made.world) == []


def test_what_fills_while_a_stop_is_under_way_gets_its_stop_too() -> None:
    made = settled({ETH: ("-2", "2500")})
    world = made.world
    world.after(1)
    key = "cp" + "1" * 30
    waiting = replace(made.by_leg()[ETH][0].intent, client_order_id=key)
    world.state.orders.adopt(
        replace(
            world.state.protection.waiting(ETH)[0].open_order,
            client_order_id=key,
            venue_order_id="v9",
            instrument_id=BTC,
            side=Side.BUY,
            quantity=Decimal("0.1"),
            reduce_only=False,
        ),
        created_ns=waiting.created_ns,
        expires_ns=waiting.created_ns,
    )
    ask_to_stop(made)
    made.tick()
    world.position(BTC, "0.1", "50000")
    made.answer(world.order(key, OrderState.CANCELED, filled="0.1"))
    assert ends(world) == []
    for _ in range(4):
        made.tick()
    assert sorted(made.by_leg()) == [BTC, ETH]
    (end,) = ends(world)
    assert (end.exit_code, told(world)[0]) == (0, "done")


def test_a_venue_that_refuses_stops_ends_the_wait_in_time_and_it_is_said() -> None:
    made = stop_world()
    made.takes = False
    made.tick(4)
    made.tick()
    ask_to_stop(made)
    asked_ns = made.world.now_ns
    while not ends(made.world):
        made.tick()
        assert made.world.now_ns <= asked_ns + STOP_NS_MAX
    result, message = told(made.world)
    assert result == "refused"
    assert "2 of the legs held have no stop at the venue that fits them" in message
    (incident,) = missing(made.world)
    assert incident.severity == "critical"
    assert "BTCUSDT, ETHUSDT" in message
    assert ends(made.world)[0].exit_code == 0


@pytest.mark.parametrize("run", [stop_run(observe=True), stop_run(has_triggers=False)])
def test_a_stop_waits_for_none_where_none_are_kept(run) -> None:
    made = stop_world(run)
    ask_to_stop(made)
    assert len(ends(made.world)) == 1
    assert missing(made.world) == []


def test_a_leg_too_small_for_an_order_or_of_somebody_else_needs_no_stop() -> None:
    made = settled()
    state = made.world.state
    made.world.after(1)
    made.world.position(BTC, "0.00001", "50000")
    assert BTC not in stop_fit.lacking(state)
    made.world.position(BTC, "0.4", "50000")
    assert BTC in stop_fit.lacking(state)
    made.world.state.run = replace(state.run, unmanaged=frozenset({BTC, ETH}))
    assert stop_fit.lacking(state) == []


def test_without_fresh_marks_a_stop_of_the_right_size_is_enough() -> None:
    made = settled()
    made.world.after(60)
    state = made.world.state
    view = views.risk_view(state, state.market.view(made.world.now_ns))
    assert view.marks == {}
    assert stop_fit.lacking(state) == []
    made.world.position(BTC, "0.3", "50000")
    assert stop_fit.lacking(state) == [BTC]
    made.world.position(BTC, "-0.2", "50000")
    assert stop_fit.lacking(state) == [BTC], "that one would open more"
