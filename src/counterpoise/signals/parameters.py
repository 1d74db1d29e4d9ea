"""Every number the signals use, named and checked."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalParameters:
    """Horizons, half-lives and bounds of the rolling statistics.

    Raises ValueError where a value is out of its range.
    """

    #: Length of a return, seconds.
    horizon_seconds: int = 300
    #: Step of the live sampling grid, seconds; divides the horizon.
    grid_seconds: int = 5
    #: Half-life of the fast statistics, hours.
    half_life_fast_hours: float = 3.0
    #: Half-life of the medium statistics, hours.
    half_life_medium_hours: float = 24.0
    #: Half-life of the slow statistics, hours.
    half_life_slow_hours: float = 240.0
    #: Half-life of the adverse semivolatility, hours.
    half_life_semivolatility_hours: float = 6.0
    #: Least shrinkage of the correlation toward the constant one, fraction.
    shrinkage_floor: float = 0.1
    #: Largest size of a beta.
    beta_clip: float = 3.0
    #: Returns of this many seconds must have been seen before a statistic is known.
    known_seconds_min: int = 3_600
    #: How far back fast volatility is compared to say that it rises, seconds.
    volatility_rising_seconds: int = 900
    #: Days of daily correlations whose deviation is taken.
    correlation_days: int = 7
    #: Returns of this many seconds make a day's correlation count.
    correlation_day_seconds_min: int = 21_600
    #: Share of the principal components whose variance makes the absorption ratio, fraction.
    absorption_components: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < float("inf"):
                raise ValueError(f"{field.name}={value} must be a number from zero up")
            if value == 0 and field.name != "shrinkage_floor":
                raise ValueError(f"{field.name}={value} must be positive")
        if self.horizon_seconds % self.grid_seconds != 0:
            raise ValueError(
                f"grid_seconds={self.grid_seconds} must divide "
                f"horizon_seconds={self.horizon_seconds}"
            )
        if not (
            self.half_life_fast_hours < self.half_life_medium_hours < self.half_life_slow_hours
        ):
            raise ValueError("half lives must rise from fast over medium to slow")
        if self.shrinkage_floor > 1.0 or self.absorption_components > 1.0:
            raise ValueError("shrinkage_floor and absorption_components must not exceed 1")
        if self.correlation_days < 2:
            raise ValueError(f"correlation_days={self.correlation_days} must be at least 2")
