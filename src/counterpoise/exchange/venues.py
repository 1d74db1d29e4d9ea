"""Parameter sets that follow one venue's own rules (venues.md sections 1 to 4).

Markets move as the demonstration's do. Formulas, steps, and what a rule is compared with are the
venue's; tiers, caps and fee levels are of the right size, since venues move them every few weeks.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import MarginTier
from counterpoise.domain.units import NS_PER_DAY
from counterpoise.exchange import margin
from counterpoise.exchange.modes import SelfTradeMode
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters
from counterpoise.exchange.rules import (
    BandFormula,
    BandRule,
    CrowdRule,
    FeeTier,
    FundingFormula,
    LiquidationRule,
    VenueRules,
)

#: What the insurance fund of each holds at the start, quote.
INSURANCE_FUND_START: Final = Decimal(5_000_000)

#: One row: base, tick, lot, largest market order, largest limit order, near and far fraction of
#: the price band, largest funding rate, tiers.
Row = tuple[str, str, str, str, str, str, str, str, tuple[MarginTier, ...]]


def _tiers(*rows: tuple[str | None, str, str]) -> tuple[MarginTier, ...]:
    # (largest notional, maintenance fraction, highest leverage setting).
    return tuple(
        MarginTier(
            notional_max=None if notional_max is None else Decimal(notional_max),
            maintenance_margin_fraction=Decimal(maintenance),
            initial_margin_fraction=1 / Decimal(leverage_max),
        )
        for notional_max, maintenance, leverage_max in rows
    )


_OKX_CORE: Final = _tiers(
    ("5000000", "0.004", "100"), ("20000000", "0.0075", "66.66"), ("40000000", "0.0125", "40"),
    ("80000000", "0.02", "25"), (None, "0.05", "10"),
)  # fmt: skip
_OKX_LARGE: Final = _tiers(
    ("1000000", "0.0065", "50"), ("5000000", "0.01", "40"), ("10000000", "0.02", "20"),
    ("20000000", "0.04", "12.5"), (None, "0.1", "5"),
)  # fmt: skip
_OKX_SMALL: Final = _tiers(
    ("250000", "0.01", "50"), ("1000000", "0.015", "25"), ("2500000", "0.03", "10"),
    ("5000000", "0.06", "8"), (None, "0.12", "4"),
)  # fmt: skip
_OKX: Final[tuple[Row, ...]] = (
    ("BTC", "0.1", "0.0001", "120", "1000", "0.01", "0.02", "0.00375", _OKX_CORE),
    ("ETH", "0.01", "0.001", "3000", "25000", "0.01", "0.02", "0.00375", _OKX_CORE),
    ("SOL", "0.01", "0.01", "20000", "200000", "0.02", "0.05", "0.0075", _OKX_LARGE),
    ("XRP", "0.0001", "1", "1500000", "9000000", "0.02", "0.05", "0.0075", _OKX_LARGE),
    ("DOGE", "0.00001", "10", "9000000", "90000000", "0.02", "0.05", "0.0075", _OKX_LARGE),
    ("LTC", "0.01", "0.1", "10000", "90000", "0.02", "0.05", "0.0075", _OKX_SMALL),
)

#: The published ladder whose deductions are 0, 50, 1 300, 16 300, ... (V4).
_BINANCE_CORE: Final = margin.with_deductions(
    _tiers(
        ("50000", "0.004", "125"), ("250000", "0.005", "100"), ("1000000", "0.01", "50"),
        ("10000000", "0.025", "20"), ("20000000", "0.05", "10"), ("50000000", "0.1", "5"),
        ("100000000", "0.125", "4"), ("200000000", "0.15", "3"), ("300000000", "0.25", "2"),
        (None, "0.5", "1"),
    )
)  # fmt: skip
_BINANCE_OTHER: Final = margin.with_deductions(
    _tiers(
        ("10000", "0.0065", "75"), ("50000", "0.01", "50"), ("250000", "0.02", "25"),
        ("1000000", "0.05", "10"), ("2000000", "0.1", "5"), ("5000000", "0.125", "4"),
        ("10000000", "0.25", "2"), (None, "0.5", "1"),
    )
)  # fmt: skip
_BINANCE: Final[tuple[Row, ...]] = (
    ("BTC", "0.1", "0.001", "120", "1000", "0.05", "0", "0.003", _BINANCE_CORE),
    ("ETH", "0.01", "0.001", "2000", "10000", "0.05", "0", "0.003", _BINANCE_CORE),
    ("SOL", "0.01", "0.01", "5000", "100000", "0.1", "0", "0.02", _BINANCE_OTHER),
    ("XRP", "0.0001", "0.1", "2000000", "10000000", "0.1", "0", "0.02", _BINANCE_OTHER),
    ("DOGE", "0.00001", "1", "30000000", "50000000", "0.1", "0", "0.02", _BINANCE_OTHER),
    ("LTC", "0.01", "0.001", "3000", "10000", "0.1", "0", "0.02", _BINANCE_OTHER),
)

_BYBIT_CORE: Final = margin.with_deductions(
    _tiers(
        ("2000000", "0.005", "100"), ("10000000", "0.01", "50"), ("20000000", "0.02", "25"),
        ("40000000", "0.04", "12.5"), (None, "0.1", "5"),
    )
)  # fmt: skip
_BYBIT_OTHER: Final = margin.with_deductions(
    _tiers(
        ("200000", "0.01", "50"), ("1000000", "0.02", "25"), ("2000000", "0.04", "12.5"),
        ("4000000", "0.08", "6.25"), (None, "0.2", "2.5"),
    )
)  # fmt: skip
_BYBIT: Final[tuple[Row, ...]] = (
    ("BTC", "0.1", "0.001", "100", "1000", "0.01", "0.02", "0.00375", _BYBIT_CORE),
    ("ETH", "0.01", "0.01", "1000", "7000", "0.01", "0.02", "0.00375", _BYBIT_CORE),
    ("SOL", "0.01", "0.1", "8000", "80000", "0.02", "0.05", "0.0075", _BYBIT_OTHER),
    ("XRP", "0.0001", "0.1", "500000", "5000000", "0.02", "0.05", "0.0075", _BYBIT_OTHER),
    ("DOGE", "0.00001", "1", "4000000", "30000000", "0.02", "0.05", "0.0075", _BYBIT_OTHER),
    ("LTC", "0.01", "0.1", "5000", "40000", "0.02", "0.05", "0.0075", _BYBIT_OTHER),
)


def okx_parameters(seed: int) -> ExchangeParameters:
    """Return OKX: index bands, no deduction, two tiers at a time from the third on."""
    rules = VenueRules(
        venue="okx",
        funding_formula=FundingFormula.OKX,
        premium_weighted=True,
        fee_tiers=_fee_tiers(("2", "5"), ("1.5", "4.5"), ("1", "4"), ("0", "3")),
        leverage_by_tier=True,
        liquidation=LiquidationRule(tiers_per_step=2, tier_gradual_min=3, fee_counts=True),
        insurance_fund_start=INSURANCE_FUND_START,
        crowd=CrowdRule(),
    )
    return replace(_venue(seed, _OKX, BandFormula.OKX, rules), liquidation_fee_bps=Decimal(5))


def binance_parameters(seed: int) -> ExchangeParameters:
    """Return Binance USD-M: mark bands, deductions, funding of eight hours divided down."""
    rules = VenueRules(
        venue="binance",
        funding_formula=FundingFormula.BINANCE,
        premium_weighted=True,
        fee_tiers=_fee_tiers(("2", "5"), ("1.6", "4"), ("1.4", "3.5"), ("0", "1.7")),
        notional_min_waived=True,
        leverage_by_tier=True,
        client_order_id_length_max=36,
        client_order_id_marks=".:/_-",
        canceled_kept_ns=3 * NS_PER_DAY,
        filled_kept_ns=90 * NS_PER_DAY,
        open_orders_max=200,
        open_orders_by_instrument=True,
        liquidation=LiquidationRule(tiers_per_step=1, tier_gradual_min=2),
        insurance_fund_start=INSURANCE_FUND_START,
        crowd=CrowdRule(),
    )
    return replace(
        _venue(seed, _BINANCE, BandFormula.MARK, rules, notional_min=Decimal(5)),
        liquidation_fee_bps=Decimal(120),
        leverage_setting_start=Decimal(20),
    )


def bybit_parameters(seed: int) -> ExchangeParameters:
    """Return Bybit's unified account: bands that re-price, ids once, deductions."""
    rules = VenueRules(
        venue="bybit",
        funding_formula=FundingFormula.BYBIT,
        premium_weighted=True,
        self_trade_start=SelfTradeMode.NONE,
        fee_tiers=_fee_tiers(("2", "5.5"), ("1.8", "4"), ("1.6", "3.75"), ("0", "3")),
        leverage_by_tier=True,
        client_order_id_length_max=36,
        client_order_id_marks="-_",
        client_order_id_once=True,
        canceled_kept_ns=NS_PER_DAY,
        filled_kept_ns=90 * NS_PER_DAY,
        open_orders_by_instrument=True,
        liquidation=LiquidationRule(tiers_per_step=1, tier_gradual_min=2, fee_counts=True),
        insurance_fund_start=INSURANCE_FUND_START,
        crowd=CrowdRule(),
    )
    parameters = _venue(
        seed, _BYBIT, BandFormula.BYBIT, rules, notional_min=Decimal(5), reprices=True
    )
    return replace(
        parameters, liquidation_fee_bps=Decimal("5.5"), leverage_setting_start=Decimal(10)
    )


def _fee_tiers(*rows: tuple[str, str]) -> tuple[FeeTier, ...]:
    return tuple(
        FeeTier(maker_fee_bps=Decimal(maker), taker_fee_bps=Decimal(taker)) for maker, taker in rows
    )


def _venue(
    seed: int, rows: tuple[Row, ...], formula: BandFormula, rules: VenueRules, *,
    notional_min: Decimal | None = None, reprices: bool = False,
) -> ExchangeParameters:  # fmt: skip
    # The demonstration's markets in the same order, under a venue's rules.
    demo = demo_parameters(seed)
    instruments = []
    for market, row in zip(demo.instruments, rows, strict=True):
        base, tick, lot, market_max, limit_max, near, far, rate_max, tiers = row
        assert market.instrument.base == base, "rows stand in the order of the markets"
        instrument = replace(
            market.instrument,
            tick_size=Decimal(tick),
            lot_size=Decimal(lot),
            quantity_min=Decimal(lot),
            notional_min=notional_min,
            market_quantity_max=Decimal(market_max),
            limit_quantity_max=Decimal(limit_max),
            tiers=tiers,
        )
        band = BandRule(
            formula=formula, near_fraction=Decimal(near), far_fraction=Decimal(far),
            reprices=reprices,
        )  # fmt: skip
        instruments.append(
            replace(market, instrument=instrument, band=band, funding_rate_cap=Decimal(rate_max))
        )
    first = rules.fee_tiers[0]
    return replace(
        demo,
        instruments=tuple(instruments),
        rules=rules,
        maker_fee_bps=first.maker_fee_bps,
        taker_fee_bps=first.taker_fee_bps,
    )
