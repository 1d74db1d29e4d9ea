"""What kind of account a key opens, and the venue's rules: asked before anything trades."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.account import Attestation
from counterpoise.domain.errors import VenueError, VenueUnreachable
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS
from counterpoise.venues.figures import decimal, ns_from_ms, optional_decimal
from counterpoise.venues.okx.convert import (
    Contract,
    base_from_contracts,
    fee_bps_from_rate,
)
from counterpoise.venues.okx.session import OkxSession, Row

#: Account modes (acctLv) in which swaps trade with cross margin and reduce-only orders work:
#: 2 = futures, 3 = multi-currency margin. 1 = spot has no swaps, 4 = portfolio no reduce-only.
_ACCOUNT_LEVELS: Final = frozenset({"2", "3"})
#: ... in which other currencies than the settlement currency count as margin.
_MULTI_CURRENCY_LEVELS: Final = frozenset({"3", "4"})

_MODE_FAULT: Final = (
    "OKX account mode {mode} cannot trade swaps with cross margin and reduce-only orders; switch "
    "the account to Futures mode"
)


async def configuration(session: OkxSession) -> Row:
    """Return the row of account/config; needs a valid key."""
    answer = await session.read("privateGetAccountConfig")
    if not answer:
        raise VenueUnreachable("OKX answered no account configuration")
    row: Row = answer[0]
    return row


async def attest(session: OkxSession, contracts: Sequence[Contract]) -> Attestation:
    """Return how the account is set up; a mode that cannot carry a hedged book is told as a fault.

    Raises VenueUnreachable or VenueRejected.
    """
    config, offset_ns, positions, fees = await asyncio.gather(
        configuration(session),
        session.measure_clock(),
        session.read("privateGetAccountPositions"),
        _fee_row(session, contracts),
    )
    # One after the other: asked while trading, it must not fill the lane of reads before a
    # reconciliation.
    settings = [await _leverage_setting(session, each) for each in contracts]
    hours = [await _funding_hours(session, each) for each in contracts]
    bounds = [await _tier_quantities(session, each) for each in contracts]
    isolated = any(
        row.get("mgnMode") == "isolated" and decimal(row.get("pos") or "0") != 0
        for row in positions
    )
    names = [contract.instrument_id for contract in contracts]
    mode = str(config["acctLv"])
    return Attestation(
        account_id=str(config["uid"]),
        one_way=config["posMode"] == "net_mode",
        cross_margin=not isolated,
        leverage_settings=dict(zip(names, settings, strict=True)),
        permissions=tuple(part for part in str(config.get("perm", "")).split(",") if part),
        # takerU is the rate of USDT-margined contracts, taker that of coin-margined ones.
        taker_fee_bps=fee_bps_from_rate(fees.get("takerU") or fees.get("taker")),
        maker_fee_bps=fee_bps_from_rate(fees.get("makerU") or fees.get("maker")),
        fee_tier=str(fees.get("level") or ""),
        clock_offset_ms=offset_ns / NS_PER_MS,
        account_mode=mode,
        account_mode_fault="" if mode in _ACCOUNT_LEVELS else _MODE_FAULT.format(mode=mode),
        multi_asset=mode in _MULTI_CURRENCY_LEVELS,
        # "" = the key works from anywhere.
        ip_bound=bool(config["ip"]) if "ip" in config else None,
        funding_interval_hours=dict(zip(names, hours, strict=True)),
        tier_quantities=dict(zip(names, bounds, strict=True)),
    )


async def order_limit(session: OkxSession) -> int | None:
    """Return the orders an account may send in two seconds; None = OKX does not tell.

    Source: trade/account-rate-limit, once a second per account.
    """
    try:
        rows = await session.read("privateGetTradeAccountRateLimit")
        return int(rows[0]["accRateLimit"])
    except (VenueError, LookupError, TypeError, ValueError):
        return None


async def instrument(session: OkxSession, contract: Contract) -> Instrument:
    """Return an instrument's rules in base units, with its margin tiers.

    OKX counts tiers in contracts; they become notional at the mark of this moment, so a boundary
    is off by as much as the mark has moved since (source: public/position-tiers).
    """
    tier_rows, mark_rows = await asyncio.gather(
        _tier_rows(session, contract),
        session.read("publicGetPublicMarkPrice", instType="SWAP", instId=contract.inst_id),
    )
    mark = optional_decimal(mark_rows[0].get("markPx")) if mark_rows else None
    unit = contract.contract_size
    return Instrument(
        instrument_id=contract.instrument_id,
        base=contract.base,
        quote=contract.quote,
        settle=contract.settle,
        tick_size=contract.tick_size,
        lot_size=base_from_contracts(contract.lot_contracts, unit),
        quantity_min=base_from_contracts(contract.contracts_min, unit),
        market_quantity_max=_base_or_none(contract.market_contracts_max, unit),
        limit_quantity_max=_base_or_none(contract.limit_contracts_max, unit),
        state=contract.state,
        tiers=() if mark is None else margin_tiers(tier_rows, unit, mark),
    )


def margin_tiers(
    tier_rows: Sequence[Mapping[str, Any]], contract_size: Decimal, mark: Decimal
) -> tuple[MarginTier, ...]:
    """Return tiers by notional at `mark`, smallest first; OKX has no deduction term."""
    return tuple(
        MarginTier(
            notional_max=_notional(optional_decimal(row.get("maxSz")), contract_size, mark),
            maintenance_margin_fraction=decimal(row["mmr"]),
            initial_margin_fraction=decimal(row["imr"]),
        )
        for row in _by_tier(tier_rows)
    )


async def _leverage_setting(session: OkxSession, contract: Contract) -> Decimal | None:
    answer = await session.read(
        "privateGetAccountLeverageInfo", instId=contract.inst_id, mgnMode="cross"
    )
    return optional_decimal(answer[0].get("lever")) if answer else None


async def _funding_hours(session: OkxSession, contract: Contract) -> Decimal | None:
    answer = await session.read("publicGetPublicFundingRate", instId=contract.inst_id)
    row = answer[0] if answer else {}
    due_ns = ns_from_ms(row.get("fundingTime"))
    next_ns = ns_from_ms(row.get("nextFundingTime"))
    return Decimal(next_ns - due_ns) / NS_PER_HOUR if next_ns > due_ns > 0 else None


async def _tier_quantities(session: OkxSession, contract: Contract) -> tuple[Decimal | None, ...]:
    return tuple(
        _base_or_none(optional_decimal(row.get("maxSz")), contract.contract_size)
        for row in _by_tier(await _tier_rows(session, contract))
    )


async def _tier_rows(session: OkxSession, contract: Contract) -> list[Any]:
    return await session.read(
        "publicGetPublicPositionTiers",
        instType="SWAP",
        tdMode="cross",
        instFamily=contract.family,
    )


def _by_tier(tier_rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(tier_rows, key=lambda row: int(row["tier"]))


async def _fee_row(session: OkxSession, contracts: Sequence[Contract]) -> Row:
    if not contracts:
        return {}
    answer = await session.read(
        "privateGetAccountTradeFee", instType="SWAP", instFamily=contracts[0].family
    )
    return answer[0] if answer else {}


def _notional(contracts: Decimal | None, contract_size: Decimal, mark: Decimal) -> Decimal | None:
    return None if contracts is None else base_from_contracts(contracts, contract_size) * mark


def _base_or_none(contracts: Decimal | None, contract_size: Decimal) -> Decimal | None:
    return None if contracts is None else base_from_contracts(contracts, contract_size)
