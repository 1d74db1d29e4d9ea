"""A venue whose every answer a test writes; the port is ours, what is behind it is the test's."""

from collections.abc import Sequence
from decimal import Decimal

from counterpoise.domain.account import (
    AccountSnapshot,
    Attestation,
    Balance,
    OpenOrder,
    Position,
    WaitingTrigger,
)
from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import FundingPaid, OrderUpdate, Transferred, UpdateSource
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import Fill, JournaledOrder, OrderState, Side
from counterpoise.domain.units import NS_PER_DAY, NS_PER_HOUR
from counterpoise.ports import Candle


class SettableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now_ns: int) -> None:
        self.ns = now_ns
        self._stepped_ns = 0

    def step(self, ns: int) -> None:
        """Set the wall clock forward while no time passes."""
        self._stepped_ns += ns

    def now_ns(self) -> int:
        """Return the set time."""
        return self.ns + self._stepped_ns

    def monotonic(self) -> float:
        """Return the set time in seconds."""
        return self.ns / 1e9


def answer(client_order_id: str, state: OrderState, filled: str = "0") -> OrderUpdate:
    """Return what a venue says of an order."""
    return OrderUpdate(
        client_order_id=client_order_id,
        venue_order_id="v1",
        instrument_id="BTCUSDT",
        state=state,
        filled_quantity=Decimal(filled),
        average_price=None,
        source=UpdateSource.REST,
        code=None,
        message="",
        order=None,
        event_ns=1,
        received_ns=1,
    )


def a_fill(client_order_id: str, quantity: str, fill_id: str = "f1") -> Fill:
    """Return an execution of an order."""
    return Fill(
        fill_id=fill_id,
        instrument_id="BTCUSDT",
        client_order_id=client_order_id,
        venue_order_id="v1",
        side=Side.SELL,
        quantity=Decimal(quantity),
        price=Decimal(50_000),
        fee=Decimal(0),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=None,
        event_ns=1,
        received_ns=1,
    )


class ScriptedVenue:
    """`ports.Venue` with answers from lists; an exception in a list is raised."""

    name = "scripted"
    history_ns = 2 * NS_PER_HOUR
    executions_ns = 90 * NS_PER_DAY
    reduction_valid_ns = 0
    has_triggers = True

    def __init__(self) -> None:
        self.submitted: list[JournaledOrder] = []
        self.canceled: list[str] = []
        self.placed: list[JournaledOrder] = []
        self.dropped: list[str] = []
        self.waiting: tuple[WaitingTrigger, ...] | VenueError = ()
        self.trigger: OrderUpdate | VenueError | None = None
        self.submit_answer: OrderUpdate | VenueError | None = None
        self.found: list[OrderUpdate | VenueError | None] = []
        self.fills: tuple[Fill, ...] = ()
        self.payments: tuple[FundingPaid, ...] = ()
        self.open_orders: tuple[OpenOrder, ...] = ()
        self.positions: tuple[Position, ...] = ()
        self.ended: OrderUpdate | VenueError | None = None
        self.transfers: tuple[Transferred, ...] = ()
        self.named = "acc1"
        self.offset_ns: int = 0
        #: What a measurement ends with; None = it answers `offset_ns`.
        self.clock_error: VenueError | None = None
        self.states: dict[str, InstrumentState] = {}
        self.armed: list[int] = []
        self.arm_error: VenueError | None = None
        self.account_error: VenueError | None = None

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def attest(self, instrument_ids: Sequence[str]) -> Attestation:
        """Not asked for here."""
        raise NotImplementedError(instrument_ids)

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Not asked for here."""
        raise NotImplementedError(instrument_ids)

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the instrument itself."""
        return instrument_id

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return 1: no contracts."""
        return Decimal(1)

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Not asked for here."""
        raise NotImplementedError(instrument_id, leverage)

    async def set_modes(self) -> None:
        """Not asked for here."""
        raise NotImplementedError

    async def account(self) -> AccountSnapshot:
        """Return an account with the open orders set."""
        if self.account_error is not None:
            raise self.account_error
        return AccountSnapshot(
            account_id="acc1",
            balance=Balance(
                currency="USDT",
                wallet_balance=Decimal(1),
                equity=Decimal(1),
                available_margin=None,
                initial_margin=None,
                maintenance_margin=None,
                event_ns=1,
            ),
            positions=self.positions,
            open_orders=self.open_orders,
            event_ns=1,
            received_ns=1,
        )

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Not asked for here."""
        raise NotImplementedError(instrument_id, step_seconds, since_ns, until_ns)

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Take the order and answer as set."""
        self.submitted.append(order)
        if isinstance(self.submit_answer, VenueError):
            raise self.submit_answer
        return self.submit_answer or answer(order.intent.client_order_id, OrderState.ACCEPTED)

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Take it, with the answer that was set."""
        self.placed.append(order)
        if isinstance(self.submit_answer, VenueError):
            raise self.submit_answer
        return answer(order.intent.client_order_id, OrderState.ACCEPTED)

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Note it."""
        self.dropped.append(client_order_id)

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what was set."""
        if isinstance(self.trigger, VenueError):
            raise self.trigger
        return self.trigger

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return what was set."""
        if isinstance(self.waiting, VenueError):
            raise self.waiting
        return self.waiting

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Take the cancel."""
        self.canceled.append(client_order_id)

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return the next answer set."""
        found = self.found.pop(0)
        if isinstance(found, VenueError):
            raise found
        return found

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return the ended order set."""
        if isinstance(self.ended, VenueError):
            raise self.ended
        return self.ended

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return the executions set."""
        return self.fills

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return the payments set."""
        return self.payments

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return the transfers set."""
        return self.transfers

    async def account_id(self) -> str:
        """Return the name set."""
        return self.named

    async def clock_offset_ns(self) -> int:
        """Return the offset set."""
        if self.clock_error is not None:
            raise self.clock_error
        return self.offset_ns

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return the states set, LIVE where none is."""
        return {i: self.states.get(i, InstrumentState.LIVE) for i in instrument_ids}

    async def arm_dead_man(self, seconds: int) -> bool:
        """Take the time."""
        if self.arm_error is not None:
            raise self.arm_error
        self.armed.append(seconds)
        return True
