"""The signals at one moment, as a decision sees them and as its row stores them.

All volatilities are annualised fractions of `horizon_seconds` log returns at mark. A key that is
missing from a dict, or a None, means "not known": a rule that needs it is skipped and says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsView:
    """What the rolling state says now."""

    #: Instrument of the core.
    core_id: str
    #: Time of the newest sample in it, ns; None = none yet.
    sampled_ns: int | None
    #: Return horizon, seconds.
    horizon_seconds: int
    #: Days of history behind each instrument.
    history_days: dict[str, float]
    #: Half-life 3 h.
    volatility_fast: dict[str, float]
    #: Half-life 24 h.
    volatility_medium: dict[str, float]
    #: Half-life 10 d.
    volatility_slow: dict[str, float]
    #: Core volatility from returns against the core's side only, zeros included; half-life 6 h.
    semivolatility_adverse: float | None
    #: semivolatility_adverse / volatility_slow of the core.
    stress_ratio: float | None
    #: Shrunk correlation, instrument -> instrument -> [-1, 1]; symmetric, 1 on the diagonal.
    correlation: dict[str, dict[str, float]]
    #: Volatility that belongs to `correlation` (the mean of medium and slow covariance).
    volatility_covariance: dict[str, float]
    #: cov(core, j) / var(core), clipped to [-3, 3]; the core's own is 1.
    beta: dict[str, float]
    #: corr(core, j), half-life 3 h; times both signs it is the leg correlation.
    correlation_core_fast: dict[str, float]
    #: corr(core, j), half-life 24 h.
    correlation_core_medium: dict[str, float]
    #: corr(r_j, change in core volatility), half-life 24 h.
    volatility_correlation: dict[str, float]
    #: Standard deviation of the daily correlation to the core over 7 d.
    correlation_daily_stdev: dict[str, float]
    #: Mean of all pairwise correlations, half-life 3 h.
    correlation_mean_fast: float | None
    #: Share of variance in the first fifth of principal components (at least one), half-life 3 h.
    absorption_ratio: float | None
    #: True = the core's fast volatility is above its own value 15 minutes ago; None = unknown.
    volatility_fast_rising: bool | None
    #: Size of the core's last 5-minute move in fast 5-minute sigmas; None = unknown.
    core_move_sigmas: float | None
