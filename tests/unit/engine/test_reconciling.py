"""Our account is made equal to the venue's, and a difference is said once and held against us."""

from decimal import Decimal

from counterpoise.domain.account import OpenOrder, TradingState
from counterpoise.domain.events import FundingPaid
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.records import FundingSeen, IncidentOpened, PositionSeen
from counterpoise.engine import actions
from counterpoise.engine.trading_state import Cause
from engine_world import World, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}


def incidents(world: World) -> list[str]:
    return [r.kind for r in world.records(IncidentOpened)]  # type: ignore[union-attr]


def test_the_first_answer_is_adopted_without_a_word_of_drift() -> None:
    world = ready(positions=HELD)
    assert world.state.account.quantities() == {
        "BTCUSDT": Decimal("0.1"),
        "ETHUSDT": Decimal(-1),
    }
    assert incidents(world) == []
    rows = [r for r in world.records(PositionSeen) if isinstance(r, PositionSeen)]
    assert {(r.instrument_id, r.cause) for r in rows} == {
        ("BTCUSDT", "start"),
        ("ETHUSDT", "start"),
    }


def test_a_position_that_differs_is_drift_and_the_venues_is_taken() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.reconcile("cycle", positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-1", "2500")})
    assert incidents(world) == ["account.drift"]
    assert world.state.trading_state is TradingState.REDUCING
    assert world.state.account.quantities()["BTCUSDT"] == Decimal("0.3")
    world.after(1)
    world.reconcile("cycle", positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-1", "2500")})
    assert world.state.trading_state is TradingState.ACTIVE


def test_cash_that_nothing_explains_is_drift_above_the_tolerance() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9996")
    assert incidents(world) == []
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9900")
    assert incidents(world) == [], "funding may lie between two of our questions"
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9900")
    assert incidents(world) == ["account.drift"]


def test_funding_explains_cash_once() -> None:
    world = ready(positions=HELD)
    for _ in range(2):
        world.feed(
            FundingPaid(
                instrument_id="BTCUSDT",
                payment_id="p1",
                payment=Decimal(-50),
                event_ns=world.after(1),
                received_ns=world.now_ns,
            )
        )
    assert len(world.records(FundingSeen)) == 1
    assert world.state.account.wallet_balance == Decimal(9_950)
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9950")
    assert incidents(world) == []


def test_a_hedge_that_only_rest_finds_gone_cuts_the_core() -> None:
    held = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}
    world = ready(positions=held)
    world.after(20)
    world.market()
    world.reconcile("reconnect", positions={"BTCUSDT": ("0.3", "50000")})
    assert "leg.vanished" in incidents(world)
    (sent,) = world.submits()
    assert (sent.intent.instrument_id, sent.intent.side) == ("BTCUSDT", Side.SELL)
    assert sent.intent.reduce_only


def test_a_position_nobody_configured_holds_the_daemon_back() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.position("XRPUSDT", "100", "2")
    assert Cause.FOREIGN in world.state.causes
    world.after(1)
    world.reconcile("cycle", positions=HELD)
    assert Cause.FOREIGN not in world.state.causes


def test_an_order_of_somebody_else_holds_the_daemon_back_until_it_is_gone() -> None:
    world = ready(positions=HELD)
    other = OpenOrder(
        client_order_id="web123",
        venue_order_id="v9",
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        price_limit=Decimal(40_000),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
    world.after(1)
    world.reconcile("cycle", positions=HELD, orders=(other,))
    assert Cause.FOREIGN in world.state.causes
    assert other in world.state.orders.open_orders()
    world.after(1)
    world.reconcile("cycle", positions=HELD)
    assert Cause.FOREIGN not in world.state.causes


def test_an_order_of_ours_found_open_is_adopted_and_watched() -> None:
    world = ready(positions=HELD)
    ours = OpenOrder(
        client_order_id="cp" + "a" * 30,
        venue_order_id="v9",
        instrument_id="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal("0.05"),
        filled_quantity=Decimal(0),
        price_limit=Decimal(60_000),
        reduce_only=True,
        state=OrderState.ACCEPTED,
    )
    world.after(1)
    world.reconcile("cycle", positions=HELD, orders=(ours,))
    assert "cp" + "a" * 30 in world.state.orders.active
    assert not [a for a in world.done if isinstance(a, actions.Cancel)]
