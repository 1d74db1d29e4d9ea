"""Our account is made equal to the venue's, and a difference is said once and held against us."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain import identity
from counterpoise.domain.account import OpenOrder, Position, TradingState
from counterpoise.domain.events import (
    AccountReconciled,
    ControlAction,
    ControlRequested,
    CycleDue,
    FillReported,
    FundingPaid,
    Tick,
    Transferred,
    UpdateSource,
)
from counterpoise.domain.orders import Fill, OrderState, Side
from counterpoise.domain.records import (
    DecisionMade,
    FundingSeen,
    IncidentOpened,
    PositionSeen,
    TransferSeen,
)
from counterpoise.engine import actions, views
from counterpoise.engine.run import ForeignPolicy
from counterpoise.engine.trading_state import Cause
from engine_world import World, make_run, make_state, ready

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
    world.reconcile("reconnect", positions=HELD, wallet="9900")
    assert incidents(world) == [], "an answer as early proves no more"
    asked = [world.feed(Tick(now_ns=world.after(1))) for _ in range(4)]
    assert sum(done.count(actions.Reconcile(cause="doubt")) for done in asked) == 1
    world.reconcile("doubt", positions=HELD, wallet="9900")
    assert incidents(world) == ["account.drift"]
    (incident,) = world.records(IncidentOpened)
    assert isinstance(incident, IncidentOpened)
    assert incident.body == '{"cash_unexplained":"-96"}'
    assert world.state.trading_state is TradingState.REDUCING


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
    assert world.submits() == []
    world.after(1)
    world.market()
    world.reconcile("doubt", positions={"BTCUSDT": ("0.3", "50000")})
    assert "leg.vanished" in incidents(world)
    (sent,) = world.submits()
    assert (sent.intent.instrument_id, sent.intent.side) == ("BTCUSDT", Side.SELL)
    assert sent.intent.reduce_only


def test_a_position_nobody_configured_holds_the_daemon_back() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.position("XRPUSDT", "100", "2")
    assert Cause.FOREIGN in world.state.causes
    world.after(3)
    world.reconcile("cycle", positions=HELD)
    assert Cause.FOREIGN in world.state.causes
    world.after(1)
    world.reconcile("doubt", positions=HELD)
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


def transfer(world: World, transfer_id: str, quote: str) -> None:
    world.feed(
        Transferred(
            transfer_id=transfer_id,
            transfer=Decimal(quote),
            event_ns=world.after(1),
            received_ns=world.now_ns,
        )
    )


def decided(world: World, *, wallet: str) -> None:
    world.after(1)
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.after(0.1)
    world.reconcile("cycle", positions=HELD, wallet=wallet)
    # What it wants to trade is no part of these stories.
    world.state.plans.clear()
    world.state.orders.active.clear()


def test_a_deposit_buys_units_and_is_neither_profit_nor_drift() -> None:
    world = ready(positions=HELD)
    decided(world, wallet="10000")
    before = world.state.memory
    assert before.unit_count == Decimal(10_000)
    for _ in range(2):
        transfer(world, "t1", "5000")
    decided(world, wallet="15000")
    after = world.state.memory
    assert (after.unit_nav, after.nav_high_water) == (before.unit_nav, before.nav_high_water)
    assert after.unit_count == Decimal(15_000)
    (row,) = world.records(TransferSeen)
    assert isinstance(row, TransferSeen)
    assert (row.transfer_id, row.transfer) == ("t1", Decimal(5_000))
    assert incidents(world) == []
    decided(world, wallet="15000")
    assert world.state.memory.unit_count == Decimal(15_000), "a transfer is counted once"


def test_a_withdrawal_is_no_drawdown() -> None:
    world = ready(positions=HELD)
    decided(world, wallet="10000")
    transfer(world, "t1", "-4000")
    decided(world, wallet="6000")
    assert world.state.memory.unit_nav == 1
    assert world.state.memory.unit_count == Decimal(6_000)
    assert incidents(world) == []


def test_a_balance_that_lags_behind_transfers_is_no_drift() -> None:
    world = ready(positions=HELD)
    for number, (lagging, before) in enumerate((("-87", "10000"), ("-51", "9913"))):
        # The answer is of before the withdrawal, whose bill came first.
        old = world.snapshot(positions=HELD, wallet=before)
        transfer(world, f"t{number}", lagging)
        world.after(3)
        world.feed(
            AccountReconciled(snapshot=replace(old, received_ns=world.now_ns), cause="cycle")
        )
    assert incidents(world) == []
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9862")
    assert (incidents(world), world.state.doubt_ns) == ([], None)
    assert world.state.account.wallet_balance == Decimal(9_862)


def test_a_position_that_executions_do_not_explain_is_drift_at_the_second_look() -> None:
    world = ready(positions=HELD)
    # The stream told of it, so that our position equals the venue's; no execution did.
    world.after(20)
    world.position("BTCUSDT", "0.05", "50000")
    less = {**HELD, "BTCUSDT": ("0.05", "50000")}
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.after(1)))
    world.reconcile("cycle", positions=less)
    assert world.state.waiting is not None, "no decision before the second look"
    for _ in range(4):
        world.feed(Tick(now_ns=world.after(1)))
    assert actions.Reconcile(cause="cycle") in world.done[-40:]
    world.market()
    world.reconcile("cycle", positions=less)
    assert incidents(world) == ["leg.vanished", "account.drift"]
    incident = world.records(IncidentOpened)[-1]
    assert isinstance(incident, IncidentOpened)
    assert incident.body == '{"BTCUSDT":"executions say 0.1, venue 0.05"}'
    assert world.state.waiting is None
    decided(world, wallet="10000")


def started_with(recorded: str) -> World:
    world = World(state=make_state())
    world.state.account.positions["ETHUSDT"] = Position(
        instrument_id="ETHUSDT", quantity=Decimal(recorded), entry_price=None
    )
    world.market()
    return world


def test_what_changed_while_no_daemon_ran_is_said_at_the_second_look() -> None:
    world = started_with("-4")
    world.reconcile("start", positions={"ETHUSDT": ("-1", "2500")})
    assert incidents(world) == [], "executions are listed a little late"
    # A start that ends before the second look must find what was on record.
    assert world.records(PositionSeen) == []
    for _ in range(4):
        world.feed(Tick(now_ns=world.after(1)))
    assert actions.Reconcile(cause="doubt") in world.done
    world.reconcile("doubt", positions={"ETHUSDT": ("-1", "2500")})
    assert incidents(world) == ["account.drift"]
    (seen,) = world.records(PositionSeen)
    assert isinstance(seen, PositionSeen)
    assert (seen.instrument_id, seen.quantity) == ("ETHUSDT", Decimal(-1))
    (incident,) = world.records(IncidentOpened)
    assert isinstance(incident, IncidentOpened)
    assert incident.body == '{"ETHUSDT":"recorded -4, venue -1"}'
    world.after(20)
    world.reconcile("cycle", positions={"ETHUSDT": ("-1", "2500")})
    assert world.state.trading_state is TradingState.ACTIVE


def test_a_first_answer_that_lags_behind_the_record_is_no_loss_once_it_does_not() -> None:
    world = started_with("-3")
    # What the last run had reduced a second before it died is not in this answer yet.
    world.reconcile("start", positions={"ETHUSDT": ("-4", "2500")})
    for _ in range(4):
        world.feed(Tick(now_ns=world.after(1)))
    world.reconcile("doubt", positions={"ETHUSDT": ("-3", "2500")})
    assert incidents(world) == []
    assert world.state.leg_vanished is False
    assert world.state.account.quantities() == {"ETHUSDT": Decimal(-3)}
    assert world.state.recorded is None


def test_a_loss_at_the_second_look_of_a_start_is_one() -> None:
    world = started_with("-3")
    world.reconcile("start", positions={"ETHUSDT": ("-4", "2500")})
    for _ in range(4):
        world.feed(Tick(now_ns=world.after(1)))
    world.reconcile("doubt", positions={"ETHUSDT": ("-1", "2500")})
    assert incidents(world) == ["leg.vanished", "account.drift"]


def test_an_execution_that_is_listed_after_the_start_explains_its_position() -> None:
    world = started_with("-4")
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("start", positions={"ETHUSDT": ("-1", "2500")})
    assert world.state.waiting is not None, "no decision before the second look"
    world.feed(
        FillReported(
            fill=Fill(
                fill_id="7",
                instrument_id="ETHUSDT",
                client_order_id=identity.client_order_id("acc1", "d1", "ETHUSDT", 0),
                venue_order_id="v1",
                side=Side.BUY,
                quantity=Decimal(3),
                price=Decimal(2_500),
                fee=Decimal(0),
                fee_currency="USDT",
                liquidity=None,
                realised_pnl=None,
                event_ns=world.now_ns - 1,
                received_ns=world.now_ns,
            ),
            source=UpdateSource.REST,
        )
    )
    world.after(4)
    world.market()
    world.reconcile("cycle", positions={"ETHUSDT": ("-1", "2500")})
    assert incidents(world) == []
    assert world.state.waiting is None
    assert world.state.account.quantities() == {"ETHUSDT": Decimal(-1)}


def test_cash_that_came_between_the_balance_and_the_rest_of_an_answer_is_explained() -> None:
    world = ready(positions=HELD)
    world.after(20)
    # Balance and positions are asked first; a deposit comes, and the list of transfers has it.
    answer = world.snapshot(positions=HELD)
    world.after(1)
    transfer(world, "t1", "5000")
    world.feed(AccountReconciled(snapshot=answer, cause="cycle"))
    world.after(20)
    world.market()
    for _ in range(2):
        world.reconcile("cycle", wallet="15000", positions=HELD)
        world.after(5)
    assert incidents(world) == []


def test_another_account_behind_the_key_ends_the_run() -> None:
    world = ready(positions=HELD)
    world.after(1)
    answer = replace(world.snapshot(positions=HELD), account_id="acc2")
    done = world.feed(AccountReconciled(snapshot=answer, cause="reconnect"))
    (stop,) = [a for a in done if isinstance(a, actions.StopDaemon)]
    assert stop.exit_code == 5
    assert "acc2" in stop.reason


def foreign_order(name: str = "BTCUSDT") -> OpenOrder:
    return OpenOrder(
        client_order_id="web123",
        venue_order_id="v9",
        instrument_id=name,
        side=Side.BUY,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        price_limit=Decimal(40_000),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )


@pytest.mark.parametrize("policy", [ForeignPolicy.ADOPT, ForeignPolicy.IGNORE])
def test_foreign_orders_are_counted_and_left_alone_where_the_operator_says_so(
    policy: ForeignPolicy,
) -> None:
    world = ready(make_run(foreign=policy), positions=HELD)
    world.after(1)
    world.reconcile("cycle", positions=HELD, orders=(foreign_order(),))
    assert world.state.trading_state is TradingState.ACTIVE
    assert foreign_order() in world.state.orders.open_orders()
    world.after(1)
    world.position("XRPUSDT", "100", "2")
    assert Cause.FOREIGN in world.state.causes, "its mark is not followed: nothing may increase"


def test_an_ignored_position_counts_in_leverage_and_is_never_traded() -> None:
    run = make_run(foreign=ForeignPolicy.IGNORE, unmanaged=frozenset({"ETHUSDT"}))
    world = ready(run, positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")})
    assert world.state.leverage == Decimal("2.5")
    world.after(1)
    world.mark("ETHUSDT", "3500")
    # 15,000 + 14,000 on 6,000: all of the cut falls on the daemon's own leg.
    assert [a.intent.instrument_id for a in world.submits()] == ["BTCUSDT"]
    assert views.managed_account(world.state).quantities == {"BTCUSDT": Decimal("0.3")}
    world.state.plans.clear()
    world.after(5)
    world.feed(
        ControlRequested(
            control_id="c1",
            action=ControlAction.FLATTEN,
            actor="operator",
            reason="",
            from_halt=False,
            received_ns=world.now_ns,
        )
    )
    assert {a.intent.instrument_id for a in world.submits()} == {"BTCUSDT"}


def test_an_ignored_position_leaves_the_strategy_less_room() -> None:
    run = make_run(foreign=ForeignPolicy.IGNORE, unmanaged=frozenset({"ETHUSDT"}))
    world = ready(run, positions={"ETHUSDT": ("-4", "2500")})
    assert views.strategy_parameters(world.state).leverage_soft == pytest.approx(1.7)
    assert views.strategy_parameters(ready(positions=HELD).state).leverage_soft == 2.7


def test_a_doubt_ends_where_trading_may_explain_it() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.reconcile("reconnect", positions=HELD, wallet="9900")
    assert world.state.doubt_ns is not None
    # The guard trades meanwhile: the next quiet look begins anew.
    world.state.account.filled_ns = world.now_ns
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.after(1)))
    world.reconcile("cycle", positions=HELD, wallet="9900")
    assert world.state.doubt_ns is None
    assert incidents(world) == []
    # What nothing explains is neither profit nor loss: the cycle waits for it, and is skipped if
    # it stays.
    assert world.state.waiting is not None
    for _ in range(9):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))
    assert world.state.waiting is None
    (made,) = [r for r in world.records(DecisionMade) if isinstance(r, DecisionMade)]
    assert (made.action, made.reasons) == ("skipped", ("ACCOUNT_STALE",))
    assert "RECONCILIATION_LATE" in made.summary


def test_a_core_that_only_rest_finds_gone_takes_its_hedges_along() -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    world.reconcile("reconnect", positions={"ETHUSDT": ("-1", "2500")})
    assert world.submits() == []
    world.after(1)
    world.market()
    world.reconcile("doubt", positions={"ETHUSDT": ("-1", "2500")})
    assert "core.vanished" in incidents(world)
    assert [a.intent.instrument_id for a in world.submits()] == ["ETHUSDT"]
