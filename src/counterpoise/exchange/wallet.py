"""An account's books: cash, positions, bills and fills, and how a trade moves them."""

from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.exchange.accounts import Bill, BillKind
from counterpoise.exchange.modes import PositionMode, PositionSide, SelfTradeMode, position_key
from counterpoise.exchange.orders import ExchangeFill

#: Fills and bills kept per account; the oldest are forgotten.
FILLS_MAX: Final = 5_000
BILLS_MAX: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as booked, without any market figure."""

    instrument_id: str
    #: Signed base units; 0 = flat.
    quantity: Decimal = Decimal(0)
    #: Average entry, quote per base; 0 while flat.
    entry_price: Decimal = Decimal(0)
    #: Realised PnL with fees and funding since it was opened from flat, quote.
    realised_pnl: Decimal = Decimal(0)
    #: When it was opened from flat, ns.
    opened_ns: int = 0
    #: Last change, ns.
    changed_ns: int = 0
    #: Trade counter of the last fill.
    last_trade_sequence: int = 0
    #: NET in one-way mode; LONG or SHORT in hedge mode.
    position_side: PositionSide = PositionSide.NET

    @property
    def key(self) -> str:
        """Its name among the account's positions."""
        return position_key(self.instrument_id, self.position_side)

    def unrealised_pnl(self, mark: Decimal) -> Decimal:
        """Return quote at a mark."""
        return self.quantity * (mark - self.entry_price)


def traded(
    holding: Holding, signed_quantity: Decimal, price: Decimal, event_ns: int
) -> tuple[Holding, Decimal]:
    """Return the position after a trade and the PnL it realised; averages up, realises down."""
    before, after = holding.quantity, holding.quantity + signed_quantity
    if before * signed_quantity >= 0:
        cost = before * holding.entry_price + signed_quantity * price
        opened_ns = holding.opened_ns if before else event_ns
        realised_before = holding.realised_pnl if before else Decimal(0)
        grown = replace(
            holding, quantity=after, entry_price=cost / after, opened_ns=opened_ns,
            changed_ns=event_ns, realised_pnl=realised_before,
        )  # fmt: skip
        return grown, Decimal(0)
    closed = min(abs(before), abs(signed_quantity)).copy_sign(before)
    realised = closed * (price - holding.entry_price)
    total = holding.realised_pnl + realised
    if after == 0:
        entry, opened_ns = Decimal(0), holding.opened_ns
    elif after * before > 0:
        entry, opened_ns = holding.entry_price, holding.opened_ns
    else:
        entry, opened_ns, total = price, event_ns, Decimal(0)
    shrunk = replace(
        holding, quantity=after, entry_price=entry, opened_ns=opened_ns,
        changed_ns=event_ns, realised_pnl=total,
    )  # fmt: skip
    return shrunk, realised


class Wallet:
    """The mutable books of one account."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        #: Cash, quote.
        self.balance = Decimal(0)
        #: Positions ever held by `position_key`, flat ones included.
        self.holdings: dict[str, Holding] = {}
        #: Leverage settings made; an instrument that is not there has the venue's start value.
        self.leverage_settings: dict[str, Decimal] = {}
        #: Position modes set, by instrument; one that is not there has the venue's start value.
        self.position_modes: dict[str, PositionMode] = {}
        #: What the account's takers do on meeting its own orders; None = the venue's start value.
        self.self_trade: SelfTradeMode | None = None
        #: Fee level; 0 pays most.
        self.fee_level = 0
        self.fills: deque[ExchangeFill] = deque(maxlen=FILLS_MAX)
        self.bills: deque[Bill] = deque(maxlen=BILLS_MAX)

    def holding(
        self, instrument_id: str, position_side: PositionSide = PositionSide.NET
    ) -> Holding:
        """Return the position, flat if there is none."""
        held = self.holdings.get(position_key(instrument_id, position_side))
        return held or Holding(instrument_id=instrument_id, position_side=position_side)

    def held(self) -> list[Holding]:
        """Return positions that are not flat."""
        return [each for each in self.holdings.values() if each.quantity]

    def post(
        self, bill_id: str, kind: BillKind, event_ns: int, *, instrument_id: str | None = None,
        fee: Decimal = Decimal(0), realised_pnl: Decimal = Decimal(0),
        transfer: Decimal = Decimal(0), fill_id: str | None = None,
        funding_rate: Decimal | None = None, position_side: PositionSide = PositionSide.NET,
    ) -> Bill:  # fmt: skip
        """Move the balance by realised PnL - fee + transfer and write the bill."""
        change = realised_pnl - fee + transfer
        self.balance += change
        key = None if instrument_id is None else position_key(instrument_id, position_side)
        if key is not None and key in self.holdings:
            holding, extra = self.holdings[key], transfer - fee
            self.holdings[key] = replace(holding, realised_pnl=holding.realised_pnl + extra)
        bill = Bill(
            bill_id=bill_id,
            account_id=self.account_id,
            kind=kind,
            instrument_id=instrument_id,
            change=change,
            fee=fee,
            realised_pnl=realised_pnl,
            wallet_balance=self.balance,
            fill_id=fill_id,
            funding_rate=funding_rate,
            event_ns=event_ns,
        )
        self.bills.append(bill)
        return bill

    def save(self, *, history: bool = True) -> dict[str, Any]:
        """Return the books as JSON-able figures that read back exactly.

        Without `history` the fills and bills, which are only ever added to, are left out.
        """
        saved: dict[str, Any] = msgspec.to_builtins(
            {
                "balance": self.balance,
                "holdings": list(self.holdings.values()),
                "leverage_settings": self.leverage_settings,
                "position_modes": self.position_modes,
                "self_trade": self.self_trade,
                "fee_level": self.fee_level,
                "fills": list(self.fills) if history else [],
                "bills": list(self.bills) if history else [],
            }
        )
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave; an older version gave less."""
        self.balance = Decimal(saved["balance"])
        self.holdings = {
            each.key: each for each in msgspec.convert(saved["holdings"], list[Holding])
        }
        self.leverage_settings = msgspec.convert(saved["leverage_settings"], dict[str, Decimal])
        self.position_modes = msgspec.convert(
            saved.get("position_modes", {}), dict[str, PositionMode]
        )
        self.self_trade = msgspec.convert(saved.get("self_trade"), SelfTradeMode | None)
        self.fee_level = int(saved.get("fee_level", 0))
        self.fills.extend(msgspec.convert(saved["fills"], list[ExchangeFill]))
        self.bills.extend(msgspec.convert(saved["bills"], list[Bill]))
