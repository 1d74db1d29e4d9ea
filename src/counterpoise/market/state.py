"""All instruments' market, changed by events and read as a view."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    FundingRate,
    LiquidationPrinted,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
    Tick,
    TradedVolume,
)
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.market.baseline import Baseline
from counterpoise.market.book import OrderBook
from counterpoise.market.divergence import divergence
from counterpoise.market.freshness import (
    Confirmation,
    FreshnessLimits,
    LatencyTracker,
    Liveness,
)
from counterpoise.market.liquidations import Liquidations
from counterpoise.market.view import InstrumentView, MarketView

#: Distance from mid within which depth is measured, bps.
DEPTH_BPS: Final = 25

#: A mark or funding rate from farther ahead of our clock than this, seconds, is not believed.
EVENT_AHEAD_SECONDS_MAX: Final = 60

#: One stamp counts for the order of marks, or of funding, as at most this far ahead of the venue's
#: clock as it was measured, seconds: later ones look old for no longer.
ORDER_AHEAD_SECONDS_MAX: Final = 2

#: A volume told longer ago is not known any more, ns.
VOLUME_AGE_NS_MAX: Final = NS_PER_HOUR

MarketEvent = (
    BookSnapshot
    | BookDelta
    | BookGap
    | MarkPrice
    | FundingRate
    | LiquidationPrinted
    | TradedVolume
    | StreamAlive
    | StreamDown
    | Tick
)


class Market:
    """What the market looks like now. Events of unknown instruments change no value."""

    def __init__(self, instruments: Iterable[Instrument], limits: FreshnessLimits) -> None:
        """Start with rules and no market data."""
        self._limits = limits
        self._entries = {instrument.instrument_id: _Entry(instrument) for instrument in instruments}
        self._liveness = {name: Liveness() for name in StreamName}
        self._books = self._liveness[StreamName.BOOKS]
        self._marks = self._liveness[StreamName.MARKS]
        self._latency = LatencyTracker()
        self._liquidations = Liquidations()
        # Any: each handler takes its own event; the key is the proof that it fits.
        self._handlers: dict[type, Callable[[Any], None]] = {
            BookDelta: self._on_book_delta,
            MarkPrice: self._on_mark,
            BookSnapshot: self._on_book_snapshot,
            FundingRate: self._on_funding,
            LiquidationPrinted: self._on_liquidation,
            TradedVolume: self._on_volume,
            StreamAlive: self._on_stream_alive,
            StreamDown: self._on_stream_down,
            BookGap: self._on_book_gap,
            Tick: self._on_tick,
        }

    @property
    def limits(self) -> FreshnessLimits:
        """The limits ages are held against."""
        return self._limits

    def apply(self, event: MarketEvent) -> None:
        """Take one event in. A `Tick` only samples depth and spread of books that are quiet."""
        self._handlers[type(event)](event)

    def set_instrument(self, instrument: Instrument) -> None:
        """Add an instrument, or replace the rules of one; its market data stay."""
        entry = self._entries.get(instrument.instrument_id)
        if entry is None:
            self._entries[instrument.instrument_id] = _Entry(instrument)
        else:
            entry.instrument = instrument

    def set_clock_offset(self, offset_ns: int) -> None:
        """Set venue clock minus ours, ns, as latencies are corrected by from now on."""
        self._latency.clock_offset_ns = offset_ns

    def mark(self, instrument_id: str) -> Decimal | None:
        """Return the last mark, whatever its age; None = never seen or unknown instrument."""
        entry = self._entries.get(instrument_id)
        return None if entry is None else entry.mark

    def mark_age_ms(self, instrument_id: str, now_ns: int) -> int | None:
        """Return the mark's age on a stream proven alive, ms; None = never seen."""
        entry = self._entries.get(instrument_id)
        return None if entry is None else entry.mark_life.age_ms(self._marks, now_ns)

    def fresh_marks(self, now_ns: int) -> dict[str, Decimal]:
        """Return the marks within their limit by instrument; a stale one is not there."""
        return {
            instrument_id: entry.mark
            for instrument_id, entry in self._entries.items()
            if entry.mark is not None and self.mark_is_fresh(instrument_id, now_ns)
        }

    def mark_is_fresh(self, instrument_id: str, now_ns: int) -> bool:
        """Tell whether an instrument's mark is within its limit; False for one never seen."""
        age_ms = self.mark_age_ms(instrument_id, now_ns)
        return age_ms is not None and age_ms <= self._limits.mark_ms_max

    def top(self, instrument_id: str) -> tuple[Decimal | None, Decimal | None]:
        """Return best bid and ask, whatever the book's age.

        None = unknown instrument or book, empty side; both None for a crossed book.
        """
        entry = self._entries.get(instrument_id)
        if entry is None or entry.book is None or entry.book.crossed:
            return None, None
        return entry.book.best_bid(), entry.book.best_ask()

    def stream_age_ms(self, stream: StreamName, now_ns: int) -> int | None:
        """Return ms since a stream last proved itself alive; None = never."""
        life = Confirmation()
        liveness = self._liveness[stream]
        if liveness.proof_ns is not None:
            life.renew()
        return life.age_ms(liveness, now_ns)

    def latency_ms(self, now_ns: int) -> tuple[float, float] | None:
        """Return p50 and p99 of the last minute's corrected latencies, ms; None = no message."""
        return self._latency.quantiles_ms(now_ns)

    def view(self, now_ns: int) -> MarketView:
        """Return everything as it stands; changes nothing."""
        latency = self._latency.quantiles_ms(now_ns)
        return MarketView(
            now_ns=now_ns,
            instruments={
                instrument_id: self._view_entry(entry, now_ns)
                for instrument_id, entry in self._entries.items()
            },
            latency_ms_p50=None if latency is None else latency[0],
            latency_ms_p99=None if latency is None else latency[1],
            liquidations_quote=self._liquidations.last_minute(now_ns),
            liquidations_quote_high=self._liquidations.high(now_ns),
        )

    def _view_entry(self, entry: "_Entry", now_ns: int) -> InstrumentView:
        book = entry.book if entry.book is not None and not entry.book.crossed else None
        mark_age_ms = entry.mark_life.age_ms(self._marks, now_ns)
        book_age_ms = None if book is None else entry.book_life.age_ms(self._books, now_ns)
        return InstrumentView(
            instrument=entry.instrument,
            mark=entry.mark,
            index=entry.index,
            bid=None if book is None else book.best_bid(),
            ask=None if book is None else book.best_ask(),
            depth_quote=None if book is None else book.depth_quote_within(DEPTH_BPS),
            funding_rate=None if entry.funding is None else entry.funding.rate,
            funding_ns=None if entry.funding is None else entry.funding.funding_ns,
            funding_interval_hours=None if entry.funding is None else entry.funding.interval_hours,
            mark_age_ms=mark_age_ms,
            book_age_ms=book_age_ms,
            depth_fraction=entry.baseline.depth_fraction(now_ns),
            spread_ratio=entry.baseline.spread_ratio(now_ns),
            missing=self._missing(entry, book, mark_age_ms, book_age_ms),
            depth_fraction_high=entry.baseline.depth_fraction_high(now_ns),
            depth_fall_fraction=entry.baseline.depth_fall_fraction(now_ns),
            volume_quote=_volume(entry.volume, now_ns),
            mark_divergence=self._divergence(entry, book, mark_age_ms, book_age_ms),
        )

    def _divergence(
        self,
        entry: "_Entry",
        book: OrderBook | None,
        mark_age_ms: int | None,
        book_age_ms: int | None,
    ) -> Decimal | None:
        if book is None or entry.mark is None or mark_age_ms is None or book_age_ms is None:
            return None
        bid, ask = book.best_bid(), book.best_ask()
        stale = mark_age_ms > self._limits.mark_ms_max or book_age_ms > self._limits.book_ms_max
        if stale or bid is None or ask is None:
            return None
        return divergence(entry.mark, bid, ask)

    def _missing(
        self,
        entry: "_Entry",
        book: OrderBook | None,
        mark_age_ms: int | None,
        book_age_ms: int | None,
    ) -> tuple[str, ...]:
        codes = []
        if mark_age_ms is None:
            codes.append("MARK_MISSING")
        elif mark_age_ms > self._limits.mark_ms_max:
            codes.append("MARK_STALE")
        # A one-sided book cannot be traded against either.
        if book is None or book_age_ms is None or None in (book.best_bid(), book.best_ask()):
            codes.append("BOOK_MISSING")
        elif book_age_ms > self._limits.book_ms_max:
            codes.append("BOOK_STALE")
        # Post-only counts as well: hedges and cuts must be able to take.
        if entry.instrument.state is InstrumentState.CLOSING:
            codes.append("INSTRUMENT_CLOSING")
        elif entry.instrument.state is not InstrumentState.LIVE:
            codes.append("INSTRUMENT_SUSPENDED")
        return tuple(codes)

    def _on_book_delta(self, event: BookDelta) -> None:
        self._books.prove(event.received_ns)
        self._latency.record(event.event_ns, event.received_ns)
        entry = self._entries.get(event.instrument_id)
        # Without a snapshot on this connection there is nothing that a delta could follow.
        if entry is None or entry.book is None or entry.awaits_snapshot:
            return
        try:
            entry.book.apply_delta(event.bids, event.asks)
        except ValueError:
            entry.drop_book()
            return
        entry.book_life.renew()
        entry.sample(event.received_ns)

    def _on_book_snapshot(self, event: BookSnapshot) -> None:
        # No latency: a snapshot may come by REST, from the venue's cache.
        self._books.prove(event.received_ns)
        entry = self._entries.get(event.instrument_id)
        if entry is None:
            return
        book = OrderBook(event.quantity_unit)
        try:
            book.apply_snapshot(event.bids, event.asks)
        except ValueError:
            entry.drop_book()
            return
        entry.book = book
        entry.awaits_snapshot = False
        entry.book_life.renew()
        entry.sample(event.received_ns)

    def _on_book_gap(self, event: BookGap) -> None:
        entry = self._entries.get(event.instrument_id)
        if entry is not None:
            entry.drop_book()

    def _on_mark(self, event: MarkPrice) -> None:
        self._marks.prove(event.received_ns)
        self._latency.record(event.event_ns, event.received_ns)
        entry = self._entries.get(event.instrument_id)
        order_ns = self._order_ns(event.event_ns, event.received_ns)
        if entry is None or order_ns is None:
            return
        if event.event_ns < entry.mark_event_ns or not _is_positive(event.mark):
            return
        entry.mark = event.mark
        entry.mark_event_ns = order_ns
        entry.mark_life.renew()
        if event.index is not None and _is_positive(event.index):
            entry.index = event.index

    def _on_funding(self, event: FundingRate) -> None:
        self._marks.prove(event.received_ns)
        entry = self._entries.get(event.instrument_id)
        order_ns = self._order_ns(event.event_ns, event.received_ns)
        if entry is None or order_ns is None or event.event_ns < entry.funding_event_ns:
            return
        if event.rate.is_finite() and _is_positive(event.interval_hours):
            entry.funding = event
            entry.funding_event_ns = order_ns

    def _order_ns(self, event_ns: int, received_ns: int) -> int | None:
        # The stamp that later events must reach; None = not believed.
        venue_ns = received_ns + self._latency.clock_offset_ns
        if event_ns - venue_ns > EVENT_AHEAD_SECONDS_MAX * NS_PER_SECOND:
            return None
        return min(event_ns, venue_ns + ORDER_AHEAD_SECONDS_MAX * NS_PER_SECOND)

    def _on_liquidation(self, event: LiquidationPrinted) -> None:
        notional = event.quantity * event.price
        if event.instrument_id in self._entries and _is_positive(notional):
            self._liquidations.record(event.received_ns, float_from_decimal(notional))

    def _on_volume(self, event: TradedVolume) -> None:
        entry = self._entries.get(event.instrument_id)
        if entry is not None and event.volume_quote.is_finite() and event.volume_quote >= 0:
            entry.volume = event

    def _on_stream_alive(self, event: StreamAlive) -> None:
        self._liveness[event.stream].prove(event.received_ns)

    def _on_stream_down(self, event: StreamDown) -> None:
        # Books of a connection that lives are told no snapshot again.
        gone = self._entries if event.instrument_ids is None else event.instrument_ids
        for entry in (self._entries[each] for each in gone if each in self._entries):
            if event.stream is StreamName.MARKS:
                entry.mark_life.freeze(self._marks)
            elif event.stream is StreamName.BOOKS:
                entry.book_life.freeze(self._books)
                entry.awaits_snapshot = True

    def _on_tick(self, event: Tick) -> None:
        for entry in self._entries.values():
            age_ms = entry.book_life.age_ms(self._books, event.now_ns)
            if age_ms is not None and age_ms <= self._limits.book_ms_max:
                entry.sample(event.now_ns)


def _volume(told: TradedVolume | None, now_ns: int) -> float | None:
    if told is None or now_ns - told.received_ns > VOLUME_AGE_NS_MAX:
        return None
    return float_from_decimal(told.volume_quote)


class _Entry:
    # All that is known of one instrument.
    __slots__ = (
        "awaits_snapshot",
        "baseline",
        "book",
        "book_life",
        "funding",
        "funding_event_ns",
        "index",
        "instrument",
        "mark",
        "mark_event_ns",
        "mark_life",
        "volume",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.mark: Decimal | None = None
        self.mark_event_ns = 0
        self.mark_life = Confirmation()
        self.index: Decimal | None = None
        self.funding: FundingRate | None = None
        self.funding_event_ns = 0
        self.volume: TradedVolume | None = None
        self.book: OrderBook | None = None
        self.book_life = Confirmation()
        # True after a disconnect: the held book only ages until the new connection's snapshot.
        self.awaits_snapshot = False
        self.baseline = Baseline()

    def drop_book(self) -> None:
        self.book = None
        self.book_life.forget()

    def sample(self, now_ns: int) -> None:
        # Depth and spread for what is normal, at most once a second.
        if self.book is None or self.awaits_snapshot or not self.baseline.due(now_ns):
            return
        figures = self.book.depth_and_spread(DEPTH_BPS)
        if figures is not None:
            self.baseline.sample(now_ns, *figures)


def _is_positive(value: Decimal) -> bool:
    return value.is_finite() and value > 0
