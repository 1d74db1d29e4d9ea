"""What kind of account a key opens, and the venue's rules: asked before anything trades."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.account import Attestation
from counterpoise.domain.errors import StartRefused, VenueRejected, VenueUnreachable
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.units import BPS_PER_ONE, NS_PER_MS
from counterpoise.venues.bybit import errors
from counterpoise.venues.bybit.convert import CATEGORY, Listing
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.figures import decimal, optional_decimal, positive_decimal

#: `marginMode` in which all positions share the account's margin.
CROSS: Final = "REGULAR_MARGIN"

#: `unifiedMarginStatus` of accounts that are unified; 1 is the classic one.
_UNIFIED: Final = frozenset({"3", "4", "5", "6"})

#: What a key of demo trading may, which answers no question about it: it has nothing to withdraw.
_DEMO_PERMISSIONS: Final = ("read_only", "trade")

#: Permissions of a wallet -> our word for what they let go.
_WALLET: Final = {
    "Withdraw": "withdraw",
    "AccountTransfer": "transfer",
    "SubMemberTransfer": "transfer",
    "SubMemberTransferList": "transfer",
}


async def key(session: BybitSession) -> Mapping[str, Any]:
    """Return what Bybit says of the key; {} in demo trading, which does not answer."""
    try:
        return (await session.read("privateGetV5UserQueryApi")).fields
    except VenueRejected as error:
        if session.endpoints.demo_trading and error.code in errors.NOT_IN_DEMO:
            return {}
        raise


async def account_id(session: BybitSession) -> str:
    """Return the account's user id; in demo trading one made of the key's name."""
    found = await key(session)
    if found:
        return str(found["userID"])
    # Proves that the key opens an account at all.
    await _information(session)
    digest = hashlib.sha256(str(session.reads.apiKey).encode()).hexdigest()
    return f"demo-{digest[:12]}"


async def attest(session: BybitSession, listings: Sequence[Listing]) -> Attestation:
    """Return how the account is set up.

    Raises StartRefused if it is no unified trading account.
    """
    name = await account_id(session)
    offset_ns, about_key, information, fees, *positions = await asyncio.gather(
        session.measure_clock(),
        key(session),
        _information(session),
        _fee_row(session, listings),
        *(_position_rows(session, listing) for listing in listings),
    )
    status = str(information.get("unifiedMarginStatus"))
    if status not in _UNIFIED:
        raise StartRefused(
            f"the Bybit account is no unified trading account (unifiedMarginStatus {status});"
            " upgrade it at Bybit"
        )
    return Attestation(
        account_id=name,
        one_way=all(str(row.get("positionIdx", 0)) == "0" for rows in positions for row in rows),
        cross_margin=information.get("marginMode") == CROSS,
        leverage_settings={
            listing.instrument_id: _leverage_setting(rows)
            for listing, rows in zip(listings, positions, strict=True)
        },
        permissions=permissions(about_key) if about_key else _DEMO_PERMISSIONS,
        taker_fee_bps=_bps(fees.get("takerFeeRate")),
        maker_fee_bps=_bps(fees.get("makerFeeRate")),
        fee_tier=str(about_key.get("vipLevel") or ""),
        clock_offset_ms=offset_ns / NS_PER_MS,
        account_mode=str(information.get("marginMode") or ""),
        ip_bound=None if "ips" not in about_key else about_key["ips"] != ["*"],
        funding_interval_hours={
            listing.instrument_id: listing.funding_interval_hours for listing in listings
        },
    )


async def set_modes(session: BybitSession, settle: str) -> None:
    """Set cross margin and one-way positions. Raises VenueRejected, if it may not be now.

    Sources: account/set-margin-mode, position/switch-mode (0 = one-way; 110024 positions, 110028
    orders in the way).
    """
    await change(session, "privatePostV5AccountSetMarginMode", {"setMarginMode": CROSS})
    one_way = {"category": CATEGORY, "coin": settle, "mode": 0}
    await change(session, "privatePostV5PositionSwitchMode", one_way)


async def change(session: BybitSession, method: str, fields: Mapping[str, Any]) -> None:
    """Set something; what is so already is no error."""
    try:
        await session.send(method, fields)
    except VenueRejected as error:
        if error.code not in errors.UNCHANGED:
            raise


def permissions(about_key: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a key may in our words: "read_only", "trade", "transfer", "withdraw"."""
    granted = about_key.get("permissions") or {}
    found = {"read_only"}
    contracts = set(granted.get("ContractTrade") or ())
    writes = str(about_key.get("readOnly")) == "0"
    if writes and {"Order", "Position"} <= contracts:
        found.add("trade")
    # What a read-only key may of the wallet is to look at it.
    if writes:
        found.update(_WALLET[each] for each in granted.get("Wallet") or () if each in _WALLET)
    return tuple(sorted(found))


async def instrument(session: BybitSession, listing: Listing) -> Instrument:
    """Return an instrument's rules with its margin tiers (source: market/risk-limit)."""
    found = await session.pages(
        "publicGetV5MarketRiskLimit", category=CATEGORY, symbol=listing.instrument_id
    )
    return Instrument(
        instrument_id=listing.instrument_id,
        base=listing.base,
        quote=listing.quote,
        settle=listing.settle,
        tick_size=listing.tick_size,
        lot_size=listing.lot_size,
        quantity_min=listing.quantity_min,
        notional_min=listing.notional_min,
        market_quantity_max=listing.market_quantity_max,
        limit_quantity_max=listing.limit_quantity_max,
        state=listing.state,
        tiers=margin_tiers(found),
    )


def margin_tiers(found: Sequence[Mapping[str, Any]]) -> tuple[MarginTier, ...]:
    """Return tiers by notional, smallest first.

    The documentation's example gives rates in hundredths ("0.5" for 0.5 %), answers give
    fractions ("0.005"). Initial margin times highest leverage is about 1 as a fraction, and about
    100 in hundredths.
    """
    return tuple(
        _tier(row) for row in sorted(found, key=lambda row: decimal(row["riskLimitValue"]))
    )


def _tier(row: Mapping[str, Any]) -> MarginTier:
    maintenance, initial = decimal(row["maintenanceMargin"]), decimal(row["initialMargin"])
    leverage = optional_decimal(str(row.get("maxLeverage") or ""))
    if leverage and initial * leverage > 10:
        maintenance, initial = maintenance / 100, initial / 100
    return MarginTier(
        notional_max=decimal(row["riskLimitValue"]),
        maintenance_margin_fraction=maintenance,
        initial_margin_fraction=initial,
        maintenance_margin_deduction=optional_decimal(row.get("mmDeduction")) or Decimal(0),
    )


async def _information(session: BybitSession) -> Mapping[str, Any]:
    return (await session.read("privateGetV5AccountInfo")).fields


async def _position_rows(session: BybitSession, listing: Listing) -> list[Mapping[str, Any]]:
    # By symbol, Bybit shows flat positions as well: two of them in hedge mode.
    answer = await session.read(
        "privateGetV5PositionList", category=CATEGORY, symbol=listing.instrument_id
    )
    if not answer.rows:
        raise VenueUnreachable(f"Bybit answered no position of {listing.instrument_id}")
    return answer.rows


def _leverage_setting(rows: Sequence[Mapping[str, Any]]) -> Decimal | None:
    # Of two sides the larger counts; one-way mode has one.
    found = [positive_decimal(str(row.get("leverage") or "")) for row in rows]
    return max((each for each in found if each is not None), default=None)


async def _fee_row(session: BybitSession, listings: Sequence[Listing]) -> Mapping[str, Any]:
    if not listings:
        return {}
    try:
        answer = await session.read(
            "privateGetV5AccountFeeRate", category=CATEGORY, symbol=listings[0].instrument_id
        )
    except VenueRejected as error:
        if session.endpoints.demo_trading and error.code in errors.NOT_IN_DEMO:
            return {}
        raise
    return answer.rows[0] if answer.rows else {}


def _bps(text: str | None) -> Decimal | None:
    rate = optional_decimal(text)
    return None if rate is None else rate * BPS_PER_ONE
