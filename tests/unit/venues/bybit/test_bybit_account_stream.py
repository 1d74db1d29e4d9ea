import asyncio
import json
from decimal import Decimal

import pytest

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.events import (
    BalanceUpdate,
    FillReported,
    OrderUpdate,
    PositionUpdate,
    StreamName,
)
from counterpoise.domain.orders import Liquidity, OrderState, Side
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.simulator.bybit.auth import signature
from counterpoise.venues.bybit import account_stream
from counterpoise.venues.bybit.account_stream import AccountConversation, BybitAccountStream
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.connection import Dropped

NOW_NS = 1_780_000_000_000_000_000
CREDENTIALS = BybitCredentials(api_key="key-7", secret="secret-8")


def frame(topic, *rows, created_ms=1_780_000_000_123):
    return json.dumps(
        {"id": "x", "topic": topic, "creationTime": created_ms, "data": rows}
    ).encode()


def order(status, filled="0", **changes):
    row = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "cp1",
        "orderStatus": status,
        "side": "Buy",
        "qty": "1",
        "price": "100.5",
        "orderType": "Limit",
        "cumExecQty": filled,
        "avgPrice": "",
        "reduceOnly": False,
        "rejectReason": "EC_NoError",
        "cancelType": "UNKNOWN",
        "updatedTime": "1780000000100",
    }
    return frame("order", row | changes)


def execution(number, quantity, **changes):
    row = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "cp1",
        "execId": f"e{number}",
        "execType": "Trade",
        "side": "Buy",
        "execQty": quantity,
        "execPrice": "100.1",
        "execFee": "0.02",
        "feeCurrency": "",
        "execTime": "1780000000100",
        "isMaker": True,
    }
    return frame("execution", row | changes)


@pytest.fixture
def conversation(symbols):
    made = AccountConversation(BybitEndpoints.loopback(1), CREDENTIALS, symbols)
    made.begin(NOW_NS)
    return made


@pytest.fixture
def granted(conversation):
    conversation.hear(b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}', NOW_NS)
    conversation.requests.clear()
    conversation.hear(b'{"success":true,"op":"subscribe","req_id":"account"}', NOW_NS)
    return conversation


def test_the_login_is_signed_and_ends_a_minute_from_now(conversation):
    (request,) = map(json.loads, conversation.requests)
    key, expires, signed = request["args"]
    assert (request["op"], key, expires) == ("auth", "key-7", 1_780_000_060_000)
    assert signed == signature("secret-8", f"GET/realtime{expires}")


def test_a_login_ends_by_the_venues_clock(symbols):
    spoken = AccountConversation(
        BybitEndpoints.loopback(1), CREDENTIALS, symbols, ahead_ns=lambda: -70_000 * 1_000_000
    )
    spoken.begin(NOW_NS)
    (request,) = map(json.loads, spoken.requests)
    assert request["args"][1] == 1_779_999_990_000


def test_it_lives_once_the_topics_are_granted(conversation):
    conversation.requests.clear()
    assert conversation.hear(b'{"success":true,"op":"auth"}', NOW_NS) is None
    account, protection = map(json.loads, conversation.requests)
    assert account["args"] == ["order", "execution", "position", "wallet"]
    assert protection["args"] == ["dcp.future"]
    assert not conversation.established
    assert conversation.hear(b'{"success":true,"op":"subscribe","req_id":"account"}', NOW_NS) == ()
    assert conversation.established
    # Few accounts have what the other topic belongs to.
    refusal = b'{"success":false,"op":"subscribe","req_id":"protection","ret_msg":"not enabled"}'
    assert conversation.hear(refusal, NOW_NS) is None
    assert conversation.hear(b'{"op":"pong","args":["1"],"req_id":""}', NOW_NS) == ()


def test_a_first_login_that_is_refused_ends_the_start_with_the_remedy(conversation):
    with pytest.raises(StartRefused, match="testnet key") as refusal:
        conversation.hear(b'{"success":false,"op":"auth","retCode":10003}', NOW_NS)
    assert "secret-8" not in str(refusal.value)
    with pytest.raises(StartRefused, match="check key, secret and environment"):
        conversation.hear(b'{"success":false,"op":"auth","ret_msg":"Params Error"}', NOW_NS)


def test_a_server_in_trouble_and_a_later_refusal_only_cost_the_connection(granted, conversation):
    with pytest.raises(Dropped):
        granted.hear(b'{"success":false,"op":"auth","retCode":10003}', NOW_NS)
    with pytest.raises(Dropped):
        conversation.hear(b'{"success":false,"op":"auth","retCode":10016}', NOW_NS)


def test_a_grant_that_does_not_come_costs_the_connection(conversation):
    conversation.watch(NOW_NS + 9 * NS_PER_SECOND)
    with pytest.raises(Dropped, match="grant"):
        conversation.watch(NOW_NS + 11 * NS_PER_SECOND)


def test_an_order_that_ended_is_told_after_all_its_executions(granted):
    assert granted.hear(order("New"), NOW_NS)[0].state is OrderState.ACCEPTED
    assert granted.hear(order("Filled", "1", avgPrice="100.1"), NOW_NS) == []
    (first,) = granted.hear(execution(1, "0.4"), NOW_NS)
    assert isinstance(first, FillReported)
    second, ended = granted.hear(execution(2, "0.6"), NOW_NS)
    assert isinstance(second, FillReported)
    assert isinstance(ended, OrderUpdate)
    assert (ended.state, ended.filled_quantity) == (OrderState.FILLED, 1)
    assert ended.average_price == Decimal("100.1")


def test_executions_that_came_first_hold_nothing_back(granted):
    granted.hear(execution(1, "1"), NOW_NS)
    (ended,) = granted.hear(order("Filled", "1"), NOW_NS)
    assert ended.state is OrderState.FILLED


def test_news_whose_executions_were_before_this_connection_do_not_wait_for_ever(granted):
    assert granted.hear(order("Cancelled", "0.7"), NOW_NS) == []
    assert granted.hear(b'{"op":"pong"}', NOW_NS + NS_PER_SECOND // 2) == ()
    (ended,) = granted.hear(b'{"op":"pong"}', NOW_NS + 2 * NS_PER_SECOND)
    assert (ended.state, ended.filled_quantity) == (OrderState.CANCELED, Decimal("0.7"))


def test_the_last_news_of_an_order_are_the_ones_that_wait(granted):
    assert granted.hear(order("PartiallyFilled", "0.4"), NOW_NS) == []
    assert granted.hear(order("Cancelled", "0.4", cancelType="CancelByUser"), NOW_NS) == []
    fill, ended = granted.hear(execution(1, "0.4"), NOW_NS)
    assert isinstance(fill, FillReported)
    assert (ended.state, ended.message) == (OrderState.CANCELED, "CancelByUser")


def test_a_refusal_after_the_fact_is_one(granted):
    (ended,) = granted.hear(order("Rejected", rejectReason="EC_NoEnoughQtyToFill"), NOW_NS)
    assert (ended.state, ended.code) == (OrderState.REJECTED, "EC_NoEnoughQtyToFill")


def test_an_order_that_waits_for_a_price_is_not_told_and_its_end_is(granted):
    assert granted.hear(order("Untriggered"), NOW_NS) == []
    assert granted.hear(order("Triggered"), NOW_NS) == []
    (ended,) = granted.hear(order("Deactivated"), NOW_NS)
    assert ended.state is OrderState.CANCELED


@pytest.mark.parametrize("kind", ["AdlTrade", "BustTrade", "Settle"])
def test_what_the_venue_did_to_us_is_a_fill_of_nobody(granted, kind):
    (event,) = granted.hear(execution(1, "0.4", execType=kind, orderLinkId=""), NOW_NS)
    assert event.fill.client_order_id is None
    assert (event.fill.side, event.fill.quantity) == (Side.BUY, Decimal("0.4"))
    assert (event.fill.fee_currency, event.fill.liquidity) == ("USDT", Liquidity.MAKER)


@pytest.mark.parametrize("kind", ["Funding", "SessionSettlePnL", "AKindOfTomorrow"])
def test_what_is_no_trade_is_no_fill(granted, kind):
    assert granted.hear(execution(1, "0.4", execType=kind), NOW_NS) == []


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (lambda: execution(1, "0.4", execType="AKindOfTomorrow"), "type: 'AKindOfTomorrow'"),
        (lambda: order("PartiallyPaused", "0.4"), "state: 'PartiallyPaused'"),
    ],
)
def test_what_nobody_documented_costs_the_connection(granted, conversation, told, words):
    assert granted.hear(told(), NOW_NS) == []
    # What comes before the end is told.
    (fill,) = granted.hear(execution(2, "0.4"), NOW_NS)
    assert fill.fill.quantity == Decimal("0.4")
    with pytest.raises(Dropped, match=words):
        granted.watch(NOW_NS)
    conversation.begin(NOW_NS)
    conversation.watch(NOW_NS)


@pytest.mark.parametrize("state", ["Untriggered", "Triggered"])
def test_a_stop_that_waits_costs_nothing(granted, state):
    assert granted.hear(order(state), NOW_NS) == []
    assert granted.hear(execution(1, "0.4", execType="Funding"), NOW_NS) == []
    granted.watch(NOW_NS)


def test_other_products_and_instruments_are_not_ours(granted):
    assert granted.hear(execution(1, "1", category="spot"), NOW_NS) == []
    assert granted.hear(execution(1, "1", symbol="XRPUSDT"), NOW_NS) == []
    assert granted.hear(order("New", category="inverse"), NOW_NS) == []


def test_positions_and_cash(granted):
    row = {
        "category": "linear",
        "symbol": "ETHUSDT",
        "side": "Sell",
        "size": "0.01",
        "entryPrice": "3641.075",
        "markPrice": "3641.33",
        "liqPrice": "51764.8",
        "unrealisedPnl": "-0.00255",
        "updatedTime": "1780000000100",
        "adlRankIndicator": 2,
    }
    (told,) = granted.hear(frame("position", row), NOW_NS)
    assert isinstance(told, PositionUpdate)
    held = told.position
    assert (held.quantity, held.entry_price) == (Decimal("-0.01"), Decimal("3641.075"))
    assert (held.mark, held.adl_rank) == (Decimal("3641.33"), 2)
    flat = row | {"side": "", "size": "0", "entryPrice": "0", "liqPrice": ""}
    (told,) = granted.hear(frame("position", flat), NOW_NS)
    assert (told.position.quantity, told.position.entry_price) == (0, None)
    wallet = {
        "totalAvailableBalance": "9556.6",
        "totalInitialMargin": "127.8",
        "totalMaintenanceMargin": "12.7",
        "coin": [
            {"coin": "BTC", "equity": "1", "walletBalance": "1"},
            {"coin": "USDT", "equity": "10226.2", "walletBalance": "9647.7"},
        ],
    }
    (told,) = granted.hear(frame("wallet", wallet), NOW_NS)
    assert isinstance(told, BalanceUpdate)
    assert (told.balance.wallet_balance, told.balance.equity) == (
        Decimal("9647.7"),
        Decimal("10226.2"),
    )
    assert told.balance.event_ns == 1_780_000_000_123_000_000
    assert granted.hear(frame("wallet", wallet | {"coin": wallet["coin"][:1]}), NOW_NS) == []


def test_a_frame_that_cannot_be_read_costs_the_connection(granted):
    for bad in (b"{", frame("execution", {"symbol": "BTCUSDT"}), execution(1, "much")):
        with pytest.raises(Dropped, match="could not be read"):
            granted.hear(bad, NOW_NS)


def test_what_it_is(granted):
    assert granted.stream is StreamName.ACCOUNT
    assert granted.complete
    assert granted.url == "ws://127.0.0.1:1/v5/private"


WALLET = "/v5/account/wallet-balance"


async def test_cash_is_asked_for_by_the_clock_that_the_account_measures(
    stub, clock, symbols, monkeypatch
):
    monkeypatch.setattr(account_stream, "COMPARE_SECONDS", 0.02)
    always = property(lambda _: True, lambda _, __: None)
    monkeypatch.setattr(AccountConversation, "established", always, raising=False)
    measured = [90 * NS_PER_SECOND]
    stream = BybitAccountStream(
        BybitEndpoints.loopback(stub.port),
        BybitCredentials(api_key="key-7", secret="secret-8"),
        symbols,
        clock,
        ahead_ns=lambda: measured[-1],
    )

    async def asked_ahead_seconds():
        """Return how far the next request is stamped ahead of our clock."""
        before = len(stub.headers(WALLET))
        async with asyncio.timeout(5):
            while len(stub.headers(WALLET)) <= before:  # noqa: ASYNC110 - the stub tells nobody
                await asyncio.sleep(0.01)
        stamp_ns = int(stub.headers(WALLET)[-1]["X-BAPI-TIMESTAMP"]) * NS_PER_MS
        return (stamp_ns - clock.now_ns()) / NS_PER_SECOND

    running = asyncio.ensure_future(stream.run([].append))
    try:
        # From the first question on, so that none is refused.
        assert await asked_ahead_seconds() == pytest.approx(90, abs=2)
        measured.append(-30 * NS_PER_SECOND)
        assert await asked_ahead_seconds() == pytest.approx(-30, abs=2)
        # Refused all the same: it measures by itself until the account has measured again.
        stub.ahead_ns = 60 * NS_PER_SECOND
        stub.answers[WALLET] = {"retCode": 10002, "retMsg": "time window", "result": {}}
        await asked_ahead_seconds()
        assert await asked_ahead_seconds() == pytest.approx(60, abs=2)
        measured.append(61 * NS_PER_SECOND)
        assert await asked_ahead_seconds() == pytest.approx(61, abs=0.7)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
