"""Fills and position messages told in OKX's own order end in OKX's own positions.

The rows are the reconciliation example of the venue's guide for developers: order fills and
position pushes come on two channels, late, repeated and out of step with each other.
"""

from decimal import Decimal

from counterpoise.domain.account import Position
from counterpoise.domain.events import FillReported, PositionUpdate, UpdateSource
from counterpoise.domain.orders import Fill, Side
from counterpoise.domain.records import IncidentOpened
from engine_world import World, ready

NAME = "ETHUSDT"

#: (channel, quantity filled or held, side of a fill, trade id, time of the position in ms, held
#: afterwards). The last row has an old trade id, another quantity and a newer time: a liquidation.
ROWS = (
    ("order", "20", Side.BUY, 150, None, "20"),
    ("position", "20", None, 150, 1_614_859_751_000, "20"),
    ("position", "18", None, 151, 1_614_859_752_000, "18"),
    ("order", "2", Side.SELL, 151, None, "18"),
    ("order", "3", Side.SELL, 156, None, "15"),
    ("order", "1", Side.SELL, 158, None, "14"),
    ("position", "10", None, 163, 1_614_859_755_037, "10"),
    ("order", "1", Side.SELL, 159, None, "10"),
    ("order", "3", Side.SELL, 163, None, "10"),
    ("position", "10", None, 163, 1_614_859_755_037, "10"),
    ("position", "6", None, 163, 1_614_866_547_430, "6"),
)


def tell(world: World, row: tuple[str, str, Side | None, int, int | None, str]) -> None:
    channel, quantity, side, trade_id, time_ms, _ = row
    if channel == "order":
        assert side is not None
        fill = Fill(
            fill_id=str(trade_id),
            instrument_id=NAME,
            client_order_id="cp" + "5" * 30,
            venue_order_id="v1",
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(2_500),
            fee=Decimal(0),
            fee_currency="USDT",
            liquidity=None,
            realised_pnl=None,
            event_ns=world.after(0.01),
            received_ns=world.now_ns,
        )
        world.feed(FillReported(fill=fill, source=UpdateSource.STREAM))
        return
    assert time_ms is not None
    # The venue's times, moved to where this world's clock stands.
    event_ns = world.now_ns + (time_ms - 1_614_859_751_000) * 1_000
    held = Position(
        instrument_id=NAME,
        quantity=Decimal(quantity),
        entry_price=Decimal(2_500),
        event_ns=event_ns,
        trade_sequence=trade_id,
    )
    world.feed(PositionUpdate(position=held, received_ns=world.after(0.01)))


def test_the_venues_own_example_of_late_and_repeated_messages() -> None:
    world = ready(wallet="1000000")
    world.after(1)
    for number, row in enumerate(ROWS, 1):
        tell(world, row)
        held = world.state.account.quantities().get(NAME, Decimal(0))
        assert held == Decimal(row[5]), f"row {number}"
    kinds = [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]
    assert "leg.vanished" in kinds, "a shrunken hedge without an execution is an event of its own"
