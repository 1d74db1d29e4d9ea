"""Positions and cash as Bybit's rows. Sizes are unsigned, the side stands beside them."""

from decimal import Decimal
from typing import Final

from counterpoise.exchange.accounts import AccountState, PositionState
from counterpoise.exchange.modes import PositionSide
from counterpoise.simulator.bybit.errors import Row
from counterpoise.simulator.bybit.order_rows import POSITION_INDEX
from counterpoise.simulator.bybit.symbols import CURRENCY, milliseconds, text

# Position fields of features the simulator does not have.
_POSITION_EMPTY: Final[Row] = {
    "autoAddMargin": 0,
    "isReduceOnly": False,
    "leverageSysUpdatedTime": "",
    "mmrSysUpdatedTime": "",
    "positionBalance": "0",
    "positionStatus": "Normal",
    "riskId": 1,
    "sessionAvgPrice": "",
    "stopLoss": "",
    "takeProfit": "",
    "tpslMode": "Full",
    "tradeMode": 0,
    "trailingStop": "0",
}


def position_row(position: PositionState, *, risk_limit: str, rank: int) -> Row:
    """Return a position as position/list has it.

    `risk_limit` = the notional of its tier, `rank` = its place in the ADL queue, 0 to 5.
    """
    quantity = abs(position.quantity)
    entry = position.entry_price or Decimal(0)
    held = bool(quantity)
    liquidation, bankruptcy = position.liquidation_price, position.bankruptcy_price
    long = position.quantity > 0
    margin, maintenance = text(position.initial_margin), text(position.maintenance_margin)
    return {
        **_POSITION_EMPTY,
        "positionIdx": POSITION_INDEX[position.position_side],
        "riskLimitValue": risk_limit,
        "symbol": position.instrument_id,
        "side": ("Buy" if long else "Sell") if held else "",
        "size": text(quantity),
        "avgPrice": text(entry),
        "positionValue": text(quantity * entry) if held else "",
        "adlRankIndicator": rank,
        "leverage": text(position.leverage_setting),
        "breakEvenPrice": text(entry) if held else "",
        "markPrice": text(position.mark),
        "liqPrice": "" if liquidation is None else text(liquidation),
        "bustPrice": "" if bankruptcy is None else text(bankruptcy),
        "positionIM": margin,
        "positionIMByMp": margin,
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "unrealisedPnl": text(position.unrealised_pnl) if held else "",
        "curRealisedPnl": text(position.realised_pnl),
        "cumRealisedPnl": text(position.realised_pnl),
        "seq": abs(position.last_trade_sequence),
        "createdTime": milliseconds(position.opened_ns),
        "updatedTime": milliseconds(position.changed_ns),
    }


def flat_row(
    instrument_id: str, side: PositionSide, *, mark: Decimal, leverage: Decimal, risk_limit: str
) -> Row:
    """Return the row of a position that is not held, as a query by symbol shows it."""
    nothing = Decimal(0)
    row = position_row(
        PositionState(
            instrument_id=instrument_id, quantity=nothing, entry_price=None,
            unrealised_pnl=nothing, mark=mark, liquidation_price=None,
            leverage_setting=leverage, initial_margin=nothing, maintenance_margin=nothing,
            realised_pnl=nothing, opened_ns=0, changed_ns=0, last_trade_sequence=0,
            position_side=side,
        ),
        risk_limit=risk_limit, rank=0,
    )  # fmt: skip
    return {**row, "createdTime": "", "updatedTime": "", "seq": -1}


def position_push(row: Row) -> Row:
    """Return a position/list row as the position topic pushes it."""
    pushed = {name: value for name, value in row.items() if name != "avgPrice"}
    return {**pushed, "entryPrice": row["avgPrice"], "category": "linear"}


def _rate(value: Decimal, whole: Decimal) -> str:
    return text((value / whole).quantize(Decimal("0.00000001"))) if whole > 0 else "0"


def wallet_row(account: AccountState) -> Row:
    """Return the balance of a unified account holding USDT alone, in cross margin."""
    equity, wallet = text(account.equity), text(account.wallet_balance)
    initial, maintenance = account.initial_margin, account.maintenance_margin
    initial_rate, maintenance_rate = (
        _rate(each, account.equity) for each in (initial, maintenance)
    )
    available = text(max(account.available_margin, Decimal(0)))
    detail: Row = {
        "coin": CURRENCY,
        "equity": equity,
        "usdValue": equity,
        "walletBalance": wallet,
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "accruedInterest": "0",
        "totalOrderIM": text(account.order_margin),
        "totalPositionIM": text(initial - account.order_margin),
        "totalPositionMM": text(maintenance),
        "unrealisedPnl": text(account.unrealised_pnl),
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": initial_rate,
        "accountIMRateByMp": initial_rate,
        "accountMMRate": maintenance_rate,
        "accountMMRateByMp": maintenance_rate,
        "totalEquity": equity,
        "totalWalletBalance": wallet,
        "totalMarginBalance": equity,
        "totalAvailableBalance": available,
        "totalPerpUPL": text(account.unrealised_pnl),
        "totalInitialMargin": text(initial),
        "totalInitialMarginByMp": text(initial),
        "totalMaintenanceMargin": text(maintenance),
        "totalMaintenanceMarginByMp": text(maintenance),
        "coin": [detail],
    }
