"""The market at one moment, as a decision sees it and as its row stores it."""

from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain.instruments import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentView:
    """One instrument's market at one moment."""

    #: Its rules.
    instrument: Instrument
    #: Last mark, however old; quote per base; None = never seen.
    mark: Decimal | None
    #: Last index price; None = never seen.
    index: Decimal | None
    #: Best bid and ask of a book in sequence; None = unknown book or empty side.
    bid: Decimal | None
    ask: Decimal | None
    #: Quote notional within 25 bps of mid, the thinner side; None = unknown book.
    depth_quote: Decimal | None
    #: Fraction per interval, > 0: longs pay; None = never seen.
    funding_rate: Decimal | None
    #: Next charge, venue clock, ns; None = never seen.
    funding_ns: int | None
    #: Hours between charges; None = never seen.
    funding_interval_hours: Decimal | None
    #: Age of the mark on a stream proven alive, ms; None = never seen.
    mark_age_ms: int | None
    #: Age of the book on a stream proven alive, ms; None = unknown book.
    book_age_ms: int | None
    #: 60 s median of depth / its 24 h median; None until one hour was observed.
    depth_fraction: float | None
    #: 5 s median spread / its 24 h median; None until one hour was observed.
    spread_ratio: float | None
    #: Codes of what keeps this instrument from being traded up: "MARK_MISSING", "MARK_STALE",
    #: "BOOK_MISSING", "BOOK_STALE", "INSTRUMENT_SUSPENDED", "INSTRUMENT_CLOSING"; empty = complete.
    missing: tuple[str, ...]
    #: Highest depth fraction of the last 30 s; None = not measured for so long.
    depth_fraction_high: float | None = None
    #: Smallest depth fraction over its highest of the 3 minutes before, of the last 15 minutes:
    #: 0.35 = 65 % of the depth went within 3 minutes; None = not measured.
    depth_fall_fraction: float | None = None
    #: Quote notional traded in 24 h; None = not known.
    volume_quote: float | None = None
    #: How far the mark lies outside the book's spread, a fraction; None = one of them is not fresh.
    mark_divergence: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """All instruments at one moment."""

    #: The moment, ns.
    now_ns: int
    #: By instrument id.
    instruments: dict[str, InstrumentView]
    #: Received minus event time over 60 s, ms; None = nothing received.
    latency_ms_p50: float | None
    latency_ms_p99: float | None
    #: Quote notional of liquidation prints in the last 60 s, over all instruments; None = no feed.
    liquidations_quote: float | None = None
    #: 99.9th percentile of the minutes of the last 24 h; None = less than an hour observed.
    liquidations_quote_high: float | None = None
