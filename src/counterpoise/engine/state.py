"""Everything the engine knows. Changed only by `engine.step`."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.account import AttestedDifference, Position, TradingState
from counterpoise.domain.events import ControlRequested
from counterpoise.domain.instruments import Instrument
from counterpoise.engine.account import Account
from counterpoise.engine.order_tracker import OrderTracker
from counterpoise.engine.plan import Plan
from counterpoise.engine.protection import Protection
from counterpoise.engine.run import Run
from counterpoise.engine.trading_state import Cause, trading_state
from counterpoise.market.state import Market
from counterpoise.risk.guard import GuardParameters
from counterpoise.signals.state import Signals
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters


@dataclass(slots=True, kw_only=True)
class WaitingCycle:
    """A cycle whose reconciliation is under way."""

    slot_ns: int
    #: When the venue was asked, ns.
    asked_ns: int


@dataclass(slots=True, kw_only=True)
class Stopping:
    """A stop under way."""

    control: ControlRequested
    #: Leave at the latest then, ns.
    deadline_ns: int
    #: True = positions are closed first.
    flatten: bool
    #: Earlier wishes to hold that this one overtook; they get the same answer.
    overtaken: tuple[ControlRequested, ...] = ()


@dataclass(slots=True, kw_only=True)
class State:
    """The engine's whole state."""

    run: Run
    strategy: StrategyParameters
    guard: GuardParameters
    #: Everything traded or held, by instrument id.
    instruments: dict[str, Instrument]
    market: Market
    signals: Signals
    account: Account
    orders: OrderTracker
    memory: Memory
    #: Canonical JSON of a value, as the ledger writes it (given, so that the core needs no codec).
    encode: Callable[[object], str]
    #: Slope on the core's return and annualised volatility per instrument, as last sampled.
    betas: dict[str, Decimal] = field(default_factory=dict)
    volatilities: dict[str, Decimal] = field(default_factory=dict)
    #: Stops that rest at the venue; they are not among `orders`.
    protection: Protection = field(default_factory=Protection)
    #: What an operator stated of orders that are still asked about, by client order id.
    statements: dict[str, ControlRequested] = field(default_factory=dict)
    #: Why the daemon may do less than everything.
    causes: set[Cause] = field(default_factory=set)
    #: Decisions under way, by decision id.
    plans: dict[str, Plan] = field(default_factory=dict)
    #: Pairs in a row that were taken apart again, and when the last of them was, ns.
    pairs_unwound: int = 0
    pair_unwound_ns: int = 0
    #: Instruments whose position the venue denied, and when, ns: read again before a reduction.
    doubted: dict[str, int] = field(default_factory=dict)
    #: When the venue last refused a price of ours for being outside its band, by instrument, ns.
    banded: dict[str, int] = field(default_factory=dict)
    #: Orders in a row of guard or flatten that executed nothing, and when the last of them ended,
    #: ns, by instrument.
    missed: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Decisions made in this run.
    sequence: int = 0
    #: Records that need an id of their own, made in this run.
    records: int = 0
    waiting: WaitingCycle | None = None
    stopping: Stopping | None = None
    ledger_available: bool = True
    lease_held: bool = True
    #: Newest time any event carried, our clock, ns.
    now_ns: int = 0
    #: Gross / equity now; None = unknown or infinite (see `leverage_infinite`).
    leverage: Decimal | None = None
    leverage_infinite: bool = False
    #: Highest since the cycle before, and of the run; None = none yet.
    leverage_max: Decimal | None = None
    leverage_max_run: Decimal | None = None
    #: When the guard last decided, and last looked at everything, ns.
    guard_ns: int = 0
    guard_looked_ns: int = 0
    #: Guard decisions in a row that filled nothing.
    guard_idle: int = 0
    #: True = the core went to nothing without an order of ours and hedges may still stand.
    core_vanished: bool = False
    #: True = a hedge vanished and the core does not yet stand within its unhedged limit.
    leg_vanished: bool = False
    #: Slot of the last decided cycle, ns; None = none in this run.
    cycle_slot_ns: int | None = None
    #: Sentence about the last decision, for the status line.
    last_summary: str = ""
    #: True = the account stream broke and has not been proven alive since.
    account_stream_down: bool = False
    #: When it was proven alive after that, our clock, ns, while no answer asked for since has told
    #: what it missed; None = nothing was missed, or it is still down.
    account_back_ns: int | None = None
    #: When the account was last asked for because its stream is down, a gap of it is not closed, or
    #: its equity is not known, ns.
    polled_ns: int = 0
    #: Since when equity is not known though something may be held, ns; None = it is known.
    equity_unknown_ns: int | None = None
    #: True = an incident says so.
    equity_unknown_told: bool = False
    #: Marks of the last whole answer and when it arrived, our clock, ns, by instrument held.
    answered_marks: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    #: Since when a held leg has no mark of now, ns; None = each has one. True = an incident says so.
    marks_silent_ns: int | None = None
    marks_silent_told: bool = False
    #: True = the balance that is not believed now was said, and when it was last asked about, ns.
    balance_doubt_told: bool = False
    balance_asked_ns: int = 0
    #: Funding payments and transfers already counted, by the venue's bill id.
    funding_seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    transfers_seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    #: When the account did not add up for the first time, ns; None = it does.
    doubt_ns: int | None = None
    #: Positions on record at the start while the venue's are not explained; None = they are.
    recorded: dict[str, Position] | None = None
    #: True = the second look was asked for.
    doubt_asked: bool = False
    #: When the whole account is asked for again because an answer denied what was told, ns; None =
    #: none did.
    ask_again_ns: int | None = None
    #: Venue clock minus ours as last measured, ms; None = not known.
    clock_offset_ms: float | None = None
    #: When it was measured, ns; 0 = at the start of the run.
    clock_ns: int = 0
    #: Hash of what the venue attested last; "" = not asked in this run.
    attestation_sha256: str = ""
    #: What of it is not as at the start of the run.
    attestation_differences: tuple[AttestedDifference, ...] = ()
    #: When a flatten was last sent, ns.
    flatten_ns: int = 0
    #: Wallet balance at the last reconciliation, quote; None = none yet.
    wallet_reconciled: Decimal | None = None

    def __post_init__(self) -> None:
        if self.clock_offset_ms is None:
            self.clock_offset_ms = self.run.clock_offset_ms

    @property
    def trading_state(self) -> TradingState:
        """What the daemon may do now."""
        return trading_state(frozenset(self.causes))

    def record_id(self, kind: str) -> str:
        """Return the next id for a record that has none of its own."""
        self.records += 1
        return f"{self.run.run_id}-{kind}-{self.records}"
