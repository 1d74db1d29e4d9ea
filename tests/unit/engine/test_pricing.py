"""A wish becomes a limit order inside its cap, rounded toward the market."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.orders import IntentSource, LegChange, LegRole, OrderKind, Side
from counterpoise.engine import pricing
from counterpoise.market.view import InstrumentView
from engine_world import START_NS, ready


def view(name: str = "BTCUSDT") -> InstrumentView:
    return ready().state.market.view(START_NS).instruments[name]


def change(side: Side, *, reduce_only: bool = False) -> LegChange:
    return LegChange(
        instrument_id="BTCUSDT",
        leg=LegRole.CORE,
        source=IntentSource.CYCLE,
        side=side,
        quantity=Decimal("0.1"),
        reduce_only=reduce_only,
    )


@pytest.mark.parametrize(
    ("side", "limit"), [(Side.BUY, Decimal("50100.0")), (Side.SELL, Decimal("49900.0"))]
)
def test_the_limit_is_the_cap_beyond_mid(side: Side, limit: Decimal) -> None:
    intent = pricing.make_intent(
        change(side),
        view(),
        account_id="a",
        decision_id="d",
        attempt=0,
        cap_bps=Decimal(20),
        now_ns=START_NS,
    )
    assert (intent.kind, intent.price_limit) == (OrderKind.LIMIT, limit)
    assert len(intent.client_order_id) == 32


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "100.1"), (Side.SELL, "99.9")])
def test_rounding_never_pays_more_than_the_cap(side: Side, limit: str) -> None:
    found = pricing.limit_inside_cap(Decimal(100), side, Decimal(19), Decimal("0.1"))
    assert found == Decimal(limit)


def test_without_any_price_a_reduction_goes_to_market() -> None:
    blind = replace(view(), bid=None, ask=None, mark=None)
    intent = pricing.make_intent(
        change(Side.SELL, reduce_only=True),
        blind,
        account_id="a",
        decision_id="d",
        attempt=0,
        cap_bps=Decimal(50),
        now_ns=START_NS,
    )
    assert (intent.kind, intent.price_limit) == (OrderKind.MARKET, None)


def test_each_attempt_has_an_id_of_its_own() -> None:
    ids = {
        pricing.make_intent(
            change(Side.BUY),
            view(),
            account_id="a",
            decision_id="d",
            attempt=attempt,
            cap_bps=Decimal(20),
            now_ns=START_NS,
        ).client_order_id
        for attempt in range(5)
    }
    assert len(ids) == 5


def rules(**changes: Decimal) -> InstrumentView:
    seen = replace(view(), depth_quote=Decimal(1_000_000))
    return replace(seen, instrument=replace(seen.instrument, **changes))


@pytest.mark.parametrize(
    ("remaining", "changes", "share", "orders_left", "expected"),
    [
        # Nothing in the way: whole.
        ("4", {}, None, 20, "4"),
        ("4", {}, "0.5", 20, "4"),
        # Half of a million at 50,000 is 10.
        ("25", {}, "0.5", 20, "10"),
        ("25", {}, None, 20, "25"),
        # Few orders left: enough for them to carry it all.
        ("25", {}, "0.5", 2, "12.5"),
        ("25", {}, "0.5", 1, "25"),
        # Never more than the venue takes at once, whatever is left.
        ("25", {"limit_quantity_max": Decimal(3)}, None, 1, "3"),
        ("25", {"market_quantity_max": Decimal(2)}, None, 1, "2"),
        # No rest below the least order, and no order below it.
        ("10.0003", {"quantity_min": Decimal("0.001")}, "0.5", 20, "10.0003"),
        ("5", {"notional_min": Decimal(100_000)}, "0.01", 20, "5"),
        ("9", {"notional_min": Decimal(100_000)}, "0.01", 20, "4"),
    ],
)
def test_an_order_carries_what_the_venue_and_the_book_take(
    remaining: str,
    changes: dict[str, Decimal],
    share: str | None,
    orders_left: int,
    expected: str,
) -> None:
    part = None if share is None else Decimal(share)
    found = pricing.child_quantity(Decimal(remaining), rules(**changes), part, orders_left)
    assert found == Decimal(expected)
    assert found % view().instrument.lot_size == 0


def prices(bid: str | None, ask: str | None, mark: str | None, *missing: str) -> InstrumentView:
    """Return the market as a reduction sees it."""
    bid_, ask_, mark_ = (None if each is None else Decimal(each) for each in (bid, ask, mark))
    return replace(view(), bid=bid_, ask=ask_, mark=mark_, missing=missing)


@pytest.mark.parametrize(
    ("seen", "buys_from", "sells_from"),
    [
        # A book that stands still while the mark moves, and a mark that lags its book.
        (prices("99", "101", "120"), "120", "100"),
        (prices("99", "101", "80"), "100", "80"),
        # What is too old counts only where nothing else is known.
        (prices("99", "101", "120", "BOOK_STALE"), "120", "120"),
        (prices("99", "101", "120", "MARK_STALE"), "100", "100"),
        (prices(None, None, "120", "BOOK_MISSING"), "120", "120"),
        (prices("99", None, "120", "BOOK_MISSING"), "120", "120"),
        (prices("99", "101", None, "MARK_MISSING"), "100", "100"),
        (prices("99", "101", "120", "BOOK_STALE", "MARK_STALE"), "120", "100"),
        (prices("99", "101", None, "BOOK_STALE", "MARK_MISSING"), "100", "100"),
    ],
)
def test_a_reduction_is_priced_from_what_lets_it_pay_more(
    seen: InstrumentView, buys_from: str, sells_from: str
) -> None:
    assert pricing.reducing_price(seen, Side.BUY) == Decimal(buys_from)
    assert pricing.reducing_price(seen, Side.SELL) == Decimal(sells_from)


def test_no_price_at_all_is_none() -> None:
    nothing = prices(None, None, None, "BOOK_MISSING", "MARK_MISSING")
    assert pricing.reducing_price(nothing, Side.BUY) is None


def test_an_increase_is_priced_from_mid_alone() -> None:
    seen = prices("99", "101", "120")
    intent = pricing.make_intent(
        change(Side.BUY), seen, account_id="a", decision_id="d", attempt=0,
        cap_bps=Decimal(100), now_ns=START_NS,
    )  # fmt: skip
    assert intent.price_limit == Decimal("101.0")


def test_nothing_waits_at_a_book_that_is_old() -> None:
    assert pricing.own_best(prices("99", "101", "100"), Side.BUY) == Decimal(99)
    assert pricing.own_best(prices("99", "101", "100", "BOOK_STALE"), Side.BUY) is None
