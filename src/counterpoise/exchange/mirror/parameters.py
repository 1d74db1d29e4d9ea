"""What a mirrored venue is made of: the real venue's rules, and a model's where none are public."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.exchange.parameters import ExchangeParameters, InstrumentParameters
from counterpoise.exchange.venues import binance_parameters, bybit_parameters, okx_parameters

_RULES: Final = {
    "okx": okx_parameters(0),
    "binance": binance_parameters(0),
    "bybit": bybit_parameters(0),
}


def mirror_parameters(
    venue: str, *, maker_fee_bps: Decimal | None = None, taker_fee_bps: Decimal | None = None
) -> ExchangeParameters:
    """Return a venue's rules without any market; None = what its lowest fee level pays.

    Nobody else is ranked for ADL and the insurance fund never runs dry: there is one account.
    """
    found = _RULES[venue]
    return replace(
        found,
        instruments=(),
        maker_fee_bps=found.maker_fee_bps if maker_fee_bps is None else maker_fee_bps,
        taker_fee_bps=found.taker_fee_bps if taker_fee_bps is None else taker_fee_bps,
        rules=replace(found.rules, fee_tiers=(), insurance_fund_start=None, crowd=None),
    )


def mirror_market(venue: str, listed: Instrument) -> InstrumentParameters:
    """Return a real instrument as a market of the mirrored venue.

    Its last margin tier has no end, so that every position has a margin. Where the venue tells
    no tiers without a key (Binance), and for price bands, those of the model's instrument of that
    name hold, or of its smallest one. The figures that make prices are not used.
    """
    alike = {each.instrument.instrument_id: each for each in _RULES[venue].instruments}
    model = alike.get(listed.instrument_id, _RULES[venue].instruments[-1])
    tiers = listed.tiers or model.instrument.tiers
    return replace(model, instrument=replace(listed, tiers=_endless(tiers)))


def _endless(tiers: tuple[MarginTier, ...]) -> tuple[MarginTier, ...]:
    return (*tiers[:-1], replace(tiers[-1], notional_max=None))
