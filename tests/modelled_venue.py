"""`ports.Venue` and the streams straight on the exchange model, in one process, with faults.

What OKX's adapter and the simulator make of wires and codes is left out; what can happen between
a daemon and a venue is not: requests and answers are late, lost or refused, executions are listed
late, pushes come late, twice, in another order or never, streams break.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain import rounding
from counterpoise.domain.account import (
    AccountSnapshot,
    Attestation,
    Balance,
    OpenOrder,
    Position,
)
from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import (
    BalanceUpdate,
    BookSnapshot,
    Event,
    FillReported,
    FundingPaid,
    FundingRate,
    MarkPrice,
    OrderUpdate,
    PositionUpdate,
    StreamAlive,
    StreamDown,
    StreamName,
    Transferred,
    UpdateSource,
)
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import TERMINAL, Fill, JournaledOrder, OrderState
from counterpoise.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange import events as exchange_events
from counterpoise.exchange.accounts import BillKind, PositionState
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.orders import (
    ExchangeFill,
    ExchangeOrder,
    NewOrder,
    OrderRefused,
    RefusalReason,
)
from counterpoise.ports import Candle, Clock

ACCOUNT: Final = "acc1"
#: How long the daemon waits for an answer, seconds.
ANSWER_SECONDS: Final = 5.0
#: Levels of a book that are told.
LEVELS: Final = 8
_DOUBTFUL: Final = (
    RefusalReason.REDUCE_ONLY_NO_POSITION,
    RefusalReason.REDUCE_ONLY_SAME_SIDE,
)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """How often what goes wrong, as probabilities; drawn anew for each seed."""

    #: An order's request is lost, and its outcome unknown.
    request_lost: float = 0.0
    #: The answer to an order is lost: it was carried out.
    answer_lost: float = 0.0
    #: The request arrives seconds later, after the daemon gave up waiting.
    request_late: float = 0.0
    #: The answer names no order.
    answer_nameless: float = 0.0
    #: The connection cannot be opened: surely not placed.
    unreachable: float = 0.0
    #: Refused for no reason of ours.
    refused: float = 0.0
    #: An immediate order fills in part.
    partial: float = 0.0
    #: A question is not answered.
    read_failed: float = 0.0
    #: An answer takes a second or more.
    slow: float = 0.0
    #: Executions are listed this late at most, seconds.
    listed_late_seconds: float = 0.0
    #: A private push is lost, comes twice, or comes late.
    push_lost: float = 0.0
    push_twice: float = 0.0
    push_late: float = 0.0
    #: A stream breaks in a second.
    stream_breaks: float = 0.0


def milliseconds(time_ns: int) -> int:
    """Return a time as venues tell it: whole milliseconds, as ns."""
    return time_ns // NS_PER_MS * NS_PER_MS


class ModelledVenue:
    """One account at the exchange model."""

    name = "modelled"
    history_ns = 2 * NS_PER_HOUR
    executions_ns = 90 * NS_PER_DAY
    has_triggers = False

    def __init__(self, exchange: Exchange, clock: Clock, draw: random.Random) -> None:
        self.exchange = exchange
        self.trouble = Trouble()
        #: Where pushes go; None = no daemon listens.
        self.feed: Callable[[Event], None] | None = None
        #: Every order ever taken, as it was last told.
        self.accepted: dict[str, ExchangeOrder] = {}
        #: Called after every step of the market.
        self.watchers: list[Callable[[], None]] = []
        self._clock = clock
        self._draw = draw
        self._down_until: dict[StreamName, int] = {}
        self._listed_after: dict[str, int] = {}

    # -- the market and the streams ----------------------------------------------------------

    def advance(self) -> None:
        """Let the market run to now and tell what happened."""
        self._tell(self.exchange.advance(max(self._clock.now_ns(), self.exchange.now_ns)))

    async def run(self, step_seconds: float) -> None:
        """Run the market and push until cancelled."""
        while True:
            self.advance()
            self._push_market()
            for watcher in self.watchers:
                watcher()
            await asyncio.sleep(step_seconds)

    def listen(self, feed: Callable[[Event], None]) -> None:
        """Push to a daemon from now on."""
        self.feed = feed
        self._down_until.clear()
        now_ns = self._clock.now_ns()
        for instrument in self.exchange.instruments():
            self._tell_funding(instrument.instrument_id, now_ns)
        self._push_market()

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._draw.random() < probability

    def _is_down(self, stream: StreamName) -> bool:
        until_ns = self._down_until.get(stream)
        if until_ns is None:
            return False
        if self._clock.now_ns() < until_ns:
            return True
        del self._down_until[stream]
        return False

    def _push_market(self) -> None:
        if self.feed is None:
            return
        now_ns = self._clock.now_ns()
        for stream in StreamName:
            if not self._is_down(stream) and self._chance(self.trouble.stream_breaks):
                self._down_until[stream] = now_ns + self._draw.randint(1, 8) * NS_PER_SECOND
                self.feed(StreamDown(stream=stream, reason="broken", received_ns=now_ns))
            if not self._is_down(stream):
                self.feed(StreamAlive(stream=stream, received_ns=now_ns))
        for instrument in self.exchange.instruments():
            name = instrument.instrument_id
            if not self._is_down(StreamName.BOOKS):
                self._push_book(name, now_ns)
            if not self._is_down(StreamName.MARKS):
                self.feed(
                    MarkPrice(
                        instrument_id=name,
                        mark=self.exchange.mark(name),
                        index=self.exchange.index(name),
                        event_ns=now_ns,
                        received_ns=now_ns,
                    )
                )

    def _push_book(self, name: str, now_ns: int) -> None:
        assert self.feed is not None
        book = self.exchange.book(name)
        self.feed(
            BookSnapshot(
                instrument_id=name,
                bids=tuple((str(p), str(q)) for p, q in book.bids[:LEVELS]),
                asks=tuple((str(p), str(q)) for p, q in book.asks[:LEVELS]),
                quantity_unit=Decimal(1),
                sequence=now_ns,
                event_ns=now_ns,
                received_ns=now_ns,
            )
        )

    def _tell_funding(self, name: str, now_ns: int) -> None:
        assert self.feed is not None
        funding = self.exchange.funding(name)
        self.feed(
            FundingRate(
                instrument_id=name,
                rate=funding.rate,
                funding_ns=funding.funding_ns,
                interval_hours=Decimal(funding.interval_hours),
                event_ns=now_ns,
                received_ns=now_ns,
            )
        )

    def _tell(self, happened: Sequence[exchange_events.ExchangeEvent]) -> None:
        for event in happened:
            match event:
                case exchange_events.OrderChanged(order=order, fill=fill):
                    self.accepted[order.order_id] = order
                    if fill is not None:
                        self._late_in_lists(fill)
                    self._push_private(lambda o=order, f=fill: self._order_events(o, f))
                case exchange_events.PositionChanged(position=position):
                    self._push_private(lambda p=position: [self._position_event(p)])
                case exchange_events.WalletChanged():
                    balance = self._balance()
                    self._push_private(lambda b=balance: [self._balance_event(b)])
                case exchange_events.FundingRateChanged(instrument_id=name):
                    if self.feed is not None:
                        self._tell_funding(name, self._clock.now_ns())
                case _:
                    pass

    def _late_in_lists(self, fill: ExchangeFill) -> None:
        late_ns = round(self._draw.uniform(0, self.trouble.listed_late_seconds) * NS_PER_SECOND)
        self._listed_after[fill.bill_id] = fill.event_ns + late_ns

    def _push_private(self, make: Callable[[], list[Event]]) -> None:
        trouble = self.trouble
        if self._chance(trouble.push_lost):
            return
        for _ in range(2 if self._chance(trouble.push_twice) else 1):
            seconds = self._draw.uniform(0.002, 0.02)
            if self._chance(trouble.push_late):
                seconds = self._draw.uniform(0.1, 3.0)
            asyncio.get_running_loop().call_later(seconds, self._arrive_private, make, self.feed)

    def _arrive_private(self, make: Callable[[], list[Event]], feed: Any) -> None:
        # A daemon that came since then has a connection of its own; a broken one tells nothing.
        if feed is None or feed is not self.feed or self._is_down(StreamName.ACCOUNT):
            return
        for event in make():
            feed(event)

    # -- rows ----------------------------------------------------------------------------------

    def _order_events(self, order: ExchangeOrder, fill: ExchangeFill | None) -> list[Event]:
        told: list[Event] = []
        if fill is not None:
            told.append(FillReported(fill=self._fill(fill), source=UpdateSource.STREAM))
        return [*told, self._order_update(order, UpdateSource.STREAM)]

    def _order_update(self, order: ExchangeOrder, source: UpdateSource) -> OrderUpdate:
        return OrderUpdate(
            client_order_id=order.client_order_id,
            venue_order_id=order.order_id,
            instrument_id=order.instrument_id,
            state=order.state,
            filled_quantity=order.filled_quantity,
            average_price=order.average_price,
            source=source,
            code=None,
            message="",
            order=None if order.state in TERMINAL else _open_order(order),
            event_ns=milliseconds(order.updated_ns),
            received_ns=self._clock.now_ns(),
        )

    def _fill(self, fill: ExchangeFill) -> Fill:
        return Fill(
            fill_id=str(fill.trade_sequence),
            instrument_id=fill.instrument_id,
            client_order_id=fill.client_order_id,
            venue_order_id=fill.order_id,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            fee=fill.fee,
            fee_currency="USDT",
            liquidity=fill.liquidity,
            realised_pnl=fill.realised_pnl,
            event_ns=milliseconds(fill.event_ns),
            received_ns=self._clock.now_ns(),
        )

    def _position(self, held: PositionState) -> Position:
        return Position(
            instrument_id=held.instrument_id,
            quantity=held.quantity,
            entry_price=held.entry_price,
            unrealised_pnl=held.unrealised_pnl,
            liquidation_price=held.liquidation_price,
            event_ns=milliseconds(held.changed_ns),
            trade_sequence=held.last_trade_sequence,
            mark=held.mark,
        )

    def _position_event(self, held: PositionState) -> PositionUpdate:
        return PositionUpdate(position=self._position(held), received_ns=self._clock.now_ns())

    def _balance_event(self, balance: Balance) -> BalanceUpdate:
        return BalanceUpdate(balance=balance, received_ns=self._clock.now_ns())

    def _balance(self) -> Balance:
        state = self.exchange.account(ACCOUNT)
        return Balance(
            currency="USDT",
            wallet_balance=state.wallet_balance,
            equity=state.equity,
            available_margin=state.available_margin,
            initial_margin=state.initial_margin,
            maintenance_margin=state.maintenance_margin,
            event_ns=milliseconds(self.exchange.now_ns),
        )

    # -- what is asked -------------------------------------------------------------------------

    async def _asked(self) -> None:
        seconds = self._draw.uniform(0.002, 0.03)
        if self._chance(self.trouble.slow):
            seconds = self._draw.uniform(0.5, 3.0)
        await asyncio.sleep(seconds)
        if self._chance(self.trouble.read_failed):
            raise VenueUnreachable("no answer")
        self.advance()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def attest(self, instrument_ids: Sequence[str]) -> Attestation:
        """Return an account set up as the daemon needs it."""
        return Attestation(
            account_id=ACCOUNT,
            one_way=True,
            cross_margin=True,
            leverage_settings=dict.fromkeys(instrument_ids, Decimal(3)),
            permissions=("read_only", "trade"),
            taker_fee_bps=self.exchange.parameters.taker_fee_bps,
            clock_offset_ms=0.0,
        )

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return the rules of instruments."""
        return tuple(self.exchange.instrument(i) for i in instrument_ids)

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the instrument itself."""
        return instrument_id

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return 1: no contracts."""
        return Decimal(1)

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Take a leverage setting."""
        await self._asked()
        self._tell(self.exchange.set_leverage(ACCOUNT, instrument_id, leverage))

    async def set_modes(self) -> None:
        """Keep the only modes there are."""
        await self._asked()

    async def account(self) -> AccountSnapshot:
        """Return balance and, a moment later, positions and orders, as two answers."""
        await self._asked()
        balance = self._balance()
        await self._asked()
        state = self.exchange.account(ACCOUNT)
        positions_ns = self._clock.now_ns()
        await asyncio.sleep(0.005)
        return AccountSnapshot(
            account_id=ACCOUNT,
            balance=balance,
            positions=tuple(
                self._position(held)
                for _, held in sorted(state.positions.items())
                if held.quantity != 0
            ),
            open_orders=tuple(_open_order(order) for order in state.open_orders),
            event_ns=balance.event_ns,
            received_ns=self._clock.now_ns(),
            positions_ns=positions_ns,
        )

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Not asked for: the world warms signals by itself."""
        raise NotImplementedError(instrument_id, step_seconds, since_ns, until_ns)

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return an order by our id."""
        await self._asked()
        order = self.exchange.order(ACCOUNT, client_order_id=client_order_id)
        return None if order is None else self._order_update(order, UpdateSource.REST)

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return an order of ours that ended since then."""
        await self._asked()
        for order in self.exchange.orders(ACCOUNT):
            if order.client_order_id == client_order_id and order.state in TERMINAL:
                return self._order_update(order, UpdateSource.REST)
        return None

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return executions since then that are listed by now."""
        await self._asked()
        now_ns = self.exchange.now_ns
        return tuple(
            self._fill(fill)
            for fill in self.exchange.fills(ACCOUNT, since_ns)
            if self._listed_after.get(fill.bill_id, 0) <= now_ns
        )

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return funding payments since then."""
        await self._asked()
        return tuple(
            FundingPaid(
                instrument_id=bill.instrument_id or "",
                payment_id=bill.bill_id,
                payment=bill.change,
                event_ns=milliseconds(bill.event_ns),
                received_ns=self._clock.now_ns(),
            )
            for bill in self.exchange.bills(ACCOUNT, since_ns)
            if bill.kind is BillKind.FUNDING
        )

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return deposits and withdrawals since then."""
        await self._asked()
        return tuple(
            Transferred(
                transfer_id=bill.bill_id,
                transfer=bill.change,
                event_ns=milliseconds(bill.event_ns),
                received_ns=self._clock.now_ns(),
            )
            for bill in self.exchange.bills(ACCOUNT, since_ns)
            if bill.kind in (BillKind.DEPOSIT, BillKind.WITHDRAWAL)
        )

    async def account_id(self) -> str:
        """Return the account's name."""
        await self._asked()
        return ACCOUNT

    async def clock_offset_ns(self) -> int:
        """Return 0: one clock."""
        return 0

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return what the market takes; DELISTED = it is not listed any more."""
        await self._asked()
        listed = {each.instrument_id: each.state for each in self.exchange.instruments()}
        return {i: listed.get(i, InstrumentState.DELISTED) for i in instrument_ids}

    async def arm_dead_man(self, seconds: int) -> bool:
        """Return False: there is none."""
        return False

    # -- what is ordered -----------------------------------------------------------------------

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Send an order; what becomes of the request does not hang on who waits for it."""
        trouble = self.trouble
        if self._chance(trouble.unreachable):
            await asyncio.sleep(0.01)
            raise VenueUnreachable("connection refused")
        if self._chance(trouble.request_lost):
            await asyncio.sleep(ANSWER_SECONDS)
            raise OutcomeUnknown("no answer in time")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[OrderUpdate] = loop.create_future()
        # Retrieved or not: whoever sent it may be dead when it arrives.
        answer.add_done_callback(lambda each: each.cancelled() or each.exception())
        seconds = self._draw.uniform(0.002, 0.02)
        late = self._chance(trouble.request_late)
        if late:
            seconds = self._draw.uniform(1.0, 9.0)
        loop.call_later(seconds, self._arrive, order, answer)
        if self._chance(trouble.answer_lost):
            await asyncio.sleep(ANSWER_SECONDS)
            raise OutcomeUnknown("no answer in time")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                update = await asyncio.shield(answer)
        except TimeoutError:
            raise OutcomeUnknown("no answer in time") from None
        await asyncio.sleep(self._draw.uniform(0.001, 0.01))
        return update

    def _arrive(self, order: JournaledOrder, answer: "asyncio.Future[OrderUpdate]") -> None:
        self.advance()
        try:
            update = self._take(order)
        except VenueRejected as refusal:
            if not answer.done():
                answer.set_exception(refusal)
            return
        if not answer.done():
            answer.set_result(update)

    def _take(self, order: JournaledOrder) -> OrderUpdate:
        intent, approved = order.intent, order.approved
        # As with OKX's expTime: an increase carries the end of its approval.
        if intent.increases and self._clock.now_ns() >= approved.expires_ns:
            raise VenueRejected("the order's deadline is over", code="51149E")
        if self._chance(self.trouble.refused):
            raise VenueRejected("not now", code="51008")
        wanted = NewOrder(
            instrument_id=intent.instrument_id,
            side=intent.side,
            quantity=approved.quantity,
            kind=intent.kind,
            price_limit=intent.price_limit,
            time_in_force=intent.time_in_force,
            post_only=intent.post_only,
            reduce_only=intent.reduce_only,
            client_order_id=intent.client_order_id,
        )
        taken_max = None
        if not intent.rests and self._chance(self.trouble.partial):
            lot = self.exchange.instrument(intent.instrument_id).lot_size
            part = approved.quantity * Decimal(repr(round(self._draw.uniform(0.0, 0.9), 3)))
            taken_max = rounding.quantize_toward_zero(part, lot)
        try:
            placed, happened = self.exchange.place(ACCOUNT, wanted, taken_max=taken_max)
        except OrderRefused as refusal:
            kind = PositionDoubtful if refusal.reason in _DOUBTFUL else VenueRejected
            raise kind(refusal.message, code=refusal.reason.value) from refusal
        self._tell(happened)
        taken = self.exchange.order(ACCOUNT, order_id=placed.order_id)
        assert taken is not None
        self.accepted[placed.order_id] = taken
        nameless = self._chance(self.trouble.answer_nameless)
        return OrderUpdate(
            client_order_id=intent.client_order_id,
            venue_order_id=None if nameless else placed.order_id,
            instrument_id=intent.instrument_id,
            state=OrderState.ACCEPTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.LOCAL,
            code=None,
            message="",
            order=None,
            event_ns=milliseconds(placed.event_ns),
            received_ns=self._clock.now_ns(),
        )

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Cancel an order of ours; one that is over is no error."""
        await self._asked()
        order = self.exchange.order(ACCOUNT, client_order_id=client_order_id)
        if order is not None and order.open:
            self._tell(self.exchange.cancel(ACCOUNT, order_id=order.order_id))
        if self._chance(self.trouble.answer_lost):
            raise OutcomeUnknown("no answer in time")


def _open_order(order: ExchangeOrder) -> OpenOrder:
    return OpenOrder(
        client_order_id=order.client_order_id,
        venue_order_id=order.order_id,
        instrument_id=order.instrument_id,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        price_limit=order.price_limit,
        reduce_only=order.reduce_only,
        state=order.state,
    )
