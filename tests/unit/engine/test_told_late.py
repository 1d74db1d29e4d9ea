"""What is listed long after the answers that already show it: kept, and counted no second time."""

from decimal import Decimal

from counterpoise.domain.account import TradingState
from counterpoise.domain.events import FillReported, FundingPaid, Transferred, UpdateSource
from counterpoise.domain.orders import Fill, Side
from counterpoise.domain.records import FillSeen, FundingSeen, IncidentOpened, TransferSeen
from counterpoise.domain.units import NS_PER_SECOND
from engine_world import World, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}
LESS = {"BTCUSDT": ("0.06", "50000"), "ETHUSDT": ("-1", "2500")}


def tell(world: World, event_ns: int) -> None:
    """Tell the part of the core that went, a payment and a deposit, all of one moment."""
    execution = Fill(
        fill_id="77",
        instrument_id="BTCUSDT",
        client_order_id="cp" + "1" * 30,
        venue_order_id="v9",
        side=Side.SELL,
        quantity=Decimal("0.04"),
        price=Decimal(50_000),
        fee=Decimal(1),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=Decimal(0),
        event_ns=event_ns,
        received_ns=world.now_ns,
    )
    moved = {"event_ns": event_ns, "received_ns": world.now_ns}
    world.feed(FillReported(fill=execution, source=UpdateSource.REST))
    world.feed(FundingPaid(instrument_id="BTCUSDT", payment_id="p", payment=Decimal(-200), **moved))
    world.feed(Transferred(transfer_id="t", transfer=Decimal(500), **moved))


def test_rows_a_quarter_of_an_hour_late_are_written_and_move_nothing_again() -> None:
    world = ready(positions=HELD)
    happened_ns = world.after(1)
    world.after(1)
    # Seen twice, it is believed and said; then the books add up again.
    for _ in range(4):
        world.reconcile("cycle", positions=LESS, wallet="10299")
        world.after(30)
    assert world.state.trading_state is TradingState.ACTIVE
    said = len(world.records(IncidentOpened))
    world.after(800)
    assert world.now_ns - happened_ns > 900 * NS_PER_SECOND
    for _ in range(3):
        tell(world, happened_ns)
    assert [len(world.records(kind)) for kind in (FillSeen, FundingSeen, TransferSeen)] == [1] * 3
    assert world.state.account.quantities()["BTCUSDT"] == Decimal("0.06")
    assert world.state.account.wallet_balance == Decimal(10_299)
    # A deposit buys units whenever it is known.
    assert world.state.account.transfers == Decimal(500)
    for _ in range(4):
        world.after(30)
        world.reconcile("cycle", positions=LESS, wallet="10299")
    assert len(world.records(IncidentOpened)) == said
    assert world.state.trading_state is TradingState.ACTIVE
