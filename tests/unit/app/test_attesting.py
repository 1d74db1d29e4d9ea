"""What is attested: judged, turned into facts, hashed and compared."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from counterpoise.app import attesting
from counterpoise.domain.account import Attestation, AttestedDifference
from counterpoise.domain.errors import StartRefused
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
    attesting.check(attestation(cross_margin=False), 500, before_preparing=True)
    with pytest.raises(StartRefused, match="one-way"):
        attesting.check(wrong, 500, before_preparing=True)


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

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        self.set.append((instrument_id, leverage))


def account(positions: tuple[str, ...] = (), orders: tuple[str, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(
        positions=[SimpleNamespace(instrument_id=each) for each in positions],
        open_orders=[SimpleNamespace(instrument_id=each) for each in orders],
    )


async def test_the_leverage_setting_is_set_only_where_nothing_is_held_or_open() -> None:
    wrong = attestation(leverage_settings={"BTCUSDT": Decimal(10), "ETHUSDT": Decimal(5)})
    venue, three = Settable(), Decimal(3)
    for snapshot in (account(("BTCUSDT",)), account(orders=("BTCUSDT",))):
        venue.set.clear()
        done = await attesting.prepare(venue, wrong, snapshot, three)  # type: ignore[arg-type]
        assert done == (True, ["BTCUSDT"])
        assert venue.set == [("ETHUSDT", three)]
    done = await attesting.prepare(venue, attestation(), account(), three)  # type: ignore[arg-type]
    assert done == (False, [])


async def test_cross_margin_is_set_only_on_a_flat_account() -> None:
    venue, three = Settable(), Decimal(3)
    isolated = attestation(cross_margin=False)
    done = await attesting.prepare(venue, isolated, account(), three)  # type: ignore[arg-type]
    assert done == (True, [])
    assert [name for name, _ in venue.set] == ["BTCUSDT", "ETHUSDT"]
    venue.set.clear()
    held = account(("ETHUSDT",))
    done = await attesting.prepare(venue, isolated, held, three)  # type: ignore[arg-type]
    assert (done, venue.set) == ((False, []), [])
