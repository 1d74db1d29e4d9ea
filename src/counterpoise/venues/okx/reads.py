"""What OKX says of the account: balance, positions, orders and fills, by REST."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from counterpoise.domain.account import AccountSnapshot, Balance, OpenOrder, Position
from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import FundingPaid, OrderUpdate, Transferred, UpdateSource
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS
from counterpoise.ports import Clock
from counterpoise.venues.figures import decimal, ns_from_ms
from counterpoise.venues.listings import Listed, not_foreign, states
from counterpoise.venues.okx import convert, errors, rows
from counterpoise.venues.okx.convert import (
    LIQUIDITIES,
    ORDER_STATES,
    Contract,
)
from counterpoise.venues.okx.frames import (
    BalanceRow,
    BillRow,
    FillRow,
    OrderRow,
    PositionRow,
    typed,
)
from counterpoise.venues.okx.session import OkxSession

#: Rows one answer holds.
PAGE_ROWS: Final = 100

#: Pages read of one list; more than this is an account this daemon should not be trading.
PAGES_MAX: Final = 50

#: How far back trade/fills goes; it is the fresher of the two lists.
_RECENT_FILLS_NS: Final = 3 * NS_PER_DAY

#: An order cancelled without a fill is forgotten after this, ns; others are listed for 7 days.
HISTORY_NS: Final = 2 * NS_PER_HOUR

#: trade/fills-history goes back three months, ns.
EXECUTIONS_NS: Final = 90 * NS_PER_DAY

#: account/bills: a funding payment.
_BILL_FUNDING: Final = "8"
#: account/bills: cash that came from or went to another account.
_BILL_TRANSFER: Final = "1"
#: How far back account/bills goes, with a day to spare; the archive has three months.
_RECENT_BILLS_NS: Final = 6 * NS_PER_DAY

Contracts = Mapping[str, Contract]

T = TypeVar("T")


async def account(
    session: OkxSession,
    by_inst_id: Contracts,
    account_id: str,
    settle: str,
    clock: Clock,
    *,
    offset_ns: int,
) -> AccountSnapshot:
    """Return balance, positions and open orders; `offset_ns` is OKX's clock minus ours.

    The balance is asked first and its venue time is the snapshot's: the rest is as new or newer.
    Raises VenueRejected FOREIGN_POSITION if the account holds something that cannot be
    counted in base units of a linear swap, since its exposure would be missing.
    """
    balances = _read(await session.read("privateGetAccountBalance"), BalanceRow)
    positions_ns = clock.now_ns() + offset_ns
    position_rows, order_rows = await asyncio.gather(
        session.read("privateGetAccountPositions"), _pending_orders(session)
    )
    if not balances:
        raise VenueUnreachable("OKX answered no balance")
    positions = _positions(_read(position_rows, PositionRow), by_inst_id)
    balance = rows.balance(balances[0], settle)
    if balance is None and positions:
        # Half an answer: what is held is margined in it.
        raise VenueUnreachable(f"OKX answered positions and no balance in {settle}")
    balance = balance or _no_balance(balances[0], settle)
    return AccountSnapshot(
        account_id=account_id,
        balance=balance,
        positions=positions,
        open_orders=_open_orders(order_rows, by_inst_id),
        event_ns=balance.event_ns,
        received_ns=clock.now_ns(),
        positions_ns=positions_ns,
    )


async def find_order(
    session: OkxSession, contract: Contract, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    """Return an order by our id, None if OKX says it knows none.

    None is not yet proof of absence: OKX forgets an order cancelled without a fill after 2 h.
    """
    try:
        answer = await session.read(
            "privateGetTradeOrder", instId=contract.inst_id, clOrdId=client_order_id
        )
    except VenueRejected as error:
        if error.code in errors.NOT_FOUND:
            return None
        raise
    return _named(_read(answer, OrderRow), contract, client_order_id, clock)


async def find_ended(
    session: OkxSession, contract: Contract, client_order_id: str, since_ns: int, clock: Clock
) -> OrderUpdate | None:
    """Return an order by our id among those that ended since then, None if it is not there."""
    parameters = {
        "instType": "SWAP",
        "instId": contract.inst_id,
        "begin": str(since_ns // NS_PER_MS),
    }
    answer = await pages(session, "privateGetTradeOrdersHistory", "ordId", parameters)
    return _named(_read(answer, OrderRow), contract, client_order_id, clock)


def _named(
    listed: list[OrderRow], contract: Contract, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    found = [row for row in listed if row.cl_ord_id == client_order_id]
    if not found:
        return None
    if found[0].state not in ORDER_STATES:
        raise VenueUnreachable(f"OKX answered an order state we do not know: {found[0].state}")
    return rows.order_update(
        found[0],
        contract.instrument_id,
        contract.contract_size,
        UpdateSource.REST,
        clock.now_ns(),
    )


async def fills_since(
    session: OkxSession, by_inst_id: Contracts, since_ns: int, clock: Clock
) -> tuple[Fill, ...]:
    """Return executions since then, oldest first.

    Both lists are asked: trade/fills is fresh, fills-history reaches further back.
    """
    sources = ["privateGetTradeFills"]
    if clock.now_ns() - since_ns > _RECENT_FILLS_NS:
        sources.append("privateGetTradeFillsHistory")
    found: dict[str, FillRow] = {}
    for method in sources:
        for row in await _fill_pages(session, by_inst_id, method, since_ns):
            found[row.bill_id] = row
    await _name_after_stops(session, by_inst_id, found.values())
    received_ns = clock.now_ns()
    fills = [
        rows.fill(
            row,
            by_inst_id[row.inst_id].instrument_id,
            by_inst_id[row.inst_id].contract_size,
            received_ns,
        )
        for row in found.values()
        if row.inst_id in by_inst_id and row.exec_type in LIQUIDITIES
    ]
    return tuple(
        sorted(
            (fill for fill in fills if fill.event_ns >= since_ns),
            key=lambda fill: (fill.event_ns, fill.instrument_id, _number(fill.fill_id)),
        )
    )


async def funding_since(
    session: OkxSession, by_inst_id: Contracts, since_ns: int, clock: Clock
) -> tuple[FundingPaid, ...]:
    """Return funding payments since then, oldest first; OKX keeps them three months."""
    answer = await _bills(session, since_ns, clock, instType="SWAP", type=_BILL_FUNDING)
    received_ns = clock.now_ns()
    paid = [
        FundingPaid(
            instrument_id=by_inst_id[row.inst_id].instrument_id,
            payment_id=row.bill_id,
            payment=decimal(row.bal_chg),
            event_ns=ns_from_ms(row.ts),
            received_ns=received_ns,
        )
        for row in _read(not_foreign(answer, "instId", by_inst_id.__contains__), BillRow)
        if row.inst_id in by_inst_id
    ]
    return tuple(sorted(paid, key=lambda payment: (payment.event_ns, payment.payment_id)))


async def transfers_since(
    session: OkxSession, settle: str, since_ns: int, clock: Clock
) -> tuple[Transferred, ...]:
    """Return deposits and withdrawals since then, oldest first; OKX keeps them three months.

    Only what moved between accounts is a transfer. Interest, rebates and the like are not: they
    stay unexplained, and the reconciliation says so.
    """
    answer = await _bills(session, since_ns, clock, type=_BILL_TRANSFER, ccy=settle)
    received_ns = clock.now_ns()
    moved = [
        Transferred(
            transfer_id=row.bill_id,
            transfer=decimal(row.bal_chg),
            event_ns=ns_from_ms(row.ts),
            received_ns=received_ns,
        )
        for row in _read(answer, BillRow)
        if row.ccy in {"", settle} and row.type in {"", _BILL_TRANSFER}
    ]
    return tuple(sorted(moved, key=lambda each: (each.event_ns, _number(each.transfer_id))))


async def instrument_states(
    session: OkxSession, settle: str, instrument_ids: Sequence[str]
) -> dict[str, InstrumentState]:
    """Return what OKX takes in each instrument now; DELISTED = two whole lists lack it."""

    async def ask() -> Listed[Contract]:
        answer = await session.read("publicGetPublicInstruments", instType="SWAP")
        if not answer:
            raise VenueUnreachable("OKX answered an empty list of swaps")
        return convert.listed(answer, settle)

    return await states("OKX", ask, lambda contract: contract.state, instrument_ids)


async def _bills(session: OkxSession, since_ns: int, clock: Clock, **wanted: str) -> list[Any]:
    recent = clock.now_ns() - since_ns < _RECENT_BILLS_NS
    method = "privateGetAccountBills" if recent else "privateGetAccountBillsArchive"
    parameters = {**wanted, "begin": str(since_ns // NS_PER_MS)}
    return await pages(session, method, "billId", parameters)


async def _fill_pages(
    session: OkxSession, by_inst_id: Contracts, method: str, since_ns: int
) -> list[FillRow]:
    parameters = {"instType": "SWAP", "begin": str(since_ns // NS_PER_MS)}
    answer = await pages(session, method, "billId", parameters)
    return _read(not_foreign(answer, "instId", by_inst_id.__contains__), FillRow)


async def order_by_venue_id(session: OkxSession, inst_id: str, ord_id: str) -> OrderRow | None:
    """Return an order by OKX's id; None = OKX says it knows none."""
    try:
        answer = await session.read("privateGetTradeOrder", instId=inst_id, ordId=ord_id)
    except VenueRejected as error:
        if error.code in errors.NOT_FOUND:
            return None
        raise
    found = _read(answer, OrderRow)
    return found[0] if found else None


async def _name_after_stops(
    session: OkxSession, by_inst_id: Contracts, found: Iterable[FillRow]
) -> None:
    # An execution of an order that a stop made has no id of ours; its order names the stop. A
    # liquidation's or ADL's (a negative number) has neither.
    for row in found:
        if row.cl_ord_id or row.trade_id.startswith("-") or row.inst_id not in by_inst_id:
            continue
        if row.ord_id not in session.stops_by_order:
            order = await order_by_venue_id(session, row.inst_id, row.ord_id)
            if order is None:
                # OKX may list an execution before it answers for its order: asked again next time.
                continue
            session.keep_stop(row.ord_id, order.algo_cl_ord_id)
        row.cl_ord_id = session.stops_by_order[row.ord_id]


async def _pending_orders(session: OkxSession) -> list[OrderRow]:
    found = await pages(session, "privateGetTradeOrdersPending", "ordId", {"instType": "SWAP"})
    return _read(found, OrderRow)


async def pages(
    session: OkxSession, method: str, cursor: str, parameters: dict[str, str]
) -> list[Any]:
    """Return every row of a list, newest first, page by page behind its cursor."""
    found: list[Any] = []
    after: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = await session.read(method, limit=str(PAGE_ROWS), **parameters, **after)
        found.extend(page)
        if len(page) < PAGE_ROWS:
            return found
        after = {"after": str(page[-1][cursor])}
    raise VenueRejected(
        f"{method} has more than {PAGES_MAX * PAGE_ROWS} rows; ask for a shorter time",
        code="TOO_MANY_ROWS",
    )


def _read(answer: list[Any], kind: type[T]) -> list[T]:
    # An answer we cannot read is no answer; the next one may be whole.
    try:
        return typed(answer, kind)
    except msgspec.ValidationError as error:
        raise VenueUnreachable(f"OKX answered a row we cannot read: {error}") from error


def _positions(found: list[PositionRow], by_inst_id: Contracts) -> tuple[Position, ...]:
    held: dict[str, Position] = {}
    for row in found:
        if decimal(row.pos or "0") == 0:
            continue
        contract = by_inst_id.get(row.inst_id)
        if contract is None:
            raise VenueRejected(
                f"the account holds {row.pos} contracts of {row.inst_id}, which is no linear swap"
                " of its settlement currency; close it or move it to another account",
                code="FOREIGN_POSITION",
            )
        if contract.instrument_id in held:
            raise VenueRejected(
                f"the account holds {row.inst_id} both ways; use net mode", code="NOT_ONE_WAY"
            )
        held[contract.instrument_id] = rows.position(
            row, contract.instrument_id, contract.contract_size
        )
    return tuple(held[instrument_id] for instrument_id in sorted(held))


def _open_orders(found: list[OrderRow], by_inst_id: Contracts) -> tuple[OpenOrder, ...]:
    unknown = {row.inst_id for row in found} - set(by_inst_id)
    if unknown:
        raise VenueRejected(
            f"the account has open orders in {', '.join(sorted(unknown))}; cancel them",
            code="FOREIGN_ORDER",
        )
    return tuple(
        rows.open_order(
            row, by_inst_id[row.inst_id].instrument_id, by_inst_id[row.inst_id].contract_size
        )
        for row in sorted(found, key=lambda row: row.ord_id)
    )


def _no_balance(row: BalanceRow, settle: str) -> Balance:
    # OKX lists only currencies that were ever held.
    return Balance(
        currency=settle,
        wallet_balance=Decimal(0),
        equity=Decimal(0),
        available_margin=Decimal(0),
        initial_margin=Decimal(0),
        maintenance_margin=Decimal(0),
        event_ns=ns_from_ms(row.u_time),
    )


def _number(text: str) -> tuple[int, str]:
    # Trade ids are numbers that grow; as text "10" would come before "9".
    return (int(text), text) if text.lstrip("-").isdigit() else (0, text)
