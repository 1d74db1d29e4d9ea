"""Margin, funding, stops, liquidation and the file of an account in a real market."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import BookGap, StreamDown, StreamName
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import FundingCharged, Liquidated
from counterpoise.exchange.mirror.exchange import MirrorExchange
from counterpoise.exchange.mirror.parameters import mirror_market, mirror_parameters
from counterpoise.exchange.orders import (
    OrderRefused,
    RefusalReason,
    TriggerDirection,
    TriggerSource,
)
from counterpoise.exchange.triggers import NewTrigger, TriggerState
from mirror_world import BTC, ETH, START_NS, MirrorWorld, instrument


@pytest.fixture
def world():
    made = MirrorWorld()
    made.market()
    return made


def bought(world, quantity="2"):
    world.order(Side.BUY, quantity, "100.2")
    assert world.position() == Decimal(quantity)


def test_fees_are_those_of_the_venues_lowest_level(world):
    bought(world, "1")
    (fill,) = world.exchange.fills("paper", 0)
    assert fill.fee == Decimal("100.1") * 5 / 10_000
    other = mirror_parameters("bybit", taker_fee_bps=Decimal("3.5"))
    assert (other.maker_fee_bps, other.taker_fee_bps) == (Decimal(2), Decimal("3.5"))


def test_equity_follows_the_real_mark(world):
    bought(world, "1")
    paid = Decimal("100.1") * 5 / 10_000
    world.mark("110.05")
    account = world.exchange.account("paper")
    assert account.equity == 10_000 - paid + Decimal("9.95")


def test_an_order_without_the_margin_is_refused():
    poor = MirrorWorld(cash="10")
    poor.market()
    with pytest.raises(OrderRefused) as refused:
        poor.order(Side.BUY, "2", "100.1")
    assert refused.value.reason is RefusalReason.MARGIN_INSUFFICIENT


def test_a_price_outside_the_venues_band_is_refused(world):
    with pytest.raises(OrderRefused) as refused:
        world.order(Side.BUY, "1", "120")
    assert refused.value.reason is RefusalReason.PRICE_OUT_OF_BAND


def test_the_last_tier_has_no_end_and_missing_tiers_are_the_models():
    assert mirror_market("okx", instrument()).instrument.tiers[-1].notional_max is None
    bare = instrument()
    found = mirror_market("binance", replace(bare, tiers=())).instrument.tiers
    assert found[0].maintenance_margin_fraction == Decimal("0.004")
    other = replace(instrument("PEPEUSDT"), tiers=())
    assert mirror_market("binance", other).instrument.tiers[0].maintenance_margin_fraction > 0


# -- funding ---------------------------------------------------------------------------------


def charges(events):
    return [(e.instrument_id, e.rate, e.payment) for e in events if isinstance(e, FundingCharged)]


def test_funding_is_charged_once_at_its_moment_at_the_rate_and_mark_last_told(world):
    bought(world)
    world.funding("0.0001", hours=8)
    world.funding("0.0002", hours=8)
    world.mark("200")
    world.told.clear()
    world.now_ns = START_NS + 8 * NS_PER_HOUR - 2 * NS_PER_SECOND
    assert charges(world.mark("200")) == []
    # The mark that comes after the moment is not the one that is charged.
    assert charges(world.mark("300")) == [(BTC, Decimal("0.0002"), -2 * 200 * Decimal("0.0002"))]
    assert charges(world.mark("300")) == []
    # What is told of it again is over.
    world.funding("0.0009", hours=8)
    assert charges(world.mark("300")) == []
    (bill,) = [b for b in world.exchange.bills("paper", 0) if b.kind is BillKind.FUNDING]
    assert bill.change == -2 * 200 * Decimal("0.0002")


def test_a_new_interval_told_first_charges_the_one_before(world):
    bought(world)
    world.funding("0.0001", hours=8)
    world.now_ns = START_NS + 8 * NS_PER_HOUR
    world.told.clear()
    world.funding("0.0003", hours=16)
    assert charges(world.told) == [
        (BTC, Decimal("0.0001"), Decimal("-0.0001") * 2 * Decimal("100.05"))
    ]


def test_a_short_receives_and_who_is_flat_pays_nothing(world):
    world.order(Side.SELL, "1", "100")
    world.funding("0.001", hours=1)
    world.funding("0.001", hours=1, name=ETH)
    world.now_ns = START_NS + NS_PER_HOUR
    world.told.clear()
    world.mark("100.05")
    assert charges(world.told) == [(BTC, Decimal("0.001"), Decimal("0.10005"))]


def test_a_missed_funding_is_charged_at_the_mark_of_then_and_not_again(world):
    bought(world)
    world.funding("0.0001", hours=8)
    due_ns = START_NS + 8 * NS_PER_HOUR
    found = world.exchange.charge_missed(BTC, Decimal("0.0004"), Decimal(90), due_ns)
    assert charges(found) == [(BTC, Decimal("0.0004"), -2 * 90 * Decimal("0.0004"))]
    assert world.exchange.account("paper").positions[BTC].mark == Decimal("100.05")
    world.exchange.covered(due_ns)
    world.funding("0.0005", hours=8)
    world.now_ns = due_ns
    world.told.clear()
    # The one told before it was covered still waits here; a restart has told none before.
    again = MirrorWorld()
    again.exchange.covered(due_ns)
    again.funding("0.0005", hours=8)
    again.now_ns = due_ns + NS_PER_SECOND
    again.market()
    assert charges(again.told) == []


# -- stops and liquidation -------------------------------------------------------------------


def stop(world, trigger_price, quantity="2", key="stop", name=BTC):
    new = NewTrigger(
        instrument_id=name,
        side=Side.SELL,
        quantity=Decimal(quantity),
        trigger_price=Decimal(trigger_price),
        source=TriggerSource.MARK,
        direction=TriggerDirection.FALLING,
        reduce_only=True,
        with_position=True,
        client_order_id=key,
    )
    placed, events = world.exchange.place_trigger("paper", new)
    world.told += events
    return placed.order_id


def test_a_stop_goes_at_market_when_the_mark_reaches_it(world):
    bought(world)
    number = stop(world, "98")
    world.book({"97.9": "1", "97.5": "5"}, {"98.1": "1"})
    assert world.exchange.trigger_order("paper", order_id=number).live
    world.mark("98")
    found = world.exchange.trigger_order("paper", order_id=number)
    assert found.state is TriggerState.TRIGGERED
    assert world.fills(found.order_id) == [("1", "97.9", "taker"), ("1", "97.5", "taker")]
    assert world.position() == 0


def test_a_stop_waits_for_a_book_that_is_not_known(world):
    bought(world)
    number = stop(world, "98")
    world.hear(StreamDown(stream=StreamName.BOOKS, reason="cut", received_ns=world.now_ns))
    world.mark("97")
    assert world.exchange.trigger_order("paper", order_id=number).live
    world.book({"97": "5"}, {"97.1": "5"})
    world.mark("97")
    assert world.position() == 0


def test_a_stop_ends_with_its_position(world):
    bought(world)
    number = stop(world, "98")
    world.order(Side.SELL, "2", "100", reduce_only=True)
    assert world.exchange.trigger_order("paper", order_id=number).state is TriggerState.CANCELED


def test_an_account_without_margin_is_liquidated_into_the_real_book():
    world = MirrorWorld(cash="30")
    world.market()
    world.exchange.set_leverage("paper", BTC, Decimal(10))
    bought(world)
    resting = world.rest(Side.BUY, "0.1", "85")
    world.book({"85.3": "9"}, {"86.1": "9"})
    world.mark("90")
    assert world.position() == 2
    world.mark("85.3")
    seized = [each for each in world.told if isinstance(each, Liquidated)]
    assert sum(each.quantity for each in seized) == 2
    assert world.position() == 0
    assert world.exchange.order("paper", order_id=resting).state is OrderState.CANCELED


def two_held_beyond_their_margin() -> MirrorWorld:
    """Return an account that is doomed, and the book of whose larger position was lost."""
    world = MirrorWorld(cash="60")
    world.market()
    world.book({"99": "9"}, {"100.1": "9"}, ETH)
    world.mark("100", ETH)
    for name, quantity in ((BTC, "2"), (ETH, "1")):
        world.exchange.set_leverage("paper", name, Decimal(10))
        world.order(Side.BUY, quantity, "100.1", name=name)
    # No delta goes on from here.
    world.hear(BookGap(instrument_id=BTC, expected=2, found=4, received_ns=world.now_ns))
    assert (world.position(BTC), world.position(ETH)) == (2, 1)
    return world


def test_a_lost_book_does_not_keep_others_from_being_liquidated() -> None:
    world = two_held_beyond_their_margin()
    world.mark("70.5")
    # What can be sold is sold; the other waits for its book.
    assert (world.position(BTC), world.position(ETH)) == (2, 0)
    world.book({"70": "9"}, {"70.1": "9"})
    world.mark("70.2")
    assert world.position(BTC) == 0


def test_without_equity_nothing_waits_for_a_book() -> None:
    world = two_held_beyond_their_margin()
    world.mark("60")
    world.mark("60")
    assert (world.position(BTC), world.position(ETH)) == (0, 0)
    # The fund took over what was missing; the account owes nothing.
    assert world.exchange.account("paper").equity >= 0


def test_a_stop_does_not_wait_for_the_book_of_another(world: MirrorWorld) -> None:
    bought(world)
    number = stop(world, "98")
    world.book({"99": "9"}, {"100.1": "9"}, ETH)
    world.mark("100", ETH)
    world.order(Side.BUY, "1", "100.1", name=ETH)
    other = stop(world, "98", quantity="1", key="other", name=ETH)
    world.hear(BookGap(instrument_id=ETH, expected=2, found=4, received_ns=world.now_ns))
    world.mark("97", ETH)
    world.book({"97.5": "9"}, {"97.6": "9"})
    world.mark("97")
    states = [
        world.exchange.trigger_order("paper", order_id=each).state for each in (number, other)
    ]
    assert states == [TriggerState.TRIGGERED, TriggerState.LIVE]


# -- what changes at the venue ---------------------------------------------------------------


def test_a_delisted_instrument_is_settled_at_its_mark(world):
    bought(world)
    world.exchange.delist(BTC)
    assert world.position() == 0
    assert not world.exchange.lists(BTC)
    with pytest.raises(OrderRefused):
        world.order(Side.BUY, "1", "100.1")


def test_a_suspended_instrument_takes_nothing(world):
    world.exchange.set_instrument_state(BTC, InstrumentState.SUSPENDED)
    with pytest.raises(OrderRefused) as refused:
        world.order(Side.BUY, "1", "100.1")
    assert refused.value.reason is RefusalReason.INSTRUMENT_NOT_LIVE


def test_a_new_tick_cancels_what_rests_and_begins_the_book_anew(world):
    resting = world.rest(Side.BUY, "1", "99.9")
    bought(world)
    world.exchange.list_instrument(instrument(tick="0.05"))
    assert world.exchange.order("paper", order_id=resting).state is OrderState.CANCELED
    assert (world.position(), world.exchange.quoted(BTC)) == (2, False)
    world.book({"100": "1"}, {"100.15": "1"})
    assert world.fills(world.order(Side.BUY, "1", "100.15")) == [("1", "100.15", "taker")]


# -- the file --------------------------------------------------------------------------------


def again(*changes):
    made = MirrorExchange(mirror_parameters("okx"), "paper")
    made.restore(json.loads(json.dumps(changes)))
    return made


def test_an_account_goes_on_from_what_was_written_change_by_change(world):
    changes = [world.exchange.changes()]
    bought(world)
    changes.append(world.exchange.changes())
    resting = world.rest(Side.BUY, "1", "99.5", client_order_id="rests")
    number = stop(world, "50")
    changes.append(world.exchange.changes())
    gone = world.rest(Side.SELL, "1", "101")
    world.exchange.cancel("paper", order_id=gone)
    changes.append(world.exchange.changes())
    # Only what is new is in each.
    assert [len(each["fills"]) for each in changes] == [0, 1, 0, 0]
    assert [len(each["instruments"]) for each in changes] == [2, 0, 0, 0]

    made = again(*changes)
    assert made.now_ns == world.exchange.now_ns
    assert made.orders("paper") == world.exchange.orders("paper")
    assert made.trigger_orders("paper") == world.exchange.trigger_orders("paper")
    assert made.fills("paper", 0) == world.exchange.fills("paper", 0)
    assert made.bills("paper", 0) == world.exchange.bills("paper", 0)
    assert made.traded() == (BTC,)
    assert not made.valued()
    # It trades on: the order rests, the stop waits, ids go on.
    world.exchange = made
    world.told.clear()
    world.market()
    world.levels({"100": "0", "99.9": "0"}, {"99.5": "1"})
    assert world.fills(resting) == [("1", "99.5", "maker")]
    assert made.trigger_order("paper", order_id=number).live
    assert int(world.order(Side.BUY, "1", "99.6")) > int(gone)


def test_the_first_change_after_a_restart_holds_everything(world):
    bought(world)
    whole = again(world.exchange.changes()).changes()
    other = again(whole)
    assert other.fills("paper", 0) == world.exchange.fills("paper", 0)
    assert other.instruments() == world.exchange.instruments()
