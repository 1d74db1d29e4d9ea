"""OKX's paging of candles, and a book chain that never breaks by itself."""

from decimal import Decimal

import msgspec
import pytest

from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import Fault, FaultPlan
from counterpoise.simulator.links import WAITING_FRAMES_MAX, Link
from counterpoise.simulator.okx import market, public
from counterpoise.simulator.okx.calls import Call, Desk
from counterpoise.simulator.okx.channels import Channels, Sequencer, public_topic
from counterpoise.simulator.okx.errors import WireError
from counterpoise.simulator.okx.market_streams import KEEP_ALIVE_NS, MarketStreams
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT
from counterpoise.simulator.store import Store
from counterpoise.simulator.venue import RunningVenue

#: 00:00:20 past a full hour.
OPENED_NS = 1_795_305_620 * NS_PER_SECOND
OPENED_MINUTE_MS = (OPENED_NS // NS_PER_MINUTE) * NS_PER_MINUTE // NS_PER_MS
MINUTE_MS = 60_000


@pytest.fixture
def desk(tmp_path):
    store = Store(tmp_path / "state.sqlite")
    venue = RunningVenue.open(store, seed=3, now_ns=OPENED_NS)
    venue.open_account("1", Decimal(1_000))
    parameters = venue.exchange.parameters
    yield Desk(
        venue=venue,
        account_id="1",
        listed={each.instrument.instrument_id: each for each in parameters.instruments},
        maker_fee_bps=parameters.maker_fee_bps,
        taker_fee_bps=parameters.taker_fee_bps,
    )
    store.close()


def ask(desk, path, **query):
    routes = {**public.ROUTES, **market.ROUTES}
    fields = {name: str(value) for name, value in query.items()}
    call = Call(query=fields, body=None, expires_ms=None, received_ns=OPENED_NS)
    return routes[f"/api/v5/{path}"](desk, call)


def opens(rows):
    return [(int(row[0]) - OPENED_MINUTE_MS) // MINUTE_MS for row in rows]


def candles(desk, path="market/mark-price-candles", **query):
    return ask(desk, path, instId="BTC-USDT-SWAP", **query)


def test_without_bounds_the_newest_come_first_with_the_forming_bar(desk):
    rows = candles(desk, limit=3)
    assert opens(rows) == [0, -1, -2]
    assert [row[-1] for row in rows] == ["0", "1", "1"]


def test_history_has_complete_bars_only(desk):
    rows = candles(desk, "market/history-mark-price-candles", limit=3)
    assert opens(rows) == [-1, -2, -3]
    assert {row[-1] for row in rows} == {"1"}


def test_after_means_older_and_before_means_newer_both_without_the_bar_named(desk):
    assert opens(candles(desk, after=OPENED_MINUTE_MS - 5 * MINUTE_MS, limit=2)) == [-6, -7]
    assert opens(candles(desk, before=OPENED_MINUTE_MS - 3 * MINUTE_MS)) == [0, -1, -2]
    window = candles(
        desk,
        before=OPENED_MINUTE_MS - 9 * MINUTE_MS,
        after=OPENED_MINUTE_MS - 5 * MINUTE_MS,
    )
    assert opens(window) == [-6, -7, -8]


def test_before_alone_gives_the_latest(desk):
    rows = candles(desk, before=OPENED_MINUTE_MS - 50 * MINUTE_MS, limit=2)
    assert opens(rows) == [0, -1]


def test_limits_of_each_kind(desk):
    assert len(candles(desk, limit=500)) == 100
    assert len(candles(desk, "market/candles", limit=500)) == 300
    assert len(candles(desk)) == 100


def test_a_longer_bar_is_made_of_its_minutes(desk):
    (bar,) = candles(desk, "market/candles", bar="5m", after=OPENED_MINUTE_MS, limit=1)
    minutes = candles(desk, "market/candles", after=int(bar[0]) + 5 * MINUTE_MS, limit=5)
    assert bar[1] == minutes[-1][1]
    assert Decimal(bar[2]) == max(Decimal(row[2]) for row in minutes)
    assert Decimal(bar[3]) == min(Decimal(row[3]) for row in minutes)
    assert bar[4] == minutes[0][4]
    assert Decimal(bar[6]) == sum(Decimal(row[6]) for row in minutes)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"instId": "BTC-USD-SWAP"}, "51001"),
        ({"instId": "BTC-USDT-SWAP", "bar": "7m"}, "51000"),
        ({"instId": "BTC-USDT-SWAP", "after": "now"}, "51000"),
        ({}, "50014"),
    ],
)
def test_wrong_candle_queries_have_codes(desk, query, code):
    with pytest.raises(WireError) as refused:
        ask(desk, "market/candles", **query)
    assert refused.value.code == code


def test_instruments_state_contracts(desk):
    (row,) = ask(desk, "public/instruments", instType="SWAP", instId="DOGE-USDT-SWAP")
    assert {name: row[name] for name in ("ctVal", "lotSz", "minSz", "tickSz", "settleCcy")} == {
        "ctVal": "1000",
        "lotSz": "0.01",
        "minSz": "0.01",
        "tickSz": "0.00001",
        "settleCcy": "USDT",
    }
    assert ask(desk, "public/instruments", instType="SPOT") == []


def test_tiers_are_stated_in_contracts_that_stand_still_and_join(desk):
    tiers = ask(desk, "public/position-tiers", instType="SWAP", instFamily="BTC-USDT")
    opened = desk.listed["BTCUSDT"].price_start
    ends = (5_000_000 / opened / Decimal("0.01")).quantize(Decimal(1))
    assert Decimal(tiers[0]["maxSz"]) == ends
    assert [row["minSz"] for row in tiers[1:]] == [row["maxSz"] for row in tiers[:-1]]
    assert [row["mmr"] for row in tiers] == ["0.004", "0.0075", "0.0125"]


class Listeners:
    # What `Sessions` offers to the streams, with every frame kept.

    def __init__(self, *topics):
        self.topics = topics
        self.frames = []

    def listening(self, path):
        return tuple(topic for topic in self.topics if topic.path == path)

    def listened(self, topic):
        return topic in self.topics

    def push(self, topic, frame):
        self.frames.append(msgspec.json.decode(frame))


def test_updates_applied_to_the_snapshot_give_the_venues_book(desk):
    topic = public_topic("books", "SOL-USDT-SWAP")
    listeners = Listeners(topic)
    sequencer = Sequencer(1_000)
    channels = Channels(desk, sequencer)
    streams = MarketStreams(desk, listeners, channels, sequencer, FaultPlan())
    desk.venue.listeners.append(streams.hear)
    snapshot = msgspec.json.decode(channels.book_snapshot(topic, BY_INSTRUMENT["SOLUSDT"]))["data"][
        0
    ]
    books = {side: {row[0]: row[1] for row in snapshot[side]} for side in ("bids", "asks")}
    last = snapshot["seqId"]
    assert snapshot["prevSeqId"] == -1

    # Uneven looks at the clock: some updates hold one step of the market, some several.
    at_ns = OPENED_NS
    for leap_ms in (260, 40, 1_700, 260, 5_000, 300):
        at_ns += leap_ms * NS_PER_MS
        desk.venue.advance(at_ns)
    for pushed in listeners.frames:
        (update,) = pushed["data"]
        assert pushed["action"] == "update"
        assert update["prevSeqId"] == last
        assert update["seqId"] > last
        assert update["checksum"] == 0
        last = update["seqId"]
        for side in ("bids", "asks"):
            for price, contracts, _, count in update[side]:
                assert (contracts == "0") == (count == "0")
                books[side].pop(price, None)
                if contracts != "0":
                    books[side][price] = contracts

    book = ask(desk, "market/books", instId="SOL-USDT-SWAP", sz=400)[0]
    assert len(listeners.frames) == 5
    assert books["bids"] == {row[0]: row[1] for row in book["bids"]}
    assert books["asks"] == {row[0]: row[1] for row in book["asks"]}


def test_a_swallowed_update_leaves_a_gap(desk):
    listeners = Listeners(public_topic("books", "SOL-USDT-SWAP"))
    sequencer = Sequencer(1_000)
    faults = FaultPlan()
    streams = MarketStreams(desk, listeners, Channels(desk, sequencer), sequencer, faults)
    desk.venue.listeners.append(streams.hear)
    desk.venue.advance(OPENED_NS + 300 * NS_PER_MS)
    faults.add(Fault(kind=FaultKind.GAP_BOOKS), "SOLUSDT")
    desk.venue.advance(OPENED_NS + 600 * NS_PER_MS)
    desk.venue.advance(OPENED_NS + 900 * NS_PER_MS)
    first, second = (pushed["data"][0] for pushed in listeners.frames)
    assert second["prevSeqId"] > first["seqId"]


def test_an_idle_book_says_that_it_is_alive(desk):
    topic = public_topic("books", "SOL-USDT-SWAP")
    listeners = Listeners(topic)
    sequencer = Sequencer(1_000)
    streams = MarketStreams(desk, listeners, Channels(desk, sequencer), sequencer, FaultPlan())
    streams.tick()
    # Nobody hears the market's changes here, so the book looks idle to the streams.
    desk.venue.advance(OPENED_NS + KEEP_ALIVE_NS)
    streams.tick()
    (update,) = listeners.frames[-1]["data"]
    assert (update["bids"], update["asks"]) == ([], [])
    assert update["seqId"] == update["prevSeqId"] == 1_000


class Cuttable:
    # A request whose transport remembers that it was cut.

    path = "/ws/v5/public"

    def __init__(self):
        self.transport = self
        self.cut = False

    def abort(self):
        self.cut = True


async def test_a_client_that_does_not_read_is_cut_at_the_bound():
    request = Cuttable()
    session = Link(None, request, 1)
    for _ in range(WAITING_FRAMES_MAX):
        session.send(b"{}")
    assert not request.cut
    session.send(b"{}")
    assert request.cut
