"""Half an answer about cash does not close the book; what stays, or is explained, counts."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import AccountReconciled, BalanceUpdate, Tick, Transferred
from counterpoise.domain.records import IncidentOpened
from counterpoise.engine import actions, views
from engine_world import MARKS, World, make_state, ready, warm

HELD = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}
ASK = actions.Reconcile(cause="balance_doubted")


def incidents(world: World) -> list[str]:
    found = world.records(IncidentOpened)
    return [r.kind for r in found if isinstance(r, IncidentOpened)]


def push(world: World, wallet: str, equity: str | None = None) -> None:
    """Tell a balance by stream now."""
    told = BalanceUpdate(balance=world.balance(wallet, equity), received_ns=world.now_ns)
    world.feed(told)


def tick(world: World, seconds: float = 0.25) -> list[actions.Action]:
    world.after(seconds)
    world.market()
    return world.feed(Tick(now_ns=world.now_ns))


@pytest.mark.parametrize("wallet", ["0", "1000", "30000"])
@pytest.mark.parametrize("by", ["answer", "push"])
def test_one_balance_that_nothing_explains_moves_nothing(wallet: str, by: str) -> None:
    world = ready(positions=HELD)
    world.after(60)
    world.market()
    if by == "push":
        push(world, wallet)
    else:
        world.reconcile("doubt", positions=HELD, wallet=wallet)
    told = tick(world)
    account = world.state.account
    assert world.submits() == []
    assert account.equity(MARKS) == 10_000
    assert world.state.leverage == Decimal("2.5")
    assert views.is_contradicted(world.state)
    assert incidents(world) == ["equity.doubted"]
    # It is asked about a second after, and the answer that is whole ends the doubt.
    assert ASK not in told
    assert ASK in tick(world, 1)
    world.reconcile("balance_doubted", positions=HELD)
    tick(world)
    assert account.balance_doubt is None
    assert not views.is_contradicted(world.state)
    assert world.submits() == []
    assert incidents(world) == ["equity.doubted"]


@pytest.mark.parametrize("by", ["answer", "push"])
def test_what_every_balance_says_for_five_seconds_is_believed(by: str) -> None:
    world = ready(positions=HELD)
    world.after(60)
    world.market()
    for second in range(6):
        assert world.submits() == [], second
        if by == "push":
            push(world, "4000")
        else:
            world.reconcile("balance_doubted", positions=HELD, wallet="4000")
        tick(world, 1)
    assert world.state.account.equity(MARKS) == 4_000
    assert world.state.account.balance_doubt is None
    assert world.submits()
    assert all(sent.intent.reduce_only for sent in world.submits())


def test_a_doubt_begins_anew_after_a_minute_without_a_balance() -> None:
    world = ready(positions=HELD)
    world.after(60)
    world.market()
    push(world, "0")
    world.after(61)
    world.market()
    push(world, "0")
    assert world.submits() == []
    assert world.state.account.equity(MARKS) == 10_000


def test_a_withdrawal_that_is_told_explains_its_balance() -> None:
    world = ready(positions=HELD)
    moved_ns = world.after(60)
    world.market()
    world.feed(
        Transferred(
            transfer_id="t1", transfer=Decimal(-3_000), event_ns=moved_ns, received_ns=moved_ns
        )
    )
    world.after(0.1)
    push(world, "7000")
    assert world.state.account.balance_doubt is None
    assert world.state.account.wallet_balance == 7_000


def test_a_loss_that_the_marks_tell_explains_its_balance() -> None:
    world = ready(positions={"BTCUSDT": ("0.3", "50000")})
    world.after(60)
    world.market()
    world.mark("BTCUSDT", "40000")
    push(world, "10000", "7050")
    assert world.state.account.balance_doubt is None
    assert world.state.account.equity({"BTCUSDT": Decimal(40_000)}) == 7_000


def test_a_loss_that_only_the_answers_own_marks_tell_is_taken_at_once() -> None:
    world = ready(positions={"BTCUSDT": ("0.3", "50000")})
    world.after(60)
    snapshot = world.snapshot(positions={"BTCUSDT": ("0.3", "50000")}, equity="7000")
    held = tuple(replace(p, mark=Decimal(40_000)) for p in snapshot.positions)
    told = replace(snapshot, positions=held)
    world.feed(AccountReconciled(snapshot=told, cause="doubt", asked_ns=world.now_ns))
    assert world.state.account.balance_doubt is None
    # The stream's marks are a minute old: the answer's own stand in for them.
    assert world.state.account.equity({"BTCUSDT": Decimal(40_000)}) == 7_000
    assert world.state.leverage == 12_000 / Decimal(7_000)


def test_nothing_is_no_equity_to_begin_with_while_something_is_held() -> None:
    world = World(state=make_state())
    warm(world.state)
    world.market()
    world.reconcile(positions=HELD, wallet="0")
    tick(world)
    assert world.submits() == []
    assert world.state.account.equity(MARKS) is None
    assert incidents(world) == ["equity.doubted"]
    tick(world, 1)
    world.reconcile("balance_doubted", positions=HELD)
    tick(world)
    assert world.state.account.equity(MARKS) == 10_000
    assert world.state.wallet_reconciled == 10_000
    assert not views.is_contradicted(world.state)
    assert world.submits() == []


def test_an_account_that_really_has_nothing_left_is_closed_after_five_seconds() -> None:
    world = World(state=make_state())
    warm(world.state)
    world.market()
    for _ in range(6):
        world.reconcile("balance_doubted", positions=HELD, wallet="0")
        tick(world, 1)
    assert {sent.intent.instrument_id for sent in world.submits()} == {"BTCUSDT", "ETHUSDT"}
    assert all(sent.intent.reduce_only for sent in world.submits())
