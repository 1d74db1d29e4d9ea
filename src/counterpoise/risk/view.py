"""What risk may know: the account, its open orders and the marks at one moment."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import OpenOrder, TradingState
from counterpoise.domain.instruments import Instrument

#: Key of `RiskView.missing` for what concerns the whole account.
ACCOUNT: Final = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits of the gate that configuration may tighten or loosen."""

    #: p99 feed latency above which nothing increases, ms.
    latency_ms_max: Decimal = Decimal(200)
    #: Absolute clock offset to the venue above which nothing increases, ms.
    clock_offset_ms_max: Decimal = Decimal(500)
    #: Farthest a limit may lie from the mark on the paying side, bps.
    slippage_bps_max: Decimal = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskView:
    """One moment, as risk sees it. Whatever is not in it is unknown, and unknown means no."""

    #: The moment, ns.
    now_ns: int
    #: What the daemon may do.
    trading_state: TradingState
    #: Instrument of the core; every other one is a hedge.
    core_id: str
    #: Equity at mark as invariant 1 defines it, quote; None = unknown.
    equity: Decimal | None
    #: Signed base units per instrument; one that is not there is flat.
    quantities: dict[str, Decimal]
    #: Fresh marks only, quote per base.
    marks: dict[str, Decimal]
    #: Marks of any age, for reductions and the guard.
    marks_last: dict[str, Decimal]
    #: Every order that may still fill: open, in flight and unknown.
    open_orders: tuple[OpenOrder, ...]
    #: Rules per instrument.
    instruments: dict[str, Instrument]
    #: Slope on the core's return; the core's own is 1 whether it is there or not.
    betas: dict[str, Decimal]
    #: Annualised volatilities per instrument, of one horizon; empty = unknown.
    volatilities: dict[str, Decimal] = field(default_factory=dict)
    #: Codes of what is missing, by instrument id or `ACCOUNT`.
    missing: dict[str, tuple[str, ...]]
    #: True = Postgres takes commits.
    ledger_available: bool
    #: True = this daemon is the account's only writer.
    lease_held: bool
    #: p99 feed latency, ms; None = nothing received, which denies.
    latency_ms_p99: float | None
    #: Venue clock minus ours, ms; None = unknown, which denies.
    clock_offset_ms: float | None
    #: Instruments with an unresolved order: only their own increases are denied.
    unresolved: frozenset[str] = frozenset()
    #: Ceiling in force, from `ceiling.ceiling`.
    leverage_ceiling: Decimal
    #: Taker fee.
    taker_fee_bps: Decimal
    #: Slippage a market order or an open order is charged with, bps of mark.
    slippage_bps: Decimal
    #: Life of an approval, ms.
    approval_ms: int = 2000
    #: The gate's other limits.
    limits: RiskLimits = RiskLimits()
    #: Instruments whose positions count and are never traded: somebody else's.
    unmanaged: frozenset[str] = frozenset()
    #: How far each fresh mark lies outside its fresh book's spread, a fraction; unknown ones are
    #: not there.
    divergences: dict[str, Decimal] = field(default_factory=dict)

    def beta(self, instrument_id: str) -> Decimal | None:
        """Return an instrument's beta to the core; None = unknown."""
        return Decimal(1) if instrument_id == self.core_id else self.betas.get(instrument_id)
