"""What a client learns of a liquidation and of funding, and how it is held back."""

from decimal import Decimal

import msgspec
import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.orders import NewOrder
from counterpoise.simulator.okx import account, trade
from counterpoise.simulator.okx.account_streams import AccountStreams
from counterpoise.simulator.okx.calls import Call, Desk
from counterpoise.simulator.okx.channels import Channels, Sequencer
from counterpoise.simulator.okx.sockets import ChannelUnknown, Topic
from counterpoise.simulator.store import Store
from counterpoise.simulator.venue import RunningVenue

OPENED_NS = 1_795_305_600 * NS_PER_SECOND
UID = "100200300"


class Listeners:
    # What `Sessions` offers to the streams, with every frame kept.

    def __init__(self, *topics):
        self.topics = topics
        self.frames = []

    def listening(self, path):
        return tuple(topic for topic in self.topics if topic.path == path)

    def push(self, topic, frame):
        self.frames.append(msgspec.json.decode(frame))

    def rows(self, channel):
        return [
            row
            for frame in self.frames
            if frame["arg"]["channel"] == channel
            for row in frame["data"]
        ]


TOPICS = (
    Topic("private", "orders", (("instType", "ANY"),)),
    Topic("private", "positions", (("instType", "SWAP"),)),
    Topic("private", "account", ()),
    Topic("private", "balance_and_position", ()),
)


@pytest.fixture
def desk(tmp_path):
    store = Store(tmp_path / "state.sqlite")
    venue = RunningVenue.open(store, seed=3, now_ns=OPENED_NS)
    venue.open_account(UID, Decimal(1_000))
    parameters = venue.exchange.parameters
    yield Desk(
        venue=venue,
        account_id=UID,
        listed={each.instrument.instrument_id: each for each in parameters.instruments},
        maker_fee_bps=parameters.maker_fee_bps,
        taker_fee_bps=parameters.taker_fee_bps,
    )
    store.close()


@pytest.fixture
def listeners(desk):
    heard = Listeners(*TOPICS)
    streams = AccountStreams(desk, heard, Channels(desk, Sequencer(1)))
    desk.venue.listeners.append(streams.hear)
    return heard


def buy(desk, quantity):
    order = NewOrder(
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal(quantity),
        kind=OrderKind.MARKET,
        client_order_id="bought",
    )
    desk.venue.place(UID, [order])


def ask(desk, routes, path, **query):
    call = Call(query=query, body=None, expires_ms=None, received_ns=OPENED_NS)
    return routes[f"/api/v5/{path}"](desk, call)


def test_a_liquidation_is_the_venues_own_order_and_leaves_the_position_its_trade(desk, listeners):
    buy(desk, "0.03")
    opened = listeners.rows("positions")[-1]
    orders_before = len(listeners.rows("orders"))
    listeners.frames.clear()
    desk.venue.shock("BTCUSDT", -0.45, 0.5)
    desk.venue.advance(OPENED_NS + 120 * NS_PER_SECOND)

    assert orders_before > 0
    (seized,) = listeners.rows("orders")
    assert (seized["category"], seized["state"]) == ("full_liquidation", "filled")
    assert (seized["side"], seized["fillSz"], seized["clOrdId"]) == ("sell", "3", "")
    closed = listeners.rows("positions")[-1]
    assert (closed["instId"], closed["pos"], closed["avgPx"]) == ("BTC-USDT-SWAP", "0", "")
    assert closed["tradeId"] == opened["tradeId"]
    assert int(closed["uTime"]) > int(opened["uTime"])
    assert listeners.rows("balance_and_position")[-1]["eventType"] == "liquidation"
    newest = ask(desk, trade.READS, "trade/fills", instType="SWAP")[0]
    assert int(newest["tradeId"]) < 0
    assert (newest["side"], newest["fillSz"]) == ("sell", "3")
    figures = ("tradeId", "ordId", "fillPx", "fillSz")
    assert [newest[name] for name in figures] == [seized[name] for name in figures]
    kinds = [row["type"] for row in ask(desk, account.READS, "account/bills")]
    assert kinds[-1] == "1"
    assert "5" in kinds


def test_funding_is_a_bill_of_type_eight_and_an_account_push(desk, listeners):
    buy(desk, "0.01")
    listeners.frames.clear()
    for at_ns in range(OPENED_NS, OPENED_NS + 8 * NS_PER_HOUR + NS_PER_SECOND, NS_PER_HOUR // 2):
        desk.venue.advance(at_ns)
    (bill,) = ask(desk, account.READS, "account/bills", type="8")
    assert bill["instId"] == "BTC-USDT-SWAP"
    assert bill["subType"] == ("174" if Decimal(bill["balChg"]) >= 0 else "173")
    assert int(bill["ts"]) * NS_PER_MS == desk.venue.exchange.funding("BTCUSDT").funding_ns - (
        8 * NS_PER_HOUR
    )
    events = [row["eventType"] for row in listeners.rows("balance_and_position")]
    assert events == ["funding_fee"]
    assert listeners.rows("orders") == []


def test_balance_rows_add_up(desk):
    buy(desk, "0.01")
    (row,) = ask(desk, account.READS, "account/balance")
    (detail,) = row["details"]
    state = desk.venue.exchange.account(UID)
    assert Decimal(detail["eq"]) == Decimal(detail["cashBal"]) + Decimal(detail["upl"])
    assert Decimal(detail["eq"]) == state.equity
    assert Decimal(detail["availEq"]) == state.equity - state.initial_margin
    assert Decimal(detail["mmr"]) == state.maintenance_margin
    assert ask(desk, account.READS, "account/balance", ccy="BTC")[0]["details"] == []


def test_the_regular_push_comes_every_five_seconds(desk, listeners):
    streams = AccountStreams(desk, listeners, Channels(desk, Sequencer(1)))
    counts = []
    for second in range(12):
        desk.venue.advance(OPENED_NS + second * NS_PER_SECOND)
        streams.tick()
        counts.append(len(listeners.rows("account")))
    assert counts == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("path", "arg"),
    [
        ("public", {"channel": "books", "instId": "BTC-USD-SWAP"}),
        ("public", {"channel": "account"}),
        ("private", {"channel": "books", "instId": "BTC-USDT-SWAP"}),
        ("private", {"channel": "orders", "instType": "SPOT"}),
        ("private", {"channel": "positions", "instId": "NO-USDT-SWAP"}),
        ("business", {"channel": "candle7m", "instId": "BTC-USDT-SWAP"}),
        ("public", {}),
    ],
)
def test_channels_that_are_not_there(desk, path, arg):
    with pytest.raises(ChannelUnknown):
        Channels(desk, Sequencer(1)).topic(path, arg)


def test_the_accounts_own_limit_is_told_by_its_own_code(desk):
    while desk.limits.grant_account():
        pass
    body = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "market"}
    call = Call(query={}, body={**body, "sz": "1"}, expires_ms=None, received_ns=OPENED_NS)
    answer = msgspec.json.decode(trade.WRITES["/api/v5/trade/order"](desk, call).body)
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", "50061")
    assert answer["data"][0]["sMsg"].startswith("You've reached the maximum order rate limit")
    named = {"instId": "BTC-USDT-SWAP", "ordId": "1"}
    # Cancels are not counted.
    call = Call(query={}, body=named, expires_ms=None, received_ns=OPENED_NS)
    answer = msgspec.json.decode(trade.WRITES["/api/v5/trade/cancel-order"](desk, call).body)
    assert answer["data"][0]["sCode"] == "51400"
    assert desk.venue.exchange.orders(UID) == ()
