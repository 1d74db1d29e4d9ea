"""What kind of account a key opens, and the venue's rules: asked before anything trades."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.account import Attestation
from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.instruments import Instrument
from counterpoise.domain.units import BPS_PER_ONE, NS_PER_MS
from counterpoise.venues.binance import convert, errors
from counterpoise.venues.binance.convert import Listing
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.figures import decimal

#: What a key may do, in our words, by the field of sapi/v1/account/apiRestrictions.
_PERMISSIONS: Final[Mapping[str, str]] = {
    "enableReading": "read_only",
    "enableFutures": "trade",
    "enableWithdrawals": "withdraw",
    "enableInternalTransfer": "transfer",
    "permitsUniversalTransfer": "transfer",
}


#: Hours between fundings of the markets that fapi/v1/fundingInfo leaves out.
_USUAL_HOURS: Final = 8

_SEVERAL_ASSETS: Final = (
    "Binance's multi-assets mode is on and other coins would count as margin at a haircut; switch "
    "it off (single-asset mode)"
)


async def account_id(session: BinanceSession) -> str:
    """Return the account's alias, the only name Binance's futures give it; needs a valid key."""
    answer = await session.rows("fapiPrivateV3GetBalance")
    alias = str(answer[0].get("accountAlias") or "") if answer else ""
    if not alias:
        raise VenueUnreachable("Binance answered no balance that names the account")
    return alias


async def attest(session: BinanceSession, listings: Sequence[Listing]) -> Attestation:
    """Return how the account is set up; multi-assets mode is told as a fault.

    A market that is set to isolated margin and holds nothing has a leverage setting that is not
    reported (None): setting it sets cross margin as well.
    """
    dual, multi, config, account, intervals, positions = await asyncio.gather(
        session.row("fapiPrivateGetPositionSideDual"),
        session.row("fapiPrivateGetMultiAssetsMargin"),
        session.rows("fapiPrivateGetSymbolConfig"),
        session.row("fapiPrivateGetAccountConfig"),
        session.rows("fapiPublicGetFundingInfo"),
        session.rows("fapiPrivateV3GetPositionRisk"),
    )
    offset_ns, alias, (permissions, bound), fees, _ = await asyncio.gather(
        session.measure_clock(),
        account_id(session),
        _permissions(session, account),
        _fees(session, listings),
        _order_limits(session),
    )
    hours = {str(row.get("symbol")): row.get("fundingIntervalHours") for row in intervals}
    several = bool(multi.get("multiAssetsMargin"))
    isolated = {
        str(row.get("symbol")) for row in config if str(row.get("marginType")).upper() == "ISOLATED"
    }
    held = {
        str(row.get("symbol")) for row in positions if decimal(row.get("positionAmt") or "0") != 0
    }
    settings = {str(row.get("symbol")): row.get("leverage") for row in config}
    return Attestation(
        account_id=alias,
        one_way=not dual.get("dualSidePosition"),
        cross_margin=not isolated & held,
        leverage_settings={
            each.symbol: None
            if each.symbol in isolated or settings.get(each.symbol) is None
            else decimal(str(settings[each.symbol]))
            for each in listings
        },
        permissions=permissions,
        taker_fee_bps=_bps(fees.get("takerCommissionRate")),
        maker_fee_bps=_bps(fees.get("makerCommissionRate")),
        fee_tier=str(account.get("feeTier", "")),
        clock_offset_ms=offset_ns / NS_PER_MS,
        account_mode="multi-assets" if several else "single-asset",
        account_mode_fault=_SEVERAL_ASSETS if several else "",
        account_mode_settable=several,
        multi_asset=several,
        ip_bound=bound,
        funding_interval_hours={
            each.symbol: decimal(str(hours.get(each.symbol) or _USUAL_HOURS)) for each in listings
        },
    )


async def set_modes(session: BinanceSession) -> None:
    """Set one-way positions and single-asset margin. Raises VenueRejected, if it may not be now.

    Sources: positionSide/dual (-4067 orders, -4068 positions), multiAssetsMargin (-4170, -4171).
    """
    await _set(session, "fapiPrivatePostPositionSideDual", dualSidePosition="false")
    await _set(session, "fapiPrivatePostMultiAssetsMargin", multiAssetsMargin="false")


async def _set(session: BinanceSession, method: str, **fields: str) -> None:
    try:
        await session.change(lambda: getattr(session.reads, method)(fields))
    except VenueRejected as error:
        if error.code not in errors.UNCHANGED:
            raise


async def _order_limits(session: BinanceSession) -> None:
    # The account's own limits of orders, which may be far above those of exchangeInfo. Not every
    # environment answers; then exchangeInfo's count.
    with contextlib.suppress(VenueRejected):
        session.allow(await session.rows("fapiPrivateGetRateLimitOrder"), of_account=True)


async def instrument(session: BinanceSession, listing: Listing) -> Instrument:
    """Return an instrument's rules with its margin tiers (source: fapi/v1/leverageBracket)."""
    answer = await session.rows("fapiPrivateGetLeverageBracket", symbol=listing.symbol)
    found = [row for row in answer if row.get("symbol") == listing.symbol]
    brackets = sorted(found[0]["brackets"], key=lambda row: int(row["bracket"])) if found else []
    return convert.instrument(listing, tuple(convert.margin_tier(row) for row in brackets))


async def _permissions(
    session: BinanceSession, account: Mapping[str, Any]
) -> tuple[tuple[str, ...], bool | None]:
    # What the key may, and whether it is bound to addresses (None = not told).
    if session.endpoints.wallet_url is None:
        # Demo and testnet do not say what a key may do; the account says whether it may trade.
        return (("read_only", "trade") if account.get("canTrade") else ("read_only",)), None
    told: Mapping[str, Any] = await session.row("sapiGetAccountApiRestrictions")
    words = tuple(dict.fromkeys(word for field, word in _PERMISSIONS.items() if told.get(field)))
    return words, told.get("ipRestrict")


async def _fees(session: BinanceSession, listings: Sequence[Listing]) -> Mapping[str, Any]:
    if not listings:
        return {}
    found: Mapping[str, Any] = await session.row(
        "fapiPrivateGetCommissionRate", symbol=listings[0].symbol
    )
    return found


def _bps(rate: object) -> Decimal | None:
    return None if rate is None else decimal(str(rate)) * BPS_PER_ONE
