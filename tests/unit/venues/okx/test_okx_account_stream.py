import asyncio
import base64
import hashlib
import hmac
import json
from decimal import Decimal

import pytest
from websockets.asyncio.server import serve

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.events import (
    BalanceUpdate,
    FillReported,
    OrderUpdate,
    PositionUpdate,
    StreamAlive,
    StreamDown,
    StreamName,
    UpdateSource,
)
from counterpoise.domain.orders import Fill, Liquidity, OrderState, Side
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.connection import Dropped, Timing
from counterpoise.venues.okx.account_stream import AccountConversation, OkxAccountStream
from counterpoise.venues.okx.endpoints import OkxEndpoints

QUICK = Timing(watch_every=0.05, retry_first=0.02, retry_max=0.1, alive_every=0.1)
START_NS = 1_700_000_000 * NS_PER_SECOND
CHANNELS = ("orders", "positions", "account")


def frame(channel, *rows):
    return json.dumps({"arg": {"channel": channel, "uid": "1"}, "data": list(rows)}).encode()


def grant(channel):
    return json.dumps({"event": "subscribe", "arg": {"channel": channel}, "connId": "a"}).encode()


LOGGED_IN = b'{"event":"login","code":"0","msg":"","connId":"a"}'


@pytest.fixture
def conversation(symbols, credentials):
    made = AccountConversation(OkxEndpoints.loopback(1), credentials, symbols)
    made.begin(START_NS)
    return made


def test_the_login_is_signed(conversation):
    (request,) = [json.loads(each) for each in conversation.requests]
    digest = hmac.new(b"secret-8", b"1700000000GET/users/self/verify", hashlib.sha256).digest()
    assert request == {
        "op": "login",
        "args": [
            {
                "apiKey": "key-7",
                "passphrase": "phrase-9",
                "timestamp": "1700000000",
                "sign": base64.b64encode(digest).decode(),
            }
        ],
    }


def test_it_is_alive_only_when_everything_was_granted(conversation):
    conversation.requests.clear()
    assert conversation.hear(LOGGED_IN, 1) is None
    (request,) = [json.loads(each) for each in conversation.requests]
    assert [each["channel"] for each in request["args"]] == list(CHANNELS)
    assert conversation.hear(grant("orders"), 1) is None
    assert conversation.hear(grant("positions"), 1) is None
    assert not conversation.established
    assert conversation.hear(grant("account"), 1) == ()
    assert conversation.established


def test_what_is_not_granted_in_time_is_given_up(conversation):
    conversation.watch(1_700_000_009 * NS_PER_SECOND)
    with pytest.raises(Dropped, match="did not grant"):
        conversation.watch(1_700_000_011 * NS_PER_SECOND)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [("60005", "API key is wrong"), ("60007", "secret is wrong"), ("60024", "passphrase")],
)
def test_a_key_refused_at_the_first_login_refuses_the_start(conversation, code, remedy):
    refused = json.dumps({"event": "error", "code": code, "msg": "Invalid"}).encode()
    with pytest.raises(StartRefused, match=remedy):
        conversation.hear(refused, 1)
    conversation.hear(LOGGED_IN, 1)
    with pytest.raises(Dropped, match=code):
        conversation.hear(refused, 1)


def test_another_refusal_is_tried_again(conversation):
    with pytest.raises(Dropped, match="63999"):
        conversation.hear(b'{"event":"error","code":"63999","msg":"Internal"}', 1)


ORDER = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "ordId": "24979",
    "clOrdId": "cp1",
    "state": "partially_filled",
    "side": "buy",
    "sz": "3",
    "accFillSz": "2",
    "avgPx": "103698.9",
    "ordType": "limit",
    "px": "103700",
    "reduceOnly": "false",
    "fillSz": "1.5",
    "fillPx": "103698.5",
    "fillTime": "1746947317402",
    "tradeId": "1518905529",
    "execType": "M",
    "fillFee": "-0.02",
    "fillFeeCcy": "USDT",
    "fillPnl": "-0.5",
    "fee": "-0.04",
    "feeCcy": "USDT",
    "uTime": "1746947317403",
    "cTime": "1746947317401",
}


def test_a_fill_comes_before_the_state_it_made(conversation):
    fill, update = conversation.hear(frame("orders", ORDER), 5)
    assert fill == FillReported(
        fill=Fill(
            fill_id="1518905529",
            instrument_id="BTCUSDT",
            client_order_id="cp1",
            venue_order_id="24979",
            side=Side.BUY,
            quantity=Decimal("0.015"),
            price=Decimal("103698.5"),
            fee=Decimal("0.02"),
            fee_currency="USDT",
            liquidity=Liquidity.MAKER,
            realised_pnl=Decimal("-0.5"),
            event_ns=1746947317402 * NS_PER_MS,
            received_ns=5,
        ),
        source=UpdateSource.STREAM,
    )
    assert isinstance(update, OrderUpdate)
    assert (update.state, update.filled_quantity, update.average_price) == (
        OrderState.PARTIALLY_FILLED,
        Decimal("0.02"),
        Decimal("103698.9"),
    )
    assert update.order is not None
    assert (update.order.quantity, update.order.price_limit) == (Decimal("0.03"), 103700)
    assert update.event_ns == 1746947317403 * NS_PER_MS


def test_an_order_without_a_fill_is_only_a_state(conversation):
    accepted = ORDER | {
        "state": "live",
        "accFillSz": "0",
        "avgPx": "0",
        "fillSz": "0",
        "tradeId": "",
        "fillFee": "0",
        "execType": "",
    }
    (update,) = conversation.hear(frame("orders", accepted), 5)
    assert (update.state, update.filled_quantity, update.average_price) == (
        OrderState.ACCEPTED,
        0,
        None,
    )


def test_a_canceled_order_says_why(conversation):
    canceled = ORDER | {
        "state": "canceled",
        "fillSz": "0",
        "tradeId": "",
        "cancelSourceReason": "The IOC order was not filled",
    }
    (update,) = conversation.hear(frame("orders", canceled), 5)
    assert (update.state, update.message, update.order) == (
        OrderState.CANCELED,
        "The IOC order was not filled",
        None,
    )


def test_only_trades_become_fills(conversation):
    (update,) = conversation.hear(frame("orders", ORDER | {"execType": "F"}), 5)
    assert isinstance(update, OrderUpdate)
    # It may be one all the same: REST shows the position.
    with pytest.raises(Dropped, match="execution of an unknown type: 'F'"):
        conversation.watch(START_NS)


def test_a_liquidation_is_a_fill_of_an_order_that_is_not_ours(conversation):
    forced = ORDER | {"clOrdId": "", "category": "full_liquidation", "tradeId": "-7"}
    fill, update = conversation.hear(frame("orders", forced), 5)
    assert (fill.fill.client_order_id, fill.fill.fill_id) == (None, "-7")
    assert update.client_order_id is None


def test_orders_of_other_instruments_are_left_out(conversation):
    assert conversation.hear(frame("orders", ORDER | {"instId": "ADA-USDT-SWAP"}), 5) == []
    conversation.watch(START_NS)


def test_a_state_nobody_documented_costs_the_connection_once_its_fill_is_told(conversation):
    odd, next_one = ORDER | {"state": "partially_canceled"}, ORDER | {"ordId": "7", "tradeId": "8"}
    fill, *of_the_next = conversation.hear(frame("orders", odd, next_one), 5)
    assert isinstance(fill, FillReported)
    assert (fill.fill.fill_id, fill.fill.quantity) == ("1518905529", Decimal("0.015"))
    assert [type(event) for event in of_the_next] == [FillReported, OrderUpdate]
    with pytest.raises(Dropped, match="unknown state: 'partially_canceled'"):
        conversation.watch(START_NS)
    # A new connection begins anew.
    conversation.begin(START_NS)
    conversation.watch(START_NS)


def test_an_unknown_kind_of_row_without_an_execution_costs_nothing(conversation):
    quiet = {"execType": "F", "tradeId": "", "fillSz": "", "fillPx": "", "state": "live"}
    (update,) = conversation.hear(frame("orders", ORDER | quiet), 5)
    assert update.state is OrderState.ACCEPTED
    conversation.watch(START_NS)


def test_a_first_fill_without_its_own_fee_takes_the_orders(conversation):
    first = ORDER | {"accFillSz": "1.5", "fillFee": ""}
    fill, _ = conversation.hear(frame("orders", first), 5)
    assert fill.fill.fee == Decimal("0.04")


def test_positions(conversation):
    row = {"instId": "ETH-USDT-SWAP", "pos": "-5", "avgPx": "2500", "upl": "1", "uTime": "9"}
    flat = {"instId": "BTC-USDT-SWAP", "pos": "0", "avgPx": "", "upl": "", "uTime": "8"}
    other = {"instId": "ADA-USDT-SWAP", "pos": "1", "avgPx": "1"}
    short, gone = conversation.hear(frame("positions", row, flat, other), 5)
    assert isinstance(short, PositionUpdate)
    assert (short.position.instrument_id, short.position.quantity, short.position.entry_price) == (
        "ETHUSDT",
        Decimal("-0.5"),
        2500,
    )
    assert (gone.position.instrument_id, gone.position.quantity, gone.position.entry_price) == (
        "BTCUSDT",
        0,
        None,
    )
    assert gone.position.event_ns == 8 * NS_PER_MS


def test_the_balance_of_the_settlement_currency(conversation):
    row = {
        "uTime": "12",
        "details": [
            {"ccy": "BTC", "eq": "1", "cashBal": "1"},
            {"ccy": "USDT", "eq": "101.5", "cashBal": "100", "imr": "3", "mmr": "1", "uTime": "7"},
        ],
    }
    (update,) = conversation.hear(frame("account", row), 5)
    assert isinstance(update, BalanceUpdate)
    assert (update.balance.equity, update.balance.wallet_balance) == (Decimal("101.5"), 100)
    assert (update.balance.event_ns, update.balance.available_margin) == (12 * NS_PER_MS, None)
    assert conversation.hear(frame("account", {"uTime": "13", "details": []}), 5) == []


@pytest.mark.parametrize(
    "broken", [b"{", frame("orders", {"instId": "x"}), frame("positions", {"instId": "x"})]
)
def test_a_frame_that_cannot_be_read_may_have_been_a_fill(conversation, broken):
    with pytest.raises(Dropped, match="could not be read"):
        conversation.hear(broken, 5)


class StubPrivate:
    """Logs everybody in and grants everything, unless it is told otherwise."""

    def __init__(self):
        self.connections = []
        self.refusal = None

    async def handle(self, socket):
        self.connections.append(socket)
        async for message in socket:
            request = json.loads(message)
            if request["op"] == "login":
                await socket.send((self.refusal or LOGGED_IN).decode())
            else:
                # The account's snapshot may come before the last grant.
                balance = {"uTime": "1", "details": [{"ccy": "USDT", "eq": "1", "cashBal": "1"}]}
                await socket.send(frame("account", balance).decode())
                for argument in request["args"]:
                    await socket.send(grant(argument["channel"]).decode())


@pytest.fixture
async def private():
    stub = StubPrivate()
    async with serve(stub.handle, "127.0.0.1", 0) as server:
        stub.port = server.sockets[0].getsockname()[1]
        yield stub


def stream_of(stub, symbols, credentials, clock):
    return OkxAccountStream(
        OkxEndpoints.loopback(stub.port), credentials, symbols, clock, timing=QUICK
    )


async def wait_for(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.005)


def test_a_login_is_stamped_by_the_venues_clock(symbols, credentials):
    now_ns = 1_700_000_000 * NS_PER_SECOND
    spoken = AccountConversation(
        OkxEndpoints.loopback(1), credentials, symbols, ahead_ns=lambda: -89 * NS_PER_SECOND
    )
    spoken.begin(now_ns)
    (request,) = map(json.loads, spoken.requests)
    stamp = str(now_ns // NS_PER_SECOND - 89)
    digest = hmac.new(
        credentials.secret.encode(), f"{stamp}GET/users/self/verify".encode(), hashlib.sha256
    ).digest()
    (login,) = request["args"]
    assert (login["timestamp"], login["sign"]) == (stamp, base64.b64encode(digest).decode())


async def test_each_new_connection_announces_itself(private, symbols, credentials, clock):
    events = []
    stream = stream_of(private, symbols, credentials, clock)
    task = asyncio.create_task(stream.run(events.append))
    alive = lambda: [e for e in events if isinstance(e, StreamAlive)]  # noqa: E731
    await wait_for(alive)
    assert alive()[0].stream is StreamName.ACCOUNT
    events.clear()
    private.connections[0].transport.abort()
    await wait_for(alive)
    kinds = [type(event) for event in events]
    assert kinds.index(StreamDown) < kinds.index(StreamAlive)
    # A frame that cannot be read costs the connection, so that REST is asked again.
    events.clear()
    await private.connections[1].send("{")
    await wait_for(alive)
    assert isinstance(events[0], StreamDown)
    assert len(private.connections) == 3
    # Once it has been logged in, a refusal is an outage and no end.
    events.clear()
    private.refusal = b'{"event":"error","code":"60024","msg":"Wrong passphrase"}'
    private.connections[2].transport.abort()
    await wait_for(lambda: len(private.connections) > 4)
    private.refusal = None
    await wait_for(alive)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wrong_key_ends_the_stream_with_its_remedy(private, symbols, credentials, clock):
    private.refusal = b'{"event":"error","code":"60024","msg":"Wrong passphrase"}'
    with pytest.raises(StartRefused, match="passphrase") as refusal:
        await stream_of(private, symbols, credentials, clock).run([].append)
    assert "phrase-9" not in str(refusal.value)
