"""What every venue's adapter promises (`ports.Venue`, `MarketFeed`, `AccountFeed`)."""

import asyncio
import time
from decimal import Decimal

import pytest

from counterpoise.domain.errors import (
    OutcomeUnknown,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import (
    BalanceUpdate,
    BookDelta,
    BookSnapshot,
    FillReported,
    FundingRate,
    MarkPrice,
    OrderUpdate,
    PositionUpdate,
    StreamAlive,
    StreamDown,
    StreamName,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Liquidity, OrderState, Side, TimeInForce
from counterpoise.domain.units import BPS_PER_ONE, NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND

CORE = "BTCUSDT"
SMALL = "DOGEUSDT"


# Start


async def test_opening_and_closing_twice_does_no_harm(rig):
    venue = rig.make_venue()
    await venue.open()
    await venue.open()
    assert (await venue.account()).account_id
    await venue.close()
    await venue.close()
    with pytest.raises(VenueUnreachable):
        await venue.account()


async def test_a_wrong_key_refuses_the_start_and_shows_nothing(rig):
    with pytest.raises(StartRefused) as refusal:
        await rig.make_venue(wrong_key=True).open()
    assert rig.wrong_key_words in str(refusal.value)
    assert not any(secret in str(refusal.value) for secret in rig.secrets)


async def test_a_wrong_key_ends_the_account_stream(rig, desk):
    with pytest.raises(StartRefused) as refusal:
        async with asyncio.timeout(5):
            await rig.make_account_feed(desk.symbols, wrong_key=True).run([].append)
    assert not any(secret in str(refusal.value) for secret in rig.secrets)


async def test_the_account_is_attested(desk):
    found = await desk.venue.attest([CORE, SMALL])
    assert found.account_id == (await desk.venue.account()).account_id
    assert (found.one_way, found.cross_margin) == (True, True)
    assert "trade" in found.permissions
    assert "withdraw" not in found.permissions
    assert found.taker_fee_bps == desk.rig.taker_fee_bps
    assert abs(found.clock_offset_ms) < 250
    assert set(found.leverage_settings) == {CORE, SMALL}


async def test_leverage_is_set_while_flat(desk):
    await desk.venue.set_leverage(CORE, Decimal(5))
    assert (await desk.venue.attest([CORE])).leverage_settings == {CORE: Decimal(5)}
    await desk.venue.set_leverage(CORE, Decimal(3))
    assert (await desk.venue.attest([CORE])).leverage_settings == {CORE: Decimal(3)}


async def test_instruments_are_in_base_units(desk):
    for rules in desk.rules.values():
        contract = desk.venue.contract_size(rules.instrument_id)
        assert rules.instrument_id == rules.base + rules.quote
        assert (rules.quote, rules.settle) == ("USDT", "USDT")
        assert rules.state is InstrumentState.LIVE
        assert rules.quantity_min >= rules.lot_size
        assert rules.quantity_min % rules.lot_size == 0
        # Whole contracts are always on the grid.
        assert contract % rules.lot_size == 0
        assert rules.market_quantity_max is not None
        assert rules.market_quantity_max <= rules.limit_quantity_max
        # A last tier may have no upper end.
        ends = [tier.notional_max or Decimal("Infinity") for tier in rules.tiers]
        rates = [tier.maintenance_margin_fraction for tier in rules.tiers]
        assert ends == sorted(ends)
        assert rates == sorted(rates)
        assert all(
            tier.maintenance_margin_fraction < tier.initial_margin_fraction <= 1
            for tier in rules.tiers
        )


async def test_an_instrument_that_is_not_listed_is_named(desk):
    with pytest.raises(StartRefused, match="NOSUCHUSDT"):
        await desk.venue.instruments(["NOSUCHUSDT"])


# Orders


async def settled(desk, order):
    """The order's last state as the account stream tells it."""
    return await desk.account.until(
        lambda event: (
            isinstance(event, OrderUpdate)
            and event.client_order_id == order.intent.client_order_id
            and event.state in {OrderState.FILLED, OrderState.CANCELED}
        )
    )


def fills_of(desk, order):
    found = {}
    for event in desk.account.of(FillReported):
        if event.fill.client_order_id == order.intent.client_order_id:
            found[event.fill.fill_id] = event.fill
    return found


async def test_a_filled_order_is_told_alike_by_every_source(desk):
    since_ns = time.time_ns() - NS_PER_SECOND
    order = await desk.order(CORE, Side.BUY, 25, price_bps=100)
    answer = await desk.venue.submit(order)
    assert answer.state is OrderState.ACCEPTED
    assert answer.client_order_id == order.intent.client_order_id
    streamed = await settled(desk, order)
    quantity = order.approved.quantity
    assert (streamed.state, streamed.filled_quantity) == (OrderState.FILLED, quantity)
    assert streamed.venue_order_id == answer.venue_order_id

    found = await desk.venue.find_order(CORE, order.intent.client_order_id)
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.FILLED, quantity)
    assert (found.venue_order_id, found.average_price) == (
        answer.venue_order_id,
        streamed.average_price,
    )
    assert found.event_ns >= since_ns

    by_stream = fills_of(desk, order)
    by_rest = {
        fill.fill_id: fill
        for fill in await desk.venue.fills_since(since_ns)
        if fill.client_order_id == order.intent.client_order_id
    }
    assert set(by_stream) == set(by_rest)
    for fill_id, fill in by_stream.items():
        other = by_rest[fill_id]
        assert (fill.quantity, fill.price, fill.fee, fill.side, fill.event_ns) == (
            other.quantity,
            other.price,
            other.fee,
            Side.BUY,
            other.event_ns,
        )
        assert (fill.fee_currency, fill.liquidity) == ("USDT", Liquidity.TAKER)
        assert fill.fee == fill.quantity * fill.price * desk.rig.taker_fee_bps / BPS_PER_ONE
        assert fill.price <= order.intent.price_limit
    assert sum(fill.quantity for fill in by_stream.values()) == quantity

    (held,) = (await desk.venue.account()).positions
    assert (held.instrument_id, held.quantity) == (CORE, quantity)
    assert held.entry_price == found.average_price


async def test_money_adds_up_over_a_round_trip(desk):
    before = (await desk.venue.account()).balance.wallet_balance
    opening = await desk.order(SMALL, Side.SELL, 7, price_bps=-100)
    await desk.venue.submit(opening)
    await settled(desk, opening)
    closing = await desk.order(SMALL, Side.BUY, 7, reduce_only=True)
    await desk.venue.submit(closing)
    assert (await settled(desk, closing)).filled_quantity == opening.approved.quantity
    await desk.account.until(
        lambda event: (
            isinstance(event, PositionUpdate)
            and event.position.instrument_id == SMALL
            and event.position.quantity == 0
        )
    )
    fills = [*fills_of(desk, opening).values(), *fills_of(desk, closing).values()]
    cash = -sum(fill.signed_quantity * fill.price for fill in fills)
    fees = sum(fill.fee for fill in fills)
    snapshot = await desk.venue.account()
    assert snapshot.positions == ()
    assert snapshot.balance.wallet_balance - before == pytest.approx(
        cash - fees, abs=Decimal("1e-6")
    )
    assert sum(fill.realised_pnl for fill in fills) == pytest.approx(cash, abs=Decimal("1e-6"))
    assert snapshot.balance.equity == snapshot.balance.wallet_balance


async def test_the_stream_tells_position_and_balance(desk):
    order = await desk.order("ETHUSDT", Side.SELL, 40, price_bps=-100)
    await desk.venue.submit(order)
    update = await desk.account.until(
        lambda event: (
            isinstance(event, PositionUpdate)
            and event.position.instrument_id == "ETHUSDT"
            and event.position.quantity == -order.approved.quantity
        )
    )
    assert update.position.entry_price == pytest.approx(desk.mark("ETHUSDT"), rel=Decimal("0.05"))
    balance = (await desk.account.until(lambda event: isinstance(event, BalanceUpdate))).balance
    assert balance.currency == "USDT"
    assert balance.event_ns > time.time_ns() - NS_PER_HOUR


async def test_an_order_that_rests_is_seen_and_canceled(desk):
    order = await desk.order(CORE, Side.BUY, 3, price_bps=-150, time_in_force=TimeInForce.GTC)
    await desk.venue.submit(order)
    name = order.intent.client_order_id
    (resting,) = (await desk.venue.account()).open_orders
    assert (resting.client_order_id, resting.instrument_id, resting.side) == (name, CORE, Side.BUY)
    assert (resting.quantity, resting.filled_quantity) == (order.approved.quantity, 0)
    assert (resting.price_limit, resting.reduce_only) == (order.intent.price_limit, False)
    assert resting.state is OrderState.ACCEPTED
    found = await desk.venue.find_order(CORE, name)
    assert found is not None
    assert found.order == resting

    await desk.venue.cancel(CORE, name)
    assert (await settled(desk, order)).state is OrderState.CANCELED
    found = await desk.venue.find_order(CORE, name)
    assert found is not None
    assert (found.state, found.filled_quantity, found.order) == (OrderState.CANCELED, 0, None)
    assert (await desk.venue.account()).open_orders == ()
    # Over is over: asking again is no error.
    await desk.venue.cancel(CORE, name)


async def test_a_cancel_of_an_order_that_never_was_is_no_error(desk):
    await desk.venue.cancel(CORE, "cpneverwas")
    assert await desk.venue.find_order(CORE, "cpneverwas") is None
    assert (await desk.venue.account()).open_orders == ()


async def test_an_ioc_that_finds_nothing_is_canceled(desk):
    order = await desk.order(CORE, Side.BUY, 1, price_bps=-150)
    await desk.venue.submit(order)
    update = await settled(desk, order)
    assert (update.state, update.filled_quantity, update.average_price) == (
        OrderState.CANCELED,
        0,
        None,
    )
    assert fills_of(desk, order) == {}


async def test_an_order_nobody_sent_is_not_found(desk):
    assert await desk.venue.find_order(CORE, "cpneverwas") is None


async def test_a_reduction_of_nothing_is_refused(desk):
    order = await desk.order(CORE, Side.SELL, 5, reduce_only=True)
    with pytest.raises(VenueRejected) as refusal:
        await desk.venue.submit(order)
    assert refusal.value.code == desk.rig.nothing_to_reduce_code
    assert await desk.venue.find_order(CORE, order.intent.client_order_id) is None


async def test_a_reduction_never_turns_the_position(desk):
    opening = await desk.order(CORE, Side.BUY, 5, price_bps=100)
    await desk.venue.submit(opening)
    await settled(desk, opening)
    closing = await desk.order(CORE, Side.SELL, 9, reduce_only=True)
    await desk.venue.submit(closing)
    update = await settled(desk, closing)
    assert update.filled_quantity == opening.approved.quantity
    assert (await desk.venue.account()).positions == ()


async def test_a_client_order_id_in_use_proves_nothing_about_its_order(desk):
    first = await desk.order(CORE, Side.BUY, 1, price_bps=-150, time_in_force=TimeInForce.GTC)
    await desk.venue.submit(first)
    again = await desk.order(
        CORE,
        Side.BUY,
        1,
        price_bps=-150,
        time_in_force=TimeInForce.GTC,
        client_order_id_text=first.intent.client_order_id,
    )
    # Only the copy was refused; the order that the id names is alive, so it is not a refused one.
    with pytest.raises(OutcomeUnknown) as refusal:
        await desk.venue.submit(again)
    assert refusal.value.code == desk.rig.duplicate_code
    assert len((await desk.venue.account()).open_orders) == 1
    found = await desk.venue.find_order(CORE, first.intent.client_order_id)
    assert found is not None
    assert found.state is OrderState.ACCEPTED


async def test_an_expired_approval_sends_nothing(desk):
    order = await desk.order(CORE, Side.BUY, 1, price_bps=100, approval_ms=1)
    await asyncio.sleep(0.005)
    with pytest.raises(VenueRejected) as refusal:
        await desk.venue.submit(order)
    assert refusal.value.code == "APPROVAL_EXPIRED"
    assert await desk.venue.find_order(CORE, order.intent.client_order_id) is None


async def test_an_increase_that_arrives_late_is_refused_by_the_venue(desk):
    desk.rig.fault("delay", desk.rig.order_path, seconds=0.6, stage="request")
    order = await desk.order(CORE, Side.BUY, 1, price_bps=100, approval_ms=300)
    with pytest.raises(VenueRejected) as refusal:
        await desk.venue.submit(order)
    assert refusal.value.code == desk.rig.late_code
    assert (await desk.venue.account()).positions == ()


# Unknown outcomes


@pytest.mark.parametrize("kind", ["drop_after_read", "http_200_empty"])
async def test_an_order_whose_answer_is_lost_is_unknown_and_found(desk, kind):
    desk.rig.fault(kind, desk.rig.order_path)
    order = await desk.order(CORE, Side.BUY, 2, price_bps=100)
    with pytest.raises(OutcomeUnknown):
        await desk.venue.submit(order)
    found = await desk.venue.find_order(CORE, order.intent.client_order_id)
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.FILLED, order.approved.quantity)
    # Sent once: one order, one position.
    (held,) = (await desk.venue.account()).positions
    assert held.quantity == order.approved.quantity


@pytest.mark.parametrize(
    ("kind", "details"), [("drop_after_read", {"stage": "request"}), ("unavailable", {})]
)
async def test_an_order_that_never_arrived_is_unknown_and_not_found(desk, kind, details):
    desk.rig.fault(kind, desk.rig.order_path, **details)
    order = await desk.order(CORE, Side.BUY, 2, price_bps=100)
    with pytest.raises(OutcomeUnknown):
        await desk.venue.submit(order)
    assert await desk.venue.find_order(CORE, order.intent.client_order_id) is None
    assert (await desk.venue.account()).positions == ()


async def test_an_answer_after_the_time_limit_is_unknown(rig, desk):
    slow = rig.make_venue(timeout_ms=300)
    await slow.open()
    try:
        rig.fault("delay", rig.order_path, seconds=1)
        order = await desk.order(CORE, Side.BUY, 2, price_bps=100)
        with pytest.raises(OutcomeUnknown):
            await slow.submit(order)
    finally:
        await slow.close()
    found = await desk.venue.find_order(CORE, order.intent.client_order_id)
    assert found is not None
    assert found.state is OrderState.FILLED


async def test_a_read_that_fails_is_unreachable_and_works_again(desk):
    desk.rig.fault("unavailable", desk.rig.balance_path)
    with pytest.raises(VenueUnreachable):
        await desk.venue.account()
    assert (await desk.venue.account()).balance.equity > 0


# Candles


async def test_mark_candles_are_complete_contiguous_and_repeatable(desk):
    now_ns = time.time_ns()
    step_ns = 300 * NS_PER_SECOND
    bars = await desk.venue.mark_candles(CORE, 300, now_ns - NS_PER_DAY, now_ns)
    opened = [bar.open_ns for bar in bars]
    assert opened == list(range(opened[0], opened[-1] + 1, step_ns))
    assert now_ns - NS_PER_DAY <= opened[0] < now_ns - NS_PER_DAY + step_ns
    # The running bar is not complete; a venue may confirm the last one a moment late.
    assert now_ns - 3 * step_ns < opened[-1] <= now_ns - step_ns
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert bars[-1].close == pytest.approx(desk.mark(CORE), rel=Decimal("0.05"))

    part = await desk.venue.mark_candles(CORE, 300, opened[10], opened[20])
    assert part == bars[10:20]


async def test_a_month_of_candles_of_six_instruments_warms_up_in_time(desk):
    now_ns = time.time_ns()
    began = time.monotonic()
    found = await asyncio.gather(
        *(
            desk.venue.mark_candles(each, 300, now_ns - 30 * NS_PER_DAY, now_ns)
            for each in desk.rules
        )
    )
    # A limit far above what it takes (2 s), because the daemon's start must not take a minute.
    assert time.monotonic() - began < 15
    assert {len(bars) for bars in found} <= {8_638, 8_639, 8_640}


# Streams


async def test_market_streams_tell_everything_of_every_instrument(desk):
    ids = set(desk.rules)
    for kind in (BookSnapshot, MarkPrice, FundingRate):
        await desk.market.of_all(kind, ids)
    for snapshot in desk.market.of(BookSnapshot):
        assert snapshot.quantity_unit == desk.venue.contract_size(snapshot.instrument_id)
        best_bid = max(Decimal(price) for price, _ in snapshot.bids)
        best_ask = min(Decimal(price) for price, _ in snapshot.asks)
        tick = desk.rules[snapshot.instrument_id].tick_size
        assert best_bid < best_ask
        assert best_bid % tick == best_ask % tick == 0
    for event in desk.market.of(MarkPrice):
        assert event.mark > 0
        assert abs(event.received_ns - event.event_ns) < 5 * NS_PER_SECOND
    for event in desk.market.of(FundingRate):
        assert event.interval_hours in {1, 2, 4, 8}
        assert 0 < event.funding_ns - time.time_ns() <= event.interval_hours * NS_PER_HOUR
    await desk.market.until(
        lambda event: (
            isinstance(event, MarkPrice)
            and event.index is not None
            and abs(event.index / event.mark - 1) < Decimal("0.05")
        )
    )
    alive = {event.stream for event in desk.market.of(StreamAlive)}
    assert alive == {StreamName.BOOKS, StreamName.MARKS}


async def test_a_book_kept_from_deltas_never_crosses(desk):
    await desk.market.until(
        lambda event: isinstance(event, BookDelta) and event.instrument_id == CORE
    )
    await asyncio.sleep(1)
    sides = None
    applied = 0
    for event in desk.market:
        if isinstance(event, BookSnapshot) and event.instrument_id == CORE:
            sides = (dict(event.bids), dict(event.asks))
        elif isinstance(event, BookDelta) and event.instrument_id == CORE:
            assert sides is not None, "a delta came before its snapshot"
            for side, levels in zip(sides, (event.bids, event.asks), strict=True):
                for price, quantity in levels:
                    if Decimal(quantity) == 0:
                        side.pop(price, None)
                    else:
                        side[price] = quantity
            assert max(map(Decimal, sides[0])) < min(map(Decimal, sides[1]))
            applied += 1
    assert applied > 3


async def test_cut_streams_are_told_and_come_back(desk):
    await desk.market.until(lambda event: isinstance(event, BookSnapshot))
    desk.market.clear()
    desk.account.clear()
    desk.rig.fault("cut_streams")
    for heard, names in (
        (desk.market, (StreamName.BOOKS, StreamName.MARKS)),
        (desk.account, (StreamName.ACCOUNT,)),
    ):
        for name in names:
            down = await heard.until(
                lambda event, name=name: isinstance(event, StreamDown) and event.stream is name
            )
            alive = await heard.until(
                lambda event, name=name, down=down: (
                    isinstance(event, StreamAlive)
                    and event.stream is name
                    and event.received_ns > down.received_ns
                )
            )
            assert heard.index(down) < heard.index(alive)
    await desk.market.until(lambda event: isinstance(event, BookSnapshot))
    # The new connection carries orders as the old one did.
    order = await desk.order(CORE, Side.BUY, 1, price_bps=100)
    await desk.venue.submit(order)
    assert (await settled(desk, order)).state is OrderState.FILLED
