"""A wish becomes a limit order inside its cap, rounded toward the market."""

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
    from dataclasses import replace

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
