"""The OKX account by REST: places and cancels orders, and answers every question of `Venue`."""

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
from counterpoise.venues import order_entry
from counterpoise.venues.figures import ns_from_ms, plain
from counterpoise.venues.okx import attest, candles, convert, errors, reads, triggers
from counterpoise.venues.okx.convert import Contract
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.session import DEADLINE_FIELD, STAMP_VALID_NS, OkxSession, Row
from counterpoise.venues.unreadable import adapter

#: How long one request may take before its outcome counts as unknown, ms.
TIMEOUT_MS: Final = 5_000


@adapter("OKX")
class OkxVenue:
    """One account on OKX, swaps margined in `settle`, cross margin, net mode."""

    name: str = "okx"
    history_ns: int = reads.HISTORY_NS
    executions_ns: int = reads.EXECUTIONS_NS
    reduction_valid_ns: int = STAMP_VALID_NS
    has_triggers: bool = True

    def __init__(
        self,
        endpoints: OkxEndpoints,
        credentials: OkxCredentials,
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
        self._session: OkxSession | None = None
        self._contracts: dict[str, Contract] = {}
        self._by_inst_id: dict[str, Contract] = {}
        self._account_id = ""

    async def open(self) -> None:
        """Load the swaps, measure the clock and prove the key.

        Raises VenueUnreachable, or StartRefused with the remedy for a wrong key.
        """
        await self.close()
        self._session = OkxSession(
            self._endpoints, self._credentials, self._clock, timeout_ms=self._timeout_ms
        )
        try:
            await self._load_contracts()
            await self._session.measure_clock()
            self._account_id = str((await attest.configuration(self._session))["uid"])
        except VenueRejected as error:
            await self.close()
            raise errors.start_refusal(error) or StartRefused(
                f"OKX refuses to be asked about the account: {error}"
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
        """Return how the account is set up. Raises StartRefused for a key at fault."""
        contracts = [self._known(instrument_id) for instrument_id in instrument_ids]
        try:
            attestation = await attest.attest(self._opened, contracts)
        except VenueRejected as error:
            refusal = errors.start_refusal(error)
            if refusal is None:
                raise
            raise refusal from error
        self._opened.allow(await attest.order_limit(self._opened))
        return attestation

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return fresh rules and margin tiers. Raises StartRefused for one OKX does not list."""
        listed = await self._load_contracts()
        contracts = [listed.get(i) or self._unlisted(i) for i in instrument_ids]
        found = await asyncio.gather(
            *(attest.instrument(self._opened, contract) for contract in contracts)
        )
        return tuple(found)

    def venue_symbol(self, instrument_id: str) -> str:
        """Return "BTC-USDT-SWAP" for "BTCUSDT"."""
        return self._known(instrument_id).inst_id

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return base units per contract."""
        return self._known(instrument_id).contract_size

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Set the leverage setting of an instrument's cross margin."""
        body = {
            "instId": self._known(instrument_id).inst_id,
            "lever": plain(leverage),
            "mgnMode": "cross",
        }
        session = self._opened
        await session.change(lambda: session.reads.privatePostAccountSetLeverage(body))

    async def set_modes(self) -> None:
        """Set net positions; the account mode is the account holder's, and margin the order's."""
        session, body = self._opened, {"posMode": "net_mode"}
        await session.change(lambda: session.reads.privatePostAccountSetPositionMode(body))

    async def account(self) -> AccountSnapshot:
        """Return balance, positions and open orders."""
        return await reads.account(
            self._opened,
            self._by_inst_id,
            self._account_id,
            self._settle,
            self._clock,
            offset_ns=self.offset_ns,
        )

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        return await candles.mark_candles(
            self._opened,
            self._known(instrument_id).inst_id,
            step_seconds,
            since_ns,
            until_ns,
            self._venue_ns(),
        )

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Send it once, under our client order id.

        An increase whose approval is over is not sent (APPROVAL_EXPIRED) and carries the end of
        its approval as the venue's deadline; a reduction goes out whatever the time is.
        """
        intent = order.intent
        contract = self._known_order(intent.instrument_id)
        request = self._order_request(order, contract)
        session = self._opened
        async with session.lanes.order(reduce_only=intent.reduce_only):
            order_entry.check_approval(order, self._clock)
            if intent.increases:
                answer = await session.change(lambda: session.orders.privatePostTradeOrder(request))
            else:
                answer = await self._change(lambda: session.orders.privatePostTradeOrder(request))
        return self._accepted(answer, intent.client_order_id, contract)

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Ask for a cancel; an order that is already over is no error."""
        body = {
            "instId": self._known_order(instrument_id).inst_id,
            "clOrdId": client_order_id,
        }
        await self._cancel(lambda orders: orders.privatePostTradeCancelOrder(body))

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Have OKX hold a stop back under our id until the mark reaches it."""
        contract = self._known_order(order.intent.instrument_id)
        body = triggers.request(order, contract)
        session = self._opened
        async with session.lanes.order(reduce_only=True):
            answer = await self._change(lambda: session.orders.privatePostTradeOrderAlgo(body))
        return triggers.accepted(answer, order.intent.client_order_id, contract, self._clock)

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Have a stop dropped; one that is already over is no error."""
        body = triggers.cancel_request(self._known_order(instrument_id), client_order_id)
        await self._cancel(lambda orders: orders.privatePostTradeCancelAlgos(body))

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what became of a stop and of the order it made; None = OKX knows none."""
        contract = self._known_order(instrument_id)
        return await triggers.find(self._opened, contract, client_order_id, self._clock)

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return every stop that waits in a swap of this account."""
        return await triggers.waiting(self._opened, self._by_inst_id)

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what OKX knows of an order by our id; None = it says it knows none."""
        contract = self._known_order(instrument_id)
        return await reads.find_order(self._opened, contract, client_order_id, self._clock)

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return an order of ours from the list of orders that ended since then."""
        contract = self._known_order(instrument_id)
        return await reads.find_ended(
            self._opened, contract, client_order_id, since_ns, self._clock
        )

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return executions of the account since then, oldest first."""
        return await reads.fills_since(self._opened, self._by_inst_id, since_ns, self._clock)

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return funding payments of the last three months since then, oldest first."""
        return await reads.funding_since(self._opened, self._by_inst_id, since_ns, self._clock)

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return deposits and withdrawals of the last three months since then, oldest first."""
        return await reads.transfers_since(self._opened, self._settle, since_ns, self._clock)

    async def account_id(self) -> str:
        """Return the account's uid as OKX says it now."""
        return str((await attest.configuration(self._opened))["uid"])

    async def clock_offset_ns(self) -> int:
        """Measure OKX's clock minus ours and correct every stamp by it from now on."""
        return await self._opened.measure_clock()

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; one that OKX no longer lists is DELISTED."""
        return await reads.instrument_states(self._opened, self._settle, instrument_ids)

    async def arm_dead_man(self, seconds: int) -> bool:
        """Arm OKX's cancel-all-after; 0 disarms. Without an answer the old time runs on."""
        session = self._opened
        body = {"timeOut": str(seconds)}
        await session.change(lambda: session.orders.privatePostTradeCancelAllAfter(body))
        return True

    @property
    def offset_ns(self) -> int:
        """The venue's clock minus ours as it was measured last, ns; 0 while it is not open."""
        return 0 if self._session is None else self._session.offset_ns

    @property
    def _opened(self) -> OkxSession:
        if self._session is None:
            raise VenueUnreachable("the connection to OKX is not open")
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

    def _venue_ns(self) -> int:
        return self._clock.now_ns() + self.offset_ns

    def _known(self, instrument_id: str) -> Contract:
        return self._contracts.get(instrument_id) or self._unlisted(instrument_id)

    def _unlisted(self, instrument_id: str) -> NoReturn:
        raise StartRefused(
            f"OKX lists no linear swap {instrument_id} settled in {self._settle}; remove it"
            " from the configured instruments"
        )

    def _known_order(self, instrument_id: str) -> Contract:
        # An order is refused, not the start: the daemon is running.
        contract = self._contracts.get(instrument_id)
        if contract is None:
            raise VenueRejected(f"OKX lists no {instrument_id}", code="INSTRUMENT_UNKNOWN")
        return contract

    async def _load_contracts(self) -> dict[str, Contract]:
        answer = await self._opened.read("publicGetPublicInstruments", instType="SWAP")
        listed = convert.listed(answer, self._settle)
        # One that OKX took off its list, or this list lacks, may still be held: its orders go out,
        # and it is in the account's fills and bills.
        self._contracts |= listed.found
        self._by_inst_id |= {contract.inst_id: contract for contract in listed.found.values()}
        return listed.found

    def _order_request(self, order: JournaledOrder, contract: Contract) -> dict[str, Any]:
        intent = order.intent
        okx_type = convert.order_type(intent.kind, intent.time_in_force, post_only=intent.post_only)
        fields: dict[str, Any] = {
            "instId": contract.inst_id,
            "side": intent.side.value,
            "ordType": okx_type,
            "sz": plain(convert.contracts_from_base(order.approved.quantity, contract)),
            "tdMode": "cross",
        }
        if intent.price_limit is not None:
            fields["px"] = plain(
                convert.price_on_grid(
                    intent.price_limit, intent.side, contract, reduce_only=intent.reduce_only
                )
            )
        fields["clOrdId"] = intent.client_order_id
        if intent.reduce_only:
            fields["reduceOnly"] = True
        else:
            deadline_ns = order.approved.expires_ns + self.offset_ns
            fields[DEADLINE_FIELD] = str(deadline_ns // NS_PER_MS)
        return fields

    def _accepted(
        self, answer: Mapping[str, Any], client_order_id: str, contract: Contract
    ) -> OrderUpdate:
        row = errors.first_row(answer)
        code = str(row.get("sCode") or "")
        if code not in {"", "0"}:
            raise errors.from_code(code, str(row.get("sMsg", "")), placing=True)
        venue_order_id = row.get("ordId")
        if not venue_order_id or row.get("clOrdId") != client_order_id:
            raise OutcomeUnknown(
                f"OKX answered without naming the order {client_order_id}: {str(row)[:120]}"
            )
        received_ns = self._clock.now_ns()
        return order_entry.accepted(
            client_order_id,
            str(venue_order_id),
            contract.instrument_id,
            event_ns=ns_from_ms(row.get("ts")) or received_ns + self.offset_ns,
            received_ns=received_ns,
        )
