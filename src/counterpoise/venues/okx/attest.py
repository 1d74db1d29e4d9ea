"""What kind of account a key opens, and the venue's rules: asked before anything trades."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.account import Attestation
from counterpoise.domain.errors import StartRefused, VenueUnreachable
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Clock
from counterpoise.venues import clock_offset
from counterpoise.venues.figures import optional_decimal
from counterpoise.venues.okx.convert import (
    Contract,
    base_from_contracts,
    fee_bps_from_rate,
)
from counterpoise.venues.okx.session import OkxSession, Row

#: Account modes (acctLv) in which swaps trade with cross margin and reduce-only orders work:
#: 2 = futures, 3 = multi-currency margin. 1 = spot has no swaps, 4 = portfolio no reduce-only.
_ACCOUNT_LEVELS: Final = frozenset({"2", "3"})


async def clock_offset_ns(session: OkxSession, clock: Clock) -> int:
    """Return OKX's clock minus ours, ns; the error is at most half a round trip."""

    async def venue_ms() -> int:
        return int((await session.read("publicGetPublicTime"))[0]["ts"])

    return await clock_offset.measure_ns(venue_ms, clock)


async def configuration(session: OkxSession) -> Row:
    """Return the row of account/config; needs a valid key."""
    answer = await session.read("privateGetAccountConfig")
    if not answer:
        raise VenueUnreachable("OKX answered no account configuration")
    row: Row = answer[0]
    return row


async def attest(session: OkxSession, contracts: Sequence[Contract], clock: Clock) -> Attestation:
    """Return how the account is set up.

    Raises StartRefused if the account mode cannot carry a hedged book of swaps.
    """
    config = await configuration(session)
    if str(config["acctLv"]) not in _ACCOUNT_LEVELS:
        raise StartRefused(
            f"OKX account mode {config['acctLv']} cannot trade swaps with cross margin and"
            " reduce-only orders; switch the account to Futures mode"
        )
    offset_ns, positions, fee_bps, *settings = await asyncio.gather(
        clock_offset_ns(session, clock),
        session.read("privateGetAccountPositions"),
        _taker_fee_bps(session, contracts),
        *(_leverage_setting(session, contract) for contract in contracts),
    )
    isolated = any(
        row.get("mgnMode") == "isolated" and Decimal(row.get("pos") or "0") != 0
        for row in positions
    )
    return Attestation(
        account_id=str(config["uid"]),
        one_way=config["posMode"] == "net_mode",
        cross_margin=not isolated,
        leverage_settings=dict(
            zip((contract.instrument_id for contract in contracts), settings, strict=True)
        ),
        permissions=tuple(part for part in str(config.get("perm", "")).split(",") if part),
        taker_fee_bps=fee_bps,
        clock_offset_ms=offset_ns / NS_PER_MS,
    )


async def instrument(session: OkxSession, contract: Contract) -> Instrument:
    """Return an instrument's rules in base units, with its margin tiers.

    OKX counts tiers in contracts; they become notional at the mark of this moment, so a boundary
    is off by as much as the mark has moved since (source: public/position-tiers).
    """
    tier_rows, mark_rows = await asyncio.gather(
        session.read(
            "publicGetPublicPositionTiers",
            instType="SWAP",
            tdMode="cross",
            instFamily=contract.family,
        ),
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
            maintenance_margin_fraction=Decimal(row["mmr"]),
            initial_margin_fraction=Decimal(row["imr"]),
        )
        for row in sorted(tier_rows, key=lambda row: int(row["tier"]))
    )


async def _leverage_setting(session: OkxSession, contract: Contract) -> Decimal | None:
    answer = await session.read(
        "privateGetAccountLeverageInfo", instId=contract.inst_id, mgnMode="cross"
    )
    return optional_decimal(answer[0].get("lever")) if answer else None


async def _taker_fee_bps(session: OkxSession, contracts: Sequence[Contract]) -> Decimal | None:
    if not contracts:
        return None
    answer = await session.read(
        "privateGetAccountTradeFee", instType="SWAP", instFamily=contracts[0].family
    )
    # takerU is the rate of USDT-margined contracts, taker that of coin-margined ones.
    return fee_bps_from_rate(answer[0].get("takerU") or answer[0].get("taker")) if answer else None


def _notional(contracts: Decimal | None, contract_size: Decimal, mark: Decimal) -> Decimal | None:
    return None if contracts is None else base_from_contracts(contracts, contract_size) * mark


def _base_or_none(contracts: Decimal | None, contract_size: Decimal) -> Decimal | None:
    return None if contracts is None else base_from_contracts(contracts, contract_size)
