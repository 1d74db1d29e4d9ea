"""The paper account as a venue, in a scripted market: latency, restarts, refusals, other hands."""

import asyncio
import contextlib
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import (
    BalanceUpdate,
    FillReported,
    FundingPaid,
    OrderUpdate,
    PositionUpdate,
    StreamAlive,
    StreamDown,
    StreamName,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import FillCause, OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.ports import HistoricFunding
from counterpoise.venues.paper import absence
from counterpoise.venues.paper import account as paper_account
from counterpoise.venues.paper.account_stream import PaperAccountStream
from counterpoise.venues.paper.store import PaperFile
from mirror_world import BTC, ETH
from paper_world import PaperWorld
from stamped_orders import journaled


@pytest.fixture
async def world(tmp_path):
    made = PaperWorld(tmp_path)
    await made.opened()
    yield made
    await made.venue.close()


@contextlib.asynccontextmanager
async def told(world):
    """What the account stream tells while the block lasts."""
    heard = []
    stream = asyncio.create_task(PaperAccountStream(world.account, world.clock).run(heard.append))
    await asyncio.sleep(0)
    try:
        yield heard
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)


async def bought(world, quantity="1", **more):
    order = await journaled(world.clock, quantity=quantity, price="100.1", **more)
    return order, await world.venue.submit(order)


async def until(found, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not found():  # noqa: ASYNC110  a stream's list
            await asyncio.sleep(0.005)


# -- orders ----------------------------------------------------------------------------------


async def test_an_order_meets_the_book_that_stands_when_it_arrives(tmp_path):
    world = PaperWorld(tmp_path, latency_ms=300)
    await world.opened()
    order = await journaled(world.clock, quantity="2", price="100.1")
    began = time.monotonic()
    sent = asyncio.create_task(world.venue.submit(order))
    await asyncio.sleep(0.03)
    assert await world.venue.find_order(BTC, order.intent.client_order_id) is None
    world.book(ask="100.1", quantity="0.5")
    answer = await sent
    # There and back.
    assert time.monotonic() - began >= 0.6
    found = await world.venue.find_order(BTC, order.intent.client_order_id)
    assert (answer.state, found.filled_quantity) == (OrderState.ACCEPTED, Decimal("0.5"))
    await world.venue.close()


async def test_what_happened_is_told_in_order_a_latency_later(tmp_path):
    world = PaperWorld(tmp_path, latency_ms=60)
    await world.opened()
    async with told(world) as heard:
        order, _ = await bought(world)
        await until(lambda: any(isinstance(e, BalanceUpdate) for e in heard))
    kinds = [type(each) for each in heard if not isinstance(each, StreamAlive)]
    assert kinds == [OrderUpdate, FillReported, OrderUpdate, PositionUpdate, BalanceUpdate]
    first, fill, filled, position, balance = [e for e in heard if not isinstance(e, StreamAlive)]
    assert (first.state, filled.state) == (OrderState.ACCEPTED, OrderState.FILLED)
    assert (fill.fill.client_order_id, fill.fill.price) == (
        order.intent.client_order_id,
        Decimal("100.1"),
    )
    assert fill.fill.cause is FillCause.ORDER
    assert fill.fill.received_ns - fill.fill.event_ns >= 60_000_000 - 1_000_000
    assert position.position.quantity == 1
    assert balance.balance.wallet_balance == 10_000 - fill.fill.fee
    await world.venue.close()


async def test_an_increase_that_arrives_after_its_approval_is_refused(tmp_path):
    world = PaperWorld(tmp_path, latency_ms=700)
    await world.opened()
    order = await journaled(world.clock, quantity="1", price="100.1")
    late = replace(
        order, approved=replace(order.approved, expires_ns=world.clock.now_ns() + 600_000_000)
    )
    with pytest.raises(VenueRejected) as refused:
        await world.venue.submit(late)
    assert refused.value.code == "APPROVAL_OVER"
    assert (await world.venue.account()).positions == ()
    await world.venue.close()


async def test_an_order_waits_for_its_book_and_then_gives_up(world, monkeypatch):
    down = StreamDown(stream=StreamName.BOOKS, reason="cut", received_ns=0)
    world.account.hear(down)
    sent = asyncio.create_task(bought(world))
    await asyncio.sleep(0.1)
    world.book()
    order, _ = await sent
    found = await world.venue.find_order(BTC, order.intent.client_order_id)
    assert found.state is OrderState.FILLED

    monkeypatch.setattr("counterpoise.venues.paper.orders.BOOK_SECONDS_MAX", 0.05)
    world.account.hear(down)
    with pytest.raises(VenueUnreachable, match="book is not known"):
        await bought(world, client_order_id="cpsecond")


@pytest.mark.parametrize(
    ("more", "kind", "code"),
    [
        ({"reduce_only": True, "side": Side.SELL}, PositionDoubtful, "REDUCE_ONLY_NO_POSITION"),
        ({"instrument_id": "NOSUCHUSDT"}, VenueRejected, "INSTRUMENT_UNKNOWN"),
        ({"quantity": "0.0001"}, VenueRejected, "BELOW_LOT_SIZE"),
        ({"price": "100.15"}, VenueRejected, "OFF_TICK"),
        ({"price": "150"}, VenueRejected, "PRICE_OUT_OF_BAND"),
    ],
)
async def test_refusals_say_why(world, more, kind, code):
    wanted = {"quantity": "1", "price": "100.1", **more}
    order = await journaled(world.clock, **wanted)
    with pytest.raises(kind) as refused:
        await world.venue.submit(order)
    assert refused.value.code == code


async def test_a_used_id_proves_nothing_about_its_order(world):
    resting = {"quantity": "1", "price": "99", "time_in_force": TimeInForce.GTC}
    await world.venue.submit(await journaled(world.clock, **resting))
    with pytest.raises(OutcomeUnknown):
        await world.venue.submit(await journaled(world.clock, **resting))
    assert len((await world.venue.account()).open_orders) == 1


# -- restarts --------------------------------------------------------------------------------


async def test_everything_survives_a_restart(world):
    order, _ = await bought(world)
    resting = await journaled(
        world.clock,
        quantity="1",
        price="99",
        time_in_force=TimeInForce.GTC,
        client_order_id="cprests",
    )
    await world.venue.submit(resting)
    stop = await journaled(
        world.clock,
        quantity="1",
        side=Side.SELL,
        price=None,
        reduce_only=True,
        trigger_price="80",
        client_order_id="cpstop",
    )
    await world.venue.place_trigger(stop)
    await world.venue.set_leverage(BTC, Decimal(2))
    before = await world.venue.account()
    fills = await world.venue.fills_since(0)

    venue = await world.opened()
    after = await venue.account()
    assert after.account_id == before.account_id
    assert (after.positions[0].quantity, after.positions[0].entry_price) == (1, Decimal("100.1"))
    assert [each.client_order_id for each in after.open_orders] == ["cprests"]
    assert after.balance.wallet_balance == before.balance.wallet_balance
    assert [each.fill_id for each in await venue.fills_since(0)] == [e.fill_id for e in fills]
    assert [each.client_order_id for each in await venue.triggers()] == ["cpstop"]
    found = await venue.find_order(BTC, order.intent.client_order_id)
    assert found.state is OrderState.FILLED
    assert (await venue.attest([BTC])).leverage_settings == {BTC: Decimal(2)}
    # What it had at the start is neither a deposit nor profit.
    assert await venue.transfers_since(0) == ()


async def test_what_was_told_was_on_disk(world):
    await bought(world)
    # As a power cut would leave it: nothing was closed.
    _, changes = PaperFile(world.terms.path).read()
    assert changes[-1]["fills"][0]["price"] == "100.1"


async def test_a_torn_tail_is_as_if_it_never_was(world):
    await bought(world)
    length = world.terms.path.stat().st_size
    await bought(world, client_order_id="cpsecond")
    await world.venue.close()
    content = world.terms.path.read_bytes()
    world.terms.path.write_bytes(content[: length + 40])
    venue = await world.opened()
    assert (await venue.account()).positions[0].quantity == 1
    # And it writes on.
    await bought(world, client_order_id="cpthird")
    venue = await world.opened()
    assert (await venue.account()).positions[0].quantity == 2


async def test_a_fresh_account_leaves_the_old_one_aside(world):
    await bought(world)
    before = await world.venue.account_id()
    world.terms = replace(world.terms, equity=Decimal(500))
    venue = await world.opened(fresh=True)
    snapshot = await venue.account()
    assert snapshot.account_id != before
    assert (snapshot.balance.equity, snapshot.positions) == (500, ())
    assert (world.terms.path.parent / f"{before}.aside").is_file()


async def test_a_long_file_is_written_anew_with_what_counts(world, monkeypatch):
    monkeypatch.setattr(paper_account, "BYTES_MAX", 30_000)
    for number in range(8):
        world.book(quantity=f"{5 + number}")
        await bought(world, client_order_id=f"cp{number}")
    assert world.terms.path.stat().st_size < 60_000
    venue = await world.opened()
    assert (await venue.account()).positions[0].quantity == 8
    assert len(await venue.fills_since(0)) == 8


async def test_two_daemons_do_not_trade_one_account(world):
    other = PaperWorld(world.terms.path.parents[1])
    with pytest.raises(StartRefused, match="another daemon trades the paper account"):
        await other.opened()
    # Looking is allowed, and trades nothing.
    looking = await other.opened(keep=False)
    assert await looking.account_id() == await world.venue.account_id()
    with pytest.raises(VenueRejected, match="only looks"):
        await bought(other)
    await other.venue.close()


async def test_looking_makes_no_account(tmp_path):
    world = PaperWorld(tmp_path)
    venue = await world.opened(keep=False)
    assert (await venue.account()).balance.equity == 10_000
    await venue.close()
    assert not world.terms.path.exists()


async def test_a_dead_disk_ends_everything(world, monkeypatch):
    def fails(_file):
        raise OSError(5, "no disk")

    monkeypatch.setattr("counterpoise.venues.paper.store.os.fsync", fails)
    # What was written may be there after all: it is not known whether the order was placed.
    with pytest.raises(OutcomeUnknown, match="no disk"):
        await bought(world)
    monkeypatch.undo()
    venue = await PaperWorld(world.terms.path.parents[1]).opened(keep=False)
    assert [each.quantity for each in (await venue.account()).positions] == [1]
    await venue.close()
    with pytest.raises(VenueUnreachable, match="no disk"):
        await bought(world, client_order_id="cpsecond")
    with pytest.raises(VenueUnreachable, match="no disk"):
        await world.venue.account()
    with pytest.raises(VenueUnreachable, match="no disk"):
        world.mark("100")


# -- what the venue says ---------------------------------------------------------------------


async def test_marks_are_asked_for_while_no_stream_tells_them(world):
    await bought(world)
    world.public.asked.clear()
    assert (await world.venue.account()).balance.equity > 0
    assert world.public.asked == []
    world.account.heard = time.monotonic() - 6
    world.public.marks[BTC] = Decimal("101.1")
    snapshot = await world.venue.account()
    assert world.public.asked == [BTC]
    assert snapshot.positions[0].unrealised_pnl == 1


async def test_the_attestation_says_there_is_no_key(world):
    found = await world.venue.attest([BTC, ETH])
    assert (found.account_mode, found.one_way, found.cross_margin) == ("paper", True, True)
    assert (found.permissions, found.ip_bound) == (("trade",), None)
    assert (found.maker_fee_bps, found.taker_fee_bps) == (Decimal(2), Decimal(5))
    assert found.funding_interval_hours == {BTC: Decimal(1), ETH: Decimal(1)}


async def test_the_model_keeps_the_venues_time(world):
    world.public.offset_ns = 3 * NS_PER_SECOND
    assert await world.venue.clock_offset_ns() == 3 * NS_PER_SECOND
    snapshot = await world.venue.account()
    assert snapshot.event_ns - world.clock.now_ns() > 2 * NS_PER_SECOND


async def test_a_delisted_holding_is_settled_and_told(world):
    await bought(world)
    world.public.states = {BTC: InstrumentState.DELISTED}
    async with told(world) as heard:
        states = await world.venue.instrument_states([BTC])
        await until(lambda: any(isinstance(e, FillReported) for e in heard))
    assert states == {BTC: InstrumentState.DELISTED}
    (fill,) = [each.fill for each in heard if isinstance(each, FillReported)]
    assert (fill.cause, fill.client_order_id) == (FillCause.SETTLEMENT, None)
    assert (await world.venue.account()).positions == ()
    await world.venue.instrument_states([BTC])


async def test_a_suspended_market_refuses_once_that_was_asked(world):
    world.public.states = {BTC: InstrumentState.SUSPENDED}
    await world.venue.instrument_states([BTC])
    with pytest.raises(VenueRejected) as refused:
        await bought(world)
    assert refused.value.code == "INSTRUMENT_NOT_LIVE"


async def test_a_stream_that_has_too_much_to_tell_says_it_lost_something(world, monkeypatch):
    monkeypatch.setattr(paper_account, "TOLD_MAX", 3)
    async with told(world) as heard:
        await bought(world)
        await until(lambda: any(isinstance(e, StreamDown) for e in heard))
        down = next(each for each in heard if isinstance(each, StreamDown))
        assert down.stream is StreamName.ACCOUNT
        await until(lambda: isinstance(heard[-1], StreamAlive))


async def test_fundings_of_the_time_nobody_listened_are_charged(world, monkeypatch):
    await bought(world, quantity="2")
    since_ns = world.account.exchange.now_ns
    due_ns = (since_ns // NS_PER_HOUR + 1) * NS_PER_HOUR
    asked = []

    class History:
        def __init__(self, venue, *, address):
            asked.append((venue, address))

        async def open(self, instrument_ids):
            asked.append(instrument_ids)

        async def close(self):
            pass

        def funding_page_ms(self):
            return 10**9

        async def fundings(self, instrument_id, since_ms, until_ms):
            rows = [due_ns - 8 * NS_PER_HOUR, due_ns, due_ns + NS_PER_HOUR]
            return [HistoricFunding(each // 10**6, 0.0001) for each in rows]

    monkeypatch.setattr(absence, "PublicHistory", History)
    await world.venue.close()
    # An hour and a half later by the venue's clock.
    world.public.offset_ns = due_ns + NS_PER_HOUR // 2 - world.clock.now_ns()
    world.public.marks[BTC] = Decimal(90)
    venue = world.made()
    await venue.open()
    paid = await venue.funding_since(since_ns)
    assert asked == [("okx", "http://127.0.0.1:9"), (BTC,)]
    assert [(each.event_ns, each.payment) for each in paid] == [
        (due_ns, -2 * 90 * Decimal("0.0001"))
    ]
    # Opened again, there is nothing left to charge.
    await venue.close()
    await world.made().open()
    assert len(await world.venue.funding_since(0)) == 1
    assert isinstance(paid[0], FundingPaid)


async def test_tiers_whose_worth_moves_with_the_mark_stay_as_attested(world):
    before = (await world.venue.instruments([BTC]))[0].tiers
    moved = tuple(
        replace(each, notional_max=Decimal(123)) for each in world.public.rules[BTC].tiers
    )
    world.public.rules[BTC] = replace(world.public.rules[BTC], tiers=(moved[0], *moved))
    other = (await world.venue.instruments([BTC]))[0].tiers
    assert (len(before), len(other)) == (1, 2)
    again = tuple(replace(each, notional_max=Decimal(77)) for each in (moved[0], *moved))
    world.public.rules[BTC] = replace(world.public.rules[BTC], tiers=again)
    assert (await world.venue.instruments([BTC]))[0].tiers == other
    # A start takes them as they are.
    await world.opened()
    assert (await world.venue.instruments([BTC]))[0].tiers[0].notional_max == 77


async def test_what_is_attested_stays_when_a_funding_was_just_charged(world):
    world.account.exchange.covered(world.clock.now_ns() + 9 * NS_PER_HOUR)
    world.public.asked.clear()
    found = await world.venue.attest([BTC])
    assert found.funding_interval_hours == {BTC: Decimal(1)}
