"""What is written down. One class per table of the ledger; its fields are the table's columns.

A record is made where the thing happens and never changed. `body` fields hold canonical JSON
text whose bytes are kept as they are, so that they can be compared and hashed later.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The daemon started (table `run`)."""

    run_id: str
    account_id: str
    venue: str
    profile: str
    #: "trade" or "observe".
    mode: str
    version: str
    strategy_version: str
    host: str
    pid: int
    #: Fencing token of the lease.
    epoch: int
    configuration_sha256: str
    started_ns: int
    #: Hash of what the venue attested at the start (table `attestation`); None = an older version.
    attestation_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The daemon stopped by itself (table `run_end`); a kill leaves no such row."""

    run_id: str
    reason: str
    exit_code: int
    ended_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationUsed:
    """The effective configuration, secrets masked (table `configuration`)."""

    configuration_sha256: str
    run_id: str
    body: str
    created_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationSeen:
    """How the venue says account and instruments are set up (table `attestation`)."""

    attestation_sha256: str
    run_id: str
    #: Canonical JSON: field -> text.
    body: str
    attested_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentSeen:
    """An instrument's rules as the venue gave them (table `instrument`)."""

    run_id: str
    venue: str
    instrument_id: str
    venue_symbol: str
    tick_size: Decimal
    lot_size: Decimal
    quantity_min: Decimal
    contract_size: Decimal
    body: str
    valid_from_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSeen:
    """One instrument's market at a decision (table `market_snapshot`)."""

    decision_id: str
    instrument_id: str
    mark: Decimal | None
    index: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    funding_rate: Decimal | None
    mark_age_ms: int | None
    book_age_ms: int | None
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsSeen:
    """The signals a decision used (table `signals`)."""

    decision_id: str
    instrument_id: str
    volatility_fast: float | None
    volatility_medium: float | None
    volatility_slow: float | None
    beta: float | None
    correlation_fast: float | None
    correlation_medium: float | None
    stress_ratio: float | None
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """One evaluation, whatever came of it (table `decision`)."""

    decision_id: str
    run_id: str
    account_id: str
    #: "cycle", "guard", "flatten" or "recovery".
    kind: str
    #: The clock slot of a cycle, else when it was made; ns.
    slot_ns: int
    decided_ns: int
    trading_state: str
    #: "traded", "unchanged", "skipped" or "blocked".
    action: str
    #: Reason codes in the order the rules spoke; never empty.
    reasons: tuple[str, ...]
    #: One sentence for a person.
    summary: str
    strategy_version: str
    equity: Decimal | None
    #: Gross / equity at the decision; None = not computable or infinite.
    leverage: Decimal | None
    #: Highest leverage seen since the cycle before.
    leverage_max: Decimal | None
    #: Canonical JSON: everything the rules were given.
    inputs: str
    #: Canonical JSON: everything they answered.
    outputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionEnded:
    """What became of a decision (table `decision_outcome`)."""

    decision_id: str
    run_id: str
    #: "done", "unwound", "incomplete", "interrupted" or "nothing_to_do".
    outcome: str
    #: One sentence for a person.
    summary: str
    orders_sent: int
    orders_filled: int
    leverage: Decimal | None
    leverage_max: Decimal | None
    ended_ns: int
    #: Seconds the whole leading leg would have stood alone for the same exposure; None = no pair.
    naked_leg_seconds: Decimal | None = None
    #: Net beta exposure beyond the plan x seconds, quote x seconds; None = no pair.
    naked_notional_seconds: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOpened:
    """Legs that must be traded together, before the first of them (table `pair`)."""

    decision_id: str
    run_id: str
    account_id: str
    #: Net beta exposure while only the leading leg is traded, quote.
    notional: Decimal
    #: Seconds that exposure may stand.
    naked_leg_seconds: Decimal
    #: Canonical JSON of `engine.pairing.Pair`; a restart goes on from it.
    body: str
    opened_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentWritten:
    """An order about to be sent (table `order_intent`)."""

    client_order_id: str
    decision_id: str
    run_id: str
    account_id: str
    epoch: int
    instrument_id: str
    leg: str
    source: str
    side: str
    quantity: Decimal
    kind: str
    price_limit: Decimal | None
    time_in_force: str
    reduce_only: bool
    attempt: int
    leverage_worst: Decimal | None
    created_ns: int
    expires_ns: int
    #: True = it may only wait in the book, never take from it.
    post_only: bool = False
    #: Mark at which the venue sends it, quote per base; None = at once.
    trigger_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDenied:
    """Risk refused an intent (table `order_denial`)."""

    decision_id: str
    run_id: str
    instrument_id: str
    side: str
    quantity: Decimal
    #: `risk.denials.DenialReason` value.
    reason: str
    #: The figures that spoke, canonical JSON.
    body: str
    denied_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEventSeen:
    """One step in an order's life (table `order_event`)."""

    event_id: str
    #: None = foreign order.
    client_order_id: str | None
    venue_order_id: str | None
    run_id: str
    instrument_id: str
    state: str
    source: str
    filled_quantity: Decimal | None
    average_price: Decimal | None
    code: str | None
    message: str
    event_ns: int
    recorded_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillSeen:
    """An execution (table `fill`), unique by account, instrument and the venue's fill id."""

    account_id: str
    instrument_id: str
    fill_id: str
    run_id: str
    client_order_id: str | None
    venue_order_id: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: str | None
    realised_pnl: Decimal | None
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSeen:
    """A position after something changed it (table `position`)."""

    position_event_id: str
    run_id: str
    account_id: str
    instrument_id: str
    #: Signed base units; 0 = flat.
    quantity: Decimal
    entry_price: Decimal | None
    mark: Decimal | None
    unrealised_pnl: Decimal | None
    liquidation_price: Decimal | None
    #: "fill", "stream", "start", "cycle", "reconnect", "drift".
    cause: str
    event_ns: int
    recorded_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EquitySeen:
    """Cash and risk of the account at one moment (table `equity`)."""

    equity_event_id: str
    run_id: str
    account_id: str
    wallet_balance: Decimal
    equity: Decimal
    venue_equity: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    leverage: Decimal | None
    leverage_max: Decimal | None
    unit_nav: Decimal | None
    cause: str
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSeen:
    """A funding payment (table `funding`), positive = received by us."""

    account_id: str
    payment_id: str
    run_id: str
    instrument_id: str
    payment: Decimal
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSeen:
    """A deposit or withdrawal (table `transfer`), positive = into the account."""

    account_id: str
    #: The venue's id: the same transfer is one row, however often it is told.
    transfer_id: str
    run_id: str
    transfer: Decimal
    event_ns: int
    #: When the engine took it; the decisions after it count it.
    recorded_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen:
    """The venue's clock against ours (table `clock`)."""

    clock_event_id: str
    run_id: str
    #: Venue clock minus ours, ms; None = not measured for too long.
    offset_ms: float | None
    #: True = too far off for anything to increase.
    refused: bool
    measured_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlHandled:
    """What the daemon did with an operator's wish (table `control_ack`)."""

    control_id: str
    run_id: str
    action: str
    actor: str
    reason: str
    #: "done", "refused" or "unchanged".
    result: str
    message: str
    trading_state: str
    handled_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged:
    """The daemon may do more or less than before (table `trading_state`)."""

    run_id: str
    account_id: str
    trading_state: str
    #: What holds it there: "operator", "database", "drift", ...; empty = nothing.
    causes: tuple[str, ...]
    changed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened:
    """Something a person must know (table `incident`)."""

    incident_id: str
    run_id: str
    #: "warning", "error" or "critical".
    severity: str
    #: Fixed name, "position.drift".
    kind: str
    summary: str
    #: Canonical JSON of the figures.
    body: str
    opened_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryKept:
    """The strategy's memory after a decision, read back at the next start (table `memory`)."""

    decision_id: str
    run_id: str
    account_id: str
    strategy_version: str
    body: str
    kept_ns: int


Record = (
    RunStarted
    | RunEnded
    | ConfigurationUsed
    | AttestationSeen
    | InstrumentSeen
    | MarketSeen
    | SignalsSeen
    | DecisionMade
    | DecisionEnded
    | PairOpened
    | IntentWritten
    | OrderDenied
    | OrderEventSeen
    | FillSeen
    | PositionSeen
    | EquitySeen
    | FundingSeen
    | TransferSeen
    | ClockSeen
    | ControlHandled
    | TradingStateChanged
    | IncidentOpened
    | MemoryKept
)
