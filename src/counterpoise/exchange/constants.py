"""Figures of a venue's markets as arrays, in the order of its parameters."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange.parameters import ExchangeParameters

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Figures of the markets as arrays, in the order of the parameters."""

    tick: Floats
    lot: Floats
    price_start: Floats
    loading: Floats
    #: Annualised volatility of the part a market has for itself.
    own_volatility: Floats
    volatility: Floats
    half_spread: Floats
    depth_quote: Floats
    volume_day_quote: Floats

    @classmethod
    def of(cls, parameters: ExchangeParameters) -> "Constants":
        """Return the arrays of a venue. ValueError: a loading exceeds the volatility."""
        markets = parameters.instruments
        volatility = np.array([each.volatility_annual for each in markets])
        loading = np.array([each.factor_loading for each in markets])
        own_variance = volatility**2 - (loading * parameters.factor_volatility_annual) ** 2
        if bool((own_variance < 0).any()):
            raise ValueError("factor_loading x factor volatility exceeds volatility_annual")
        return cls(
            tick=np.array([float(each.instrument.tick_size) for each in markets]),
            lot=np.array([float(each.instrument.lot_size) for each in markets]),
            price_start=np.array([float(each.price_start) for each in markets]),
            loading=loading,
            own_volatility=np.sqrt(own_variance),
            volatility=volatility,
            half_spread=np.array([each.spread_bps / 2 / BPS_PER_ONE for each in markets]),
            depth_quote=np.array([each.depth_quote for each in markets]),
            volume_day_quote=np.array([each.volume_day_quote for each in markets]),
        )
