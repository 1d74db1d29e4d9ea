from decimal import Decimal

import pytest

from counterpoise.domain.errors import StartRefused, VenueRejected
from counterpoise.domain.instruments import MarginTier
from counterpoise.venues.bybit.attest import margin_tiers, permissions
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints, is_production
from counterpoise.venues.bybit.errors import CODES, KEY_REMEDIES, TABLE
from counterpoise.venues.bybit.orders import BybitVenue

TRADES = {"ContractTrade": ["Order", "Position"], "Wallet": []}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"readOnly": 0, "permissions": TRADES}, ("read_only", "trade")),
        ({"readOnly": 1, "permissions": TRADES}, ("read_only",)),
        ({"readOnly": 0, "permissions": {"ContractTrade": ["Order"]}}, ("read_only",)),
        (
            {"readOnly": 0, "permissions": TRADES | {"Wallet": ["Withdraw"]}},
            ("read_only", "trade", "withdraw"),
        ),
        (
            {"readOnly": 0, "permissions": TRADES | {"Wallet": ["AccountTransfer"]}},
            ("read_only", "trade", "transfer"),
        ),
        ({"readOnly": 0, "permissions": None}, ("read_only",)),
    ],
)
def test_what_a_key_may(told, expected):
    assert permissions(told) == expected


@pytest.mark.parametrize(("maintenance", "initial"), [("0.005", "0.01"), ("0.5", "1")])
def test_tiers_in_fractions_and_in_hundredths_are_the_same(maintenance, initial):
    rows = [
        {
            "riskLimitValue": "2000000",
            "maintenanceMargin": maintenance,
            "initialMargin": initial,
            "maxLeverage": "100.00",
            "mmDeduction": "",
        }
    ]
    assert margin_tiers(rows) == (
        MarginTier(
            notional_max=Decimal(2_000_000),
            maintenance_margin_fraction=Decimal("0.005"),
            initial_margin_fraction=Decimal("0.01"),
        ),
    )


def test_tiers_are_told_smallest_first_with_their_deduction():
    rows = [
        {
            "riskLimitValue": limit,
            "maintenanceMargin": rate,
            "initialMargin": str(Decimal(rate) * 2),
            "maxLeverage": "50",
            "mmDeduction": deduction,
        }
        for limit, rate, deduction in (("9000", "0.02", "40"), ("4000", "0.01", "0"))
    ]
    first, second = margin_tiers(rows)
    assert (first.notional_max, first.maintenance_margin_deduction) == (4000, 0)
    assert (second.notional_max, second.maintenance_margin_deduction) == (9000, 40)


def answered(**fields):
    return {"retCode": 0, "retMsg": "OK", "result": fields, "time": 7}


@pytest.fixture
def set_up(stub):
    """An account as it should be; a test breaks one thing."""
    stub.answers["/v5/user/query-api"] = answered(userID=4242, readOnly=0, permissions=TRADES)
    stub.answers["/v5/account/fee-rate"] = answered(list=[{"takerFeeRate": "0.00055"}])
    stub.answers["/v5/position/list"] = answered(
        list=[{"symbol": "BTCUSDT", "positionIdx": 0, "leverage": "3", "size": "0"}]
    )
    return stub


async def test_the_account_is_attested(venue, set_up):
    found = await venue.attest(["BTCUSDT"])
    assert (found.account_id, found.one_way, found.cross_margin) == ("4242", True, True)
    assert found.leverage_settings == {"BTCUSDT": Decimal(3)}
    assert (found.permissions, found.taker_fee_bps) == (("read_only", "trade"), Decimal("5.5"))


async def test_hedge_mode_and_isolated_margin_show(venue, set_up):
    rows = [{"symbol": "BTCUSDT", "positionIdx": n, "leverage": str(n)} for n in (1, 2)]
    set_up.answers["/v5/position/list"] = answered(list=rows)
    set_up.answers["/v5/account/info"] = answered(
        unifiedMarginStatus=5, marginMode="ISOLATED_MARGIN"
    )
    found = await venue.attest(["BTCUSDT"])
    assert (found.one_way, found.cross_margin) == (False, False)
    assert found.leverage_settings == {"BTCUSDT": Decimal(2)}


async def test_modes_are_the_accounts_and_what_is_so_already_is_no_error(venue, set_up):
    set_up.answers["/v5/account/set-margin-mode"] = answered(reasons=[])
    set_up.answers["/v5/position/switch-mode"] = {
        "retCode": 110025, "retMsg": "Position mode is not modified", "result": {},
    }  # fmt: skip
    await venue.set_modes()
    assert set_up.sent("/v5/account/set-margin-mode") == [{"setMarginMode": "REGULAR_MARGIN"}]
    assert set_up.sent("/v5/position/switch-mode") == [
        {"category": "linear", "coin": "USDT", "mode": 0}
    ]
    set_up.answers["/v5/position/switch-mode"] = {
        "retCode": 110028, "retMsg": "You have existing open orders", "result": {},
    }  # fmt: skip
    with pytest.raises(VenueRejected, match="open orders"):
        await venue.set_modes()


async def test_the_leverage_setting_leaves_the_margin_mode_alone(venue, set_up):
    set_up.answers["/v5/position/set-leverage"] = answered()
    set_up.answers["/v5/account/info"] = answered(
        unifiedMarginStatus=5, marginMode="ISOLATED_MARGIN"
    )
    found = await venue.attest(["BTCUSDT"])
    assert found.account_mode == "ISOLATED_MARGIN"
    await venue.set_leverage("BTCUSDT", Decimal(3))
    assert set_up.sent("/v5/account/set-margin-mode") == []
    assert len(set_up.sent("/v5/position/set-leverage")) == 1


async def test_a_classic_account_is_refused(venue, set_up):
    set_up.answers["/v5/account/info"] = answered(
        unifiedMarginStatus=1, marginMode="REGULAR_MARGIN"
    )
    with pytest.raises(StartRefused, match="unified trading account"):
        await venue.attest(["BTCUSDT"])


async def test_demo_trading_does_not_answer_what_a_key_may_or_costs(set_up, clock):
    unknown = {"retCode": 10032, "retMsg": "Demo trading are not supported.", "result": {}}
    set_up.answers["/v5/user/query-api"] = set_up.answers["/v5/account/fee-rate"] = unknown
    port = set_up.port
    endpoints = BybitEndpoints(
        rest_url=f"http://127.0.0.1:{port}",
        public_url="ws://127.0.0.1:1",
        private_url="ws://127.0.0.1:1",
        demo_trading=True,
    )
    venue = BybitVenue(endpoints, BybitCredentials(api_key="k", secret="s"), clock)
    await venue.open()
    try:
        found = await venue.attest(["BTCUSDT"])
    finally:
        await venue.close()
    assert found.account_id == "demo-8254c329a928"
    assert (found.permissions, found.taker_fee_bps) == (("read_only", "trade"), None)


async def test_elsewhere_a_key_that_cannot_be_asked_about_refuses_the_start(set_up, venue):
    set_up.answers["/v5/user/query-api"] = {"retCode": 10005, "retMsg": "no", "result": {}}
    with pytest.raises(StartRefused, match="permission"):
        await venue.attest(["BTCUSDT"])


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        (BybitEndpoints.production(), True),
        (BybitEndpoints.demo(), False),
        (BybitEndpoints.testnet(), False),
        (BybitEndpoints.loopback(7), False),
        (BybitEndpoints(rest_url="https://a.proxy", public_url="", private_url=""), True),
        (
            BybitEndpoints(
                rest_url="https://api.bybit.com",
                public_url="wss://stream-testnet.bybit.com",
                private_url="wss://stream-testnet.bybit.com",
                demo_trading=True,
            ),
            True,
        ),
    ],
)
def test_only_addresses_known_to_be_play_money_are(endpoints, expected):
    assert is_production(endpoints) is expected


def test_a_key_is_never_shown():
    assert "secret-8" not in repr(BybitCredentials(api_key="key-7", secret="secret-8"))


def test_every_code_of_the_built_in_venue_has_a_meaning():
    from counterpoise.simulator.bybit.errors import Code

    unknown = {code.value for code in Code if str(code.value) not in CODES}
    # 0 is no refusal; a repeated request id is a word of the stream for orders.
    assert unknown == {0, 20006}


def test_every_remedy_is_for_a_refusal():
    assert set(KEY_REMEDIES) <= set(CODES)
    assert all(TABLE.from_code(code, "", placing=True).code == code for code in KEY_REMEDIES)
