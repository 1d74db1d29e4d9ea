"""Positions, balances and what the venue says about them."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from counterpoise.domain.instruments import InstrumentTerms
from counterpoise.domain.orders import OrderState, Side


class TradingState(StrEnum):
    """What the daemon may do (see `engine.trading_state` for the moves between them)."""

    #: Trades both ways.
    ACTIVE = "active"
    #: Only lowers risk.
    REDUCING = "reducing"
    #: No strategy orders; cancels, the guard and an operator's flatten still work.
    HALTED = "halted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One held position."""

    #: Instrument held.
    instrument_id: str
    #: Signed base units, + long; 0 = flat.
    quantity: Decimal
    #: Average entry price, quote; None exactly when flat.
    entry_price: Decimal | None
    #: Unrealised PnL at mark as the venue reports it, quote; None = not reported.
    unrealised_pnl: Decimal | None = None
    #: Liquidation price as the venue estimates it, quote; None = none or not reported.
    liquidation_price: Decimal | None = None
    #: Venue clock of the last change, ns.
    event_ns: int = 0
    #: The venue's number of the last execution in it, which orders fills and positions where
    #: milliseconds do not (OKX `tradeId`); None = not told, or not an execution's number.
    trade_sequence: int | None = None
    #: Mark the venue valued it at, quote; None = not told. Only for what no stream gives a mark.
    mark: Decimal | None = None
    #: Place in the venue's queue for auto-deleveraging, 1 (last) to 5 (next); None = not told.
    adl_rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTrigger:
    """An order the venue holds back until a price is reached; it binds and reserves nothing."""

    #: Ours; None = foreign or sent without one.
    client_order_id: str | None
    #: The venue's id of it; the order it makes may have another.
    venue_order_id: str
    #: Instrument.
    instrument_id: str
    #: Direction of the order to come.
    side: Side
    #: Base units; None = all there is to close then.
    quantity: Decimal | None
    #: Quote per base; None = not told: a trailing order that has not begun, or one that waits
    #: for a time.
    trigger_price: Decimal | None
    #: True = it cannot open or grow a position.
    reduce_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that may still fill, whoever sent it."""

    #: Ours; None = foreign or sent without one.
    client_order_id: str | None
    #: None while the venue has not answered.
    venue_order_id: str | None
    #: Instrument.
    instrument_id: str
    #: Direction.
    side: Side
    #: Base units ordered.
    quantity: Decimal
    #: Base units filled so far.
    filled_quantity: Decimal
    #: Quote; None = market.
    price_limit: Decimal | None
    #: True = cannot grow the position.
    reduce_only: bool
    #: Lifecycle state; never a terminal one.
    state: OrderState

    @property
    def remaining(self) -> Decimal:
        """Base units that may still fill."""
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Cash and margin of the account in its settlement currency."""

    #: Settlement currency, "USDT".
    currency: str
    #: Cash without unrealised PnL, quote.
    wallet_balance: Decimal
    #: Cash + unrealised PnL at mark as the venue figures it, quote.
    equity: Decimal
    #: Quote; None = not reported.
    available_margin: Decimal | None
    #: Quote; None = not reported.
    initial_margin: Decimal | None
    #: Quote; None = not reported.
    maintenance_margin: Decimal | None
    #: Venue clock, ns.
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """The whole account as the venue's REST answers it; truth at `event_ns`."""

    #: The venue's own name of the account (OKX uid).
    account_id: str
    #: Cash and margin.
    balance: Balance
    #: Every position that is not flat.
    positions: tuple[Position, ...]
    #: Every open order.
    open_orders: tuple[OpenOrder, ...]
    #: Venue clock of the balance, ns.
    event_ns: int
    #: Venue clock when positions were asked for: every earlier execution is in them, ns; 0 = not
    #: known, `event_ns` counts.
    positions_ns: int = 0
    #: Our clock when the last answer arrived, ns.
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What the venue says of the account's set-up, checked before anything trades."""

    #: The venue's own name of the account.
    account_id: str
    #: True = one signed position per instrument (net, one-way).
    one_way: bool
    #: True = margin shared by all positions.
    cross_margin: bool
    #: Leverage setting per instrument; None = not reported.
    leverage_settings: dict[str, Decimal | None]
    #: Permissions of the key as the venue names them ("trade", "read_only", "withdraw").
    permissions: tuple[str, ...]
    #: Taker fee, bps; None = not reported.
    taker_fee_bps: Decimal | None
    #: Venue clock minus ours, ms.
    clock_offset_ms: float
    #: Maker fee, bps, negative = rebate; None = not reported.
    maker_fee_bps: Decimal | None = None
    #: Fee level as the venue names it ("Lv1"); "" = not reported.
    fee_tier: str = ""
    #: Account mode as the venue names it (OKX `acctLv`); "" = the venue has none.
    account_mode: str = ""
    #: Why that mode cannot carry a hedged book, and the remedy; "" = it can.
    account_mode_fault: str = ""
    #: True = `Venue.set_modes` ends that fault on a flat account.
    account_mode_settable: bool = False
    #: True = other assets than the settlement currency count as margin; None = not reported.
    multi_asset: bool | None = None
    #: True = the key works from named addresses only; None = not reported.
    ip_bound: bool | None = None
    #: Hours from one funding to the next per instrument; None = not reported.
    funding_interval_hours: dict[str, Decimal | None] = field(default_factory=dict)
    #: Upper ends of margin tiers where the venue counts them in quantity, base units, smallest
    #: first (None = no end). For an instrument that is not there they are notional.
    tier_quantities: dict[str, tuple[Decimal | None, ...]] = field(default_factory=dict)
    #: The instruments' rules of the same moment; empty = not asked together with the account.
    instruments: tuple[InstrumentTerms, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedDifference:
    """Something attested at the start that the venue says otherwise now."""

    #: What it is: "fee_tier", "BTCUSDT.tick_size".
    field: str
    #: As it was attested at the start.
    expected: str
    #: As the venue says it now.
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """What a decision may know of the account: positions at a moment, and why not if unknown."""

    #: Quote, at mark, as invariant 1 defines it; None = unknown, and nothing may increase.
    equity: Decimal | None
    #: Quote; None = unknown.
    wallet_balance: Decimal | None
    #: Signed base units per instrument; an instrument that is not there is flat.
    quantities: dict[str, Decimal]
    #: Average entry per held instrument, quote per base.
    entry_prices: dict[str, Decimal]
    #: Deposits minus withdrawals since the decision before, quote; buys or sells NAV units.
    transfers: Decimal
    #: Age of the last proof of life of the account stream, ms; None = never.
    age_ms: int | None
    #: Codes of what is missing ("ACCOUNT_STALE"); empty = complete.
    missing: tuple[str, ...]
    #: Place of held instruments in the queue for auto-deleveraging, 1 (last) to 5 (next); one that
    #: is not there is not known.
    adl_ranks: dict[str, int] = field(default_factory=dict)
