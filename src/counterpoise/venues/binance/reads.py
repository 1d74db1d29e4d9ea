"""What Binance says of the account: balance, positions and open orders, by REST."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from counterpoise.domain.account import AccountSnapshot, Balance, OpenOrder, Position
from counterpoise.domain.errors import VenueError, VenueRejected, VenueUnreachable
from counterpoise.domain.events import OrderUpdate
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import TERMINAL
from counterpoise.domain.units import NS_PER_DAY, NS_PER_MS
from counterpoise.ports import Clock
from counterpoise.venues import plausible
from counterpoise.venues.binance import convert, errors, rows
from counterpoise.venues.binance.convert import ORDER_STATES, Listing
from counterpoise.venues.binance.frames import AccountRow, OrderRow, PositionRow, typed
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.figures import decimal
from counterpoise.venues.listings import Listed, states
from counterpoise.venues.unreadable import read_or_raise

#: Rows one answer holds at most.
PAGE_ROWS: Final = 1_000

#: Answers read of one list; more than this is an account this daemon should not be trading.
PAGES_MAX: Final = 50

#: An order canceled or expired without a fill is forgotten after this, ns; others after 90 days.
HISTORY_NS: Final = 3 * NS_PER_DAY

#: Longest span one answer about orders or executions covers, ms.
SPAN_MS: Final = 7 * NS_PER_DAY // NS_PER_MS

#: Limits are asked for again after this; after a failure sooner, seconds.
LIMITS_SECONDS: Final = 3_600.0
LIMITS_RETRY_SECONDS: Final = 60.0

_log = structlog.get_logger(__name__)

Listings = Mapping[str, Listing]

T = TypeVar("T")


async def account(
    session: BinanceSession,
    listings: Listings,
    account_id: str,
    settle: str,
    clock: Clock,
    *,
    offset_ns: int,
) -> AccountSnapshot:
    """Return balance, positions and open orders; `offset_ns` is Binance's clock minus ours.

    The balance is asked first: the rest is as new or newer. Raises VenueRejected FOREIGN_POSITION
    if the account holds something that is no perpetual of its margin currency, since its exposure
    would be missing.
    """
    balance = await current_balance(session, settle)
    positions_ns = clock.now_ns() + offset_ns
    position_rows, order_rows = await asyncio.gather(
        session.rows("fapiPrivateV3GetPositionRisk"), session.rows("fapiPrivateGetOpenOrders")
    )
    return AccountSnapshot(
        account_id=account_id,
        balance=balance,
        positions=_positions(read(position_rows, PositionRow), listings),
        open_orders=_open_orders(read(order_rows, OrderRow), listings),
        event_ns=balance.event_ns,
        received_ns=clock.now_ns(),
        positions_ns=positions_ns,
    )


async def current_balance(session: BinanceSession, settle: str) -> Balance:
    """Return cash and margin of the margin currency. Raises VenueUnreachable if none is told."""
    # The account stream asks it too, which is no port.
    with read_or_raise("Binance", "the balance"):
        answer = await session.row("fapiPrivateV3GetAccount")
        (found,) = read([answer], AccountRow)
        balance = rows.balance(found, settle)
        plausible.check_answer(balance)
    if balance is None:
        raise VenueUnreachable(f"Binance answered no balance of {settle}")
    return balance


async def find_order(
    session: BinanceSession, symbol: str, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    """Return an order by our id, None if Binance says it knows none.

    None is not yet proof of absence: Binance forgets an order canceled without a fill after three
    days, and a query may lag behind the engine.
    """
    try:
        answer = await session.row(
            "fapiPrivateGetOrder", symbol=symbol, origClientOrderId=client_order_id
        )
    except VenueRejected as error:
        if error.code in errors.NOT_FOUND:
            return None
        raise
    return _named(read([answer], OrderRow), client_order_id, clock)


async def find_ended(
    session: BinanceSession, symbol: str, client_order_id: str, since_ns: int, clock: Clock
) -> OrderUpdate | None:
    """Return an order by our id among those made since then that ended, None if it is not there."""
    found = await orders_since(session, symbol, since_ns // NS_PER_MS, clock)
    ended = [row for row in found if ORDER_STATES.get(row.status) in TERMINAL]
    return _named(ended, client_order_id, clock)


async def orders_since(
    session: BinanceSession, symbol: str, since_ms: int, clock: Clock
) -> list[OrderRow]:
    """Return every order of a symbol made since then that Binance still lists."""
    method = "fapiPrivateGetAllOrders"
    answer = await spans(session, method, symbol, "orderId", since_ms, clock)
    return read(answer, OrderRow)


async def spans(
    session: BinanceSession, method: str, symbol: str, cursor: str, since_ms: int, clock: Clock
) -> list[Any]:
    """Return the rows of a list since then: a week per answer, and page by page where it is full.

    `cursor` is the field whose value, one higher, asks for the rows behind a full page: Binance
    takes it as `orderId` of orders and as `fromId` of executions.
    """
    found: dict[Any, Any] = {}
    now_ms = clock.now_ns() // NS_PER_MS
    start_ms = since_ms
    for _ in range(PAGES_MAX):
        page = await session.rows(
            method,
            symbol=symbol,
            startTime=start_ms,
            endTime=start_ms + SPAN_MS - 1,
            limit=PAGE_ROWS,
        )
        found |= {row[cursor]: row for row in page}
        if len(page) >= PAGE_ROWS:
            found |= await _behind(session, method, symbol, cursor, max(found))
            return [found[key] for key in sorted(found)]
        start_ms += SPAN_MS
        # An hour of grace: this clock and the venue's need not agree.
        if start_ms > now_ms + 3_600_000:
            return [found[key] for key in sorted(found)]
    raise _too_many(method)


async def _behind(
    session: BinanceSession, method: str, symbol: str, cursor: str, last: int
) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    name = "orderId" if cursor == "orderId" else "fromId"
    for _ in range(PAGES_MAX):
        parameters = {"symbol": symbol, name: int(last) + 1, "limit": PAGE_ROWS}
        page = await session.rows(method, **parameters)
        found |= {row[cursor]: row for row in page}
        if len(page) < PAGE_ROWS:
            return found
        last = max(found)
    raise _too_many(method)


async def instrument_states(
    session: BinanceSession, settle: str, instrument_ids: Sequence[str]
) -> dict[str, InstrumentState]:
    """Return what Binance takes in each now; DELISTED = two whole lists lack it."""

    async def ask() -> Listed[Listing]:
        return convert.listed(await listed_rows(session), settle)

    return await states("Binance", ask, lambda listing: listing.state, instrument_ids)


async def listed_rows(session: BinanceSession) -> list[Any]:
    """Return exchangeInfo's contracts, and have the session count by the limits it names.

    Raises VenueUnreachable for an empty list.
    """
    # The streams ask it too, which are no ports.
    with read_or_raise("Binance", "its list of contracts"):
        answer = await session.row("fapiPublicGetExchangeInfo")
        session.allow(answer.get("rateLimits"))
    found = answer.get("symbols")
    if not isinstance(found, list) or not found:
        raise VenueUnreachable("Binance answered an empty list of contracts")
    return found


async def follow_limits(session: BinanceSession) -> None:
    """Have a session count by Binance's own limits, asked for again each hour, until cancelled."""
    while True:
        try:
            await listed_rows(session)
        except VenueError as error:
            _log.warning("limits.not_had", error=str(error))
            await asyncio.sleep(LIMITS_RETRY_SECONDS)
        else:
            await asyncio.sleep(LIMITS_SECONDS)


def read(answer: Sequence[Any], kind: type[T]) -> list[T]:
    """Return rows as types; an answer we cannot read is no answer (VenueUnreachable)."""
    try:
        return typed(answer, kind)
    except msgspec.ValidationError as error:
        raise VenueUnreachable(f"Binance answered a row we cannot read: {error}") from error


def _named(found: list[OrderRow], client_order_id: str, clock: Clock) -> OrderUpdate | None:
    # The latest: an id may be used again once its order is over.
    named = [row for row in found if row.client_order_id == client_order_id]
    if not named:
        return None
    if named[-1].status not in ORDER_STATES:
        raise VenueUnreachable(
            f"Binance answered an order state we do not know: {named[-1].status}"
        )
    return rows.order_update(named[-1], clock.now_ns())


def _positions(found: list[PositionRow], listings: Listings) -> tuple[Position, ...]:
    held: dict[str, Position] = {}
    for row in found:
        if decimal(row.position_amt) == 0:
            continue
        if row.symbol not in listings:
            raise VenueRejected(
                f"the account holds {row.position_amt} of {row.symbol}, which is no perpetual of"
                " its margin currency; close it or move it to another account",
                code="FOREIGN_POSITION",
            )
        if row.position_side != "BOTH":
            raise VenueRejected(
                f"the account holds {row.symbol} {row.position_side}; use one-way mode",
                code="NOT_ONE_WAY",
            )
        held[row.symbol] = rows.position(row)
    return tuple(held[symbol] for symbol in sorted(held))


def _open_orders(found: list[OrderRow], listings: Listings) -> tuple[OpenOrder, ...]:
    unknown = {row.symbol for row in found} - set(listings)
    if unknown:
        raise VenueRejected(
            f"the account has open orders in {', '.join(sorted(unknown))}; cancel them",
            code="FOREIGN_ORDER",
        )
    return tuple(rows.open_order(row) for row in sorted(found, key=lambda row: row.order_id))


def _too_many(method: str) -> VenueRejected:
    return VenueRejected(
        f"{method} has more than {PAGES_MAX} answers; ask for a shorter time",
        code="TOO_MANY_ROWS",
    )
