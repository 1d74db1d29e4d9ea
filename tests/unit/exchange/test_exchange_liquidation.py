"""Liquidation in steps, the insurance fund and auto-deleveraging."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, OrderState, Side
from counterpoise.domain.rounding import quantize_up
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange import adl, liquidation, margin
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import Deleveraged, Liquidated, OrderChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import CancelCause, NewOrder, OrderCategory
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.rules import LiquidationRule
from counterpoise.exchange.venues import binance_parameters, okx_parameters

D = Decimal
LTC = "LTCUSDT"
STEP_NS = 250 * NS_PER_MS
#: 2027-01-15 08:00:00 UTC.
OPENED_NS = 1_800_000_000 * NS_PER_SECOND


def venue_of(parameters: ExchangeParameters, *, crowd: bool = False) -> Exchange:
    rules = parameters.rules if crowd else replace(parameters.rules, crowd=None)
    venue = Exchange.create(replace(parameters, history_days=1, rules=rules), OPENED_NS)
    venue.advance(OPENED_NS + NS_PER_SECOND)
    return venue


def trade(venue: Exchange, quantity: str, buyer: str, seller: str) -> Decimal:
    """Let two accounts trade with each other inside the spread; return the price."""
    book = venue.book(LTC)
    price = book.asks[0][0] - D("0.01")
    assert price > book.bids[0][0]
    for account_id, side in ((seller, Side.SELL), (buyer, Side.BUY)):
        order = NewOrder(instrument_id=LTC, side=side, quantity=D(quantity), price_limit=price)
        venue.place(account_id, order)
    return price


def long_of(venue: Exchange, cash: int, quantity: str, leverage: int) -> Decimal:
    """Give account "a" a long against account "b"; return the entry."""
    venue.open_account("a", D(cash))
    venue.open_account("b", D(10_000_000))
    venue.set_leverage("a", LTC, D(leverage))
    venue.set_leverage("b", LTC, D(1))
    return trade(venue, quantity, "a", "b")


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        # Tiers end at 1 000, 5 000 and 20 000; the mark is 100.
        ("5", "5"), ("30", "30"), ("-80", "70"), ("150", "140"), ("300", "250"), ("300.5", "250.5"),
    ],
)  # fmt: skip
def test_two_tiers_at_a_time_from_the_third_on(quantity: str, expected: str) -> None:
    tiers = tuple(
        replace(tier, notional_max=None if end is None else D(end))
        for tier, end in zip(
            okx_parameters(1).instruments[0].instrument.tiers,
            (1_000, 5_000, 20_000, None),
            strict=False,
        )
    )
    rule = LiquidationRule(tiers_per_step=2, tier_gradual_min=3)
    part = liquidation.step_quantity(rule, tiers, D(quantity), D(100), D("0.1"))
    assert part == D(expected)
    whole = liquidation.step_quantity(LiquidationRule(), tiers, D(quantity), D(100), D("0.1"))
    assert whole == abs(D(quantity))


def test_bankruptcy_price_leaves_nothing() -> None:
    for quantity in (D(4), D(-4)):
        price = liquidation.bankruptcy_price(quantity, D(100), D(60))
        assert 60 + quantity * (price - 100) == 0
    assert liquidation.bankruptcy_price(D(4), D(100), D(-60)) == 115


def test_okx_shrinks_a_large_position_and_lets_it_live() -> None:
    venue = venue_of(okx_parameters(7))
    long_of(venue, 250_000, "20000", 10)
    rest = NewOrder(
        instrument_id=LTC, side=Side.BUY, quantity=D(1), client_order_id="rest",
        price_limit=D(80),
    )  # fmt: skip
    venue.place("a", rest)
    fund = venue.insurance_fund
    assert fund is not None
    venue.shock(LTC, -0.10, 0.0)
    told = venue.advance(venue.now_ns + STEP_NS)
    first = [each for each in told if isinstance(each, Liquidated)]
    assert first
    ended = venue.order("a", client_order_id="rest")
    assert ended is not None
    assert ended.cancel_cause is CancelCause.LIQUIDATION
    position = venue.account("a").positions[LTC]
    assert position.quantity == 20_000 - sum(each.quantity for each in first)
    for each in first:
        assert each.side is Side.SELL
        assert each.fee == each.quantity * each.price * D("0.0005")
        assert each.fill.trade_sequence < 0
    assert venue.insurance_fund == fund + sum(each.fee for each in first)
    partial = OrderCategory.PARTIAL_LIQUIDATION
    made = [each for each in venue.orders("a") if each.category is partial]
    assert (made[0].state, made[0].cancel_cause) == (
        OrderState.CANCELED, CancelCause.LIQUIDATION,
    )  # fmt: skip
    assert not [
        e for e in told if isinstance(e, OrderChanged) and e.order.order_id == made[0].order_id
    ]
    venue.advance(venue.now_ns + 60 * NS_PER_SECOND)
    account = venue.account("a")
    assert 0 < account.positions[LTC].quantity < 20_000
    ratio = margin.margin_ratio(account.equity, account.maintenance_margin, account.liquidation_fee)
    assert ratio is not None
    assert ratio > 1
    assert account.wallet_balance == sum(each.change for each in venue.bills("a", 0))


def test_bankrupt_position_goes_to_the_fund_at_the_bankruptcy_price() -> None:
    venue = venue_of(okx_parameters(7))
    long_of(venue, 250_000, "20000", 10)
    fund = venue.insurance_fund
    assert fund is not None
    venue.shock(LTC, -0.20, 0.0)
    told = [e for e in venue.advance(venue.now_ns + STEP_NS) if isinstance(e, Liquidated)]
    account = venue.account("a")
    assert account.positions == {}
    (taken,) = told
    mark = venue.mark(LTC)
    # Above the mark: closing there leaves the account nothing but what rounding gives.
    assert taken.price > mark
    assert (taken.quantity, taken.fee) == (20_000, 0)
    assert 0 <= account.equity < D("0.0002")
    loss = 20_000 * (taken.price - mark)
    assert venue.insurance_fund == pytest.approx(fund - loss, abs=D("0.0002"))


def test_empty_fund_deleverages_the_winner() -> None:
    venue = venue_of(okx_parameters(7))
    long_of(venue, 250_000, "20000", 10)
    venue.set_insurance_fund(D(0))
    venue.shock(LTC, -0.20, 0.0)
    told = venue.advance(venue.now_ns + STEP_NS)
    (taken,) = [each for each in told if isinstance(each, Liquidated)]
    (given,) = [each for each in told if isinstance(each, Deleveraged)]
    assert (given.account_id, given.side, given.quantity) == ("b", Side.BUY, 20_000)
    # The winner is paid the bankruptcy price, worse for it than the mark.
    assert given.price == taken.price > venue.mark(LTC)
    assert venue.account("b").positions == {}
    assert venue.bills("b", 0)[-1].kind is BillKind.ADL
    assert venue.insurance_fund == 0
    # What the loser lost the winner got: nothing came from the venue.
    assert venue.account("a").equity + venue.account("b").equity == pytest.approx(
        D(10_250_000) - sum(each.fee for name in "ab" for each in venue.fills(name, 0)),
        abs=D("0.0004"),
    )


def test_part_of_a_loss_within_the_fund() -> None:
    venue = venue_of(okx_parameters(7))
    long_of(venue, 250_000, "20000", 10)
    venue.set_insurance_fund(D(70_000))
    venue.shock(LTC, -0.20, 0.0)
    told = venue.advance(venue.now_ns + STEP_NS)
    (taken,) = [each for each in told if isinstance(each, Liquidated)]
    (given,) = [each for each in told if isinstance(each, Deleveraged)]
    per_unit = taken.price - venue.mark(LTC)
    borne = (D(70_000) / per_unit) // D("0.1") * D("0.1")
    assert given.quantity == 20_000 - borne
    assert venue.account("b").positions[LTC].quantity == -borne
    left = venue.insurance_fund
    assert left is not None
    assert 0 <= left < per_unit


def test_binance_goes_down_one_tier_at_a_time() -> None:
    venue = venue_of(binance_parameters(7))
    # 1 470 000: the fifth tier, which needs 10 % less a deduction of 58 035.
    long_of(venue, 350_000, "7500", 5)
    trade(venue, "7500", "a", "b")
    held = venue.account("a").positions[LTC]
    assert held.maintenance_margin == 15_000 * held.mark * D("0.1") - 58_035
    venue.shock(LTC, -0.205, 0.0)
    venue.advance(venue.now_ns + STEP_NS)
    partial = OrderCategory.PARTIAL_LIQUIDATION
    order = next(each for each in venue.orders("a") if each.category is partial)
    # What is beyond the fourth tier's 1 000 000 and not more.
    assert order.quantity == quantize_up(15_000 - 1_000_000 / venue.mark(LTC), D("0.001"))
    venue.advance(venue.now_ns + 30 * NS_PER_SECOND)
    account = venue.account("a")
    held = account.positions[LTC]
    assert held.quantity * held.mark > 900_000
    assert account.equity > account.maintenance_margin
    made = [each for each in venue.fills("a", 0) if each.trade_sequence < 0]
    assert sum(each.quantity for each in made) == 15_000 - held.quantity
    assert {each.fee / (each.quantity * each.price) for each in made} == {D("0.012")}


def test_forced_liquidation_needs_no_loss() -> None:
    venue = venue_of(okx_parameters(7))
    long_of(venue, 250_000, "100", 10)
    told = [each for each in venue.force_liquidate("a") if isinstance(each, Liquidated)]
    assert sum(each.quantity for each in told) == 100
    assert venue.account("a").positions == {}
    assert venue.account("a").equity > 249_000


def test_score_multiplies_profit_and_divides_loss() -> None:
    assert adl.score(Side.BUY, D(100), D(110), D(5)) == D("0.5")
    assert adl.score(Side.SELL, D(100), D(110), D(5)) == D("-0.02")
    assert adl.score(Side.SELL, D(100), D(80), D(10)) == 2


def test_first_in_the_queue_is_shrunk_first() -> None:
    queue = adl.AdlQueue(replace(okx_parameters(7), history_days=1))
    before = queue.crowd(LTC, Side.SELL)
    assert len(before) == 40
    total = sum(each.quantity for each in before)
    notional = float(total) * 98
    assert notional == pytest.approx(4 * 9e5, rel=0.01)
    claims = [
        adl.Claim(
            account_id=name, position_side=PositionSide.NET, quantity=D(quantity),
            entry_price=D(entry), equity=D(equity),
        )
        for name, quantity, entry, equity in (
            ("winner", 50, 300, 100), ("loser", 50, 20, 100_000),
        )
    ]  # fmt: skip
    mark = D(98)
    assert queue.rank(LTC, Side.SELL, claims, ("winner", PositionSide.NET), mark) == 5
    assert queue.rank(LTC, Side.SELL, claims, ("loser", PositionSide.NET), mark) == 1
    parts = queue.assign(LTC, Side.SELL, claims, D(60), mark)
    assert [(claim.account_id, part) for claim, part in parts] == [("winner", D(50))]
    assert total - sum(each.quantity for each in queue.crowd(LTC, Side.SELL)) == 10
    restored = adl.AdlQueue(replace(okx_parameters(7), history_days=1))
    restored.load(json.loads(json.dumps(queue.save())))
    assert restored.crowd(LTC, Side.SELL) == queue.crowd(LTC, Side.SELL)
    # With everybody else used up the loser's turn comes; more than all of them hold vanishes.
    parts = queue.assign(LTC, Side.SELL, claims[1:], total * 2, mark)
    assert [(claim.account_id, part) for claim, part in parts] == [("loser", D(50))]
    assert {each.quantity for each in queue.crowd(LTC, Side.SELL)} == {0}


def test_indicator_rises_with_profit() -> None:
    venue = venue_of(okx_parameters(7))
    long_of(venue, 100_000, "1000", 10)
    assert venue.adl_rank("a", "BTCUSDT") == 0
    venue.shock(LTC, -0.3, 0.0)
    venue.advance(venue.now_ns + STEP_NS)
    venue.open_account("c", D(100_000))
    venue.place(
        "c",
        NewOrder(instrument_id=LTC, side=Side.SELL, quantity=D(10), kind=OrderKind.MARKET),
    )
    # Of two shorts the one in profit is in the first fifth, the other half way.
    assert [venue.adl_rank(name, LTC) for name in "bc"] == [5, 3]
    venue.force_reduce("b", LTC)
    assert [venue.adl_rank(name, LTC) for name in "bc"] == [0, 1], "alone"
    crowded = venue_of(okx_parameters(7), crowd=True)
    long_of(crowded, 100_000, "1000", 10)
    # Next to a crowd of leverage about eight an account of 1 % leverage stands in the middle.
    assert crowded.adl_rank("b", LTC) in (2, 3, 4)
