"""What is attested: judged, turned into facts, hashed and compared."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from counterpoise.app import attesting
from counterpoise.domain.account import Attestation, AttestedDifference
from counterpoise.domain.errors import LeaseLost, LedgerUnavailable, StartRefused, VenueRejected
from counterpoise.domain.instruments import InstrumentTerms
from engine_world import INSTRUMENTS

TERMS = tuple(
    InstrumentTerms(rules=rules, venue_symbol=rules.base + "-X", contract_size=Decimal("0.10"))
    for rules in INSTRUMENTS
)


def attestation(**changed: object) -> Attestation:
    values: dict[str, object] = {
        "account_id": "a",
        "one_way": True,
        "cross_margin": True,
        "leverage_settings": {"BTCUSDT": Decimal(3), "ETHUSDT": Decimal(3)},
        "permissions": ("trade", "read_only"),
        "taker_fee_bps": Decimal(5),
        "clock_offset_ms": 0.0,
        "account_mode": "2",
        "fee_tier": "Lv1",
        "ip_bound": True,
        "multi_asset": False,
        "funding_interval_hours": {"BTCUSDT": Decimal(8)},
        "instruments": TERMS,
    }
    return Attestation(**{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "what", "words"),
    [
        ({"permissions": ("trade", "withdraw")}, "permissions", "withdraw"),
        ({"permissions": ("trade", "AccountTransfer")}, "permissions", "AccountTransfer"),
        ({"permissions": ("trade", "enableWithdrawals")}, "permissions", "enableWithdrawals"),
        ({"permissions": ("read_only",)}, "permissions", "may not trade"),
        ({"account_mode_fault": "mode 1 has no swaps; switch it"}, "account mode", "switch it"),
        ({"one_way": False}, "position mode", "one-way"),
        ({"cross_margin": False}, "margin mode", "cross margin"),
        ({"clock_offset_ms": -700.0}, "clock", "NTP"),
    ],
)
def test_an_account_that_is_not_set_up_is_refused_with_the_remedy(
    changed: dict[str, object], what: str, words: str
) -> None:
    attesting.check(attestation(), 500)
    (fault,) = attesting.faults(attestation(**changed), 500)
    assert fault.what == what
    assert words in fault.words
    with pytest.raises(StartRefused, match=words):
        attesting.check(attestation(**changed), 500)


def test_every_fault_is_told_at_once_and_the_margin_mode_may_still_be_set() -> None:
    wrong = attestation(one_way=False, cross_margin=False)
    with pytest.raises(StartRefused) as refusal:
        attesting.check(wrong, 500)
    assert len(str(refusal.value).splitlines()) == 2
    # Both may still be set by the start; a mode that is the account holder's may not.
    attesting.check(wrong, 500, before_preparing=True)
    spot = attestation(one_way=False, account_mode_fault="mode 1 has no swaps; switch it")
    with pytest.raises(StartRefused, match="switch it") as refusal:
        attesting.check(spot, 500, before_preparing=True)
    assert len(str(refusal.value).splitlines()) == 1
    several = attestation(account_mode_fault="other coins count; off", account_mode_settable=True)
    attesting.check(several, 500, before_preparing=True)
    with pytest.raises(StartRefused, match="the start sets it itself"):
        attesting.check(several, 500)


def test_the_facts_are_text_by_field() -> None:
    found = attesting.facts(attestation())
    assert found["permissions"] == "read_only,trade"
    assert found["margin_mode"] == "cross"
    assert found["maker_fee_bps"] == "not told"
    assert found["BTCUSDT.contract_size"] == "0.1"
    assert found["BTCUSDT.funding_interval_hours"] == "8"
    assert found["ETHUSDT.funding_interval_hours"] == "not told"
    assert found["BTCUSDT.tier_ends"] == "10000000"
    assert found["BTCUSDT.tier_margins"] == "0.01/0.004-0"
    assert list(found) == sorted(found)
    quantities = {"BTCUSDT": (Decimal("12.50"), None)}
    bounded = attesting.facts(attestation(tier_quantities=quantities))
    assert bounded["BTCUSDT.tier_ends"] == "12.5 none"


def test_the_hash_is_of_the_facts_and_of_nothing_that_moves() -> None:
    def known(value: Attestation) -> str:
        return attesting.sha256(attesting.body(attesting.facts(value)))

    moved = replace(TERMS[0].rules, tick_size=Decimal("0.10"))
    same = attestation(clock_offset_ms=33.0, instruments=(replace(TERMS[0], rules=moved), TERMS[1]))
    assert known(same) == known(attestation())
    assert known(attestation(fee_tier="Lv2")) != known(attestation())


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"one_way": False}, ("position_mode", "one_way", "hedge")),
        ({"cross_margin": False}, ("margin_mode", "cross", "isolated")),
        ({"account_mode": "3"}, ("account_mode", "2", "3")),
        ({"multi_asset": True}, ("multi_asset", "false", "true")),
        ({"fee_tier": "Lv2"}, ("fee_tier", "Lv1", "Lv2")),
        ({"taker_fee_bps": Decimal("7.5")}, ("taker_fee_bps", "5", "7.5")),
        ({"ip_bound": None}, ("ip_bound", "true", "not told")),
        (
            {"permissions": ("trade", "read_only", "withdraw")},
            ("permissions", "read_only,trade", "read_only,trade,withdraw"),
        ),
        (
            {"leverage_settings": {"BTCUSDT": Decimal(9), "ETHUSDT": Decimal(3)}},
            ("BTCUSDT.leverage_setting", "3", "9"),
        ),
        (
            {"funding_interval_hours": {"BTCUSDT": Decimal(1)}},
            ("BTCUSDT.funding_interval_hours", "8", "1"),
        ),
        (
            {"instruments": (TERMS[0], replace(TERMS[1], contract_size=Decimal(1)))},
            ("ETHUSDT.contract_size", "0.1", "1"),
        ),
    ],
)
def test_a_difference_names_field_expected_and_found(
    changed: dict[str, object], difference: tuple[str, str, str]
) -> None:
    expected = attesting.facts(attestation())
    field, before, now = difference
    assert attesting.differences(expected, attesting.facts(attestation(**changed))) == (
        AttestedDifference(field=field, expected=before, found=now),
    )
    assert attesting.differences(expected, expected) == ()


def test_an_instrument_that_was_not_asked_is_no_difference() -> None:
    expected = attesting.facts(attestation())
    alone = attestation(instruments=TERMS[:1], leverage_settings={"BTCUSDT": Decimal(3)})
    assert attesting.differences(expected, attesting.facts(alone)) == ()


class Settable:
    """A venue that remembers what was set."""

    def __init__(self) -> None:
        self.set: list[tuple[str, Decimal]] = []
        self.modes = 0
        self.refusal: VenueRejected | None = None

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        self.set.append((instrument_id, leverage))

    async def set_modes(self) -> None:
        self.modes += 1
        if self.refusal is not None:
            raise self.refusal


def account(positions: tuple[str, ...] = (), orders: tuple[str, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(
        positions=[SimpleNamespace(instrument_id=each) for each in positions],
        open_orders=[SimpleNamespace(instrument_id=each) for each in orders],
    )


HELD = SimpleNamespace(fenced=False, may_increase=lambda: True)


async def test_the_leverage_setting_is_set_only_where_nothing_is_held_or_open() -> None:
    wrong = attestation(leverage_settings={"BTCUSDT": Decimal(10), "ETHUSDT": Decimal(5)})
    venue, three = Settable(), Decimal(3)
    for snapshot in (account(("BTCUSDT",)), account(orders=("BTCUSDT",))):
        venue.set.clear()
        done = await attesting.prepare(venue, wrong, snapshot, three, HELD)  # type: ignore[arg-type]
        assert done == (True, ["BTCUSDT"])
        assert venue.set == [("ETHUSDT", three)]
    done = await attesting.prepare(venue, attestation(), account(), three, HELD)  # type: ignore[arg-type]
    assert done == (False, [])


WRONG_MODES: dict[str, dict[str, object]] = {
    "margin": {"cross_margin": False},
    "position": {"one_way": False},
    "assets": {"account_mode_fault": "coins count; switch off", "account_mode_settable": True},
}


@pytest.mark.parametrize("wrong", WRONG_MODES)
async def test_modes_are_set_only_on_a_flat_account(wrong: str) -> None:
    venue, three = Settable(), Decimal(3)
    found = attestation(**WRONG_MODES[wrong])
    done = await attesting.prepare(venue, found, account(), three, HELD)  # type: ignore[arg-type]
    assert done == (True, [])
    assert venue.modes == 1
    # Another mode may bring leverage settings of its own.
    assert [name for name, _ in venue.set] == ["BTCUSDT", "ETHUSDT"]
    venue.set.clear()
    # One of a stranger, in a market we do not follow, is enough.
    for snapshot in (account(("XUSDT",)), account(orders=("ETHUSDT",))):
        done = await attesting.prepare(venue, found, snapshot, three, HELD)  # type: ignore[arg-type]
        assert (done, venue.set, venue.modes) == ((False, []), [], 1)


@pytest.mark.parametrize(
    ("fenced", "sure", "raised"), [(True, False, LeaseLost), (False, False, LedgerUnavailable)]
)
@pytest.mark.parametrize(
    "wrong", [{"one_way": False}, {"leverage_settings": {"BTCUSDT": Decimal(10)}}]
)
async def test_nothing_is_set_without_the_lease(
    wrong: dict[str, object], raised: type[Exception], *, fenced: bool, sure: bool
) -> None:
    venue, permit = Settable(), SimpleNamespace(fenced=fenced, may_increase=lambda: sure)
    with pytest.raises(raised):
        await attesting.prepare(  # type: ignore[arg-type]
            venue, attestation(**wrong), account(), Decimal(3), permit
        )
    assert (venue.set, venue.modes) == ([], 0)


async def test_a_lease_lost_on_the_way_ends_what_is_set() -> None:
    venue = Settable()
    wrong = attestation(leverage_settings={"BTCUSDT": Decimal(10), "ETHUSDT": Decimal(5)})
    permit = SimpleNamespace(fenced=False, may_increase=lambda: not venue.set)
    with pytest.raises(LedgerUnavailable):
        await attesting.prepare(  # type: ignore[arg-type]
            venue, wrong, account(), Decimal(3), permit
        )
    assert venue.set == [("BTCUSDT", Decimal(3))]


async def test_a_venue_that_refuses_to_set_modes_leaves_the_fault_to_the_check() -> None:
    venue, three = Settable(), Decimal(3)
    venue.refusal = VenueRejected("Binance -4067: open orders", code="-4067")
    hedge = attestation(one_way=False)
    done = await attesting.prepare(venue, hedge, account(), three, HELD)  # type: ignore[arg-type]
    assert (done, venue.set, venue.modes) == ((False, []), [], 1)
    fine = attestation(account_mode_fault="mode 1; switch it")
    await attesting.prepare(venue, fine, account(), three, HELD)  # type: ignore[arg-type]
    # What the daemon cannot set is not tried.
    assert venue.modes == 1
