"""When the account is asked about a second time, and which answer counts as the second."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.events import AccountReconciled, ReconciliationFailed, Tick
from counterpoise.domain.records import AccountLooked
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from engine_world import World, ready

BOOK = {"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-3.5", "2500")}
WITHOUT_CORE = {"ETHUSDT": BOOK["ETHUSDT"]}


def seconds(world: World, count: int) -> None:
    """Let time pass with fresh data."""
    for _ in range(count):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))


def answer(world: World, positions: dict[str, tuple[str, str]], asked_ns: int) -> None:
    """Tell the whole account as asked for then, by stamps of long ago."""
    found = world.snapshot(positions=positions)
    stamped = tuple(replace(p, event_ns=0) for p in found.positions)
    snapshot = replace(found, positions=stamped, positions_ns=asked_ns)
    world.feed(AccountReconciled(snapshot=snapshot, cause="doubt"))


def asked(world: World) -> int:
    return sum(isinstance(a, actions.Reconcile) for a in world.done)


def holds_core(world: World) -> bool:
    return "BTCUSDT" in world.state.account.quantities()


def test_a_second_answer_that_was_long_under_way_is_no_newer_for_it() -> None:
    world = ready(positions=BOOK)
    changed_ns = world.now_ns
    seconds(world, 1)
    answer(world, WITHOUT_CORE, changed_ns + NS_PER_SECOND // 2)
    seconds(world, 6)
    # Asked for 2 s after the change, told 7 s after it: a copy 2.5 s old may still lack it.
    answer(world, WITHOUT_CORE, changed_ns + 2 * NS_PER_SECOND)
    assert holds_core(world)
    seconds(world, 1)
    answer(world, WITHOUT_CORE, world.now_ns)
    assert not holds_core(world)


def test_answers_long_under_way_do_not_count_twice_for_one_moment() -> None:
    world = ready(positions=BOOK)
    seconds(world, 20)
    first_ns = world.now_ns
    answer(world, WITHOUT_CORE, first_ns)
    seconds(world, 3)
    answer(world, WITHOUT_CORE, first_ns + NS_PER_SECOND // 2)
    assert holds_core(world)
    answer(world, WITHOUT_CORE, first_ns + NS_PER_SECOND)
    assert not holds_core(world)


def test_a_venue_clock_that_is_measured_anew_between_answers_delays_them_for_seconds_only() -> None:
    world = ready(positions=BOOK)
    seconds(world, 20)
    answer(world, WITHOUT_CORE, world.now_ns)
    for count in (1, 1, 1, 1):
        seconds(world, count)
        answer(world, WITHOUT_CORE, world.now_ns - 3_600 * NS_PER_SECOND)
        assert holds_core(world)
    seconds(world, 2)
    answer(world, WITHOUT_CORE, world.now_ns - 3_600 * NS_PER_SECOND)
    assert not holds_core(world)


def test_a_second_look_without_an_answer_is_asked_for_again() -> None:
    world = ready(positions=BOOK)
    seconds(world, 20)
    world.reconcile("doubt", positions=BOOK, wallet="9000")
    before = asked(world)
    seconds(world, 3)
    assert asked(world) == before + 1
    world.feed(ReconciliationFailed(cause="doubt", message="", received_ns=world.now_ns))
    seconds(world, 4)
    assert asked(world) == before + 1, "a venue that refuses is not hammered"
    seconds(world, 7)
    assert asked(world) == before + 3
    world.reconcile("doubt", positions=BOOK, wallet="9000")
    last = world.records(AccountLooked)[-1]
    assert isinstance(last, AccountLooked)
    assert (last.result, last.wallet_balance) == ("unexplained", Decimal(9000))
    seconds(world, 20)
    assert asked(world) == before + 3
