"""Positions, cash and income as Binance's rows. Position margin is always cross."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import Side
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange.accounts import AccountState, Bill, BillKind, PositionState
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import ExchangeOrder
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.order_rows import POSITION_SIDES
from counterpoise.simulator.binance.symbols import CURRENCY, money, quotient, text

_ZERO: Final = Decimal(0)


def break_even(position: PositionState, taker_fee_bps: Decimal) -> Decimal:
    """Return the price at which closing pays the entry and its fee, quote per base."""
    if position.entry_price is None:
        return _ZERO
    sign = 1 if position.quantity > 0 else -1
    return position.entry_price * (1 + sign * taker_fee_bps / BPS_PER_ONE)


def _order_notional(orders: tuple[ExchangeOrder, ...], side: Side, mark: Decimal) -> Decimal:
    return sum(
        (each.remaining * (each.price_limit or mark) for each in orders if each.side is side),
        _ZERO,
    )


def risk_row(
    position: PositionState,
    orders: tuple[ExchangeOrder, ...],
    taker_fee_bps: Decimal,
    adl_quantile: int,
) -> Row:
    """Return a position as positionRisk v3 has it: without leverage and margin type."""
    liquidation = position.liquidation_price
    return {
        "symbol": position.instrument_id,
        "positionSide": POSITION_SIDES[position.position_side],
        "positionAmt": text(position.quantity),
        "entryPrice": text(position.entry_price or _ZERO),
        "breakEvenPrice": quotient(break_even(position, taker_fee_bps)),
        "markPrice": money(position.mark),
        "unRealizedProfit": money(position.unrealised_pnl),
        "liquidationPrice": "0" if liquidation is None else quotient(liquidation),
        "isolatedMargin": "0",
        "notional": money(position.quantity * position.mark),
        "marginAsset": CURRENCY,
        "isolatedWallet": "0",
        "initialMargin": quotient(position.initial_margin),
        "maintMargin": quotient(position.maintenance_margin),
        "positionInitialMargin": quotient(position.initial_margin),
        "openOrderInitialMargin": "0",
        "adl": adl_quantile,
        "bidNotional": text(_order_notional(orders, Side.BUY, position.mark)),
        "askNotional": text(_order_notional(orders, Side.SELL, position.mark)),
        "updateTime": symbols.milliseconds(position.changed_ns),
    }


def flat_position(
    instrument_id: str, position_side: PositionSide, mark: Decimal, leverage_setting: Decimal
) -> PositionState:
    """Return a position of nothing."""
    return PositionState(
        instrument_id=instrument_id,
        quantity=_ZERO,
        entry_price=None,
        unrealised_pnl=_ZERO,
        mark=mark,
        liquidation_price=None,
        leverage_setting=leverage_setting,
        initial_margin=_ZERO,
        maintenance_margin=_ZERO,
        realised_pnl=_ZERO,
        opened_ns=0,
        changed_ns=0,
        last_trade_sequence=0,
        position_side=position_side,
    )


def account_position_row(row: Row) -> Row:
    """Return what account v3 shows of a positionRisk row."""
    kept = (
        "symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet",
        "initialMargin", "maintMargin", "updateTime",
    )  # fmt: skip
    return {name: row[name] for name in kept} | {"unrealizedProfit": row["unRealizedProfit"]}


def account_row(account: AccountState) -> Row:
    """Return totals and the one asset as account v3 has them, without positions."""
    position_margin = account.initial_margin - account.order_margin
    available = money(max(account.available_margin, _ZERO))
    figures = {
        "InitialMargin": quotient(account.initial_margin),
        "MaintMargin": quotient(account.maintenance_margin),
        "WalletBalance": money(account.wallet_balance),
        "UnrealizedProfit": money(account.unrealised_pnl),
        "MarginBalance": money(account.equity),
        "PositionInitialMargin": quotient(position_margin),
        "OpenOrderInitialMargin": quotient(account.order_margin),
        "CrossWalletBalance": money(account.wallet_balance),
        "CrossUnPnl": money(account.unrealised_pnl),
    }
    asset = {f"{name[0].lower()}{name[1:]}": value for name, value in figures.items()}
    return {
        **{f"total{name}": value for name, value in figures.items()},
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "assets": [
            {
                "asset": CURRENCY,
                **asset,
                "availableBalance": available,
                "maxWithdrawAmount": available,
                "marginAvailable": True,
                "updateTime": symbols.milliseconds(account.event_ns),
            }
        ],
    }


def balance_row(account: AccountState) -> Row:
    """Return the one asset as balance v2 and v3 have it."""
    available = money(max(account.available_margin, _ZERO))
    return {
        "accountAlias": "sim",
        "asset": CURRENCY,
        "balance": money(account.wallet_balance),
        "crossWalletBalance": money(account.wallet_balance),
        "crossUnPnl": money(account.unrealised_pnl),
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "marginAvailable": True,
        "updateTime": symbols.milliseconds(account.event_ns),
    }


#: Names of margin figures, blanked by the fault `empty_margins`.
MARGINS: Final = ("Margin", "Balance", "Amount", "UnPnl", "Profit")


def blanked(row: Row) -> Row:
    """Return a row whose margin figures are empty strings."""
    blank: Row = {}
    for name, value in row.items():
        if isinstance(value, list):
            blank[name] = [blanked(each) if isinstance(each, dict) else each for each in value]
        elif isinstance(value, str) and any(part in name for part in MARGINS):
            blank[name] = ""
        else:
            blank[name] = value
    return blank


_INCOME: Final = {
    BillKind.DEPOSIT: "TRANSFER",
    BillKind.WITHDRAWAL: "TRANSFER",
    BillKind.FUNDING: "FUNDING_FEE",
    BillKind.INSURANCE: "INSURANCE_CLEAR",
}


def income_rows(bill: Bill) -> list[Row]:
    """Return a wallet movement as income lists it: a trade is its profit and its fee."""
    if bill.kind in _INCOME:
        parts = [(_INCOME[bill.kind], bill.change)]
    else:
        fee_name = "INSURANCE_CLEAR" if bill.kind is BillKind.LIQUIDATION else "COMMISSION"
        parts = [("REALIZED_PNL", bill.realised_pnl), (fee_name, -bill.fee)]
        parts = [(name, amount) for name, amount in parts if amount]
    return [
        {
            "symbol": bill.instrument_id or "",
            "incomeType": name,
            "income": text(amount),
            "asset": CURRENCY,
            "info": name,
            "time": symbols.milliseconds(bill.event_ns),
            "tranId": int(bill.bill_id),
            "tradeId": bill.fill_id or "",
        }
        for name, amount in parts
    ]
