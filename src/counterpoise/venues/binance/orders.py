"""The Binance account by REST: places and cancels orders, and answers every question of `Venue`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

from counterpoise.domain.account import AccountSnapshot, Attestation, WaitingTrigger
from counterpoise.domain.errors import (
    OutcomeUnknown,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import FundingPaid, OrderUpdate, Transferred
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import Fill, JournaledOrder
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Candle, Clock
from counterpoise.venues import figures, order_entry
from counterpoise.venues.binance import attest, candles, convert, errors, ledgers, reads, triggers
from counterpoise.venues.binance.convert import Listing
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.session import (
    REDUCTION_VALID_NS,
    BinanceSession,
    receive_window_ms,
)
from counterpoise.venues.binance.throttle import WEIGHTS, Allowance
from counterpoise.venues.session import Row
from counterpoise.venues.unreadable import adapter

#: How long one request may take before its outcome counts as unknown, ms.
TIMEOUT_MS: Final = 5_000

#: The countdown of cancel-all has no shortest time at Binance; below this a lost call would fire it.
DEAD_MAN_SECONDS_MIN: Final = 10


@adapter("Binance")
class BinanceVenue:
    """One USD-M futures account on Binance, margined in `settle`, cross margin, one-way mode."""

    name: str = "binance"
    history_ns: int = reads.HISTORY_NS
    executions_ns: int = ledgers.EXECUTIONS_NS
    reduction_valid_ns: int = REDUCTION_VALID_NS
    has_triggers: bool = True

    def __init__(
        self,
        endpoints: BinanceEndpoints,
        credentials: BinanceCredentials,
        clock: Clock,
        *,
        timeout_ms: int = TIMEOUT_MS,
        settle: str = "USDT",
    ) -> None:
        self._endpoints = endpoints
        self._credentials = credentials
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._settle = settle
        self._session: BinanceSession | None = None
        self._listings: dict[str, Listing] = {}
        #: Markets we were ever asked about: executions and countdowns are per market.
        self._followed: set[str] = set()
        self._names = ledgers.OrderNames()
        self._account_id = ""

    async def open(self) -> None:
        """Load the perpetuals, measure the clock and prove the key.

        Raises VenueUnreachable, or StartRefused with the remedy for a wrong key.
        """
        await self.close()
        self._session = BinanceSession(
            self._endpoints,
            self._credentials,
            self._clock,
            Allowance.account_lanes,
            timeout_ms=self._timeout_ms,
            places_orders=True,
        )
        try:
            await self._load()
            await self.clock_offset_ns()
            self._account_id = await attest.account_id(self._session)
        except VenueRejected as error:
            await self.close()
            raise errors.TABLE.start_refusal(error) or StartRefused(
                f"Binance refuses to be asked about the account: {error}"
            ) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def attest(self, instrument_ids: Sequence[str]) -> Attestation:
        """Return how the account is set up. Raises StartRefused for a key or mode at fault."""
        listings = [self._known(instrument_id) for instrument_id in instrument_ids]
        try:
            attestation = await attest.attest(self._opened, listings)
        except VenueRejected as error:
            refusal = errors.TABLE.start_refusal(error)
            if refusal is None:
                raise
            raise refusal from error
        return attestation

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return fresh rules and margin tiers. Raises StartRefused for one that is not listed."""
        listed = await self._load()
        listings = [listed.get(i) or self._unlisted(i) for i in instrument_ids]
        self._followed.update(instrument_ids)
        found = await asyncio.gather(*(attest.instrument(self._opened, each) for each in listings))
        return tuple(found)

    def venue_symbol(self, instrument_id: str) -> str:
        """Return Binance's symbol, which is our id."""
        return self._known(instrument_id).symbol

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return 1: Binance's quantities are base units."""
        self._known(instrument_id)
        return convert.CONTRACT_SIZE

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Set cross margin and the leverage setting of an instrument."""
        symbol = self._known(instrument_id).symbol
        session = self._opened
        cross = {"symbol": symbol, "marginType": "CROSSED"}
        try:
            await session.change(lambda: session.reads.fapiPrivatePostMarginType(cross))
        except VenueRejected as error:
            if error.code not in errors.UNCHANGED:
                raise
        body = {"symbol": symbol, "leverage": figures.plain(leverage)}
        await session.change(lambda: session.reads.fapiPrivatePostLeverage(body))

    async def set_modes(self) -> None:
        """Set one-way positions and single-asset margin; a market's cross margin is its own."""
        await attest.set_modes(self._opened)

    async def account(self) -> AccountSnapshot:
        """Return balance, positions and open orders."""
        return await reads.account(
            self._opened,
            self._listings,
            self._account_id,
            self._settle,
            self._clock,
            offset_ns=self.offset_ns,
        )

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        symbol = self._known(instrument_id).symbol
        now_ns = self._clock.now_ns() + self.offset_ns
        return await candles.mark_candles(
            self._opened, symbol, step_seconds, since_ns, until_ns, now_ns
        )

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Send it once, under our client order id.

        An increase whose approval is over is not sent (APPROVAL_EXPIRED) and carries the end of
        its approval as the venue's deadline; a reduction goes out whatever the time is.
        """
        intent = order.intent
        request = self._order_request(order, self._known_order(intent.instrument_id))
        session = self._opened
        async with session.lanes.order(reduce_only=intent.reduce_only):
            order_entry.check_approval(order, self._clock)
            if intent.increases:
                remaining_ns = order.approved.expires_ns - self._clock.now_ns()
                window_ms = receive_window_ms(remaining_ns // NS_PER_MS)
                request["recvWindow"] = window_ms
                answer = await session.change(lambda: session.orders.fapiPrivatePostOrder(request))
            else:
                answer = await self._change(lambda: session.orders.fapiPrivatePostOrder(request))
        return self._accepted(answer, intent.client_order_id, intent.instrument_id)

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Ask for a cancel; an order that is already over is no error."""
        symbol = self._known_order(instrument_id).symbol
        body = {"symbol": symbol, "origClientOrderId": client_order_id}
        await self._cancel(lambda orders: orders.fapiPrivateDeleteOrder(body))

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Have Binance hold a stop back under our id until the mark reaches it."""
        listing = self._known_order(order.intent.instrument_id)
        body = triggers.request(order, listing)
        orders = self._opened.orders
        answer = await self._change(lambda: orders.fapiPrivatePostAlgoOrder(body))
        return triggers.accepted(answer, order.intent.client_order_id, listing, self._clock)

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Have a stop dropped; one that is already over is no error."""
        symbol = self._known_order(instrument_id).symbol
        body = triggers.cancel_request(symbol, client_order_id)
        await self._cancel(lambda orders: orders.fapiPrivateDeleteAlgoOrder(body))

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what became of a stop and of the order it made; None = Binance knows none."""
        symbol = self._known_order(instrument_id).symbol
        return await triggers.find(self._opened, symbol, client_order_id, self._clock)

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return every stop that waits in this account."""
        return await triggers.waiting(self._opened)

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what Binance knows of an order by our id; None = it says it knows none."""
        symbol = self._known_order(instrument_id).symbol
        return await reads.find_order(self._opened, symbol, client_order_id, self._clock)

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return an order of ours from the list of all that were made since then."""
        symbol = self._known_order(instrument_id).symbol
        return await reads.find_ended(self._opened, symbol, client_order_id, since_ns, self._clock)

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return executions of the account since then, oldest first."""
        return await ledgers.fills_since(
            self._opened, self._followed, self._names, since_ns, self._clock
        )

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return funding payments of the last three months since then, oldest first."""
        return await ledgers.funding_since(self._opened, since_ns, self._clock)

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return deposits and withdrawals of the last three months since then, oldest first."""
        return await ledgers.transfers_since(self._opened, self._settle, since_ns, self._clock)

    async def account_id(self) -> str:
        """Return the account's alias as Binance says it now."""
        return await attest.account_id(self._opened)

    async def clock_offset_ns(self) -> int:
        """Measure Binance's clock minus ours and correct every stamp by it from now on."""
        return await self._opened.measure_clock()

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; one that Binance no longer lists is DELISTED."""
        return await reads.instrument_states(self._opened, self._settle, instrument_ids)

    async def arm_dead_man(self, seconds: int) -> bool:
        """Arm the countdown of every market we were asked about; 0 disarms.

        Without an answer the old times run on. Raises VenueRejected for a time so short that one
        lost call would fire it.
        """
        if 0 < seconds < DEAD_MAN_SECONDS_MIN:
            raise VenueRejected(
                f"a countdown of {seconds} s is below {DEAD_MAN_SECONDS_MIN} s", code="TOO_SHORT"
            )
        session = self._opened
        method = "fapiPrivatePostCountdownCancelAll"

        async def arm(symbol: str) -> None:
            body = {"symbol": symbol, "countdownTime": seconds * 1_000}
            async with session.lanes.read(WEIGHTS[method]):
                await session.change(lambda: getattr(session.reads, method)(body))

        await asyncio.gather(*(arm(symbol) for symbol in sorted(self._followed)))
        return True

    @property
    def offset_ns(self) -> int:
        """The venue's clock minus ours as it was measured last, ns; 0 while it is not open."""
        return 0 if self._session is None else self._session.offset_ns

    @property
    def _opened(self) -> BinanceSession:
        if self._session is None:
            raise VenueUnreachable("the connection to Binance is not open")
        return self._session

    async def _cancel(self, call: Callable[[Any], Awaitable[Any]]) -> None:
        session = self._opened
        try:
            async with session.lanes.cancel():
                await self._change(lambda: call(session.orders))
        except VenueRejected as error:
            if error.code not in errors.ALREADY_OVER:
                raise

    async def _change(self, call: Callable[[], Awaitable[Any]]) -> Row:
        session = self._opened
        return await order_entry.measuring_anew(
            lambda: session.change(call), errors.STAMP_REFUSED, session
        )

    def _known(self, instrument_id: str) -> Listing:
        listing = self._listings.get(instrument_id) or self._unlisted(instrument_id)
        self._followed.add(instrument_id)
        return listing

    def _unlisted(self, instrument_id: str) -> NoReturn:
        raise StartRefused(
            f"Binance lists no perpetual {instrument_id} margined in {self._settle}; remove it"
            " from the configured instruments"
        )

    def _known_order(self, instrument_id: str) -> Listing:
        # An order is refused, not the start: the daemon is running.
        listing = self._listings.get(instrument_id)
        if listing is None:
            raise VenueRejected(f"Binance lists no {instrument_id}", code="INSTRUMENT_UNKNOWN")
        self._followed.add(instrument_id)
        return listing

    async def _load(self) -> dict[str, Listing]:
        listed = convert.listed(await reads.listed_rows(self._opened), self._settle)
        # One that Binance took off its list, or this list lacks, may still be held: its orders go
        # out, and it is in the account's trades and income.
        self._listings |= listed.found
        return listed.found

    def _order_request(self, order: JournaledOrder, listing: Listing) -> dict[str, Any]:
        intent = order.intent
        quantity = order_entry.quantity_on_grid(
            order.approved.quantity, listing.lot_size, listing.quantity_min
        )
        fields: dict[str, Any] = {
            "symbol": listing.symbol,
            "side": intent.side.value.upper(),
            "newClientOrderId": intent.client_order_id,
            "newOrderRespType": "ACK",
            "type": convert.order_type(intent.kind),
            "quantity": figures.plain(quantity),
        }
        if intent.price_limit is not None:
            fields["price"] = figures.plain(
                figures.price_on_grid(
                    intent.price_limit,
                    intent.side,
                    listing.tick_size,
                    reduce_only=intent.reduce_only,
                )
            )
            fields["timeInForce"] = convert.time_in_force(
                intent.time_in_force, post_only=intent.post_only
            )
        if intent.reduce_only:
            fields["reduceOnly"] = "true"
        return fields

    def _accepted(
        self, answer: Mapping[str, Any], client_order_id: str, instrument_id: str
    ) -> OrderUpdate:
        venue_order_id = answer.get("orderId")
        if not venue_order_id or answer.get("clientOrderId") != client_order_id:
            raise OutcomeUnknown(
                f"Binance answered without naming the order {client_order_id}: {str(answer)[:120]}"
            )
        received_ns = self._clock.now_ns()
        return order_entry.accepted(
            client_order_id,
            str(venue_order_id),
            instrument_id,
            event_ns=figures.ns_from_ms(answer.get("updateTime")) or received_ns + self.offset_ns,
            received_ns=received_ns,
        )
