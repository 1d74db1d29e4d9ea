"""What Bybit says of the account: balance, positions, orders and executions, by REST."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from counterpoise.domain.account import AccountSnapshot, Balance, OpenOrder, Position
from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import FundingPaid, OrderUpdate, Transferred, UpdateSource
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import TERMINAL, Fill
from counterpoise.domain.units import NS_PER_DAY, NS_PER_HOUR
from counterpoise.ports import Clock
from counterpoise.venues import plausible
from counterpoise.venues.bybit import convert, errors, rows
from counterpoise.venues.bybit.convert import CATEGORY, Listing
from counterpoise.venues.bybit.frames import (
    ExecutionRow,
    MovementRow,
    OrderRow,
    PositionRow,
    WalletRow,
    typed,
)
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.figures import decimal, ns_from_ms
from counterpoise.venues.listings import Listed, not_foreign, states
from counterpoise.venues.unreadable import read_or_raise

#: Rows of one answer.
ORDERS_MAX: Final = 50
POSITIONS_MAX: Final = 200
EXECUTIONS_MAX: Final = 100
MOVEMENTS_MAX: Final = 50
LISTINGS_MAX: Final = 1_000

#: An order canceled or rejected without a fill is forgotten after this, ns.
HISTORY_NS: Final = 24 * NS_PER_HOUR

#: How far back executions and movements are asked for, ns; Bybit keeps them for two years.
EXECUTIONS_NS: Final = 90 * NS_PER_DAY

#: account/transaction-log: a funding payment, and cash from or to another account.
_FUNDING: Final = "SETTLEMENT"
_TRANSFERS: Final = ("TRANSFER_IN", "TRANSFER_OUT")

#: Where else a unified account can hold a position: what is margined in USDC, and in a coin.
_ELSEWHERE: Final[tuple[Mapping[str, str], ...]] = (
    {"category": CATEGORY, "settleCoin": "USDC"},
    {"category": "inverse"},
)

T = TypeVar("T")


async def account(
    session: BybitSession, account_id: str, settle: str, clock: Clock, *, offset_ns: int
) -> AccountSnapshot:
    """Return balance, positions and open orders; `offset_ns` is Bybit's clock minus ours.

    The balance is asked first and its venue time is the snapshot's: the rest is as new or newer.
    Raises VenueRejected FOREIGN_POSITION if the account holds something that is no linear
    perpetual of the settlement currency, since its exposure would be missing.
    """
    told, event_ns = await _balance(session, settle, clock, offset_ns)
    positions_ns = clock.now_ns() + offset_ns
    held, orders, *elsewhere = await asyncio.gather(
        session.pages(
            "privateGetV5PositionList", category=CATEGORY, settleCoin=settle, limit=POSITIONS_MAX
        ),
        open_rows(session, settle),
        *(
            session.pages("privateGetV5PositionList", limit=POSITIONS_MAX, **where)
            for where in _ELSEWHERE
        ),
    )
    for listed in elsewhere:
        _refuse_foreign(read(listed, PositionRow))
    positions = _positions(read(held, PositionRow))
    if told is None and positions:
        # Half an answer: what is held is margined in it.
        raise VenueUnreachable(f"Bybit answered positions and no balance in {settle}")
    balance = told or _no_balance(settle, event_ns)
    return AccountSnapshot(
        account_id=account_id,
        balance=balance,
        positions=positions,
        open_orders=_open_orders(orders),
        event_ns=balance.event_ns,
        received_ns=clock.now_ns(),
        positions_ns=positions_ns,
    )


async def current_balance(
    session: BybitSession, settle: str, clock: Clock, *, offset_ns: int = 0
) -> Balance:
    """Return cash and margin of the settlement currency; none of it is 0."""
    told, event_ns = await _balance(session, settle, clock, offset_ns)
    return told or _no_balance(settle, event_ns)


async def _balance(
    session: BybitSession, settle: str, clock: Clock, offset_ns: int
) -> tuple[Balance | None, int]:
    # Of the settlement currency, if it is listed, and the venue's time of the answer. The account
    # stream asks it too, which is no port.
    with read_or_raise("Bybit", "the balance"):
        wallet = await session.read("privateGetV5AccountWalletBalance", accountType="UNIFIED")
        wallets = read(wallet.rows, WalletRow)
        if not wallets:
            raise VenueUnreachable("Bybit answered no wallet")
        event_ns = wallet.event_ns or clock.now_ns() + offset_ns
        found = rows.balance(wallets[0], settle, event_ns)
        if found is not None:
            plausible.check_answer(found)
        return found, event_ns


async def find_order(
    session: BybitSession, symbol: str, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    """Return an order by our id, None if Bybit says it knows none.

    None is not yet proof of absence: what is over is listed among the last 500 only, and not
    after a restart of Bybit's.
    """
    answer = await session.read(
        "privateGetV5OrderRealtime",
        category=CATEGORY,
        symbol=symbol,
        orderLinkId=client_order_id,
    )
    return _named(read(answer.rows, OrderRow), client_order_id, clock)


async def find_ended(
    session: BybitSession, symbol: str, client_order_id: str, since_ns: int, clock: Clock
) -> OrderUpdate | None:
    """Return an order by our id among those that ended since then, None if it is not there."""
    found: list[OrderRow] = []
    async for row in session.past(
        "privateGetV5OrderHistory",
        since_ns,
        clock.now_ns(),
        category=CATEGORY,
        symbol=symbol,
        orderLinkId=client_order_id,
        limit=ORDERS_MAX,
    ):
        found.extend(read([row], OrderRow))
    ended = [row for row in found if convert.ORDER_STATES.get(row.order_status) in TERMINAL]
    return _named(ended, client_order_id, clock)


async def fills_since(
    session: BybitSession, settle: str, since_ns: int, clock: Clock
) -> tuple[Fill, ...]:
    """Return executions since then, oldest first; at most those of the last ninety days."""
    now_ns = clock.now_ns()
    since_ns = max(since_ns, now_ns - EXECUTIONS_NS)

    def is_ours(symbol: str) -> bool:
        return symbol.endswith(settle)

    found: dict[tuple[str, str], Fill] = {}
    async for row in session.past(
        "privateGetV5ExecutionList",
        since_ns,
        now_ns + NS_PER_HOUR,
        category=CATEGORY,
        limit=EXECUTIONS_MAX,
    ):
        for each in read(not_foreign([row], "symbol", is_ours), ExecutionRow):
            if each.exec_type in convert.TRADES and is_ours(each.symbol):
                fill = rows.fill(each, settle, now_ns)
                found[fill.instrument_id, fill.fill_id] = fill
    kept = (fill for fill in found.values() if fill.event_ns >= since_ns)
    return tuple(sorted(kept, key=lambda fill: (fill.event_ns, fill.instrument_id, fill.fill_id)))


async def funding_since(
    session: BybitSession, settle: str, since_ns: int, clock: Clock
) -> tuple[FundingPaid, ...]:
    """Return funding payments since then, oldest first; at most those of the last ninety days."""
    received_ns = clock.now_ns()
    paid = [
        FundingPaid(
            instrument_id=row.symbol,
            payment_id=row.id,
            payment=decimal(row.change),
            event_ns=ns_from_ms(row.transaction_time),
            received_ns=received_ns,
        )
        for row in await _movements(session, settle, since_ns, received_ns, _FUNDING)
        if row.symbol
    ]
    return tuple(sorted(paid, key=lambda each: (each.event_ns, each.payment_id)))


async def transfers_since(
    session: BybitSession, settle: str, since_ns: int, clock: Clock
) -> tuple[Transferred, ...]:
    """Return deposits and withdrawals since then, oldest first.

    Only what moved between accounts is a transfer. Interest, bonuses and the like are not: they
    stay unexplained, and the reconciliation says so.
    """
    received_ns = clock.now_ns()
    moved = [
        Transferred(
            transfer_id=row.id,
            transfer=decimal(row.change),
            event_ns=ns_from_ms(row.transaction_time),
            received_ns=received_ns,
        )
        for kind in _TRANSFERS
        for row in await _movements(session, settle, since_ns, received_ns, kind)
    ]
    return tuple(sorted(moved, key=lambda each: (each.event_ns, each.transfer_id)))


async def listings(session: BybitSession, settle: str) -> dict[str, Listing]:
    """Return the perpetuals Bybit lists now, by symbol."""
    return (await _listed(session, settle)).found


async def listing(session: BybitSession, settle: str, symbol: str) -> Listing | None:
    """Return one perpetual whatever its state, None if Bybit tells of none of that name."""
    return (await _listed_by_name(session, settle, symbol)).found.get(symbol)


async def _listed(session: BybitSession, settle: str) -> Listed[Listing]:
    found: list[Any] = []
    for status in ({}, {"status": "PreLaunch"}):
        found += await session.pages(
            "publicGetV5MarketInstrumentsInfo", category=CATEGORY, limit=LISTINGS_MAX, **status
        )
    return convert.listed(found, settle)


async def _listed_by_name(session: BybitSession, settle: str, symbol: str) -> Listed[Listing]:
    rows: list[Any] = []
    try:
        answer = await session.read(
            "publicGetV5MarketInstrumentsInfo", category=CATEGORY, symbol=symbol
        )
        rows = answer.rows
    except VenueRejected as error:
        if error.code != errors.PARAMETER:
            raise
    return convert.listed(rows, settle)


async def instrument_states(
    session: BybitSession, settle: str, instrument_ids: Sequence[str]
) -> dict[str, InstrumentState]:
    """Return what Bybit takes in each instrument now.

    The list has only what trades: one it lacks is asked for by name, which is the second answer
    that has to lack it before it is DELISTED.
    """
    whole = await _listed(session, settle)
    if not whole.found:
        raise VenueUnreachable("Bybit answered an empty list of perpetuals")
    found: dict[str, InstrumentState] = {}
    for symbol in instrument_ids:
        answers = iter([whole])

        async def ask(
            symbol: str = symbol, answers: Iterator[Listed[Listing]] = answers
        ) -> Listed[Listing]:
            return next(answers, None) or await _listed_by_name(session, settle, symbol)

        found |= await states("Bybit", ask, lambda known: known.state, [symbol])
    return found


async def _movements(
    session: BybitSession, settle: str, since_ns: int, now_ns: int, kind: str
) -> list[MovementRow]:
    found: dict[str, MovementRow] = {}
    since_ns = max(since_ns, now_ns - EXECUTIONS_NS)
    async for row in session.past(
        "privateGetV5AccountTransactionLog",
        since_ns,
        now_ns + NS_PER_HOUR,
        accountType="UNIFIED",
        currency=settle,
        type=kind,
        limit=MOVEMENTS_MAX,
    ):
        for each in read([row], MovementRow):
            if each.type == kind and each.currency in {"", settle}:
                found[each.id] = each
    return [row for row in found.values() if ns_from_ms(row.transaction_time) >= since_ns]


async def open_rows(
    session: BybitSession, settle: str, *, order_filter: str | None = None
) -> list[OrderRow]:
    """Return open orders; None = of every kind.

    One that waited for a price and has been sent rests like any other.
    """
    kind = {} if order_filter is None else {"orderFilter": order_filter}
    listed = await session.pages(
        "privateGetV5OrderRealtime", category=CATEGORY, settleCoin=settle, limit=ORDERS_MAX, **kind
    )
    return read(listed, OrderRow)


def _named(listed: Sequence[OrderRow], client_order_id: str, clock: Clock) -> OrderUpdate | None:
    found = [row for row in listed if row.order_link_id == client_order_id]
    if not found or found[0].order_status in convert.WAITING:
        return None
    if found[0].order_status not in convert.ORDER_STATES:
        raise VenueUnreachable(
            f"Bybit answered an order state we do not know: {found[0].order_status}"
        )
    return rows.order_update(found[0], UpdateSource.REST, clock.now_ns())


def read(answer: Sequence[Any], kind: type[T]) -> list[T]:
    """Return rows as types. Raises VenueUnreachable: an answer we cannot read is no answer."""
    try:
        return typed(answer, kind)
    except msgspec.ValidationError as error:
        raise VenueUnreachable(f"Bybit answered a row we cannot read: {error}") from error


def _refuse_foreign(found: Sequence[PositionRow]) -> None:
    for row in found:
        if decimal(row.size or "0"):
            raise VenueRejected(
                f"the account holds {row.size} of {row.symbol}, which is no linear perpetual of"
                " its settlement currency; close it or move it to another account",
                code="FOREIGN_POSITION",
            )


def _positions(found: Sequence[PositionRow]) -> tuple[Position, ...]:
    held: dict[str, Position] = {}
    for row in found:
        if not decimal(row.size or "0"):
            continue
        if row.symbol in held:
            raise VenueRejected(
                f"the account holds {row.symbol} both ways; use one-way mode", code="NOT_ONE_WAY"
            )
        held[row.symbol] = rows.position(row)
    return tuple(held[symbol] for symbol in sorted(held))


def _open_orders(found: Sequence[OrderRow]) -> tuple[OpenOrder, ...]:
    # A state that nobody documented is a KeyError: the order may still fill.
    open_ones = {
        row.order_id: rows.open_order(row)
        for row in found
        if row.order_status not in convert.WAITING
        and convert.ORDER_STATES[row.order_status] not in TERMINAL
    }
    return tuple(open_ones[key] for key in sorted(open_ones))


def _no_balance(settle: str, event_ns: int) -> Balance:
    # Bybit lists only currencies that were ever held.
    nothing = Decimal(0)
    return Balance(
        currency=settle,
        wallet_balance=nothing,
        equity=nothing,
        available_margin=nothing,
        initial_margin=nothing,
        maintenance_margin=nothing,
        event_ns=event_ns,
    )
