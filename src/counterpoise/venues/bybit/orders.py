"""The Bybit account by REST: places and cancels orders, and answers every question of `Venue`."""

import asyncio
from collections.abc import Sequence
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
from counterpoise.venues.bybit import attest, candles, convert, errors, reads, triggers
from counterpoise.venues.bybit.convert import CATEGORY, Listing
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.session import WINDOW_FIELD, WINDOW_MS, BybitSession
from counterpoise.venues.figures import plain, price_on_grid
from counterpoise.venues.order_entry import (
    accepted,
    check_approval,
    measuring_anew,
    quantity_on_grid,
)
from counterpoise.venues.session import Row
from counterpoise.venues.unreadable import adapter

#: How long one request may take before its outcome counts as unknown, ms.
TIMEOUT_MS: Final = 5_000


@adapter("Bybit")
class BybitVenue:
    """A unified account on Bybit: linear perpetuals of `settle`, cross margin, one-way mode."""

    name: str = "bybit"
    history_ns: int = reads.HISTORY_NS
    executions_ns: int = reads.EXECUTIONS_NS
    reduction_valid_ns: int = WINDOW_MS * NS_PER_MS
    has_triggers: bool = True

    def __init__(
        self,
        endpoints: BybitEndpoints,
        credentials: BybitCredentials,
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
        self._session: BybitSession | None = None
        self._listings: dict[str, Listing] = {}
        self._account_id = ""

    async def open(self) -> None:
        """Load the perpetuals, measure the clock and prove the key.

        Raises VenueUnreachable, or StartRefused with the remedy for a wrong key.
        """
        await self.close()
        self._session = BybitSession(
            self._endpoints, self._credentials, self._clock, timeout_ms=self._timeout_ms
        )
        try:
            self._listings = await reads.listings(self._session, self._settle)
            await self.clock_offset_ns()
            self._account_id = await attest.account_id(self._session)
        except VenueRejected as error:
            await self.close()
            raise errors.TABLE.start_refusal(error) or StartRefused(
                f"Bybit refuses to be asked about the account: {error}"
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
        """Return fresh rules and margin tiers. Raises StartRefused for one Bybit does not list."""
        session = self._opened
        listed = await reads.listings(session, self._settle)
        for instrument_id in instrument_ids:
            if instrument_id not in listed:
                # The list has only what trades now.
                found = await reads.listing(session, self._settle, instrument_id)
                if found is None:
                    self._unlisted(instrument_id)
                listed[instrument_id] = found
        # One that Bybit took off its list is still in the account's fills and log.
        self._listings |= listed
        listings = [listed[instrument_id] for instrument_id in instrument_ids]
        return tuple(await asyncio.gather(*(attest.instrument(session, each) for each in listings)))

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the symbol, which is our id."""
        return self._known(instrument_id).instrument_id

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return 1: linear contracts are counted in base units."""
        self._known(instrument_id)
        return Decimal(1)

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Set the leverage setting of both sides; one that is so already is no error.

        The margin mode is the account's (`set_modes`).
        """
        figure = plain(leverage)
        fields = {
            "category": CATEGORY,
            "symbol": self._known(instrument_id).instrument_id,
            "buyLeverage": figure,
            "sellLeverage": figure,
        }
        await attest.change(self._opened, "privatePostV5PositionSetLeverage", fields)

    async def set_modes(self) -> None:
        """Set cross margin of the account and one-way positions of the settlement currency."""
        await attest.set_modes(self._opened, self._settle)

    async def account(self) -> AccountSnapshot:
        """Return balance, positions and open orders."""
        return await reads.account(
            self._opened, self._account_id, self._settle, self._clock, offset_ns=self.offset_ns
        )

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        return await candles.mark_candles(
            self._opened,
            self._known(instrument_id).instrument_id,
            step_seconds,
            since_ns,
            until_ns,
            self._clock.now_ns() + self.offset_ns,
        )

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Send it once, under our client order id.

        An increase whose approval is over is not sent (APPROVAL_EXPIRED) and may reach Bybit only
        while it lasts; a reduction goes out whatever the time is.
        """
        intent = order.intent
        fields = self._order_fields(order, self._known_order(intent.instrument_id))
        session = self._opened
        async with session.lanes.order(reduce_only=intent.reduce_only):
            check_approval(order, self._clock)
            if intent.increases:
                fields[WINDOW_FIELD] = self._window_ms(order)
                answer = await session.send("privatePostV5OrderCreate", fields)
            else:
                answer = await self._send_in_time("privatePostV5OrderCreate", fields)
        return self._accepted(answer, intent.client_order_id, intent.instrument_id)

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Ask for a cancel; an order that is already over is no error."""
        fields = {
            "category": CATEGORY,
            "symbol": self._known_order(instrument_id).instrument_id,
            "orderLinkId": client_order_id,
        }
        try:
            async with self._opened.lanes.cancel():
                await self._send_in_time("privatePostV5OrderCancel", fields)
        except VenueRejected as error:
            if error.code not in errors.ALREADY_OVER:
                raise

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Have Bybit hold a stop back until the mark reaches it, under our client order id."""
        intent = order.intent
        fields = triggers.request(order, self._known_order(intent.instrument_id))
        async with self._opened.lanes.order(reduce_only=True):
            answer = await self._send_in_time("privatePostV5OrderCreate", fields)
        return self._accepted(answer, intent.client_order_id, intent.instrument_id)

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Have a held back order dropped; one that is already over is no error."""
        await self.cancel(instrument_id, client_order_id)

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what became of a held back order, which stays one order when it acts."""
        symbol = self._known_order(instrument_id).instrument_id
        return await triggers.find(self._opened, symbol, client_order_id, self._clock)

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return every order Bybit holds back for this account."""
        return await triggers.waiting(self._opened, self._settle)

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what Bybit knows of an order by our id; None = it says it knows none."""
        symbol = self._known_order(instrument_id).instrument_id
        return await reads.find_order(self._opened, symbol, client_order_id, self._clock)

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return an order of ours from the list of orders that ended since then."""
        symbol = self._known_order(instrument_id).instrument_id
        return await reads.find_ended(self._opened, symbol, client_order_id, since_ns, self._clock)

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return executions of the account since then, oldest first."""
        return await reads.fills_since(self._opened, self._settle, since_ns, self._clock)

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return funding payments since then, oldest first."""
        return await reads.funding_since(self._opened, self._settle, since_ns, self._clock)

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return deposits and withdrawals since then, oldest first."""
        return await reads.transfers_since(self._opened, self._settle, since_ns, self._clock)

    async def account_id(self) -> str:
        """Return the account's user id as Bybit says it now."""
        return await attest.account_id(self._opened)

    async def clock_offset_ns(self) -> int:
        """Measure Bybit's clock minus ours and correct every stamp by it from now on."""
        return await self._opened.measure_clock()

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; one that Bybit no longer knows is DELISTED."""
        return await reads.instrument_states(self._opened, self._settle, instrument_ids)

    async def arm_dead_man(self, seconds: int) -> bool:  # noqa: ARG002 - the port's signature.
        """Return False: Bybit has no countdown that must be asked again.

        What it has for some institutions hangs on the private stream, and the account stream
        subscribes it (`account_stream.PROTECTION`).
        """
        return False

    @property
    def offset_ns(self) -> int:
        """The venue's clock minus ours as it was measured last, ns; 0 while it is not open."""
        return 0 if self._session is None else self._session.offset_ns

    @property
    def _opened(self) -> BybitSession:
        if self._session is None:
            raise VenueUnreachable("the connection to Bybit is not open")
        return self._session

    def _known(self, instrument_id: str) -> Listing:
        return self._listings.get(instrument_id) or self._unlisted(instrument_id)

    def _unlisted(self, instrument_id: str) -> NoReturn:
        raise StartRefused(
            f"Bybit lists no linear perpetual {instrument_id} settled in {self._settle};"
            " remove it from the configured instruments"
        )

    def _known_order(self, instrument_id: str) -> Listing:
        # An order is refused, not the start: the daemon is running.
        listing = self._listings.get(instrument_id)
        if listing is None:
            raise VenueRejected(f"Bybit lists no {instrument_id}", code="INSTRUMENT_UNKNOWN")
        return listing

    def _order_fields(self, order: JournaledOrder, listing: Listing) -> dict[str, Any]:
        intent = order.intent
        quantity = quantity_on_grid(order.approved.quantity, listing.lot_size, listing.quantity_min)
        fields: dict[str, Any] = {
            "category": CATEGORY,
            "symbol": listing.instrument_id,
            "side": convert.side_name(intent.side),
            "orderType": convert.order_type(intent.kind),
            "qty": plain(quantity),
            "timeInForce": convert.time_in_force(intent.time_in_force, post_only=intent.post_only),
            "positionIdx": 0,
            "reduceOnly": intent.reduce_only,
            "orderLinkId": intent.client_order_id,
            **convert.NO_SELF_TRADE,
        }
        if intent.price_limit is not None:
            fields["price"] = plain(
                price_on_grid(
                    intent.price_limit,
                    intent.side,
                    listing.tick_size,
                    reduce_only=intent.reduce_only,
                )
            )
        return fields

    def _window_ms(self, order: JournaledOrder) -> int:
        # Bybit drops what arrives this long after its stamp, which is made when it is signed.
        left_ns = order.approved.expires_ns - self._clock.now_ns()
        return max(1, min(WINDOW_MS, left_ns // NS_PER_MS))

    async def _send_in_time(self, method: str, fields: dict[str, Any]) -> Row:
        session = self._opened
        return await measuring_anew(
            lambda: session.send(method, fields), errors.OUT_OF_TIME, session
        )

    def _accepted(self, answer: Row, client_order_id: str, instrument_id: str) -> OrderUpdate:
        venue_order_id = answer.get("orderId")
        if not venue_order_id or answer.get("orderLinkId") != client_order_id:
            raise OutcomeUnknown(
                f"Bybit answered without naming the order {client_order_id}: {str(answer)[:120]}"
            )
        received_ns = self._clock.now_ns()
        return accepted(
            client_order_id,
            str(venue_order_id),
            instrument_id,
            event_ns=received_ns + self.offset_ns,
            received_ns=received_ns,
        )
