"""The markets before the venue opened: 1-minute bars by the same model, all at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from counterpoise.domain.units import NS_PER_MINUTE, SECONDS_PER_DAY, SECONDS_PER_YEAR
from counterpoise.exchange import market
from counterpoise.exchange.constants import Constants, Floats, Integers
from counterpoise.exchange.draws import STREAM_HISTORY, generator
from counterpoise.exchange.parameters import ExchangeParameters

MINUTES_PER_DAY: Final = 1_440
_MINUTE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Bars before the opening; the last close of every market is its `price_start`."""

    #: Start of the first bar, ns.
    open_ns: int
    #: Ticks; shape (markets, minutes, 4) as open, high, low, close.
    bars: Integers
    #: Lots; shape (markets, minutes).
    volumes: Integers
    #: Log-variance of the common factor at the end.
    log_variance: float


def history(parameters: ExchangeParameters, opened_ns: int) -> History:
    """Return `history_days` of bars that end at the minute the venue opens in."""
    constants = Constants.of(parameters)
    minutes = parameters.history_days * MINUTES_PER_DAY
    last_minute = opened_ns // NS_PER_MINUTE
    draws = generator(parameters.seed, STREAM_HISTORY, last_minute)
    count = len(parameters.instruments)
    log_variance = _log_variances(draws.standard_normal(minutes))
    scale = np.exp(0.5 * (log_variance - 0.5 * market.LOG_VARIANCE_DEVIATION**2))
    scale *= (_MINUTE_SECONDS / SECONDS_PER_YEAR) ** 0.5
    factor = parameters.factor_volatility_annual * draws.standard_normal(minutes)
    own = constants.own_volatility[:, None] * draws.standard_normal((count, minutes))
    moves = scale * (constants.loading[:, None] * factor + own)
    jumps = draws.random((count, minutes)) < (
        market.JUMPS_PER_DAY * _MINUTE_SECONDS / SECONDS_PER_DAY
    )
    moves += jumps * market.JUMP_DEVIATION * draws.standard_normal((count, minutes))
    path = np.concatenate([np.zeros((count, 1)), np.cumsum(moves, axis=1)], axis=1)
    path += np.log(constants.price_start)[:, None] - path[:, -1:]
    deviation = constants.volatility[:, None] * scale
    bars = _bars(path, deviation, draws.random((2, count, minutes)), constants.tick)
    return History(
        open_ns=(last_minute - minutes) * NS_PER_MINUTE,
        bars=bars,
        volumes=_volumes(bars, constants, draws.standard_normal((count, minutes))),
        log_variance=float(log_variance[-1]),
    )


def _log_variances(normals: Floats) -> Floats:
    keep = 0.5 ** (_MINUTE_SECONDS / market.LOG_VARIANCE_HALF_LIFE_SECONDS)
    spread = market.LOG_VARIANCE_DEVIATION * (1.0 - keep * keep) ** 0.5
    current = market.LOG_VARIANCE_DEVIATION * float(normals[0])
    values = []
    for normal in normals.tolist():
        current = keep * current + spread * normal
        values.append(current)
    return np.array(values)


def _bars(path: Floats, deviation: Floats, uniforms: Floats, tick: Floats) -> Integers:
    # High and low are drawn from the extremes of a Brownian bridge between open and close.
    opened, closed = path[:, :-1], path[:, 1:]
    move = closed - opened
    reach = -2.0 * deviation**2 * np.log1p(-uniforms)
    high = opened + 0.5 * (move + np.sqrt(move**2 + reach[0]))
    low = opened + 0.5 * (move - np.sqrt(move**2 + reach[1]))
    bars = np.exp(np.stack([opened, high, low, closed], axis=2)) / tick[:, None, None]
    ticks: Integers = np.maximum(1, np.rint(bars)).astype(np.int64)
    return ticks


def _volumes(bars: Integers, constants: Constants, normals: Floats) -> Integers:
    price = bars[:, :, 3] * constants.tick[:, None]
    quote = constants.volume_day_quote[:, None] / MINUTES_PER_DAY * np.exp(0.5 * normals - 0.125)
    volumes: Integers = np.rint(quote / (price * constants.lot[:, None])).astype(np.int64)
    return volumes
