"""A mirrored venue with one account and a market told level by level."""

from decimal import Decimal
from typing import Any

from counterpoise.domain.events import BookDelta, BookSnapshot, FundingRate, MarkPrice
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.events import ExchangeEvent, OrderChanged
from counterpoise.exchange.mirror.exchange import MirrorExchange
from counterpoise.exchange.mirror.parameters import mirror_parameters
from counterpoise.exchange.orders import ExchangeFill, NewOrder

BTC = "BTCUSDT"
ETH = "ETHUSDT"
START_NS = 1_800_000_000 * NS_PER_SECOND

TIERS = (
    MarginTier(
        notional_max=Decimal(100_000),
        maintenance_margin_fraction=Decimal("0.005"),
        initial_margin_fraction=Decimal("0.01"),
    ),
)


def instrument(name: str = BTC, *, tick: str = "0.1", lot: str = "0.001") -> Instrument:
    return Instrument(
        instrument_id=name,
        base=name.removesuffix("USDT"),
        quote="USDT",
        settle="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        quantity_min=Decimal(lot),
        market_quantity_max=Decimal(1_000),
        limit_quantity_max=Decimal(1_000),
        tiers=TIERS,
    )


class MirrorWorld:
    """The venue, a clock that moves a second per event, and everything that was told."""

    def __init__(self, venue: str = "okx", *, cash: str = "10000") -> None:
        self.now_ns = START_NS
        self.exchange = MirrorExchange(mirror_parameters(venue), "paper")
        self.exchange.at(self.now_ns)
        self.exchange.open_account("paper", Decimal(cash))
        self.exchange.covered(self.now_ns)
        self.told: list[ExchangeEvent] = []
        for name in (BTC, ETH):
            self.exchange.list_instrument(instrument(name))

    def hear(self, event: Any, *, later: int = NS_PER_SECOND) -> list[ExchangeEvent]:
        self.now_ns += later
        found = self.exchange.hear(event, self.now_ns)
        self.told += found
        return found

    def book(self, bids: dict[str, str], asks: dict[str, str], name: str = BTC) -> None:
        """Tell a whole book."""
        self.hear(
            BookSnapshot(
                instrument_id=name,
                bids=tuple(bids.items()),
                asks=tuple(asks.items()),
                quantity_unit=Decimal(1),
                sequence=1,
                event_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )

    def levels(self, bids: dict[str, str], asks: dict[str, str], name: str = BTC) -> None:
        """Tell changed levels."""
        self.hear(
            BookDelta(
                instrument_id=name,
                bids=tuple(bids.items()),
                asks=tuple(asks.items()),
                sequence=2,
                event_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )

    def mark(self, mark: str, name: str = BTC, *, index: str | None = None) -> list[ExchangeEvent]:
        """Tell a mark; the index is the same unless it is given."""
        return self.hear(
            MarkPrice(
                instrument_id=name,
                mark=Decimal(mark),
                index=Decimal(index or mark),
                event_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )

    def funding(self, rate: str, *, hours: int, name: str = BTC) -> FundingRate:
        """Tell the next funding, so many hours after the start."""
        event = FundingRate(
            instrument_id=name,
            rate=Decimal(rate),
            funding_ns=START_NS + hours * NS_PER_HOUR,
            interval_hours=Decimal(8),
            event_ns=self.now_ns,
            received_ns=self.now_ns,
        )
        self.hear(event)
        return event

    def market(self) -> None:
        """Tell a book of 100.0 / 100.1 with two levels a side, and the mark in between."""
        self.book({"100": "5", "99.9": "5"}, {"100.1": "2", "100.2": "5"})
        self.mark("100.05")

    def order(self, side: Side, quantity: str, price: str | None = None, **more: Any) -> str:
        """Place an order; return its id."""
        self.now_ns += NS_PER_SECOND
        self.exchange.at(self.now_ns)
        new = NewOrder(
            instrument_id=more.pop("name", BTC),
            side=side,
            quantity=Decimal(quantity),
            kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
            price_limit=None if price is None else Decimal(price),
            time_in_force=more.pop("time_in_force", TimeInForce.IOC),
            **more,
        )
        placed, events = self.exchange.place("paper", new)
        self.told += events
        return placed.order_id

    def rest(self, side: Side, quantity: str, price: str, **more: Any) -> str:
        """Place an order that may rest."""
        return self.order(side, quantity, price, time_in_force=TimeInForce.GTC, **more)

    def fills(self, order_id: str) -> list[tuple[str, str, str]]:
        """Return (quantity, price, liquidity) of an order's executions as they were told."""
        found = [e.fill for e in self.told if isinstance(e, OrderChanged) and e.fill is not None]
        return [_row(each) for each in found if each.order_id == order_id]

    def position(self, name: str = BTC) -> Decimal:
        """Return signed base units held."""
        held = self.exchange.account("paper").positions.get(name)
        return Decimal(0) if held is None else held.quantity


def _row(fill: ExchangeFill) -> tuple[str, str, str]:
    return (f"{fill.quantity.normalize():f}", f"{fill.price.normalize():f}", fill.liquidity.value)
