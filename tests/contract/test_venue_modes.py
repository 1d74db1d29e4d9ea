"""A flat account in wrong modes is set right by the start; one that holds something is refused."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from counterpoise.app import attesting
from counterpoise.domain.account import Attestation
from counterpoise.domain.errors import StartRefused, VenueRejected
from counterpoise.domain.orders import Side

CORE, OTHER = "BTCUSDT", "ETHUSDT"
SETTING = Decimal(3)
CLOCK_MS = 500.0

HELD = SimpleNamespace(fenced=False, may_increase=lambda: True)

#: Mode an account can be said to be in, and the fault's name, by venue; the position mode is a
#: matter of all.
MODES = {
    "okx": (),
    "binance": (("multi_asset", attesting.ACCOUNT_MODE), ("isolated", None)),
    "bybit": (
        ("ISOLATED_MARGIN", attesting.MARGIN_MODE),
        ("PORTFOLIO_MARGIN", attesting.MARGIN_MODE),
    ),
}


async def started(desk) -> Attestation:
    """Ask, judge, set and ask again, as a start does."""
    venue, ids = desk.venue, [CORE, OTHER]
    snapshot = await venue.account()
    found = await attesting.attest(venue, ids)
    attesting.check(found, CLOCK_MS, before_preparing=True)
    changed, _ = await attesting.prepare(venue, found, snapshot, SETTING, HELD)
    found = await attesting.attest(venue, ids) if changed else found
    attesting.check(found, CLOCK_MS)
    return found


async def test_a_flat_account_in_hedge_mode_is_set_one_way(desk):
    desk.rig.fault("position_mode", value="hedge")
    wrong = await attesting.attest(desk.venue, [CORE, OTHER])
    assert [fault.what for fault in attesting.faults(wrong, CLOCK_MS)] == [attesting.POSITION_MODE]
    found = await started(desk)
    assert found.one_way
    assert set(found.leverage_settings.values()) == {SETTING}
    # And the account trades in it.
    await desk.venue.submit(await desk.order(CORE, Side.BUY, 2, price_bps=100))
    (held,) = (await desk.venue.account()).positions
    assert held.instrument_id == CORE
    # What is so already is no error.
    await desk.flatten()
    await desk.venue.set_modes()


async def test_a_flat_account_in_another_margin_mode_is_set_to_cross(desk, running):
    for value, what in MODES[running.name]:
        desk.rig.fault("account_mode", value=value, duration_seconds=600)
        wrong = await attesting.attest(desk.venue, [CORE, OTHER])
        faults = [fault.what for fault in attesting.faults(wrong, CLOCK_MS)]
        assert faults == ([] if what is None else [what])
        found = await started(desk)
        assert attesting.faults(found, CLOCK_MS) == []
        assert found.cross_margin
        assert not found.multi_asset
        assert found.leverage_settings == {CORE: SETTING, OTHER: SETTING}


async def test_with_something_held_nothing_is_set_and_the_start_is_refused(desk, running):
    # The leverage setting of a market without a position may still be set; here it is right.
    for name in (CORE, OTHER):
        await desk.venue.set_leverage(name, SETTING)
    await desk.venue.submit(await desk.order(OTHER, Side.BUY, 3, price_bps=100))
    wrongs = [("position_mode", "hedge", "net \\(one-way\\)")]
    wrongs += [
        ("account_mode", value, "cross|single-asset")
        for value, what in MODES[running.name]
        if what is not None
    ]
    for kind, value, words in wrongs:
        where = {"symbol": CORE} if kind == "position_mode" else {"duration_seconds": 600}
        desk.rig.fault(kind, value=value, **where)
        before = attesting.facts(await attesting.attest(desk.venue, [CORE, OTHER]))
        with pytest.raises(StartRefused, match=words) as refusal:
            await started(desk)
        assert "once nothing is held and no order is open" in str(refusal.value)
        assert attesting.facts(await attesting.attest(desk.venue, [CORE, OTHER])) == before
        if kind == "position_mode":
            # The venue would not have it either.
            with pytest.raises(VenueRejected):
                await desk.venue.set_modes()
            desk.rig.fault("position_mode", symbol=CORE, value="one_way")
        desk.rig.fault("clear")
