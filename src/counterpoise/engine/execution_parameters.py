"""How orders are worked: price caps by regime, waiting, splitting, the naked-leg budget."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.strategy.memory import Regime

#: A resting order is canceled well before a phase counts as late (`engine.run.PHASE_NS_MAX`).
PASSIVE_SECONDS_MAX: Final = Decimal(10)
#: A leg that stands alone longer than this is no pair any more.
NAKED_LEG_SECONDS_MAX: Final = Decimal(120)
#: Widest cap that may be set, bps; the gate's own limit may be narrower.
SLIPPAGE_BPS_MAX: Final = Decimal(500)

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionParameters:
    """Defaults of the product."""

    #: Seconds the whole leading leg of a pair may stand alone; half of it may twice as long.
    naked_leg_seconds: Decimal = Decimal(20)
    #: Seconds the leading leg of a growing pair waits at the best price in CALM; 0 = never waits.
    passive_seconds: Decimal = Decimal(4)
    #: Farthest price of an increase from mid in ELEVATED, bps (in CALM: `slippage_bps_increase`).
    slippage_bps_elevated: Decimal = Decimal(30)
    #: In STRESSED, bps: a hedge must still be bought there.
    slippage_bps_stressed: Decimal = Decimal(40)
    #: In CASCADE, bps: no new risk is taken there, so nothing is worth a wide price.
    slippage_bps_cascade: Decimal = Decimal(20)
    #: Share of the depth within 25 bps of mid that one order of a decision may take.
    depth_share_max: Decimal = Decimal("0.5")

    def __post_init__(self) -> None:
        _check("naked_leg_seconds", self.naked_leg_seconds, ONE, NAKED_LEG_SECONDS_MAX)
        _check("passive_seconds", self.passive_seconds, ZERO, PASSIVE_SECONDS_MAX)
        for name in (
            "slippage_bps_elevated",
            "slippage_bps_stressed",
            "slippage_bps_cascade",
        ):
            _check(name, getattr(self, name), ONE, SLIPPAGE_BPS_MAX)
        _check("depth_share_max", self.depth_share_max, Decimal("0.01"), ONE)

    def slippage_bps(self, calm: Decimal) -> dict[Regime, Decimal]:
        """Return the cap of an increase by regime, bps from mid; `calm` is CALM's."""
        return {
            Regime.CALM: calm,
            Regime.ELEVATED: self.slippage_bps_elevated,
            Regime.STRESSED: self.slippage_bps_stressed,
            Regime.CASCADE: self.slippage_bps_cascade,
        }


def _check(name: str, value: Decimal, low: Decimal, high: Decimal) -> None:
    if not value.is_finite() or not low <= value <= high:
        raise ValueError(f"{name}={value}: allowed is {low} to {high}")
