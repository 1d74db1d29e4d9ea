from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from counterpoise.domain.errors import VenueRejected
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Side
from counterpoise.venues import figures
from counterpoise.venues.okx import convert
from counterpoise.venues.okx.convert import Contract

CONTRACT_SIZES = ["0.0001", "0.001", "0.01", "0.1", "0.3", "1", "7", "10", "100", "1000", "1E+6"]
LOTS = ["0.001", "0.01", "0.1", "1", "5"]


@st.composite
def contracts(draw):
    lot = Decimal(draw(st.sampled_from(LOTS)))
    return Contract(
        instrument_id="XUSDT",
        inst_id="X-USDT-SWAP",
        family="X-USDT",
        base="X",
        quote="USDT",
        settle="USDT",
        contract_size=Decimal(draw(st.sampled_from(CONTRACT_SIZES))),
        lot_contracts=lot,
        contracts_min=lot * draw(st.integers(1, 3)),
        tick_size=Decimal(draw(st.sampled_from(["0.00001", "0.01", "0.5"]))),
        limit_contracts_max=None,
        market_contracts_max=None,
        state=InstrumentState.LIVE,
    )


@settings(deadline=None)
@given(contracts(), st.integers(3, 10**9))
def test_contracts_to_base_and_back_is_the_same_number(contract, lots):
    held = contract.lot_contracts * lots
    base = convert.base_from_contracts(held, contract.contract_size)
    assert convert.contracts_from_base(base, contract) == held


@settings(deadline=None)
@given(contracts(), st.integers(3, 10**9))
def test_what_is_written_is_what_is_meant(contract, lots):
    held = contract.lot_contracts * lots
    text = figures.plain(held)
    assert Decimal(text) == held
    assert "E" not in text
    assert text == text.strip("+ ")


@settings(deadline=None)
@given(contracts(), st.decimals("0.00000001", "1E+9", places=8))
def test_a_quantity_is_never_enlarged_and_loses_less_than_a_lot(contract, quantity):
    if quantity < contract.contracts_min * contract.contract_size:
        with pytest.raises(VenueRejected) as refusal:
            convert.contracts_from_base(quantity, contract)
        assert refusal.value.code == "BELOW_LOT_SIZE"
        return
    sent = convert.contracts_from_base(quantity, contract)
    assert sent % contract.lot_contracts == 0
    base = convert.base_from_contracts(sent, contract.contract_size)
    lot = convert.base_from_contracts(contract.lot_contracts, contract.contract_size)
    assert 0 <= quantity - base < lot


@settings(deadline=None)
@given(contracts(), st.decimals("0.00001", "1E+6", places=7), st.sampled_from(Side))
def test_a_reductions_price_moves_only_inside_its_limit(contract, price, side):
    moved = convert.price_on_grid(price, side, contract, reduce_only=True)
    assert moved % contract.tick_size == 0
    assert 0 <= (price - moved) * side.sign < contract.tick_size


@settings(deadline=None)
@given(contracts(), st.integers(1, 10**9), st.sampled_from(Side), st.booleans())
def test_a_price_on_the_grid_stays(contract, ticks, side, reduce_only):
    price = contract.tick_size * ticks
    assume(price > 0)
    assert convert.price_on_grid(price, side, contract, reduce_only=reduce_only) == price
