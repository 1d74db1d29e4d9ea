"""What a run is and by which limits it works; fixed from start to stop."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.risk.protection import ProtectionParameters
from counterpoise.risk.view import RiskLimits
from counterpoise.strategy.memory import Regime

#: An order whose end is not told this long after it was sent is asked about.
ASK_AFTER_NS: Final = 2 * NS_PER_SECOND
#: An order still in the journal after this long is asked about too.
ASK_JOURNALED_NS: Final = 10 * NS_PER_SECOND
#: Two tries to close what a flatten left are this far apart.
FLATTEN_GAP_NS: Final = 2 * NS_PER_SECOND
#: While the account's stream is down, or its equity is not known, REST is asked this often.
POLL_NS: Final = 5 * NS_PER_SECOND
#: A phase that is not over by then ends its plan as incomplete, or has its pair looked at.
PHASE_NS_MAX: Final = 15 * NS_PER_SECOND
#: After a restart, what stands alone waits this long for the ends of the orders before it.
ORDER_END_NS_MAX: Final = 15 * NS_PER_SECOND
#: A pair with an order without an end is watched this long for what the order may still do.
ORDER_WATCH_NS_MAX: Final = 300 * NS_PER_SECOND
#: An account that does not show what orders filled is asked for after this, and so often, ns.
ACCOUNT_ASK_NS: Final = NS_PER_SECOND
#: ... and no longer than this is it taken to be behind, whatever it shows.
UNSHOWN_NS_MAX: Final = 120 * NS_PER_SECOND
#: How far the venue's clock may be from ours when its answers are held against its events.
CLOCKS_APART_NS: Final = 500 * NS_PER_MS
#: Two tries to complete a pair are this far apart.
COMPLETE_GAP_NS: Final = 2 * NS_PER_SECOND
#: Two tries to unwind one are this far apart at first, then twice as far up to the maximum.
UNWIND_GAP_NS: Final = NS_PER_SECOND
UNWIND_GAP_NS_MAX: Final = 4 * NS_PER_SECOND
#: What stands alone by little uses its naked-leg budget up slowly: after this it is used up, too.
NAKED_NS_MAX: Final = 60 * NS_PER_SECOND
#: A pair that is neither complete nor unwound by then is left to the next cycle and the guard.
REPAIR_NS_MAX: Final = 120 * NS_PER_SECOND
#: Doublings of the cycles that pass before the next pair is opened, while each is unwound again.
UNWOUND_DOUBLINGS_MAX: Final = 4
#: After a restart, completing waits this long for market data.
RESUME_DATA_NS_MAX: Final = 10 * NS_PER_SECOND
#: A resting order that does not end is canceled again after this.
CANCEL_AGAIN_NS: Final = 2 * NS_PER_SECOND
#: A reduction in a market that takes post-only orders alone waits in the book for this long, then
#: at the best price of that moment.
POST_ONLY_NS: Final = 4 * NS_PER_SECOND
#: A reduction waits this long at most for a resting order that reserves its position.
RESERVED_NS_MAX: Final = NS_PER_SECOND
#: ... and this long at most for a position that the venue says is another one.
DOUBTED_NS_MAX: Final = 2 * NS_PER_SECOND
#: After the venue refused a price, reductions in that instrument go at market for this long.
BANDED_NS: Final = 30 * NS_PER_SECOND
#: An order that the evidence does not resolve is asked about this often.
ASK_UNRESOLVED_NS: Final = 30 * NS_PER_SECOND
#: Without an answer to a cycle's reconciliation by then, the cycle is decided without one.
RECONCILE_NS_MAX: Final = 8 * NS_PER_SECOND
#: A stop that waits for orders to end gives up after this.
STOP_NS_MAX: Final = 6 * NS_PER_SECOND
#: A stop that flattens first gives up after this.
FLATTEN_STOP_NS_MAX: Final = 60 * NS_PER_SECOND
#: Two guard decisions are at least this far apart, so that a refusing venue is not hammered.
GUARD_GAP_NS: Final = 250 * NS_PER_MS
#: Nor farther apart than this, whatever the venue answers.
GUARD_GAP_NS_MAX: Final = 4 * NS_PER_SECOND
#: Cash that nothing explains, as a fraction of equity, before it is called drift.
CASH_TOLERANCE_FRACTION: Final = Decimal("0.0005")
#: The venue's equity less cash and its own positions at its own marks, as a fraction of equity:
#: balance and positions are two answers, between which marks move.
EQUITY_TOLERANCE_FRACTION: Final = Decimal("0.01")
#: What does not add up is looked at again after this, before it is believed: venues list bills
#: and executions a little after they happened.
DOUBT_NS: Final = 3 * NS_PER_SECOND
#: Positions of a start that nothing explains are believed at the latest then, orders at work or not.
START_DOUBT_NS_MAX: Final = 60 * NS_PER_SECOND
#: The venue's clock is not known once its last measurement is older than this.
CLOCK_AGE_NS_MAX: Final = 300 * NS_PER_SECOND


#: How orders are worked if nothing is said.
DEFAULT_EXECUTION: Final = ExecutionParameters()


class ForeignPolicy(StrEnum):
    """What is done about orders and positions that are not ours. They count in the ceiling."""

    #: The start is refused; while running, only reductions until they are gone.
    REFUSE = "refuse"
    #: Positions become legs of the book, which the strategy winds down; orders may stay.
    ADOPT = "adopt"
    #: Never traded; whatever exposure they have is not there for the strategy.
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Who runs, on what, and what it may do."""

    run_id: str
    #: The account as the venue names it.
    account_id: str
    venue: str
    #: Fencing token of the lease.
    epoch: int
    #: True = decides and never sends.
    observe: bool
    #: Seconds from one decision to the next; slots lie on multiples of it since the epoch.
    cycle_seconds: int
    #: Farthest price of an increase from mid, bps.
    slippage_bps_increase: Decimal
    #: Farthest price of a reduction's first attempt from mid, bps; doubles per attempt (`reaching`).
    slippage_bps_reduction: Decimal
    #: The highest leverage anything may reach; at most 3.
    leverage_ceiling: Decimal
    #: Taker fee, bps.
    taker_fee_bps: Decimal
    #: True = a graceful stop closes the book first.
    flatten_on_stop: bool
    #: Account silence that counts as stale, ms.
    account_age_ms_max: int
    #: Venue clock minus ours at start, ms.
    clock_offset_ms: float
    #: The gate's other limits.
    limits: RiskLimits
    #: How orders are worked.
    execution: ExecutionParameters = DEFAULT_EXECUTION
    #: What is done about orders and positions that are not ours.
    foreign: ForeignPolicy = ForeignPolicy.REFUSE
    #: Instruments followed only because something foreign is held in them: counted, never traded.
    unmanaged: frozenset[str] = frozenset()
    #: True = the venue holds orders back until a mark is reached.
    has_triggers: bool = False
    #: Where stops rest; None = none are kept, and those of an earlier run are dropped.
    protection: ProtectionParameters | None = None

    def slippage_cap_bps(self, regime: Regime) -> Decimal:
        """Return how far from mid an increase may be priced, bps."""
        return self.execution.slippage_bps(self.slippage_bps_increase)[regime]
