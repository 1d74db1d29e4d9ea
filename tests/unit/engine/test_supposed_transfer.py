"""Cash that no bill explains yet is neither profit nor loss; a stamp ahead hides no later balance."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import AccountReconciled, BalanceUpdate, CycleDue, Tick, Transferred
from counterpoise.domain.records import AccountLooked, DecisionMade, IncidentOpened
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.actions import Reconcile
from counterpoise.engine.supposed_transfer import SUPPOSED_NS_MAX, SupposedTransfer
from engine_world import MARKS, World, ready

#: What the strategy wants of 10,000 in this world, so that no cycle trades.
HELD = {"BTCUSDT": ("0.2262", "50000"), "ETHUSDT": ("-4.28", "2500")}


def seconds(world: World, count: int, wallet: str) -> None:
    """Let time pass; the venue answers whatever is asked with this wallet."""
    for _ in range(count):
        world.after(1)
        world.market()
        for action in world.feed(Tick(now_ns=world.now_ns)):
            if isinstance(action, Reconcile):
                world.reconcile(action.cause, positions=HELD, wallet=wallet)


def cycle(world: World, wallet: str) -> DecisionMade:
    before = len(world.records(DecisionMade))
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions=HELD, wallet=wallet)
    seconds(world, 15, wallet)
    made = [r for r in world.records(DecisionMade)[before:] if isinstance(r, DecisionMade)]
    (found,) = [r for r in made if r.kind == "cycle"]
    return found


def bill(world: World, transfer: str, event_ns: int) -> None:
    world.feed(
        Transferred(
            transfer_id=f"t{event_ns}",
            transfer=Decimal(transfer),
            event_ns=event_ns,
            received_ns=world.now_ns,
        )
    )


def nav(world: World) -> tuple[Decimal, Decimal]:
    memory = world.state.memory
    assert memory.unit_nav is not None
    assert memory.nav_high_water is not None
    return memory.unit_nav.quantize(Decimal("0.0001")), memory.nav_high_water


def incidents(world: World) -> list[str]:
    found = world.records(IncidentOpened)
    return [r.kind for r in found if isinstance(r, IncidentOpened)]


@pytest.mark.parametrize(("moved", "wallet"), [("1500", "11500"), ("-1500", "8500")])
def test_a_bill_that_comes_minutes_late_moves_no_nav(moved: str, wallet: str) -> None:
    world = ready(positions=HELD)
    seconds(world, 30, "10000")
    cycle(world, "10000")
    moved_ns = world.now_ns
    seconds(world, 5, "10000")
    cycle(world, wallet)
    # It is told, and nothing grows; the venue's figure is taken.
    assert incidents(world) == ["account.drift"]
    assert nav(world) == (1, 1)
    seconds(world, 300, wallet)
    bill(world, moved, moved_ns)
    seconds(world, 30, wallet)
    cycle(world, wallet)
    assert nav(world) == (1, 1)
    assert world.state.account.supposed.cash == 0


def test_cash_that_went_and_is_never_explained_was_a_loss() -> None:
    world = ready(positions=HELD)
    seconds(world, 30, "10000")
    cycle(world, "10000")
    cycle(world, "9000")
    assert nav(world) == (1, 1)
    world.after(SUPPOSED_NS_MAX / NS_PER_SECOND)
    seconds(world, 20, "9000")
    cycle(world, "9000")
    told, high = nav(world)
    # Units were sold at 1 for it: 9,000 of them share what is left, less the loss.
    assert told == Decimal("0.8889")
    assert high == 1


def test_cash_that_came_and_is_never_explained_is_no_profit() -> None:
    world = ready(positions=HELD)
    seconds(world, 30, "10000")
    cycle(world, "10000")
    cycle(world, "11000")
    world.after(SUPPOSED_NS_MAX / NS_PER_SECOND)
    seconds(world, 20, "11000")
    cycle(world, "11000")
    assert nav(world) == (1, 1)


def test_a_cycle_waits_for_cash_to_be_explained_while_orders_settle() -> None:
    world = ready(positions=HELD)
    seconds(world, 30, "10000")
    cycle(world, "10000")
    world.state.account.filled_ns = world.now_ns
    before = len(world.records(DecisionMade))
    moved_ns = world.now_ns
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions=HELD, wallet="11000")
    assert len(world.records(DecisionMade)) == before
    looked = world.records(AccountLooked)[-1]
    assert isinstance(looked, AccountLooked)
    assert looked.result == "unsettled"
    world.after(1)
    world.market()
    assert Reconcile(cause="cycle") in world.feed(Tick(now_ns=world.now_ns))
    bill(world, "1000", moved_ns)
    world.reconcile("cycle", positions=HELD, wallet="11000")
    assert len(world.records(DecisionMade)) == before + 1
    assert nav(world) == (1, 1)
    assert incidents(world) == []


def test_what_a_bill_explains_is_no_more_than_what_was_supposed() -> None:
    supposed = SupposedTransfer()
    supposed.suppose(Decimal(100), 5)
    assert supposed.explained(Decimal(-30)) == 0
    assert supposed.explained(Decimal(30)) == 30
    assert supposed.explained(Decimal(200)) == 70
    assert supposed.explained(Decimal(1)) == 0
    supposed.suppose(Decimal(-40), 7)
    assert supposed.given_up(7 + SUPPOSED_NS_MAX - 1) == 0
    assert supposed.given_up(7 + SUPPOSED_NS_MAX) == -40
    assert supposed.cash == 0


@pytest.mark.parametrize("by", ["push", "answer"])
def test_a_balance_stamped_ahead_hides_no_later_one(by: str) -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    ahead_ns = world.now_ns + 3_600 * NS_PER_SECOND
    told = replace(world.balance("10000"), event_ns=ahead_ns)
    if by == "push":
        world.feed(BalanceUpdate(balance=told, received_ns=world.now_ns))
    else:
        snapshot = replace(world.snapshot(positions=HELD), balance=told)
        world.feed(AccountReconciled(snapshot=snapshot, cause="doubt", asked_ns=world.now_ns))
    world.after(5)
    world.market()
    bill(world, "-1000", world.now_ns)
    world.feed(BalanceUpdate(balance=world.balance("9000"), received_ns=world.now_ns))
    assert world.state.account.wallet_balance == 9_000
    assert world.state.account.equity(MARKS) == 9_000
