"""What each venue's REST says of a key, an account's mode and its fee, in one shape."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

from fault_venues import FaultDesk


class Terms(NamedTuple):
    """What a client can read of the account's set-up."""

    trade: bool
    withdraw: bool
    transfer: bool
    bound: bool
    mode: str
    taker_bps: Decimal


async def _okx(desk: FaultDesk, symbol: str) -> Terms:
    (config,) = (await desk.exchange.private_get_account_config())["data"]
    (fee,) = (await desk.exchange.private_get_account_trade_fee({"instType": "SWAP"}))["data"]
    allowed = config["perm"].split(",")
    return Terms(
        trade="trade" in allowed,
        withdraw="withdraw" in allowed,
        # OKX has no permission of its own for it.
        transfer="withdraw" in allowed,
        bound=config["ip"] != "",
        mode=config["acctLv"],
        taker_bps=-Decimal(fee["takerU"]) * 10_000,
    )


async def _binance(desk: FaultDesk, symbol: str) -> Terms:
    key = await desk.exchange.sapiGetAccountApiRestrictions()
    account = await desk.exchange.fapiPrivateGetAccountConfig()
    both = await desk.exchange.fapiPrivateGetMultiAssetsMargin()
    assert account["multiAssetsMargin"] == both["multiAssetsMargin"]
    asked = {"symbol": desk.named(symbol)}
    fee = await desk.exchange.fapiPrivateGetCommissionRate(asked)
    return Terms(
        trade=key["enableFutures"],
        withdraw=key["enableWithdrawals"],
        transfer=key["enableInternalTransfer"],
        bound=key["ipRestrict"],
        mode="multi_asset" if both["multiAssetsMargin"] else "",
        taker_bps=Decimal(fee["takerCommissionRate"]) * 10_000,
    )


async def _bybit(desk: FaultDesk, symbol: str) -> Terms:
    key = (await desk.exchange.private_get_v5_user_query_api())["result"]
    info = (await desk.exchange.private_get_v5_account_info())["result"]
    asked: dict[str, Any] = {"category": "linear", "symbol": desk.named(symbol)}
    fees = await desk.exchange.private_get_v5_account_fee_rate(asked)
    wallet = key["permissions"]["Wallet"]
    return Terms(
        trade=bool(key["permissions"]["ContractTrade"]) and not int(key["readOnly"]),
        withdraw="Withdraw" in wallet,
        transfer="AccountTransfer" in wallet,
        bound=key["ips"] != ["*"],
        mode=info["marginMode"],
        taker_bps=Decimal(fees["result"]["list"][0]["takerFeeRate"]) * 10_000,
    )


#: Venue -> how to read them, and a mode it may be said to be in.
READ: dict[str, tuple[Callable[[FaultDesk, str], Awaitable[Terms]], str]] = {
    "okx": (_okx, "4"),
    "binance": (_binance, "multi_asset"),
    "bybit": (_bybit, "PORTFOLIO_MARGIN"),
}
