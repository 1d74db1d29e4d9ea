"""The paper account as a venue: answers every question of `Venue`, and nothing leaves the process.

It asks the real venue in public only (`ports.PublicVenue`): it is given no key, no order class and
no private address. An order reaches the model a latency after it was sent and meets the book as it
is known then; the answer comes back a latency after that.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, TypeVar

import structlog

from counterpoise.domain.account import AccountSnapshot, Attestation, WaitingTrigger
from counterpoise.domain.errors import (
    OutcomeUnknown,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import FundingPaid, OrderUpdate, Transferred, UpdateSource
from counterpoise.domain.instruments import Instrument, InstrumentState, MarginTier
from counterpoise.domain.orders import Fill, JournaledOrder
from counterpoise.domain.units import NS_PER_DAY, NS_PER_MS
from counterpoise.exchange.accounts import Bill, BillKind
from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.mirror.exchange import MirrorExchange
from counterpoise.exchange.modes import SelfTradeMode
from counterpoise.exchange.orders import NewOrder, OrderRefused, PlacedOrder, TriggerSource
from counterpoise.exchange.triggers import NewTrigger, TriggerState
from counterpoise.ports import Candle, Clock, PublicVenue
from counterpoise.venues import figures, order_entry
from counterpoise.venues.paper import absence, convert, errors
from counterpoise.venues.paper.account import PaperAccount

_log = structlog.get_logger(__name__)

#: Marks heard longer ago are asked for by REST before the account is valued, seconds.
MARKS_SECONDS_MAX: Final = 5.0
#: An order waits this long for a book that is not known at the moment, seconds, and how often it
#: looks.
BOOK_SECONDS_MAX: Final = 2.0
BOOK_LOOK_SECONDS: Final = 0.02
#: What the attestation calls the account's mode.
ACCOUNT_MODE: Final = "paper"

_TRANSFERS: Final = frozenset({BillKind.DEPOSIT, BillKind.WITHDRAWAL})
#: The first bill is the cash the account was opened with.
_OPENING_BILL: Final = 1

T = TypeVar("T")


class PaperVenue:
    """One paper account in one venue's public markets."""

    name: str = "paper"
    executions_ns: int = 3 * NS_PER_DAY
    #: The model is in this process: what it was not handed dies with the call.
    reduction_valid_ns: int = 0
    has_triggers: bool = True

    def __init__(
        self,
        account: PaperAccount,
        public: PublicVenue,
        clock: Clock,
        *,
        rest_url: str,
        keep: bool = True,
        fresh: bool = False,
    ) -> None:
        """`keep` = trade the account, else only look; `rest_url` is the venue's public REST."""
        self.history_ns: int = account.parameters.rules.canceled_kept_ns
        self._account = account
        self._public = public
        self._clock = clock
        self._rest_url = rest_url
        self._keep = keep
        self._fresh = fresh
        #: Instruments listed since it was opened.
        self._listed: set[str] = set()

    async def open(self) -> None:
        """Open the account and the venue's public REST, and charge the fundings missed meanwhile.

        VenueUnreachable, or StartRefused where another process trades the account.
        """
        await self.close()
        self._listed.clear()
        try:
            await self._public.open()
            self._account.offset_ns = await self._public.clock_offset_ns()
            self._account.open(keep=self._keep, fresh=self._fresh)
            self._fresh = False
            missed = await absence.charge_missed(self._account, self._public, self._rest_url)
        except VenueRejected as error:
            await self.close()
            raise StartRefused(f"the venue refuses a public question: {error}") from error
        except BaseException:
            await self.close()
            raise
        if missed:
            _log.info("paper.fundings_missed", charged=missed)

    async def close(self) -> None:
        """Release connections and the account's file; safe to call twice."""
        self._account.close()
        await self._public.close()

    async def attest(self, instrument_ids: Sequence[str]) -> Attestation:
        """Return how the account is set up: there is no key, and nothing to set up wrongly."""
        exchange = self._account.exchange
        await self._price(instrument_ids)
        offset_ns = await self.clock_offset_ns()
        name, parameters = exchange.account_id, self._account.parameters
        return Attestation(
            account_id=name,
            one_way=True,
            cross_margin=True,
            leverage_settings={
                each: exchange.leverage_setting(name, each) for each in instrument_ids
            },
            permissions=("trade",),
            taker_fee_bps=parameters.taker_fee_bps,
            maker_fee_bps=parameters.maker_fee_bps,
            clock_offset_ms=offset_ns / NS_PER_MS,
            account_mode=ACCOUNT_MODE,
            multi_asset=False,
            funding_interval_hours={each: exchange.funding_hours(each) for each in instrument_ids},
        )

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return fresh rules; margin tiers are the model's where the venue tells none in public."""
        exchange = self._account.exchange
        for rules in await self._public.instruments(instrument_ids):
            events = exchange.list_instrument(self._steady(rules))
            self._listed.add(rules.instrument_id)
            if events:
                self._account.commit(events)
        return tuple(exchange.instrument(each) for each in instrument_ids)

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the real venue's string for an instrument."""
        return self._public.venue_symbol(instrument_id)

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return the real venue's base units per contract."""
        return self._public.contract_size(instrument_id)

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Set the leverage setting; margin is always cross."""
        await self._price([instrument_id])
        exchange = self._account.exchange
        await self._carry_out(
            lambda: (None, exchange.set_leverage(exchange.account_id, instrument_id, leverage))
        )

    async def set_modes(self) -> None:
        """Change nothing: positions are one-way, margin is cross and of the settlement currency."""

    async def account(self) -> AccountSnapshot:
        """Return balance, positions and open orders, at marks no older than a few seconds."""
        exchange = self._account.exchange
        heard = self._account.heard
        old = heard is None or self._clock.monotonic() - heard > MARKS_SECONDS_MAX
        if old or not exchange.valued():
            await self._price(exchange.traded())
        exchange = self._account.exchange
        if not exchange.valued():
            raise VenueUnreachable("paper: no mark of an instrument that is held")
        exchange.at(self._account.venue_ns())
        state = exchange.account(exchange.account_id)
        orders = sorted(state.open_orders, key=lambda each: int(each.order_id))
        return AccountSnapshot(
            account_id=state.account_id,
            balance=convert.balance(state),
            positions=tuple(convert.position(state.positions[k]) for k in sorted(state.positions)),
            open_orders=tuple(convert.open_order(each) for each in orders),
            event_ns=state.event_ns,
            received_ns=self._clock.now_ns(),
            positions_ns=state.event_ns,
        )

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return the real venue's mark candles opened in [since, until), oldest first."""
        return await self._public.mark_candles(instrument_id, step_seconds, since_ns, until_ns)

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Send it once to the model. VenueUnreachable: the instrument's book is not known now."""
        new = self._new_order(order)
        return await self._sent(order, lambda exchange: exchange.place(exchange.account_id, new))

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Ask for a cancel; an order that is already over, or never was, is no error."""
        self._check_listed(instrument_id)
        await self._pause()
        exchange = self._account.exchange
        order = exchange.order(exchange.account_id, client_order_id=client_order_id)
        if order is not None and order.open:
            name, order_id = exchange.account_id, order.order_id
            await self._carry_out(lambda: (None, exchange.cancel(name, order_id=order_id)))
        await self._pause()

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Have the model hold a stop back until the mark reaches it."""
        intent = order.intent
        assert intent.trigger_price is not None, "a stop waits for a mark"
        rules = self._check_listed(intent.instrument_id)
        new = NewTrigger(
            instrument_id=intent.instrument_id,
            side=intent.side,
            quantity=order_entry.quantity_on_grid(
                order.approved.quantity, rules.lot_size, rules.quantity_min
            ),
            trigger_price=figures.price_on_grid(
                intent.trigger_price, intent.side, rules.tick_size, reduce_only=True
            ),
            source=TriggerSource.MARK,
            direction=convert.direction_of(intent.side),
            reduce_only=True,
            with_position=True,
            client_order_id=intent.client_order_id,
        )
        return await self._sent(
            order, lambda exchange: exchange.place_trigger(exchange.account_id, new)
        )

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Have a stop dropped; one that is already over, or never was, is no error."""
        self._check_listed(instrument_id)
        await self._pause()
        exchange = self._account.exchange
        name = exchange.account_id
        found = exchange.trigger_order(name, client_order_id=client_order_id)
        if found is not None and found.live:
            number = found.trigger_order_id
            await self._carry_out(lambda: (None, exchange.cancel_trigger(name, order_id=number)))
        await self._pause()

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what became of a stop and of the order it made; None = never heard of."""
        self._check_listed(instrument_id)
        exchange = self._account.exchange
        found = exchange.trigger_order(exchange.account_id, client_order_id=client_order_id)
        if found is None:
            return None
        received_ns = self._clock.now_ns()
        if found.state is TriggerState.TRIGGERED and found.order_id is not None:
            made = self._account.order_of(found.order_id)
            if made is not None:
                return convert.order_update(made, UpdateSource.REST, received_ns)
        return convert.trigger_update(found, received_ns)

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return every stop that waits."""
        exchange = self._account.exchange
        known = exchange.trigger_orders(exchange.account_id)
        return tuple(convert.waiting(each) for each in known if each.live)

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what the model knows of an order by our id; None = it knows none."""
        self._check_listed(instrument_id)
        exchange = self._account.exchange
        exchange.at(self._account.venue_ns())
        found = exchange.order(exchange.account_id, client_order_id=client_order_id)
        if found is None:
            return None
        return convert.order_update(found, UpdateSource.REST, self._clock.now_ns())

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return an order of ours made since then that ended; None = there is none."""
        self._check_listed(instrument_id)
        exchange = self._account.exchange
        found = exchange.order(exchange.account_id, client_order_id=client_order_id)
        if found is None or found.open or found.created_ns < since_ns:
            return None
        return convert.order_update(found, UpdateSource.REST, self._clock.now_ns())

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return executions of the account since then, oldest first."""
        exchange, received_ns = self._account.exchange, self._clock.now_ns()
        found = exchange.fills(exchange.account_id, since_ns)
        return tuple(convert.fill(each, self._account.order_of, received_ns) for each in found)

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return funding payments of the account since then, oldest first."""
        received_ns = self._clock.now_ns()
        return tuple(
            FundingPaid(
                instrument_id=each.instrument_id or "",
                payment_id=each.bill_id,
                payment=each.change,
                event_ns=each.event_ns,
                received_ns=received_ns,
            )
            for each in self._bills(since_ns)
            if each.kind is BillKind.FUNDING
        )

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return deposits and withdrawals since then; the opening cash is none."""
        received_ns = self._clock.now_ns()
        return tuple(
            Transferred(
                transfer_id=each.bill_id,
                transfer=each.change,
                event_ns=each.event_ns,
                received_ns=received_ns,
            )
            for each in self._bills(since_ns)
            if each.kind in _TRANSFERS and int(each.bill_id) > _OPENING_BILL
        )

    async def account_id(self) -> str:
        """Return the account's name."""
        return self._account.exchange.account_id

    @property
    def offset_ns(self) -> int:
        """The real venue's clock minus ours as it was measured last, ns."""
        return self._account.offset_ns

    async def clock_offset_ns(self) -> int:
        """Measure the real venue's clock minus ours; the model keeps the venue's time."""
        self._account.offset_ns = await self._public.clock_offset_ns()
        return self._account.offset_ns

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; the model settles at mark what is no longer listed."""
        found = await self._public.instrument_states(instrument_ids)
        for instrument_id, state in found.items():
            exchange = self._account.exchange
            if not exchange.lists(instrument_id):
                continue
            delisted = state is InstrumentState.DELISTED
            if delisted and exchange.marked(instrument_id):
                self._account.commit(exchange.delist(instrument_id))
            elif not delisted:
                exchange.set_instrument_state(instrument_id, state)
        return found

    async def arm_dead_man(self, seconds: int) -> bool:  # noqa: ARG002 - the port's signature
        """Return False: without this process the model stands still, and its orders with it."""
        return False

    def _steady(self, rules: Instrument) -> Instrument:
        # OKX counts tiers in contracts; their worth in money moves with the mark. While this
        # process trades, only other fractions are other tiers.
        if rules.instrument_id not in self._listed:
            return rules
        known = self._account.exchange.instrument(rules.instrument_id).tiers
        return (
            replace(rules, tiers=known) if _fractions(known) == _fractions(rules.tiers) else rules
        )

    def _bills(self, since_ns: int) -> tuple[Bill, ...]:
        return self._account.exchange.bills(self._account.exchange.account_id, since_ns)

    async def _price(self, instrument_ids: Sequence[str]) -> None:
        # Marks and next fundings by REST, for as long as no stream tells them.
        for event in await self._public.present(instrument_ids):
            self._account.hear(event)

    def _check_listed(self, instrument_id: str) -> Instrument:
        exchange = self._account.exchange
        try:
            return exchange.instrument(instrument_id)
        except OrderRefused as refused:
            raise errors.refusal(refused) from refused

    def _new_order(self, order: JournaledOrder) -> NewOrder:
        intent = order.intent
        rules = self._check_listed(intent.instrument_id)
        price = intent.price_limit
        if price is not None:
            price = figures.price_on_grid(
                price, intent.side, rules.tick_size, reduce_only=intent.reduce_only
            )
        return NewOrder(
            instrument_id=intent.instrument_id,
            side=intent.side,
            quantity=order_entry.quantity_on_grid(
                order.approved.quantity, rules.lot_size, rules.quantity_min
            ),
            kind=intent.kind,
            price_limit=price,
            time_in_force=intent.time_in_force,
            post_only=intent.post_only,
            reduce_only=intent.reduce_only,
            client_order_id=intent.client_order_id,
            # As at each venue, by its default or because its adapter asks for it.
            self_trade=SelfTradeMode.CANCEL_MAKER,
        )

    async def _sent(
        self,
        order: JournaledOrder,
        place: Callable[[MirrorExchange], tuple[PlacedOrder, list[ExchangeEvent]]],
    ) -> OrderUpdate:
        order_entry.check_approval(order, self._clock)
        if not self._account.keeps:
            raise VenueRejected("paper: this process only looks at the account", code="NOT_KEPT")
        await self._pause()
        await self._until_quoted(order.intent.instrument_id)
        exchange = self._account.exchange
        if order.intent.increases and order.approved.expires_ns <= self._clock.now_ns():
            await self._pause()
            raise VenueRejected("paper: it arrived after its approval", code=errors.LATE)
        if not exchange.quoted(order.intent.instrument_id):
            await self._pause()
            raise VenueUnreachable("paper: the instrument's book is not known now")
        placed = await self._carry_out(lambda: place(exchange))
        await self._pause()
        return order_entry.accepted(
            order.intent.client_order_id,
            placed.order_id,
            order.intent.instrument_id,
            event_ns=placed.event_ns,
            received_ns=self._clock.now_ns(),
        )

    async def _until_quoted(self, instrument_id: str) -> None:
        # A book that is being told anew is back soon; the order is on its way until then.
        deadline = self._clock.monotonic() + BOOK_SECONDS_MAX
        while self._clock.monotonic() < deadline:
            if self._account.exchange.quoted(instrument_id):
                return
            await asyncio.sleep(BOOK_LOOK_SECONDS)

    async def _carry_out(self, command: Callable[[], tuple[T, list[ExchangeEvent]]]) -> T:
        # A refusal comes back a latency later, as an acceptance does.
        self._account.exchange.at(self._account.venue_ns())
        try:
            answer, events = command()
        except OrderRefused as refused:
            await self._pause()
            raise errors.refusal(refused) from refused
        try:
            self._account.commit(events)
        except VenueUnreachable as error:
            # The line may be on disk all the same, and the next start then reads it.
            raise OutcomeUnknown(str(error)) from error
        return answer

    async def _pause(self) -> None:
        await asyncio.sleep(self._account.latency_seconds)


def _fractions(tiers: Sequence[MarginTier]) -> list[tuple[Decimal, Decimal]]:
    return [(each.maintenance_margin_fraction, each.initial_margin_fraction) for each in tiers]
