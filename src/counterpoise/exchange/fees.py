"""What an execution costs, by the fee level of the account."""

from decimal import Decimal

from counterpoise.domain.orders import Liquidity
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.rules import FeeTier


def fee_tier(parameters: ExchangeParameters, level: int) -> FeeTier:
    """Return what accounts of a level pay. ValueError: there is no such level."""
    tiers = parameters.rules.fee_tiers or (
        FeeTier(maker_fee_bps=parameters.maker_fee_bps, taker_fee_bps=parameters.taker_fee_bps),
    )
    if not 0 <= level < len(tiers):
        raise ValueError(f"fee level={level} is not within 0 and {len(tiers) - 1}")
    return tiers[level]


def fee_bps(parameters: ExchangeParameters, level: int, liquidity: Liquidity) -> Decimal:
    """Return bps of notional; negative = rebate."""
    tier = fee_tier(parameters, level)
    return tier.maker_fee_bps if liquidity is Liquidity.MAKER else tier.taker_fee_bps
