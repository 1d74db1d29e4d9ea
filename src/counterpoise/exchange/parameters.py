"""What a modelled venue is made of, and the demonstration venue."""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.exchange.rules import BandFormula, BandRule, VenueRules

MINUTE_MS: Final = 60_000
#: Fields a parameter set may lack: one that stands at its default leaves the fingerprint alone,
#: so that a venue saved before the field existed is still the same venue.
FIELDS_LATER: Final = frozenset(
    {"band", "executions_per_match", "funding_rate_cap", "funding_rate_floor", "rules"}
)

_RULES_DEMO: Final = VenueRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentParameters:
    """One market of the venue and how its price moves."""

    #: What is traded and in which steps; its tiers are the venue's margin table.
    instrument: Instrument
    #: Mark at the moment the venue opens, quote per base; its history ends there.
    price_start: Decimal
    #: Annualised fraction, long-run.
    volatility_annual: float
    #: Return of this market per unit return of the common factor; the rest is its own.
    factor_loading: float
    #: Calm bid-ask spread, bps of mid.
    spread_bps: float
    #: Quote notional within 25 bps of mid on each side in calm times.
    depth_quote: float
    #: Quote notional traded in a day.
    volume_day_quote: float
    #: Hours from one funding to the next, counted from 00:00 UTC.
    funding_interval_hours: int = 8
    #: Its price band; None = the venue's `price_band_fraction` around the mark.
    band: BandRule | None = None
    #: Largest funding rate per interval, fraction; None = the venue's.
    funding_rate_cap: Decimal | None = None
    #: Lowest funding rate per interval, fraction; None = the cap with the other sign.
    funding_rate_floor: Decimal | None = None

    def __post_init__(self) -> None:
        assert self.price_start > 0, "price_start must be positive"
        assert self.volatility_annual > 0, "volatility_annual must be positive"
        assert self.spread_bps > 0, "spread_bps must be positive"
        assert self.depth_quote > 0, "depth_quote must be positive"
        assert self.instrument.tiers, "an instrument without margin tiers cannot be traded"
        assert self.instrument.tiers[-1].notional_max is None, "the last tier must have no end"
        assert 24 % self.funding_interval_hours == 0, "the funding interval must divide a day"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeParameters:
    """A whole venue. Same parameters, opening time and requests: same venue, bit by bit."""

    #: Decides every path.
    seed: int
    #: Markets, in a fixed order.
    instruments: tuple[InstrumentParameters, ...]
    #: Milliseconds from one market step to the next; divides a minute.
    step_ms: int = 250
    #: Background levels per side.
    book_levels: int = 20
    #: A match with the background comes in so many executions of one instant at most.
    executions_per_match: int = 1
    #: Charged to the order that rested, bps of notional; negative = rebate.
    maker_fee_bps: Decimal = Decimal(2)
    #: Charged to the order that took, bps of notional.
    taker_fee_bps: Decimal = Decimal(5)
    #: Charged on the notional a liquidation closes, bps.
    liquidation_fee_bps: Decimal = Decimal(20)
    #: What a new account of the demonstration holds, quote.
    wallet_start: Decimal = Decimal(10_000)
    #: Days of 1-minute candles before the opening.
    history_days: int = 30
    #: Annualised fraction of the common factor, long-run.
    factor_volatility_annual: float = 0.45
    #: A limit price may be this far beyond the mark on its aggressive side, fraction.
    price_band_fraction: Decimal = Decimal("0.05")
    #: What an account has before it sets one.
    leverage_setting_start: Decimal = Decimal(3)
    #: Largest absolute funding rate per interval, fraction.
    funding_rate_max: Decimal = field(default=Decimal("0.0075"))
    #: What the venue does its own way.
    rules: VenueRules = _RULES_DEMO

    def __post_init__(self) -> None:
        assert 0 <= self.seed < 2**64, "the seed must fit 64 bits"
        assert self.step_ms > 0, "step_ms must be positive"
        assert MINUTE_MS % self.step_ms == 0, "step_ms must divide a minute"
        assert self.book_levels >= 2, "a book needs two levels per side"
        assert self.executions_per_match >= 1, "a match is one execution at least"
        assert self.history_days >= 1, "a venue needs a day of history"

    def band(self, instrument: InstrumentParameters) -> BandRule:
        """Return an instrument's price band."""
        if instrument.band is not None:
            return instrument.band
        return BandRule(formula=BandFormula.MARK, near_fraction=self.price_band_fraction)


def fingerprint(parameters: ExchangeParameters) -> str:
    """Return what tells two parameter sets apart, as hex; defaults of later fields do not count."""
    return hashlib.sha256(msgspec.json.encode(_plain(parameters), order="sorted")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        each.name: _plain(getattr(value, each.name))
        for each in dataclasses.fields(value)
        if not (each.name in FIELDS_LATER and getattr(value, each.name) == each.default)
    }


def _tiers(*rows: tuple[str | None, str, str]) -> tuple[MarginTier, ...]:
    return tuple(
        MarginTier(
            notional_max=None if notional_max is None else Decimal(notional_max),
            maintenance_margin_fraction=Decimal(maintenance),
            initial_margin_fraction=Decimal(initial),
        )
        for notional_max, maintenance, initial in rows
    )


_TIERS_CORE: Final = _tiers(
    ("5000000", "0.004", "0.01"), ("20000000", "0.0075", "0.015"), (None, "0.0125", "0.025")
)
_TIERS_LARGE: Final = _tiers(
    ("1000000", "0.0065", "0.02"), ("5000000", "0.01", "0.025"), (None, "0.02", "0.05")
)
_TIERS_SMALL: Final = _tiers(
    ("250000", "0.01", "0.02"), ("1000000", "0.015", "0.04"), (None, "0.03", "0.1")
)

# Volatility and loading give, with a factor of 45 %, these correlations to BTC:
# ETH 0.83, SOL 0.74, XRP 0.60, DOGE 0.66, LTC 0.51 (before jumps).
#: base, tick, lot, market max, limit max, price, volatility, loading, spread, depth, volume, tiers
_DEMO: Final = (
    ("BTC", "0.1", "0.0001", "120", "1000", "96400", 0.45, 0.97, 0.4, 22e6, 9e9, _TIERS_CORE),
    ("ETH", "0.01", "0.001", "3000", "25000", "3350", 0.62, 1.18, 0.6, 14e6, 6e9, _TIERS_CORE),
    ("SOL", "0.01", "0.01", "20000", "200000", "188", 0.80, 1.36, 1.2, 5e6, 2e9, _TIERS_LARGE),
    ("XRP", "0.0001", "1", "1500000", "9000000", "2.35", 0.78, 1.07, 1.2, 3e6, 1e9, _TIERS_LARGE),
    ("DOGE", "0.00001", "10", "9e6", "9e7", "0.21", 0.88, 1.33, 1.6, 2e6, 7e8, _TIERS_LARGE),
    ("LTC", "0.01", "0.1", "10000", "90000", "98", 0.68, 0.80, 2.0, 9e5, 1.5e8, _TIERS_SMALL),
)


def demo_parameters(seed: int) -> ExchangeParameters:
    """Return the demonstration venue: BTCUSDT and five alts with OKX-like steps and tiers.

    Prices and depths are round figures of the right size, not anyone's quotes. Correlations of
    the alts to BTC lie between about 0.5 and 0.85 at any horizon of minutes.
    """
    instruments = tuple(
        InstrumentParameters(
            instrument=Instrument(
                instrument_id=f"{base}USDT",
                base=base,
                quote="USDT",
                settle="USDT",
                tick_size=Decimal(tick),
                lot_size=Decimal(lot),
                quantity_min=Decimal(lot),
                market_quantity_max=Decimal(int(float(market_max))),
                limit_quantity_max=Decimal(int(float(limit_max))),
                tiers=tiers,
            ),
            price_start=Decimal(price),
            volatility_annual=volatility,
            factor_loading=loading,
            spread_bps=spread,
            depth_quote=depth,
            volume_day_quote=volume,
        )
        for (
            base, tick, lot, market_max, limit_max,
            price, volatility, loading, spread, depth, volume, tiers,
        ) in _DEMO
    )  # fmt: skip
    return ExchangeParameters(seed=seed, instruments=instruments)
