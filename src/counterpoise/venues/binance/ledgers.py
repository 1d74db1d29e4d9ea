"""What moved the account's cash, by REST: executions, funding, deposits and withdrawals."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import FundingPaid, Transferred
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import Clock
from counterpoise.venues.binance import errors, rows
from counterpoise.venues.binance.frames import IncomeRow, OrderRow, TradeRow
from counterpoise.venues.binance.reads import PAGE_ROWS, PAGES_MAX, orders_since, read, spans
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.figures import decimal, ns_from_ms

_log = structlog.get_logger(__name__)

#: fapi/v1/userTrades goes back six months, ns.
EXECUTIONS_NS: Final = 180 * NS_PER_DAY

#: An execution may be listed before its order is; a name that is missing for longer is lost, ns.
LISTED_WITHIN_NS: Final = 10 * NS_PER_SECOND

#: Names of orders that are remembered not to be asked about again.
NAMES_REMEMBERED_MAX: Final = 5_000

_FUNDING: Final = "FUNDING_FEE"
#: Trades leave these behind in every market they were made in.
_TRADED: Final = "COMMISSION"
#: Cash that came from or went to another wallet or account.
_TRANSFERS: Final = ("TRANSFER", "INTERNAL_TRANSFER")


class OrderNames:
    """Our ids of orders by Binance's: executions are listed without them."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def get(self, order_id: int) -> str | None:
        """Return an order's client id, None = it has none or is not known."""
        return self._names.get(order_id) or None

    def missing(self, order_ids: Iterable[int]) -> set[int]:
        """Return those that are not known."""
        return set(order_ids) - self._names.keys()

    def keep(self, order_id: int, name: str) -> None:
        """Remember an order's client id; "" = nobody will ever know it."""
        self._names[order_id] = name
        while len(self._names) > NAMES_REMEMBERED_MAX:
            del self._names[next(iter(self._names))]


async def fills_since(
    session: BinanceSession,
    followed: Iterable[str],
    names: OrderNames,
    since_ns: int,
    clock: Clock,
) -> tuple[Fill, ...]:
    """Return executions since then, oldest first.

    Binance lists them market by market: of those that are followed, and of every one in which a
    commission was paid since.
    """
    since_ms = since_ns // NS_PER_MS
    paid = await _income(session, _TRADED, since_ms)
    symbols = sorted({*followed, *(row.symbol for row in paid if row.symbol)})
    found = await asyncio.gather(
        *(_fills_of(session, symbol, names, since_ms, clock) for symbol in symbols)
    )
    fills = [fill for part in found for fill in part if fill.event_ns >= since_ns]
    return tuple(
        sorted(fills, key=lambda fill: (fill.event_ns, fill.instrument_id, int(fill.fill_id)))
    )


async def _fills_of(
    session: BinanceSession, symbol: str, names: OrderNames, since_ms: int, clock: Clock
) -> list[Fill]:
    try:
        answer = await spans(session, "fapiPrivateGetUserTrades", symbol, "id", since_ms, clock)
        trades = read(answer, TradeRow)
        await _learn(session, symbol, names, trades, since_ms, clock)
    except VenueRejected as error:
        if error.code != errors.SYMBOL_UNKNOWN:
            raise
        # The market ended, and the rest of the account must not be hidden by it. What it moved last
        # is in positions and cash all the same, and is told as a difference where it is one.
        _log.warning("market.not_listed", instrument=symbol)
        return []
    received_ns = clock.now_ns()
    return [rows.fill(row, names.get(row.order_id), received_ns) for row in trades]


async def _learn(
    session: BinanceSession,
    symbol: str,
    names: OrderNames,
    trades: list[TradeRow],
    since_ms: int,
    clock: Clock,
) -> None:
    wanted = {row.order_id for row in trades}
    if names.missing(wanted):
        for order in await orders_since(session, symbol, since_ms, clock):
            names.keep(order.order_id, order.client_order_id)
    # One that is older than its execution's span; executed orders are kept for 90 days.
    newest_ms = {row.order_id: row.time for row in trades}
    for order_id in sorted(names.missing(wanted)):
        name = await _name_of(session, symbol, order_id)
        if (
            name is None
            and clock.now_ns() + session.offset_ns - ns_from_ms(newest_ms[order_id])
            < LISTED_WITHIN_NS
        ):
            # Without its name it would be taken for somebody else's, for good.
            raise VenueUnreachable(
                f"Binance lists an execution of order {order_id} in {symbol}, not yet the order"
            )
        names.keep(order_id, name or "")


async def _name_of(session: BinanceSession, symbol: str, order_id: int) -> str | None:
    answer = await session.rows("fapiPrivateGetAllOrders", symbol=symbol, orderId=order_id, limit=1)
    found: Mapping[int, OrderRow] = {row.order_id: row for row in read(answer, OrderRow)}
    return found[order_id].client_order_id if order_id in found else None


async def funding_since(
    session: BinanceSession, since_ns: int, clock: Clock
) -> tuple[FundingPaid, ...]:
    """Return funding payments since then, oldest first; Binance keeps them three months."""
    received_ns = clock.now_ns()
    paid = [
        FundingPaid(
            instrument_id=row.symbol,
            payment_id=str(row.tran_id),
            payment=decimal(row.income),
            event_ns=ns_from_ms(row.time),
            received_ns=received_ns,
        )
        for row in await _income(session, _FUNDING, since_ns // NS_PER_MS)
    ]
    return tuple(sorted(paid, key=lambda each: (each.event_ns, each.payment_id)))


async def transfers_since(
    session: BinanceSession, settle: str, since_ns: int, clock: Clock
) -> tuple[Transferred, ...]:
    """Return deposits and withdrawals since then, oldest first; Binance keeps them three months.

    Only what moved between wallets and accounts is a transfer. Rebates and the like are not: they
    stay unexplained, and the reconciliation says so.
    """
    since_ms = since_ns // NS_PER_MS
    found = await asyncio.gather(*(_income(session, kind, since_ms) for kind in _TRANSFERS))
    received_ns = clock.now_ns()
    moved = [
        Transferred(
            transfer_id=str(row.tran_id),
            transfer=decimal(row.income),
            event_ns=ns_from_ms(row.time),
            received_ns=received_ns,
        )
        for part in found
        for row in part
        if row.asset == settle
    ]
    return tuple(sorted(moved, key=lambda each: (each.event_ns, each.transfer_id)))


async def _income(session: BinanceSession, kind: str, since_ms: int) -> list[IncomeRow]:
    """Return the lines of a kind since then, page by page from the time of the last one."""
    found: dict[tuple[str, str, str], IncomeRow] = {}
    start_ms = since_ms
    for _ in range(PAGES_MAX):
        page = read(
            await session.rows(
                "fapiPrivateGetIncome", incomeType=kind, startTime=start_ms, limit=PAGE_ROWS
            ),
            IncomeRow,
        )
        found |= {(row.symbol, str(row.tran_id), str(row.trade_id)): row for row in page}
        # A page that holds one millisecond only can never be left by its time.
        if len(page) < PAGE_ROWS or page[-1].time <= start_ms:
            break
        start_ms = page[-1].time
    return [row for row in found.values() if row.income_type == kind]
