"""Positions, cash and equity follow what the venue tells, in whatever order it arrives."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.account import AccountSnapshot, Balance, Position
from counterpoise.domain.orders import Fill, Side
from counterpoise.domain.units import NS_PER_MS
from counterpoise.engine.account import Account
from counterpoise.engine.positions import after_fill, flat, realised_pnl
from engine_world import MARKS, START_NS, World, make_state, ready


def a_fill(side: Side, quantity: str, price: str, *, ns: int, fill_id: str = "f1") -> Fill:
    return Fill(
        fill_id=fill_id,
        instrument_id="BTCUSDT",
        client_order_id="cp" + "1" * 30,
        venue_order_id="v1",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal("0.25"),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=None,
        event_ns=ns,
        received_ns=ns,
    )


def held(quantity: str, entry: str, ns: int = 1) -> Position:
    return Position(
        instrument_id="BTCUSDT",
        quantity=Decimal(quantity),
        entry_price=Decimal(entry),
        event_ns=ns,
    )


def test_growing_averages_the_entry_and_shrinking_keeps_it() -> None:
    grown = after_fill(held("0.1", "50000"), a_fill(Side.BUY, "0.3", "54000", ns=2))
    assert (grown.quantity, grown.entry_price) == (Decimal("0.4"), Decimal(53_000))
    shrunk = after_fill(grown, a_fill(Side.SELL, "0.1", "60000", ns=3))
    assert (shrunk.quantity, shrunk.entry_price) == (Decimal("0.3"), Decimal(53_000))
    closed = after_fill(shrunk, a_fill(Side.SELL, "0.3", "60000", ns=4))
    assert (closed.quantity, closed.entry_price) == (Decimal(0), None)


def test_crossing_zero_starts_at_the_fill_price() -> None:
    crossed = after_fill(held("0.1", "50000"), a_fill(Side.SELL, "0.3", "49000", ns=2))
    assert (crossed.quantity, crossed.entry_price) == (Decimal("-0.2"), Decimal(49_000))


def test_realised_pnl_counts_only_what_closes() -> None:
    assert realised_pnl(held("0.1", "50000"), a_fill(Side.SELL, "0.3", "51000", ns=2)) == 100
    assert realised_pnl(held("-0.2", "50000"), a_fill(Side.BUY, "0.1", "51000", ns=2)) == -100
    assert realised_pnl(flat("BTCUSDT"), a_fill(Side.BUY, "0.1", "51000", ns=2)) == 0


def account_with(position: Position) -> Account:
    world = World(state=make_state())
    world.market()
    world.reconcile(positions={"BTCUSDT": (str(position.quantity), str(position.entry_price))})
    return world.state.account


def slow_answer(quantity: str, changed_ns: int) -> AccountSnapshot:
    """Return an answer that has a position which changed after it was asked for."""
    cash = Balance(
        currency="USDT",
        wallet_balance=Decimal(10_000),
        equity=Decimal(10_000),
        available_margin=None,
        initial_margin=None,
        maintenance_margin=None,
        event_ns=START_NS,
    )
    return AccountSnapshot(
        account_id="acc1",
        balance=cash,
        positions=(held(quantity, "50000", ns=changed_ns),),
        open_orders=(),
        event_ns=START_NS,
        received_ns=START_NS + 900 * NS_PER_MS,
        positions_ns=START_NS,
    )


def test_an_execution_of_the_stamp_a_start_found_is_in_it_however_often_that_is_told() -> None:
    account, changed_ns = Account(), START_NS + 240 * NS_PER_MS
    marks = {"BTCUSDT": Decimal(50_000)}
    account.reconciled(slow_answer("-0.3", changed_ns), marks)
    account.reconciled(slow_answer("-0.3", changed_ns), marks)
    account.told_position(held("-0.3", "50000", ns=changed_ns))
    account.told_fill(a_fill(Side.SELL, "0.3", "50000", ns=changed_ns, fill_id="79"))
    assert account.quantities() == {"BTCUSDT": Decimal("-0.3")}


def test_what_a_slow_answer_already_holds_is_not_added_to_it() -> None:
    account = Account()
    seized_ns = START_NS + 240 * NS_PER_MS
    answer = slow_answer("0.03", seized_ns)
    account.reconciled(answer, {"BTCUSDT": Decimal(50_000)})
    account.count_from(answer)
    account.told_fill(a_fill(Side.SELL, "0.07", "50000", ns=seized_ns, fill_id="100-1"))
    assert account.sums.unexplained(answer) == {}
    later = a_fill(Side.SELL, "0.01", "50000", ns=seized_ns + NS_PER_MS, fill_id="100-2")
    account.told_fill(later)
    assert account.sums.unexplained(answer) == {"BTCUSDT": (Decimal("0.02"), Decimal("0.03"))}


def test_a_balance_made_before_what_moved_cash_does_not_undo_it() -> None:
    world = World(state=make_state())
    world.market()
    world.reconcile(positions={"BTCUSDT": ("0.1", "50000")})
    account = world.state.account
    world.after(1)
    late = world.balance("10001")
    moved_ns = world.after(1)
    account.told_fill(a_fill(Side.SELL, "0.1", "50000", ns=moved_ns))
    account.told_funding(Decimal(-3), moved_ns)
    assert account.told_balance(late, MARKS, world.now_ns) is True
    assert account.wallet_balance == Decimal("9997.75")
    assert account.cash_since_anchor == Decimal(-3)
    assert account.equity(MARKS) == Decimal("9997.75")
    world.after(1)
    account.told_balance(world.balance("9990"), MARKS, world.now_ns)
    assert (account.wallet_balance, account.cash_since_anchor) == (Decimal(9_990), 0)


def test_executions_are_added_up_past_one_with_a_number_of_another_kind() -> None:
    world = World(state=make_state())
    world.market()
    world.reconcile(positions={"BTCUSDT": ("0.1", "50000")})
    account = world.state.account
    seized = a_fill(Side.SELL, "0.1", "50000", ns=START_NS + 5, fill_id="1000000000007")
    account.told_fill(seized)
    world.after(20)
    world.reconcile("cycle")
    bought = a_fill(Side.BUY, "0.2", "50000", ns=world.after(1), fill_id="157")
    account.told_fill(bought)
    assert account.sums.unexplained(world.snapshot(positions={"BTCUSDT": ("0.2", "50000")})) == {}


def test_the_same_fill_told_twice_counts_once() -> None:
    account = account_with(held("0.1", "50000"))
    fill = a_fill(Side.BUY, "0.1", "50000", ns=START_NS + 5)
    assert account.told_fill(fill) is True
    assert account.told_fill(fill) is False
    assert account.quantities() == {"BTCUSDT": Decimal("0.2")}
    assert account.wallet_balance == Decimal("9999.75")


def test_a_position_message_before_its_fill_is_not_counted_twice() -> None:
    account = account_with(held("0.1", "50000"))
    account.told_position(held("0.2", "50000", ns=START_NS + 5))
    account.told_fill(a_fill(Side.BUY, "0.1", "50000", ns=START_NS + 5))
    assert account.quantities() == {"BTCUSDT": Decimal("0.2")}


def test_executions_told_in_another_order_all_move_the_position() -> None:
    account = account_with(held("0.1", "50000"))
    later = a_fill(Side.BUY, "0.3", "50000", ns=START_NS + 9, fill_id="89")
    earlier = a_fill(Side.BUY, "0.2", "50000", ns=START_NS + 5, fill_id="86")
    for fill in (later, earlier, later):
        account.told_fill(fill)
    assert account.quantities() == {"BTCUSDT": Decimal("0.6")}
    # A message from between them is older than what is known; the next one has everything.
    assert account.told_position(held("0.3", "50000", ns=START_NS + 5)) is False
    assert account.told_position(held("0.6", "50000", ns=START_NS + 9)) is True
    assert account.quantities() == {"BTCUSDT": Decimal("0.6")}


def test_an_answer_of_the_same_millisecond_does_not_undo_what_was_told() -> None:
    world = World(state=make_state())
    world.market()
    world.reconcile(positions={"BTCUSDT": ("0.1", "50000")})
    stale = replace(
        world.snapshot(positions={"BTCUSDT": ("0.1", "50000")}),
        positions=(held("0.1", "50000"),),
        positions_ns=START_NS + 7 * NS_PER_MS + 500_000,
    )
    account = world.state.account
    # Closed in the millisecond of the question, after the venue had looked.
    closed = Position(
        instrument_id="BTCUSDT",
        quantity=Decimal(0),
        entry_price=None,
        event_ns=START_NS + 7 * NS_PER_MS,
    )
    account.told_position(closed)
    assert account.reconciled(stale, MARKS) == {}
    assert account.quantities() == {}


def test_an_older_position_message_changes_nothing() -> None:
    account = account_with(held("0.1", "50000"))
    assert account.told_position(held("0.9", "50000", ns=START_NS - 5)) is False
    assert account.quantities() == {"BTCUSDT": Decimal("0.1")}


def test_equity_is_the_lower_of_ours_and_the_venues_carried_on() -> None:
    world = World(state=make_state())
    world.market()
    world.reconcile(positions={"BTCUSDT": ("0.1", "50000")}, equity="9900")
    account = world.state.account
    assert account.equity(MARKS) == Decimal(9_900)
    assert account.equity({**MARKS, "BTCUSDT": Decimal(51_000)}) == Decimal(10_000)
    world.after(1)
    account.told_balance(world.balance("10000", "10400"), MARKS, world.now_ns)
    assert account.equity(MARKS) == Decimal(10_000)


def test_equity_is_unknown_before_the_venue_told_everything() -> None:
    world = World(state=make_state())
    world.market()
    assert world.state.account.equity(MARKS) is None
    assert "ACCOUNT_MISSING" in world.state.account.view(START_NS, MARKS, 15_000).missing


def test_a_silent_account_stream_is_stale() -> None:
    world = ready()
    view = world.state.account.view(world.after(16), MARKS, 15_000)
    assert view.missing == ("ACCOUNT_STALE",)
    assert view.age_ms == 16_000


def test_a_losing_close_never_overstates_equity_before_the_balance_arrives() -> None:
    account = account_with(held("0.1", "52000"))
    before = account.equity(MARKS)
    account.told_fill(a_fill(Side.SELL, "0.1", "50000", ns=START_NS + 5))
    assert before == Decimal(9_800)
    assert account.equity(MARKS) == Decimal("9799.75")


def test_the_place_in_the_adl_queue_reaches_the_decision_and_outlives_a_fill() -> None:
    known = replace(held("0.1", "50000"), adl_rank=5)
    account = Account(positions={"BTCUSDT": known, "ETHUSDT": flat("ETHUSDT")})
    assert account.view(START_NS, {}, 15_000).adl_ranks == {"BTCUSDT": 5}
    after = after_fill(known, a_fill(Side.SELL, "0.04", "51000", ns=2))
    assert after.adl_rank == 5
    assert Account(positions={"BTCUSDT": held("1", "1")}).view(START_NS, {}, 1).adl_ranks == {}
