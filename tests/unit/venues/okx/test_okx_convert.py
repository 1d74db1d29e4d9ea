from decimal import Decimal

import pytest

from counterpoise.domain.errors import VenueRejected
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.venues import figures
from counterpoise.venues.okx import convert

ROW = {
    "instId": "ETH-USDT-SWAP",
    "instFamily": "ETH-USDT",
    "ctType": "linear",
    "ctVal": "0.1",
    "ctMult": "1",
    "settleCcy": "USDT",
    "lotSz": "0.01",
    "minSz": "0.05",
    "tickSz": "0.01",
    "maxLmtSz": "100000000",
    "maxMktSz": "",
    "state": "live",
}


def contract(**changes):
    found = convert.contract_from_row(ROW | changes, "USDT")
    assert found is not None
    return found


def test_a_row_becomes_a_contract():
    found = contract()
    assert (found.instrument_id, found.inst_id, found.family) == (
        "ETHUSDT",
        "ETH-USDT-SWAP",
        "ETH-USDT",
    )
    assert found.contract_size == Decimal("0.1")
    assert found.limit_contracts_max == Decimal(100_000_000)
    assert found.market_contracts_max is None


def test_the_multiplier_is_part_of_the_contract_size():
    assert contract(ctVal="10", ctMult="100").contract_size == Decimal(1000)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("live", InstrumentState.LIVE),
        ("post_only", InstrumentState.POST_ONLY),
        ("suspend", InstrumentState.SUSPENDED),
        ("rebase", InstrumentState.SUSPENDED),
        ("a new word", InstrumentState.SUSPENDED),
    ],
)
def test_only_live_is_live(state, expected):
    assert contract(state=state).state is expected


@pytest.mark.parametrize("changes", [{"ctType": "inverse"}, {"settleCcy": "USDC"}])
def test_other_contracts_are_none_of_ours(changes):
    assert convert.contract_from_row(ROW | changes, "USDT") is None


@pytest.mark.parametrize(
    ("quantity", "contracts"),
    [("1.5", "15"), ("0.123", "1.23"), ("0.1239", "1.23"), ("0.005", "0.05"), ("1E+3", "10000")],
)
def test_base_units_become_contracts_never_more(quantity, contracts):
    assert convert.contracts_from_base(Decimal(quantity), contract()) == Decimal(contracts)


@pytest.mark.parametrize("quantity", ["0.0049", "0.0001"])
def test_less_than_the_smallest_order_is_refused_before_it_is_sent(quantity):
    with pytest.raises(VenueRejected) as refusal:
        convert.contracts_from_base(Decimal(quantity), contract())
    assert refusal.value.code == "BELOW_LOT_SIZE"


def test_a_contract_of_a_third_cannot_be_converted_exactly():
    # 7 / 0.3 has no end; the floor is exact again, so the order goes out smaller.
    assert convert.contracts_from_base(Decimal(7), contract(ctVal="0.3")) == Decimal("23.33")


def test_an_off_grid_price_is_a_mistake_in_an_increase():
    with pytest.raises(VenueRejected) as refusal:
        convert.price_on_grid(Decimal("1.005"), Side.BUY, contract(), reduce_only=False)
    assert refusal.value.code == "OFF_TICK"


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, "1.00"), (Side.SELL, "1.01")])
def test_an_off_grid_reduction_moves_inside_its_limit(side, expected):
    price = convert.price_on_grid(Decimal("1.005"), side, contract(), reduce_only=True)
    assert price == Decimal(expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+2", "100"), ("0.10", "0.1"), ("5.000", "5"), ("1E-7", "0.0000001"), ("100", "100")],
)
def test_numbers_go_out_without_exponent(value, text):
    assert figures.plain(Decimal(value)) == text


@pytest.mark.parametrize(
    ("kind", "time_in_force", "expected"),
    [
        (OrderKind.MARKET, TimeInForce.IOC, "optimal_limit_ioc"),
        (OrderKind.LIMIT, TimeInForce.IOC, "ioc"),
        (OrderKind.LIMIT, TimeInForce.FOK, "fok"),
        (OrderKind.LIMIT, TimeInForce.GTC, "limit"),
    ],
)
def test_order_types(kind, time_in_force, expected):
    assert convert.order_type(kind, time_in_force) == expected


def test_fees_change_sign():
    assert convert.fee_paid("-0.1018248") == Decimal("0.1018248")
    assert convert.fee_paid("0.02") == Decimal("-0.02")
    assert convert.fee_paid("") == 0
    assert convert.fee_bps_from_rate("-0.0005") == 5
    assert convert.fee_bps_from_rate("0.00005") == Decimal("-0.5")
    assert convert.fee_bps_from_rate("") is None


def test_empty_texts():
    assert figures.ns_from_ms("1597026383085") == 1_597_026_383_085_000_000
    assert figures.ns_from_ms("") == 0
    assert figures.positive_decimal("0") is None
    assert figures.positive_decimal("-2") == -2


@pytest.mark.parametrize(
    ("contracts", "side", "expected"), [("-3", "net", -3), ("3", "short", -3), ("3", "long", 3)]
)
def test_the_sign_of_a_position(contracts, side, expected):
    assert convert.signed_contracts(Decimal(contracts), side) == expected
