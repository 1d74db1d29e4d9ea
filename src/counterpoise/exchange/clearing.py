"""The venue's clearing house: margin of accounts, settlement of trades, funding and seizure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.orders import Liquidity
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange import fees, funding, liquidation, margin
from counterpoise.exchange.accounts import AccountState, Bill, BillKind, PositionState
from counterpoise.exchange.listing import Listing
from counterpoise.exchange.modes import PositionMode, PositionSide, SelfTradeMode, position_key
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder, OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters, InstrumentParameters
from counterpoise.exchange.rules import BandRule
from counterpoise.exchange.wallet import Holding, Wallet, traded

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """An account's margin at mark, quote."""

    wallet_balance: Decimal
    unrealised_pnl: Decimal
    #: Of positions alone.
    position_margin: Decimal
    #: Of what open orders could add to positions.
    order_margin: Decimal
    maintenance_margin: Decimal
    #: Of liquidating all positions, where it must be covered too; 0 elsewhere.
    liquidation_fee: Decimal = ZERO

    @property
    def doomed(self) -> bool:
        """True if the account is to be liquidated."""
        return self.equity <= self.maintenance_margin + self.liquidation_fee

    @property
    def equity(self) -> Decimal:
        """Cash and unrealised PnL."""
        return self.wallet_balance + self.unrealised_pnl

    @property
    def initial_margin(self) -> Decimal:
        """Bound by positions and open orders."""
        return self.position_margin + self.order_margin


class Clearing:
    """All accounts' books against the current marks."""

    def __init__(self, parameters: ExchangeParameters) -> None:
        self._parameters = parameters
        self.listing = Listing(parameters)
        self._bands = {
            each.instrument.instrument_id: parameters.band(each) for each in parameters.instruments
        }
        #: Current mark per instrument, kept by the exchange.
        self.marks: dict[str, Decimal] = {}
        self.wallets: dict[str, Wallet] = {}
        #: What liquidations may cost the venue, quote; None = without end.
        self.insurance_fund = parameters.rules.insurance_fund_start
        self._bill_number = 0

    def open_account(self, account_id: str, deposit: Decimal, event_ns: int) -> None:
        """Open an account with cash. ValueError: it exists or the cash is negative."""
        if account_id in self.wallets:
            raise ValueError(f"account_id={account_id!r} exists")
        if deposit < 0:
            raise ValueError(f"wallet={deposit} is negative")
        wallet = self.wallets[account_id] = Wallet(account_id)
        wallet.post(self._next_bill(), BillKind.DEPOSIT, event_ns, transfer=deposit)

    def wallet(self, account_id: str) -> Wallet:
        """Return an account's books. OrderRefused: there is no such account."""
        wallet = self.wallets.get(account_id)
        if wallet is None:
            raise OrderRefused(RefusalReason.ACCOUNT_UNKNOWN, f"account_id={account_id!r}")
        return wallet

    def leverage_setting(self, account_id: str, instrument_id: str) -> Decimal:
        """Return what the account set, or the venue's start value."""
        settings = self.wallet(account_id).leverage_settings
        return settings.get(instrument_id, self._parameters.leverage_setting_start)

    def set_leverage(
        self, account_id: str, instrument_id: str, leverage: Decimal,
        orders: Iterable[ExchangeOrder],
    ) -> None:  # fmt: skip
        """Change a leverage setting. OrderRefused: not allowed, or the margin does not suffice."""
        wallet, open_orders = self.wallet(account_id), list(orders)
        highest = self.leverage_max(wallet, instrument_id, open_orders)
        if not leverage.is_finite() or not 1 <= leverage <= highest:
            message = f"leverage={leverage} is not within 1 and {highest:f}"
            raise OrderRefused(RefusalReason.LEVERAGE_INVALID, message)
        before = wallet.leverage_settings.get(instrument_id)
        margin_before = self.figures(wallet, open_orders).initial_margin
        wallet.leverage_settings[instrument_id] = leverage
        after = self.figures(wallet, open_orders)
        if after.initial_margin > max(margin_before, after.equity):
            if before is None:
                del wallet.leverage_settings[instrument_id]
            else:
                wallet.leverage_settings[instrument_id] = before
            message = f"initial_margin={after.initial_margin:f} equity={after.equity:f}"
            raise OrderRefused(RefusalReason.MARGIN_INSUFFICIENT, message)

    def leverage_max(
        self, wallet: Wallet, instrument_id: str, orders: Iterable[ExchangeOrder]
    ) -> Decimal:
        """Return the highest leverage setting: of the first tier, or of the position's own."""
        tiers = self.instrument(instrument_id).tiers
        if not self._parameters.rules.leverage_by_tier:
            return 1 / tiers[0].initial_margin_fraction
        worst = max((size for _, size in self._worst(wallet, orders, instrument_id)), default=ZERO)
        return margin.leverage_max(margin.tier_of(tiers, worst * self.marks[instrument_id]))

    def instrument(self, instrument_id: str) -> Instrument:
        """Return an instrument's rules. OrderRefused: the venue does not list it."""
        return self.listing.instrument(instrument_id)

    def put_market(self, market: InstrumentParameters) -> None:
        """List a market, or one with other rules in the place of the one that has its name."""
        self.listing.put(market.instrument)
        self._bands[market.instrument.instrument_id] = self._parameters.band(market)

    def band_rule(self, instrument_id: str) -> BandRule:
        """Return an instrument's price band rule. KeyError: unknown."""
        return self._bands[instrument_id]

    def position_mode(self, wallet: Wallet, instrument_id: str) -> PositionMode:
        """Return what the account set, or the venue's start value."""
        start = self._parameters.rules.position_mode_start
        return wallet.position_modes.get(instrument_id, start)

    def self_trade(self, wallet: Wallet) -> SelfTradeMode:
        """Return what the account set, or the venue's start value."""
        return wallet.self_trade or self._parameters.rules.self_trade_start

    def fee_bps(self, wallet: Wallet, liquidity: Liquidity) -> Decimal:
        """Return what an execution of the account costs, bps of notional."""
        return fees.fee_bps(self._parameters, wallet.fee_level, liquidity)

    def transfer(self, account_id: str, change: Decimal, free: Decimal, event_ns: int) -> Bill:
        """Book cash in (> 0) or out. OrderRefused: more would go out than `free`."""
        wallet = self.wallet(account_id)
        if not change.is_finite() or change == 0:
            raise ValueError(f"change={change} moves nothing")
        if -change > free:
            message = f"change={change} free={free:f}"
            raise OrderRefused(RefusalReason.WITHDRAWAL_TOO_LARGE, message)
        kind = BillKind.DEPOSIT if change > 0 else BillKind.WITHDRAWAL
        return wallet.post(self._next_bill(), kind, event_ns, transfer=change)

    def figures(self, wallet: Wallet, orders: Iterable[ExchangeOrder]) -> Figures:
        """Return an account's margin at mark, with orders that may still fill."""
        unrealised = position_margin = order_margin = maintenance = fee = ZERO
        for key, worst in self._worst(wallet, orders):
            holding = wallet.holdings.get(key)
            instrument_id = key.partition(":")[0]
            mark = self.marks[instrument_id]
            notional = ZERO if holding is None else abs(holding.quantity) * mark
            bound = self._initial(wallet, instrument_id, notional)
            position_margin += bound
            order_margin += self._initial(wallet, instrument_id, worst * mark) - bound
            maintenance += margin.maintenance_margin(self._tiers(instrument_id), notional)
            fee += self.liquidation_fee(notional)
            if holding is not None:
                unrealised += holding.unrealised_pnl(mark)
        return Figures(
            wallet_balance=wallet.balance,
            unrealised_pnl=unrealised,
            position_margin=position_margin,
            order_margin=order_margin,
            maintenance_margin=maintenance,
            liquidation_fee=fee if self._parameters.rules.liquidation.fee_counts else ZERO,
        )

    def liquidation_fee(self, notional: Decimal) -> Decimal:
        """Return what liquidating a notional costs its owner."""
        return notional * self._parameters.liquidation_fee_bps / BPS_PER_ONE

    def _worst(
        self, wallet: Wallet, orders: Iterable[ExchangeOrder], instrument_id: str | None = None
    ) -> list[tuple[str, Decimal]]:
        # Positions by key and the largest size they may come to once any order filled.
        buys: dict[str, Decimal] = {}
        sells: dict[str, Decimal] = {}
        for order in orders:
            if not order.reduce_only:
                side = buys if order.side.sign > 0 else sells
                key = position_key(order.instrument_id, order.position_side)
                side[key] = side.get(key, ZERO) + order.remaining
        held = {each.key: each.quantity for each in wallet.held()}
        return [
            (
                key,
                max(
                    abs(held.get(key, ZERO) + buys.get(key, ZERO)),
                    abs(held.get(key, ZERO) - sells.get(key, ZERO)),
                    abs(held.get(key, ZERO)),
                ),
            )
            for key in sorted({*held, *buys, *sells})
            if instrument_id is None or key.partition(":")[0] == instrument_id
        ]

    def account(
        self, account_id: str, orders: tuple[ExchangeOrder, ...], event_ns: int
    ) -> AccountState:
        """Return an account at mark."""
        wallet = self.wallet(account_id)
        figures = self.figures(wallet, orders)
        positions = {each.key: self._position(wallet, each, figures) for each in wallet.held()}
        return AccountState(
            account_id=account_id,
            wallet_balance=wallet.balance,
            equity=figures.equity,
            unrealised_pnl=figures.unrealised_pnl,
            initial_margin=figures.initial_margin,
            order_margin=figures.order_margin,
            maintenance_margin=figures.maintenance_margin,
            available_margin=figures.equity - figures.initial_margin,
            positions=positions,
            open_orders=orders,
            event_ns=event_ns,
            liquidation_fee=figures.liquidation_fee,
        )

    def position(
        self, account_id: str, instrument_id: str, position_side: PositionSide = PositionSide.NET
    ) -> PositionState:
        """Return one position at mark, flat or not."""
        wallet = self.wallet(account_id)
        holding = wallet.holding(instrument_id, position_side)
        return self._position(wallet, holding, self.figures(wallet, ()))

    def settle(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, *,
        trade_sequence: int, liquidity: Liquidity, event_ns: int,
    ) -> tuple[ExchangeFill, Bill]:  # fmt: skip
        """Book an execution of an order: position, PnL and fee."""
        fee_bps = self.fee_bps(self.wallet(order.account_id), liquidity)
        return self._book(
            order, quantity, price, fee_bps, BillKind.TRADE,
            trade_sequence=trade_sequence, liquidity=liquidity, event_ns=event_ns,
        )  # fmt: skip

    def seize(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, event_ns: int, *,
        kind: BillKind = BillKind.LIQUIDATION, fee_bps: Decimal | None = None,
    ) -> tuple[ExchangeFill, Bill]:  # fmt: skip
        """Book what the venue does: the trade counter is negative and the position's stays.

        `fee_bps` None = the liquidation fee, which goes to the insurance fund.
        """
        if fee_bps is None:
            fee_bps = self._parameters.liquidation_fee_bps
        fill, bill = self._book(
            order, quantity, price, fee_bps, kind, trade_sequence=-(self._bill_number + 1),
            liquidity=Liquidity.TAKER, event_ns=event_ns,
        )  # fmt: skip
        self.fund(fill.fee)
        return fill, bill

    def fund(self, change: Decimal) -> None:
        """Move the insurance fund; it may not go below zero."""
        if self.insurance_fund is not None:
            self.insurance_fund = max(ZERO, self.insurance_fund + change)

    def insure(self, account_id: str, event_ns: int) -> Bill | None:
        """Lift a bankrupt account back to zero; None = it is not bankrupt."""
        wallet = self.wallet(account_id)
        if wallet.balance >= 0:
            return None
        self.fund(wallet.balance)
        return wallet.post(
            self._next_bill(), BillKind.INSURANCE, event_ns, transfer=-wallet.balance
        )

    def charge_funding(
        self, wallet: Wallet, holding: Holding, rate: Decimal, event_ns: int
    ) -> Bill:
        """Charge a position its funding."""
        mark = self.marks[holding.instrument_id]
        payment = funding.funding_payment(holding.quantity, mark, rate)
        return wallet.post(
            self._next_bill(), BillKind.FUNDING, event_ns, instrument_id=holding.instrument_id,
            position_side=holding.position_side, transfer=payment, funding_rate=rate,
        )  # fmt: skip

    def save(self, *, history: bool = True) -> dict[str, Any]:
        """Return the books as JSON-able figures that read back exactly, or without past rows."""
        accounts = {name: wallet.save(history=history) for name, wallet in self.wallets.items()}
        saved: dict[str, Any] = msgspec.to_builtins(
            {
                "bill_number": self._bill_number,
                "accounts": accounts,
                "insurance_fund": self.insurance_fund,
                "listing": self.listing.save(),
            }
        )
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave; an older version gave less."""
        self._bill_number = int(saved["bill_number"])
        if saved.get("insurance_fund") is not None:
            self.insurance_fund = Decimal(saved["insurance_fund"])
        if "listing" in saved:
            self.listing.load(saved["listing"])
        for account_id, state in saved["accounts"].items():
            self.wallets[account_id] = Wallet(account_id)
            self.wallets[account_id].load(state)

    def _book(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, fee_bps: Decimal,
        kind: BillKind, *, trade_sequence: int, liquidity: Liquidity, event_ns: int,
    ) -> tuple[ExchangeFill, Bill]:  # fmt: skip
        wallet, instrument_id = self.wallet(order.account_id), order.instrument_id
        holding, realised = traded(
            wallet.holding(instrument_id, order.position_side),
            quantity * order.side.sign, price, event_ns,
        )  # fmt: skip
        if trade_sequence > 0:
            holding = replace(holding, last_trade_sequence=trade_sequence)
        wallet.holdings[holding.key] = holding
        fee = quantity * price * fee_bps / BPS_PER_ONE
        fill_id = str(trade_sequence)
        bill = wallet.post(
            self._next_bill(), kind, event_ns,
            instrument_id=instrument_id, fee=fee, realised_pnl=realised, fill_id=fill_id,
            position_side=order.position_side,
        )  # fmt: skip
        fill = ExchangeFill(
            fill_id=fill_id,
            trade_sequence=trade_sequence,
            bill_id=bill.bill_id,
            account_id=order.account_id,
            instrument_id=instrument_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            quantity=quantity,
            price=price,
            fee=fee,
            liquidity=liquidity,
            realised_pnl=realised,
            event_ns=event_ns,
            position_side=order.position_side,
        )
        wallet.fills.append(fill)
        return fill, bill

    def _position(self, wallet: Wallet, holding: Holding, figures: Figures) -> PositionState:
        instrument_id = holding.instrument_id
        mark, tiers = self.marks[instrument_id], self._tiers(instrument_id)
        notional = abs(holding.quantity) * mark
        maintenance = margin.maintenance_margin(tiers, notional)
        unrealised = holding.unrealised_pnl(mark)
        liquidation_price = bankruptcy_price = None
        if holding.quantity:
            liquidation_price = self._liquidation_price(wallet, holding, figures)
            bankruptcy = liquidation.bankruptcy_price(holding.quantity, mark, figures.equity)
            bankruptcy_price = bankruptcy if bankruptcy > 0 else None
        return PositionState(
            instrument_id=instrument_id,
            quantity=holding.quantity,
            entry_price=holding.entry_price if holding.quantity else None,
            unrealised_pnl=unrealised,
            mark=mark,
            liquidation_price=liquidation_price,
            leverage_setting=self.leverage_setting(wallet.account_id, instrument_id),
            initial_margin=self._initial(wallet, instrument_id, notional),
            maintenance_margin=maintenance,
            realised_pnl=holding.realised_pnl,
            opened_ns=holding.opened_ns,
            changed_ns=holding.changed_ns,
            last_trade_sequence=holding.last_trade_sequence,
            position_side=holding.position_side,
            bankruptcy_price=bankruptcy_price,
        )

    def _liquidation_price(
        self, wallet: Wallet, holding: Holding, figures: Figures
    ) -> Decimal | None:
        # All positions of the instrument move together: one, or both of hedge mode.
        instrument_id, mark = holding.instrument_id, self.marks[holding.instrument_id]
        tiers = self._tiers(instrument_id)
        others = figures.equity - figures.liquidation_fee - figures.maintenance_margin
        legs = []
        for each in wallet.held():
            if each.instrument_id == instrument_id:
                legs.append((each.quantity, each.entry_price))
                others -= each.unrealised_pnl(mark)
                others += margin.maintenance_margin(tiers, abs(each.quantity) * mark)
        if len(legs) > 1:
            return margin.liquidation_price_pair(tiers, legs, others, mark)
        return margin.liquidation_price(tiers, *legs[0], others, mark)

    def _initial(self, wallet: Wallet, instrument_id: str, notional: Decimal) -> Decimal:
        leverage = self.leverage_setting(wallet.account_id, instrument_id)
        tiers = self._tiers(instrument_id)
        return margin.initial_margin(tiers, notional, leverage)

    def _tiers(self, instrument_id: str) -> tuple[MarginTier, ...]:
        return self.listing.tiers(instrument_id)

    def _next_bill(self) -> str:
        self._bill_number += 1
        return str(self._bill_number)
