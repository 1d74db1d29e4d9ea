"""Contracts become base units, and every refusal has OKX's code."""

from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.simulator.okx.errors import Refusal
from counterpoise.simulator.okx.order_entry import new_order, refusal
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, instrument_of, text

FIELDS = {
    "instId": "BTC-USDT-SWAP",
    "tdMode": "cross",
    "side": "buy",
    "ordType": "ioc",
    "sz": "1.5",
    "px": "96000.1",
    "clOrdId": "cp1",
}


def test_contracts_become_base_units():
    assert new_order(FIELDS) == NewOrder(
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.015"),
        kind=OrderKind.LIMIT,
        price_limit=Decimal("96000.1"),
        time_in_force=TimeInForce.IOC,
        client_order_id="cp1",
    )


@pytest.mark.parametrize(
    ("symbol", "contracts", "quantity"),
    [
        ("BTC-USDT-SWAP", "1", "0.01"),
        ("ETH-USDT-SWAP", "0.01", "0.001"),
        ("SOL-USDT-SWAP", "0.01", "0.01"),
        ("XRP-USDT-SWAP", "0.5", "50"),
        ("DOGE-USDT-SWAP", "0.01", "10"),
        ("LTC-USDT-SWAP", "2", "2"),
    ],
)
def test_every_listed_contract_has_its_size(symbol, contracts, quantity):
    order = new_order(FIELDS | {"instId": symbol, "sz": contracts})
    assert order.quantity == Decimal(quantity)
    assert BY_INSTRUMENT[order.instrument_id].contracts(order.quantity) == Decimal(contracts)


@pytest.mark.parametrize(
    ("name", "kind", "time_in_force", "post_only"),
    [
        ("limit", OrderKind.LIMIT, TimeInForce.GTC, False),
        ("post_only", OrderKind.LIMIT, TimeInForce.GTC, True),
        ("ioc", OrderKind.LIMIT, TimeInForce.IOC, False),
        ("fok", OrderKind.LIMIT, TimeInForce.FOK, False),
        ("market", OrderKind.MARKET, TimeInForce.IOC, False),
    ],
)
def test_order_types(name, kind, time_in_force, post_only):
    order = new_order(FIELDS | {"ordType": name})
    assert (order.kind, order.time_in_force, order.post_only) == (kind, time_in_force, post_only)
    assert (order.price_limit is None) == (kind is OrderKind.MARKET)


@pytest.mark.parametrize(
    ("sent", "meant"), [(True, True), ("true", True), (False, False), ("false", False), ("", False)]
)
def test_reduce_only_as_flag_or_text(sent, meant):
    assert new_order(FIELDS | {"reduceOnly": sent}).reduce_only is meant


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"instId": "BTC-USDT"}, "51001", "doesn't exist"),
        ({"tdMode": "isolated"}, "51000", "tdMode"),
        ({"side": "BUY"}, "51000", "side"),
        ({"ordType": "iceberg"}, "51000", "ordType"),
        ({"posSide": "both"}, "51000", "posSide"),
        ({"sz": "0"}, "51000", "sz"),
        ({"sz": "-1"}, "51000", "sz"),
        ({"sz": "NaN"}, "51000", "sz"),
        ({"sz": True}, "51000", "sz"),
        ({"px": None}, "51000", "px"),
        ({"px": "dear"}, "51000", "px"),
    ],
)
def test_wrong_parameters_are_named(changed, code, words):
    with pytest.raises(Refusal, match=words) as refused:
        new_order(FIELDS | changed)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (RefusalReason.CLIENT_ORDER_ID_DUPLICATE, "51016"),
        (RefusalReason.QUANTITY_TOO_SMALL, "51020"),
        (RefusalReason.QUANTITY_OFF_GRID, "51121"),
        (RefusalReason.MARGIN_INSUFFICIENT, "51008"),
        (RefusalReason.REDUCE_ONLY_NO_POSITION, "51169"),
        (RefusalReason.PRICE_OUT_OF_BAND, "51006"),
        (RefusalReason.ALREADY_OVER, "51400"),
    ],
)
def test_refusals_of_the_exchange_carry_okx_codes(reason, code):
    made = refusal(OrderRefused(reason, "figure=1"))
    assert made.code == code
    assert "figure=1" in made.message


def test_every_refusal_of_the_exchange_has_a_code():
    codes = {reason: refusal(OrderRefused(reason, "")).code.value for reason in RefusalReason}
    assert all(code.isdigit() for code in codes.values()), codes


@pytest.mark.parametrize(
    ("name", "instrument_id"),
    [("BTCUSDT", "BTCUSDT"), ("DOGE-USDT-SWAP", "DOGEUSDT"), ("BTC-USD-SWAP", None)],
)
def test_both_spellings_of_an_instrument(name, instrument_id):
    assert instrument_of(name) == instrument_id


@pytest.mark.parametrize(
    ("value", "written"),
    [("100", "100"), ("0.10", "0.1"), ("1E-8", "0.00000001"), ("-0", "0"), ("1E+3", "1000")],
)
def test_figures_without_exponent_and_trailing_zeros(value, written):
    assert text(Decimal(value)) == written
