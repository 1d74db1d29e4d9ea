"""What is known of the stops that rest at the venue."""

from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.orders import OrderState
from counterpoise.engine.order_tracker import OrderTracker, TrackedOrder


@dataclass(slots=True, kw_only=True)
class LegStops:
    """When a leg's stop was last placed, and how that went."""

    #: When one was last handed to the journal, ns; 0 = never in this run.
    placed_ns: int = 0
    #: Slot of the cycle it was placed after, ns; by that alone it moves once per cycle.
    slot_ns: int | None = None
    #: Signed base units of every leg it was placed for; liquidation moves with each of them.
    held: dict[str, Decimal] = field(default_factory=dict)
    #: Placings in a row that the venue refused.
    refusals: int = 0
    #: Placings since the last accepted one whose outcome was not known; any of them may rest.
    unanswered: int = 0
    #: Placings since the last accepted one that were proven never to have come to the venue.
    absences: int = 0


@dataclass(slots=True, kw_only=True)
class Protection:
    """Our stops; never among `State.orders`, so nothing waits for, counts or cancels them there."""

    #: Every stop that may still act, and what became of others.
    orders: OrderTracker = field(default_factory=OrderTracker)
    #: Trigger price by client order id of those at work, quote per base.
    trigger_prices: dict[str, Decimal] = field(default_factory=dict)
    #: Mark at which each of them was placed in this run, by client order id, quote per base.
    placed_marks: dict[str, Decimal] = field(default_factory=dict)
    #: By instrument.
    legs: dict[str, LegStops] = field(default_factory=dict)
    #: When the venue was last asked to list them, ns.
    asked_ns: int = 0
    #: True = it listed them at least once in this run.
    listed: bool = False
    #: Instruments whose stop acted before the account was known, in the order it was told.
    acted: dict[str, None] = field(default_factory=dict)

    def knows(self, client_order_id: str | None) -> bool:
        """Tell whether an id is one of a stop of ours, at work or over."""
        return client_order_id is not None and self.orders.get(client_order_id) is not None

    def of_leg(self, instrument_id: str) -> list[TrackedOrder]:
        """Return stops of an instrument that may still act, the newest first."""
        found = [
            order
            for _, order in sorted(self.orders.active.items())
            if order.open_order.instrument_id == instrument_id
        ]
        return sorted(found, key=lambda order: order.created_ns, reverse=True)

    def is_placed(self, client_order_id: str, trigger_price: Decimal, mark: Decimal) -> None:
        """Remember where a stop was placed, and from which mark."""
        self.trigger_prices[client_order_id] = trigger_price
        self.placed_marks[client_order_id] = mark

    def is_over(self, client_order_id: str) -> None:
        """Forget where a stop lay that acts no more."""
        self.trigger_prices.pop(client_order_id, None)
        self.placed_marks.pop(client_order_id, None)

    def waiting(self, instrument_id: str) -> list[TrackedOrder]:
        """Return those the venue is known to hold back, the newest first."""
        return [o for o in self.of_leg(instrument_id) if o.state is OrderState.ACCEPTED]

    def leg(self, instrument_id: str) -> LegStops:
        """Return what is known of a leg's placings."""
        return self.legs.setdefault(instrument_id, LegStops())
