"""Everything the modelled venue tells. `event_ns` is its clock."""

from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.orders import Side
from counterpoise.exchange.accounts import BillKind, PositionState
from counterpoise.exchange.modes import PositionMode, PositionSide
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.exchange.quotes import BookLevel
from counterpoise.exchange.triggers import TriggerOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanged:
    """Levels that changed since the last such event of the instrument."""

    instrument_id: str
    #: Best first; quantity 0 = the level is gone.
    bids: tuple[BookLevel, ...]
    #: Best first; quantity 0 = the level is gone.
    asks: tuple[BookLevel, ...]
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkChanged:
    """Mark or index moved by at least a tick."""

    instrument_id: str
    #: Quote per base.
    mark: Decimal
    #: Quote per base.
    index: Decimal
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRateChanged:
    """The next funding rate moved, or an interval began."""

    instrument_id: str
    #: Fraction per interval; > 0: longs pay shorts.
    rate: Decimal
    #: When it is charged, ns.
    funding_ns: int
    #: Hours.
    interval_hours: int
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePrinted:
    """Somebody traded."""

    instrument_id: str
    #: The instrument's trade counter.
    trade_sequence: int
    #: Quote per base.
    price: Decimal
    #: Base units.
    quantity: Decimal
    #: The taker's direction.
    side: Side
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """An order was taken, filled, cut or ended."""

    account_id: str
    #: As it is after the change.
    order: ExchangeOrder
    #: What filled; None = no fill in this change.
    fill: ExchangeFill | None
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerChanged:
    """A trigger order was taken, amended, reached or ended."""

    account_id: str
    #: As it is after the change.
    trigger: TriggerOrder
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged:
    """A fill or a liquidation changed a position; quantity 0 = closed."""

    account_id: str
    position: PositionState
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletChanged:
    """Cash moved."""

    account_id: str
    #: Why.
    cause: BillKind
    #: Quote added.
    change: Decimal
    #: Quote afterwards.
    wallet_balance: Decimal
    #: The bill that says so.
    bill_id: str
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingCharged:
    """Funding was paid or received."""

    account_id: str
    instrument_id: str
    #: Quote, positive = received by the account.
    payment: Decimal
    #: Fraction; > 0: longs pay shorts.
    rate: Decimal
    #: The bill that says so.
    bill_id: str
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidated:
    """The venue closed a position because equity fell to the maintenance margin."""

    account_id: str
    instrument_id: str
    #: Direction of the closing trade.
    side: Side
    #: Base units closed.
    quantity: Decimal
    #: Quote per base: the mark, the book's, or the bankruptcy price of a takeover.
    price: Decimal
    #: Liquidation fee, quote.
    fee: Decimal
    #: Its row in the fills, with a negative trade counter.
    fill: ExchangeFill
    #: The venue's own order, as it is after this fill.
    order: ExchangeOrder
    event_ns: int
    position_side: PositionSide = PositionSide.NET


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationPrinted:
    """The venue closed somebody's position: a trader of the background ran out of margin."""

    instrument_id: str
    #: Direction of the closing trade.
    side: Side
    #: Base units closed.
    quantity: Decimal
    #: Quote per base: what the book gave.
    price: Decimal
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleveraged:
    """The venue closed a position, or part of it, by ADL or at a delisting; no order was told."""

    account_id: str
    instrument_id: str
    position_side: PositionSide
    #: Direction of the closing trade.
    side: Side
    #: Base units closed.
    quantity: Decimal
    #: Quote per base.
    price: Decimal
    #: Its row in the fills, with a negative trade counter.
    fill: ExchangeFill
    #: The venue's own order, as it is after this fill; its category says why.
    order: ExchangeOrder
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentChanged:
    """Rules or state of an instrument changed."""

    #: As it is after the change; SUSPENDED when delisted.
    instrument: Instrument
    #: True = it is gone: the venue does not know it any more.
    delisted: bool
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged:
    """An account's leverage setting or position mode in an instrument changed."""

    account_id: str
    instrument_id: str
    leverage_setting: Decimal
    position_mode: PositionMode
    event_ns: int


ExchangeEvent = (
    BookChanged
    | MarkChanged
    | FundingRateChanged
    | TradePrinted
    | OrderChanged
    | TriggerChanged
    | PositionChanged
    | WalletChanged
    | FundingCharged
    | Liquidated
    | LiquidationPrinted
    | Deleveraged
    | InstrumentChanged
    | SettingsChanged
)
