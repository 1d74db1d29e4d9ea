"""Stops that OKX holds back: algo orders of type conditional, mark-triggered, sent at market.

They bind no margin and reserve no position until they act, and end with the position
(`cxlOnClosePos`). The order a stop makes has an id of its own, no clOrdId, and names the stop in
`algoClOrdId`; only that field names a stop of ours (docs-v5 "Algo Trading").
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.domain.account import WaitingTrigger
from counterpoise.domain.errors import OutcomeUnknown, VenueRejected, VenueUnreachable
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState, Side
from counterpoise.ports import Clock
from counterpoise.venues import figures
from counterpoise.venues.okx import convert, errors, reads, rows
from counterpoise.venues.okx.convert import Contract
from counterpoise.venues.okx.frames import AlgoRow
from counterpoise.venues.okx.session import OkxSession

#: What a stop of ours is.
_KIND: Final = "conditional"

#: What algo orders are listed by: one question for each, and the two that may be asked together
#: (20 questions in two seconds per account). Ours are of the first.
KINDS: Final = ("conditional,oco", "trigger", "move_order_stop", "chase", "iceberg", "twap")
_MARKET: Final = "-1"

_STATES: Final[Mapping[str, OrderState]] = {
    "live": OrderState.ACCEPTED,
    "pause": OrderState.ACCEPTED,
    "partially_effective": OrderState.ACCEPTED,
    "effective": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "order_failed": OrderState.REJECTED,
    "partially_failed": OrderState.REJECTED,
}


def request(order: JournaledOrder, contract: Contract) -> dict[str, Any]:
    """Return the body of trade/order-algo for a stop."""
    intent = order.intent
    assert intent.trigger_price is not None, "a stop waits for a mark"
    contracts = convert.contracts_from_base(order.approved.quantity, contract)
    # Rounded toward the mark: a stop that acts a tick earlier, never later.
    trigger = convert.price_on_grid(intent.trigger_price, intent.side, contract, reduce_only=True)
    return {
        "instId": contract.inst_id,
        "tdMode": "cross",
        "side": intent.side.value,
        "ordType": _KIND,
        "sz": figures.plain(contracts),
        "slTriggerPx": figures.plain(trigger),
        "slTriggerPxType": "mark",
        "slOrdPx": _MARKET,
        "reduceOnly": True,
        "cxlOnClosePos": True,
        "algoClOrdId": intent.client_order_id,
    }


def accepted(
    answer: Mapping[str, Any], client_order_id: str, contract: Contract, clock: Clock
) -> OrderUpdate:
    """Return OKX's answer to a stop. Raises its refusal, or OutcomeUnknown for one that is none."""
    row = errors.first_row(answer)
    code = str(row.get("sCode") or "")
    if code not in {"", "0"}:
        raise errors.from_code(code, str(row.get("sMsg", "")), placing=True)
    if not row.get("algoId") or row.get("algoClOrdId") != client_order_id:
        raise OutcomeUnknown(
            f"OKX answered without naming the stop {client_order_id}: {str(row)[:120]}"
        )
    received_ns = clock.now_ns()
    return _update(
        client_order_id, str(row["algoId"]), contract, OrderState.ACCEPTED, received_ns, received_ns
    )


def cancel_request(contract: Contract, client_order_id: str) -> list[dict[str, Any]]:
    """Return the body of trade/cancel-algos that has a stop dropped."""
    return [{"instId": contract.inst_id, "algoClOrdId": client_order_id}]


async def find(
    session: OkxSession, contract: Contract, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    """Return what became of a stop and of the order it made; None = OKX knows none by that id."""
    try:
        answer = await session.read("privateGetTradeOrderAlgo", algoClOrdId=client_order_id)
    except VenueRejected as error:
        if error.code in errors.NOT_FOUND:
            return None
        raise
    found = [row for row in _read(answer) if row.algo_cl_ord_id == client_order_id]
    if not found:
        return None
    row = found[0]
    if row.state not in _STATES:
        raise VenueUnreachable(f"OKX answered a stop's state we do not know: {row.state}")
    state = _STATES[row.state]
    if row.state == "effective" and row.ord_id:
        made = await _made(session, contract, row.ord_id, clock)
        if made is not None:
            return made
        # Forgotten, so it is over; what it filled stands in the stop.
        state = OrderState.CANCELED
    received_ns = clock.now_ns()
    filled = convert.base_from_contracts(
        figures.decimal(row.actual_sz or "0"), contract.contract_size
    )
    return _update(
        client_order_id,
        row.algo_id,
        contract,
        state,
        figures.ns_from_ms(row.u_time or row.c_time),
        received_ns,
        filled=filled,
        code=row.fail_code or None,
    )


async def waiting(
    session: OkxSession, by_inst_id: Mapping[str, Contract]
) -> tuple[WaitingTrigger, ...]:
    """Return every algo order that waits in a linear swap of ours, whoever sent it.

    Raises VenueUnreachable, or VenueRejected for the kind our own stops are of. Another kind that
    OKX refuses to list is not offered to the account, so nobody can have sent one.
    """
    found: dict[str, WaitingTrigger] = {}
    # One after the other: together they would fill the lane of reads.
    for kind in KINDS:
        for row in await _listed(session, kind):
            contract = by_inst_id.get(row.inst_id)
            if contract is not None:
                found[row.algo_id] = _waiting(row, contract)
    return tuple(found[algo_id] for algo_id in sorted(found))


async def _listed(session: OkxSession, kind: str) -> list[AlgoRow]:
    parameters = {"ordType": kind, "instType": "SWAP"}
    method = "privateGetTradeOrdersAlgoPending"
    try:
        return _read(await reads.pages(session, method, "algoId", parameters))
    except VenueRejected as error:
        if _KIND in kind or error.code not in errors.WRONG_PARAMETER:
            raise
        return []


def _waiting(row: AlgoRow, contract: Contract) -> WaitingTrigger:
    # What it sent already stands among the orders.
    contracts = figures.decimal(row.sz or "0") - figures.decimal(row.actual_sz or "0")
    prices = (row.sl_trigger_px, row.tp_trigger_px, row.trigger_px, row.move_trigger_px)
    told = (figures.positive_decimal(text) for text in (*prices, row.active_px))
    return WaitingTrigger(
        client_order_id=row.algo_cl_ord_id or None,
        venue_order_id=row.algo_id,
        instrument_id=contract.instrument_id,
        side=Side(row.side),
        quantity=convert.base_from_contracts(contracts, contract.contract_size)
        if contracts > 0
        else None,
        trigger_price=next((price for price in told if price is not None), None),
        reduce_only=row.reduce_only in {"true", True},
    )


async def _made(
    session: OkxSession, contract: Contract, ord_id: str, clock: Clock
) -> OrderUpdate | None:
    row = await reads.order_by_venue_id(session, contract.inst_id, ord_id)
    if row is None or row.state not in convert.ORDER_STATES:
        return None
    return rows.order_update(
        row, contract.instrument_id, contract.contract_size, UpdateSource.REST, clock.now_ns()
    )


def _update(
    client_order_id: str,
    algo_id: str,
    contract: Contract,
    state: OrderState,
    event_ns: int,
    received_ns: int,
    *,
    filled: Decimal | None = None,
    code: str | None = None,
) -> OrderUpdate:
    return OrderUpdate(
        client_order_id=client_order_id,
        venue_order_id=algo_id,
        instrument_id=contract.instrument_id,
        state=state,
        filled_quantity=filled,
        average_price=None,
        source=UpdateSource.REST,
        code=code,
        message="",
        order=None,
        event_ns=event_ns,
        received_ns=received_ns,
    )


def _read(answer: Sequence[Any]) -> list[AlgoRow]:
    try:
        return [msgspec.convert(row, AlgoRow) for row in answer]
    except msgspec.ValidationError as error:
        raise VenueUnreachable(f"OKX answered a stop we cannot read: {error}") from error
