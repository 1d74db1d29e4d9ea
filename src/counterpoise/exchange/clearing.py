"""The venue's clearing house: margin of accounts, settlement of trades, funding and seizure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.orders import Liquidity
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange import margin
from counterpoise.exchange.accounts import AccountState, Bill, BillKind, PositionState
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder, OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters
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
        self._instruments: dict[str, Instrument] = {
            each.instrument.instrument_id: each.instrument for each in parameters.instruments
        }
        #: Current mark per instrument, kept by the exchange.
        self.marks: dict[str, Decimal] = {}
        self.wallets: dict[str, Wallet] = {}
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
        instrument = self.instrument(instrument_id)
        highest = 1 / instrument.tiers[0].initial_margin_fraction
        if not leverage.is_finite() or not 1 <= leverage <= highest:
            message = f"leverage={leverage} is not within 1 and {highest:f}"
            raise OrderRefused(RefusalReason.LEVERAGE_INVALID, message)
        wallet, open_orders = self.wallet(account_id), list(orders)
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

    def instrument(self, instrument_id: str) -> Instrument:
        """Return an instrument's rules. OrderRefused: the venue does not list it."""
        instrument = self._instruments.get(instrument_id)
        if instrument is None:
            raise OrderRefused(RefusalReason.INSTRUMENT_UNKNOWN, f"{instrument_id!r}")
        return instrument

    def figures(self, wallet: Wallet, orders: Iterable[ExchangeOrder]) -> Figures:
        """Return an account's margin at mark, with orders that may still fill."""
        unrealised = position_margin = order_margin = maintenance = ZERO
        buys: dict[str, Decimal] = {}
        sells: dict[str, Decimal] = {}
        for order in orders:
            if not order.reduce_only:
                side = buys if order.side.sign > 0 else sells
                side[order.instrument_id] = side.get(order.instrument_id, ZERO) + order.remaining
        held = {each.instrument_id: each for each in wallet.held()}
        for instrument_id in sorted({*held, *buys, *sells}):
            holding, mark = wallet.holding(instrument_id), self.marks[instrument_id]
            size = abs(holding.quantity)
            worst = max(
                abs(holding.quantity + buys.get(instrument_id, ZERO)),
                abs(holding.quantity - sells.get(instrument_id, ZERO)),
                size,
            )
            bound = self._initial(wallet, instrument_id, size * mark)
            position_margin += bound
            order_margin += self._initial(wallet, instrument_id, worst * mark) - bound
            tiers = self._instruments[instrument_id].tiers
            maintenance += margin.maintenance_margin(tiers, size * mark)
            unrealised += holding.unrealised_pnl(mark)
        return Figures(
            wallet_balance=wallet.balance,
            unrealised_pnl=unrealised,
            position_margin=position_margin,
            order_margin=order_margin,
            maintenance_margin=maintenance,
        )

    def account(
        self, account_id: str, orders: tuple[ExchangeOrder, ...], event_ns: int
    ) -> AccountState:
        """Return an account at mark."""
        wallet = self.wallet(account_id)
        figures = self.figures(wallet, orders)
        positions = {
            each.instrument_id: self._position(wallet, each, figures) for each in wallet.held()
        }
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
        )

    def position(self, account_id: str, instrument_id: str) -> PositionState:
        """Return one position at mark, flat or not."""
        wallet = self.wallet(account_id)
        return self._position(wallet, wallet.holding(instrument_id), self.figures(wallet, ()))

    def settle(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, *,
        trade_sequence: int, liquidity: Liquidity, event_ns: int,
    ) -> tuple[ExchangeFill, Bill]:  # fmt: skip
        """Book an execution of an order: position, PnL and fee."""
        maker = liquidity is Liquidity.MAKER
        parameters = self._parameters
        fee_bps = parameters.maker_fee_bps if maker else parameters.taker_fee_bps
        return self._book(
            order, quantity, price, fee_bps, BillKind.TRADE,
            trade_sequence=trade_sequence, liquidity=liquidity, event_ns=event_ns,
        )  # fmt: skip

    def seize(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, event_ns: int
    ) -> tuple[ExchangeFill, Bill]:
        """Book a liquidation: its trade counter is negative and the position's does not move."""
        return self._book(
            order, quantity, price, self._parameters.liquidation_fee_bps, BillKind.LIQUIDATION,
            trade_sequence=-(self._bill_number + 1), liquidity=Liquidity.TAKER, event_ns=event_ns,
        )  # fmt: skip

    def insure(self, account_id: str, event_ns: int) -> Bill | None:
        """Lift a bankrupt account back to zero; None = it is not bankrupt."""
        wallet = self.wallet(account_id)
        if wallet.balance >= 0:
            return None
        return wallet.post(
            self._next_bill(), BillKind.INSURANCE, event_ns, transfer=-wallet.balance
        )

    def charge_funding(
        self, wallet: Wallet, instrument_id: str, rate: Decimal, event_ns: int
    ) -> Bill | None:
        """Charge a position its funding; None = there is no position."""
        holding = wallet.holding(instrument_id)
        if not holding.quantity:
            return None
        payment = margin.funding_payment(holding.quantity, self.marks[instrument_id], rate)
        return wallet.post(
            self._next_bill(), BillKind.FUNDING, event_ns,
            instrument_id=instrument_id, transfer=payment, funding_rate=rate,
        )  # fmt: skip

    def save(self) -> dict[str, Any]:
        """Return the books as JSON-able figures that read back exactly."""
        accounts = {
            account_id: {
                "balance": wallet.balance,
                "holdings": list(wallet.holdings.values()),
                "leverage_settings": wallet.leverage_settings,
                "fills": list(wallet.fills),
                "bills": list(wallet.bills),
            }
            for account_id, wallet in self.wallets.items()
        }
        saved: dict[str, Any] = msgspec.to_builtins(
            {"bill_number": self._bill_number, "accounts": accounts}
        )
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._bill_number = int(saved["bill_number"])
        for account_id, state in saved["accounts"].items():
            wallet = self.wallets[account_id] = Wallet(account_id)
            wallet.balance = Decimal(state["balance"])
            for holding in msgspec.convert(state["holdings"], list[Holding]):
                wallet.holdings[holding.instrument_id] = holding
            wallet.leverage_settings = msgspec.convert(
                state["leverage_settings"], dict[str, Decimal]
            )
            wallet.fills.extend(msgspec.convert(state["fills"], list[ExchangeFill]))
            wallet.bills.extend(msgspec.convert(state["bills"], list[Bill]))

    def _book(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, fee_bps: Decimal,
        kind: BillKind, *, trade_sequence: int, liquidity: Liquidity, event_ns: int,
    ) -> tuple[ExchangeFill, Bill]:  # fmt: skip
        wallet, instrument_id = self.wallet(order.account_id), order.instrument_id
        holding, realised = traded(
            wallet.holding(instrument_id), quantity * order.side.sign, price, event_ns
        )
        if trade_sequence > 0:
            holding = replace(holding, last_trade_sequence=trade_sequence)
        wallet.holdings[instrument_id] = holding
        fee = quantity * price * fee_bps / BPS_PER_ONE
        fill_id = str(trade_sequence)
        bill = wallet.post(
            self._next_bill(), kind, event_ns,
            instrument_id=instrument_id, fee=fee, realised_pnl=realised, fill_id=fill_id,
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
        )
        wallet.fills.append(fill)
        return fill, bill

    def _position(self, wallet: Wallet, holding: Holding, figures: Figures) -> PositionState:
        instrument_id = holding.instrument_id
        mark, tiers = self.marks[instrument_id], self._instruments[instrument_id].tiers
        notional = abs(holding.quantity) * mark
        maintenance = margin.maintenance_margin(tiers, notional)
        unrealised = holding.unrealised_pnl(mark)
        liquidation_price = None
        if holding.quantity:
            others = figures.equity - unrealised - (figures.maintenance_margin - maintenance)
            liquidation_price = margin.liquidation_price(
                tiers, holding.quantity, holding.entry_price, others, mark
            )
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
        )

    def _initial(self, wallet: Wallet, instrument_id: str, notional: Decimal) -> Decimal:
        leverage = self.leverage_setting(wallet.account_id, instrument_id)
        tiers = self._instruments[instrument_id].tiers
        return margin.initial_margin(tiers, notional, leverage)

    def _next_bill(self) -> str:
        self._bill_number += 1
        return str(self._bill_number)
