"""The modelled account: its venue, its file, and what it has to tell.

Everything that changes the account is on disk before anybody hears of it. What it tells goes out a
latency later, in order.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import structlog

from counterpoise.domain.account import Balance
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import (
    BalanceUpdate,
    Event,
    FillReported,
    FundingPaid,
    MarkPrice,
    PositionUpdate,
    UpdateSource,
)
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.events import (
    Deleveraged,
    ExchangeEvent,
    FundingCharged,
    Liquidated,
    OrderChanged,
    PositionChanged,
    WalletChanged,
)
from counterpoise.exchange.mirror.exchange import MirrorExchange
from counterpoise.exchange.mirror.parameters import mirror_parameters
from counterpoise.exchange.orders import ExchangeOrder
from counterpoise.ports import Clock
from counterpoise.venues.paper import convert
from counterpoise.venues.paper.store import BYTES_MAX, PaperFile

_log = structlog.get_logger(__name__)

#: Events that wait to be told; more than this and the stream counts as lost.
TOLD_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTerms:
    """What a paper account is made of."""

    #: Whose markets and rules: "okx", "binance" or "bybit".
    venue: str
    #: Where it is kept.
    path: Path
    #: Cash of a new account, quote.
    equity: Decimal
    #: From us to the venue, and from the venue to us, ms.
    latency_ms: int
    #: bps of notional; None = the venue's lowest fee level.
    maker_fee_bps: Decimal | None = None
    taker_fee_bps: Decimal | None = None
    #: Name of a new account; None = one of the venue and the moment.
    account_id: str | None = None


class PaperAccount:
    """One account. `open` it, let it `hear` the market, and carry commands out through `commit`."""

    def __init__(self, terms: PaperTerms, clock: Clock) -> None:
        self.terms = terms
        self.parameters = mirror_parameters(
            terms.venue, maker_fee_bps=terms.maker_fee_bps, taker_fee_bps=terms.taker_fee_bps
        )
        #: Wakes whoever tells.
        self.wake = asyncio.Event()
        #: What is to be told and when, monotonic seconds; oldest first.
        self.told: deque[tuple[float, Event]] = deque()
        #: True = more was to be told than is kept.
        self.overflown = False
        #: The venue's clock minus ours, ns.
        self.offset_ns = 0
        #: When a mark was last heard, monotonic seconds; None = never.
        self.heard: float | None = None
        self._clock = clock
        self._file = PaperFile(terms.path)
        self._exchange: MirrorExchange | None = None

    @property
    def exchange(self) -> MirrorExchange:
        """The venue. VenueUnreachable: the account is not open, or its disk failed."""
        if self._exchange is None:
            raise VenueUnreachable("the paper account is not open")
        if self._file.failure is not None:
            raise VenueUnreachable(self._file.failure)
        return self._exchange

    @property
    def keeps(self) -> bool:
        """Whether this process trades the account; else it only looks."""
        return self._file.claimed

    @property
    def latency_seconds(self) -> float:
        """One way."""
        return self.terms.latency_ms / 1_000

    def venue_ns(self) -> int:
        """Return the venue's clock, ns."""
        return self._clock.now_ns() + self.offset_ns

    def open(self, *, keep: bool, fresh: bool = False) -> None:
        """Read the account, or make a new one; `keep` = trade it, `fresh` = the old is set aside.

        StartRefused: another process trades it, or its file cannot be read or written.
        """
        self.close()
        if keep:
            self._file.claim()
            aside = self._file.set_aside() if fresh else None
            if aside is not None:
                _log.info("paper.set_aside", path=str(aside))
        try:
            self._exchange = self._restored()
            if keep:
                self._rewrite(self._exchange)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._exchange = None
        self.heard = None
        self.told.clear()
        self._file.close()

    def hear(self, event: Event) -> None:
        """Take what the public stream tells. VenueUnreachable: the disk fails."""
        if isinstance(event, MarkPrice):
            self.heard = self._clock.monotonic()
        events = self.exchange.hear(event, self.venue_ns())
        if events:
            self.commit(events)

    def commit(self, events: Iterable[ExchangeEvent]) -> None:
        """Put what happened on disk and have it told. VenueUnreachable: the disk fails."""
        exchange = self.exchange
        if self.keeps:
            if self._file.length > BYTES_MAX:
                self._compact()
            else:
                self._file.append(exchange.changes())
        received_ns = self._clock.now_ns() + self.terms.latency_ms * NS_PER_MS
        due = self._clock.monotonic() + self.latency_seconds
        for each in events:
            for event in self._told_of(each, received_ns):
                self.tell(event, due)

    def tell(self, event: Event, due: float) -> None:
        """Have an event told at `due`, monotonic seconds."""
        if len(self.told) >= TOLD_MAX:
            self.overflown = True
        else:
            self.told.append((due, event))
        self.wake.set()

    def order_of(self, order_id: str) -> ExchangeOrder | None:
        """Return an order by the model's id; None = forgotten."""
        return self.exchange.order(self.exchange.account_id, order_id=order_id)

    def balance(self) -> Balance:
        """Return cash and margin now; every position needs a mark."""
        exchange = self.exchange
        exchange.at(self.venue_ns())
        return convert.balance(exchange.account(exchange.account_id))

    def _restored(self) -> MirrorExchange:
        found = self._file.read()
        now_ns = self.venue_ns()
        if found is not None:
            head, changes = found
            exchange = MirrorExchange(self.parameters, str(head["account_id"]))
            exchange.restore(changes)
            return exchange
        account_id = self.terms.account_id or _account_name(self.terms.venue, now_ns)
        exchange = MirrorExchange(self.parameters, account_id)
        exchange.at(now_ns)
        exchange.open_account(account_id, self.terms.equity)
        exchange.covered(now_ns)
        return exchange

    def _rewrite(self, exchange: MirrorExchange) -> None:
        head = {"account_id": exchange.account_id, "venue": self.terms.venue}
        self._file.rewrite(head, exchange.changes())

    def _compact(self) -> None:
        # What still counts is what a restored account would tell of itself.
        self._file.append(self.exchange.changes())
        found = self._file.read()
        assert found is not None, "the file was just written"
        again = MirrorExchange(self.parameters, self.exchange.account_id)
        again.restore(found[1])
        self._rewrite(again)

    def _told_of(self, event: ExchangeEvent, received_ns: int) -> Iterable[Event]:
        # The fill first: whoever sees an order end has then seen all of its fills.
        source = UpdateSource.STREAM
        match event:
            case OrderChanged():
                if event.fill is not None:
                    fill = convert.fill(event.fill, self.order_of, received_ns)
                    yield FillReported(fill=fill, source=source)
                yield convert.order_update(event.order, source, received_ns)
            case Liquidated() | Deleveraged():
                fill = convert.fill(event.fill, self.order_of, received_ns)
                yield FillReported(fill=fill, source=source)
            case PositionChanged():
                yield PositionUpdate(
                    position=convert.position(event.position), received_ns=received_ns
                )
            case FundingCharged():
                yield FundingPaid(
                    instrument_id=event.instrument_id,
                    payment_id=event.bill_id,
                    payment=event.payment,
                    event_ns=event.event_ns,
                    received_ns=received_ns,
                )
            case WalletChanged() if self.exchange.valued():
                yield BalanceUpdate(
                    balance=convert.balance(self.exchange.account(self.exchange.account_id)),
                    received_ns=received_ns,
                )
            case _:
                return


def _account_name(venue: str, now_ns: int) -> str:
    moment = datetime.fromtimestamp(now_ns // NS_PER_SECOND, UTC)
    return f"paper-{venue}-{moment:%Y%m%dT%H%M%S}{now_ns % NS_PER_SECOND // NS_PER_MS:03d}"
