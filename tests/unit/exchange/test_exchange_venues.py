"""The parameter sets: each venue refuses, charges and bands in its own way."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters, fingerprint
from counterpoise.exchange.rules import FeeTier, VenueRules
from counterpoise.exchange.venues import binance_parameters, bybit_parameters, okx_parameters

D = Decimal
BTC = "BTCUSDT"
#: 2027-01-15 08:00:00 UTC.
OPENED_NS = 1_800_000_000 * NS_PER_SECOND

Make = Callable[[int], ExchangeParameters]


def opened(make: Make, cash: int = 100_000) -> Exchange:
    venue = Exchange.create(replace(make(7), history_days=1), OPENED_NS)
    venue.open_account("a", D(cash))
    venue.advance(OPENED_NS + NS_PER_SECOND)
    return venue


@pytest.fixture
def okx() -> Exchange:
    return opened(okx_parameters)


@pytest.fixture
def binance() -> Exchange:
    return opened(binance_parameters)


@pytest.fixture
def bybit() -> Exchange:
    return opened(bybit_parameters)


def order(side: Side, quantity: str, price: Decimal | None = None, **other: Any) -> NewOrder:
    return NewOrder(
        instrument_id=other.pop("instrument_id", BTC),
        side=side,
        quantity=D(quantity),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=price,
        **other,
    )


def refusal(exchange: Exchange, new: NewOrder) -> RefusalReason:
    with pytest.raises(OrderRefused) as caught:
        exchange.place("a", new)
    return caught.value.reason


@pytest.mark.parametrize("make", [okx_parameters, binance_parameters, bybit_parameters])
def test_same_instruments_under_every_venue(make: Make) -> None:
    names = [each.instrument.instrument_id for each in make(1).instruments]
    assert names == [each.instrument.instrument_id for each in demo_parameters(1).instruments]


def test_demo_is_the_venue_it_was() -> None:
    # A state saved before venues had rules of their own must still be read.
    demo = demo_parameters(7)
    kept = "67b3cfba81f4f7a209c052b3819712dee64ddad6d90f8709d0ff3e14025d811b"
    assert fingerprint(demo) == kept
    assert fingerprint(replace(demo, rules=VenueRules(leverage_by_tier=True))) != kept


def test_lots_and_least_notional(okx: Exchange, binance: Exchange) -> None:
    bid = okx.book(BTC).bids[9][0]
    okx.place("a", order(Side.BUY, "0.0001", bid))
    assert refusal(binance, order(Side.BUY, "0.0001", bid)) is RefusalReason.QUANTITY_OFF_GRID
    doge = binance.book("DOGEUSDT").bids[9][0]
    small = order(Side.BUY, "20", doge, instrument_id="DOGEUSDT")
    assert refusal(binance, small) is RefusalReason.NOTIONAL_TOO_SMALL
    binance.place("a", order(Side.BUY, "30", instrument_id="DOGEUSDT"))
    # Binance waives it for reduce-only.
    binance.place("a", order(Side.SELL, "20", instrument_id="DOGEUSDT", reduce_only=True))
    assert binance.account("a").positions["DOGEUSDT"].quantity == 10


def test_bybit_does_not_waive_the_least_notional(bybit: Exchange) -> None:
    bybit.place("a", order(Side.BUY, "30", instrument_id="DOGEUSDT"))
    close = order(Side.SELL, "20", instrument_id="DOGEUSDT", reduce_only=True)
    assert refusal(bybit, close) is RefusalReason.NOTIONAL_TOO_SMALL


def test_out_of_band_is_refused_or_moved(okx: Exchange, binance: Exchange, bybit: Exchange) -> None:
    for venue, near in ((okx, D("0.01")), (binance, D("0.05")), (bybit, D("0.01"))):
        band = venue.price_band(BTC)
        around = venue.index(BTC) if venue is okx else venue.mark(BTC)
        # The premium of a calm second shifts the band by less than 0.1 %.
        assert band.buy_max == pytest.approx(around * (1 + near), rel=D("0.001"))
        assert band.sell_min == pytest.approx(around * (1 - near), rel=D("0.001"))
    far = (bybit.mark(BTC) * D("0.9")).quantize(D("0.1"))
    for venue in (okx, binance):
        assert refusal(venue, order(Side.SELL, "0.01", far)) is RefusalReason.PRICE_OUT_OF_BAND
    bound = bybit.price_band(BTC).inside(Side.SELL, D("0.1"))
    placed, _ = bybit.place("a", order(Side.SELL, "0.01", far))
    moved = bybit.order("a", order_id=placed.order_id)
    assert moved is not None
    assert moved.price_limit == bound > far


def test_client_order_ids(okx: Exchange, binance: Exchange, bybit: Exchange) -> None:
    def named(name: str) -> NewOrder:
        return order(Side.BUY, "0.01", client_order_id=name)

    invalid = RefusalReason.CLIENT_ORDER_ID_INVALID
    assert refusal(okx, named("a-b")) is invalid
    binance.place("a", named("a-b.c:d/e_f"))
    binance.place("a", named("x" * 36))
    assert refusal(binance, named("x" * 37)) is invalid
    bybit.place("a", named("a-b_c"))
    assert refusal(bybit, named("a.b")) is invalid
    for venue in (okx, binance, bybit):
        venue.place("a", named("again"))
    okx.place("a", named("again"))
    binance.place("a", named("again"))
    # On Bybit an id is used up.
    assert refusal(bybit, named("again")) is RefusalReason.CLIENT_ORDER_ID_DUPLICATE


def test_fees_follow_the_level(binance: Exchange) -> None:
    binance.place("a", order(Side.BUY, "0.1"))
    assert binance.fee_tier("a") == FeeTier(maker_fee_bps=D(2), taker_fee_bps=D(5))
    binance.set_fee_level("a", 2)
    binance.place("a", order(Side.SELL, "0.1"))
    fees = [(each.fee, each.quantity * each.price) for each in binance.fills("a", 0)]
    assert fees[0][0] == fees[0][1] * D("0.0005")
    assert fees[1][0] == fees[1][1] * D("0.00035")
    with pytest.raises(ValueError, match="level=9"):
        binance.set_fee_level("a", 9)


def test_position_bounds_the_leverage_setting_and_back(binance: Exchange) -> None:
    binance.set_leverage("a", BTC, D(125))
    assert binance.leverage_max("a", BTC) == 125
    # 0.6 BTC is beyond 50 000: the second tier allows 100.
    assert refusal(binance, order(Side.BUY, "0.6")) is RefusalReason.POSITION_TOO_LARGE
    binance.set_leverage("a", BTC, D(100))
    binance.place("a", order(Side.BUY, "0.6"))
    assert binance.leverage_max("a", BTC) == 100
    with pytest.raises(OrderRefused) as caught:
        binance.set_leverage("a", BTC, D(125))
    assert caught.value.reason is RefusalReason.LEVERAGE_INVALID


def test_maintenance_margin_with_and_without_deduction(okx: Exchange, binance: Exchange) -> None:
    for venue in (okx, binance):
        venue.place("a", order(Side.BUY, "1"))
    held = okx.account("a").positions[BTC]
    assert held.maintenance_margin == held.mark * D("0.004")
    account = okx.account("a")
    assert account.liquidation_fee == held.mark * D("0.0005")
    held = binance.account("a").positions[BTC]
    assert held.maintenance_margin == held.mark * D("0.005") - 50
    assert binance.account("a").liquidation_fee == 0


def test_open_orders_are_counted_by_instrument(binance: Exchange) -> None:
    bid = binance.book("DOGEUSDT").bids[9][0]
    for _ in range(200):
        binance.place("a", order(Side.BUY, "100", bid, instrument_id="DOGEUSDT"))
    more = order(Side.BUY, "100", bid, instrument_id="DOGEUSDT")
    assert refusal(binance, more) is RefusalReason.OPEN_ORDERS_TOO_MANY
    binance.place("a", order(Side.BUY, "0.01", binance.book(BTC).bids[9][0]))


def test_funding_of_an_hour_differs_eightfold(okx: Exchange, binance: Exchange) -> None:
    for venue in (okx, binance):
        for each in venue.instruments():
            venue.set_funding_interval(each.instrument_id, 1)
        venue.advance(OPENED_NS + NS_PER_HOUR // 2)
    # The same calm markets: OKX's interest for an hour, Binance's for eight divided by eight.
    for each in okx.instruments():
        rates = [venue.funding(each.instrument_id).rate for venue in (okx, binance)]
        assert abs(rates[0]) <= D("0.0075")
        assert rates[1] == pytest.approx(D("0.0000125"), abs=D("0.0000625"))
