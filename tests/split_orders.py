"""An order that fills in several executions of one millisecond, as a venue tells it.

Executions, positions and the order each come on a topic of their own: in order within it, in any
order between them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.account import Position
from counterpoise.domain.events import FillReported, OrderUpdate, PositionUpdate, UpdateSource
from counterpoise.domain.orders import ApprovedOrder, Fill, OrderState
from counterpoise.domain.units import NS_PER_MS
from engine_world import MARKS, World

#: The topics of one execution after another, as Bybit and Binance mostly send them.
EXECUTION, POSITION, ORDER = "execution", "position", "order"


@dataclass(slots=True)
class SplitOrder:
    """One order of ours, filled whole in the millisecond it was made with."""

    world: World
    order: ApprovedOrder
    #: Base units of each execution, their sum the order's quantity.
    parts: Sequence[Decimal]
    #: Signed base units held before it.
    before: Decimal = Decimal(0)
    #: What to add to the stamp of its positions, ms.
    position_lag_ms: int = 0
    #: The venue's number of its first execution, which positions bear too; None = it gives none.
    number: int | None = None
    event_ns: int = field(init=False)
    _left: dict[str, Iterator[int]] = field(init=False)

    def __post_init__(self) -> None:
        """Stamp it now."""
        assert sum(self.parts) == self.order.quantity
        self.event_ns = self.world.now_ns // NS_PER_MS * NS_PER_MS
        self._left = {topic: iter(range(len(self.parts))) for topic in (EXECUTION, POSITION, ORDER)}

    @property
    def name(self) -> str:
        """Its instrument."""
        return self.order.intent.instrument_id

    @property
    def after(self) -> Decimal:
        """Signed base units the venue holds for us once it filled."""
        return self._held(len(self.parts))

    def fills(self) -> list[Fill]:
        """Return every execution, as the venue made them."""
        return [self._fill(number) for number in range(len(self.parts))]

    def positions(self) -> list[Position]:
        """Return the position after each."""
        return [self._position(number) for number in range(len(self.parts))]

    def tell(self, *topics: str) -> None:
        """Tell the next message of each topic named."""
        for topic in topics:
            number = next(self._left[topic])
            if topic == EXECUTION:
                self.world.feed(FillReported(fill=self._fill(number), source=UpdateSource.STREAM))
            elif topic == POSITION:
                told = self._position(number)
                self.world.feed(PositionUpdate(position=told, received_ns=self.world.now_ns))
            else:
                self.world.feed(self._update(number))

    def _held(self, count: int) -> Decimal:
        filled = sum(self.parts[:count], Decimal(0))
        return self.before + filled * self.order.intent.side.sign

    def _fill(self, number: int) -> Fill:
        intent = self.order.intent
        return Fill(
            fill_id=f"{intent.client_order_id}-{number}"
            if self.number is None
            else str(self.number + number),
            instrument_id=self.name,
            client_order_id=intent.client_order_id,
            venue_order_id="v1",
            side=intent.side,
            quantity=self.parts[number],
            price=MARKS[self.name],
            fee=Decimal(0),
            fee_currency="USDT",
            liquidity=None,
            realised_pnl=None,
            event_ns=self.event_ns,
            received_ns=self.world.now_ns,
        )

    def _position(self, number: int) -> Position:
        held = self._held(number + 1)
        return Position(
            instrument_id=self.name,
            quantity=held,
            entry_price=MARKS[self.name] if held else None,
            event_ns=self.event_ns + self.position_lag_ms * NS_PER_MS,
            trade_sequence=None if self.number is None else self.number + number,
        )

    def _update(self, number: int) -> OrderUpdate:
        filled = sum(self.parts[: number + 1], Decimal(0))
        whole = filled == self.order.quantity
        return OrderUpdate(
            client_order_id=self.order.intent.client_order_id,
            venue_order_id="v1",
            instrument_id=self.name,
            state=OrderState.FILLED if whole else OrderState.PARTIALLY_FILLED,
            filled_quantity=filled,
            average_price=None,
            source=UpdateSource.STREAM,
            code=None,
            message="",
            order=None,
            event_ns=self.event_ns,
            received_ns=self.world.now_ns,
        )
