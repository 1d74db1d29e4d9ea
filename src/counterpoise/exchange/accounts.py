"""Accounts of the modelled venue as its clients may see them. Quote figures are USDT."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import ExchangeOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionState:
    """One position."""

    #: Instrument held.
    instrument_id: str
    #: Signed base units, + long; 0 = just closed.
    quantity: Decimal
    #: Average entry, quote per base; None exactly when flat.
    entry_price: Decimal | None
    #: Quote, at mark.
    unrealised_pnl: Decimal
    #: Quote per base.
    mark: Decimal
    #: Mark at which the whole account is liquidated if nothing else moves; None = none.
    liquidation_price: Decimal | None
    #: What the account set for the instrument.
    leverage_setting: Decimal
    #: Quote this position binds.
    initial_margin: Decimal
    #: Quote this position needs to live.
    maintenance_margin: Decimal
    #: Realised PnL since it was opened from flat, with fees and funding, quote.
    realised_pnl: Decimal
    #: When it was opened from flat, ns.
    opened_ns: int
    #: Venue clock of the last change, ns.
    changed_ns: int
    #: Trade counter of the last fill; unchanged by a liquidation (as OKX does it).
    last_trade_sequence: int
    #: NET in one-way mode; LONG or SHORT in hedge mode.
    position_side: PositionSide = PositionSide.NET
    #: Price at which closing it leaves the account nothing, quote per base; None = none, or flat.
    bankruptcy_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account at mark, now."""

    #: Name.
    account_id: str
    #: Cash, quote.
    wallet_balance: Decimal
    #: Cash + unrealised PnL at mark, quote.
    equity: Decimal
    #: Quote, at mark.
    unrealised_pnl: Decimal
    #: Quote bound by positions and open orders.
    initial_margin: Decimal
    #: Quote bound by open orders alone; part of `initial_margin`.
    order_margin: Decimal
    #: Quote; equity at or below it is liquidated.
    maintenance_margin: Decimal
    #: Equity - initial margin, quote; may be negative.
    available_margin: Decimal
    #: Positions that are not flat, by `modes.position_key`: the instrument in one-way mode.
    positions: dict[str, PositionState]
    #: Orders in the book, oldest first.
    open_orders: tuple[ExchangeOrder, ...]
    #: Venue clock, ns.
    event_ns: int
    #: Fee of liquidating everything where the venue wants it covered too (OKX), quote.
    liquidation_fee: Decimal = Decimal(0)


class BillKind(StrEnum):
    """Why a wallet moved."""

    DEPOSIT = "deposit"
    TRADE = "trade"
    FUNDING = "funding"
    LIQUIDATION = "liquidation"
    #: The venue's insurance fund lifted a bankrupt account back to zero.
    INSURANCE = "insurance"
    #: Cash was taken out.
    WITHDRAWAL = "withdrawal"
    #: The venue auto-deleveraged a position.
    ADL = "adl"
    #: A position was settled because its instrument was delisted.
    DELISTING = "delisting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One movement of a wallet; the sum of all `change` is the wallet balance."""

    #: Unique in the venue, growing.
    bill_id: str
    #: Whose it is.
    account_id: str
    #: Why.
    kind: BillKind
    #: None = no instrument's doing.
    instrument_id: str | None
    #: Quote added to the wallet: realised PnL - fee, funding payment or transfer.
    change: Decimal
    #: Quote, positive = paid.
    fee: Decimal
    #: Quote, without fee.
    realised_pnl: Decimal
    #: Quote in the wallet afterwards.
    wallet_balance: Decimal
    #: The execution behind it; None = none.
    fill_id: str | None
    #: Fraction per interval of a funding bill; None = no funding.
    funding_rate: Decimal | None
    #: Venue clock, ns.
    event_ns: int
