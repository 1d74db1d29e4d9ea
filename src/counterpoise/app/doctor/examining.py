"""Looks at every point in order; what cannot be looked at says why."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.app import attesting, wiring
from counterpoise.app.doctor import account, capital, findings, latency, machine
from counterpoise.app.doctor.findings import Finding
from counterpoise.app.settings import Settings
from counterpoise.app.venue_table import PAPER
from counterpoise.domain.account import AccountSnapshot, Attestation
from counterpoise.domain.errors import StartRefused, VenueError
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import Clock, Venue

#: How far back a mark is looked for, ns.
_MARK_NS: Final = 600 * NS_PER_SECOND
_LATENCIES: Final = ("REST latency", "stream latency")
_CAPITALS: Final = ("capital", "fees a month")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """How closely is looked."""

    #: Requests that are timed.
    samples: int = 20
    #: Pause between them, seconds: our own limiter and the venue's stay out of it.
    pause_seconds: float = 0.5
    #: How long the stream is listened to, seconds.
    stream_seconds: float = 10.0
    #: Equity to plan with, quote; None = the account's.
    equity: Decimal | None = None
    #: Notional traded in a month / equity.
    turnover_month: Decimal = capital.TURNOVER_MONTH
    #: Room the disk should have, bytes.
    disk_bytes_min: int = machine.DISK_BYTES_MIN


async def examine(settings: Settings, clock: Clock, how: Examination) -> list[Finding]:
    """Return every line of the checklist, in a fixed order."""
    found = [machine.disk(settings, how.disk_bytes_min)]
    found += await asyncio.to_thread(machine.database, settings)
    names = await machine.names(wiring.addresses(settings))
    found.append(names)
    venue_checks = ("armed", *account.CHECKS, *_LATENCIES, *_CAPITALS)
    if findings.has_failed([names]):
        return [*found, *findings.skipped(("venue", *venue_checks), "no host")]
    try:
        gateway = await wiring.connect(settings, clock, fresh=False)
    except (StartRefused, VenueError) as error:
        remedy = (
            "mend the addresses, or wait for the venue"
            if settings.environment == PAPER
            else "mend the key (COUNTERPOISE_API_KEY and the others) or the addresses"
        )
        found.append(findings.failed("venue", str(error), remedy))
        return [*found, *findings.skipped(venue_checks, "the venue was not opened")]
    try:
        found.append(findings.ok("venue", f"{gateway.venue.name} opened"))
        found.append(await _armed(gateway, settings))
        return found + await _of_venue(gateway, settings, clock, how)
    finally:
        await gateway.venue.close()


async def _of_venue(
    gateway: wiring.Gateway, settings: Settings, clock: Clock, how: Examination
) -> list[Finding]:
    venue = gateway.venue
    wanted = (settings.core_instrument, *settings.hedge_candidates)
    try:
        listed, unlisted = await _listed(venue, wanted)
        attestation = await attesting.attest(venue, listed)
        snapshot = await venue.account()
    except (StartRefused, VenueError) as error:
        remedy = "mend what the venue says, then look again"
        later = (*account.CHECKS[1:], *_LATENCIES, *_CAPITALS)
        return [
            findings.failed(account.CHECKS[0], str(error), remedy),
            *findings.skipped(later, "the venue did not answer for the account"),
        ]
    found = list(account.lines(attestation, snapshot, settings))
    found += [
        findings.failed(f"instrument {name}", "the venue does not list it", "take it out")
        for name in unlisted
    ]
    rest = latency.rest(
        venue, settings, clock, samples=how.samples, pause_seconds=how.pause_seconds
    )
    found.append(await rest)
    stream = latency.stream(
        gateway.market_feed(listed),
        settings,
        offset_ns=round(attestation.clock_offset_ms * NS_PER_MS),
        seconds=how.stream_seconds,
    )
    found.append(await stream)
    return found + await _capital(venue, settings, clock, how, attestation, snapshot)


async def _listed(venue: Venue, wanted: tuple[str, ...]) -> tuple[list[str], list[str]]:
    try:
        await venue.instruments(wanted)
    except StartRefused:
        # Somebody is not listed; one by one tells who.
        unlisted = [name for name in wanted if not await _is_listed(venue, name)]
        listed = [name for name in wanted if name not in unlisted]
        if not listed:
            raise
        return listed, unlisted
    return list(wanted), []


async def _is_listed(venue: Venue, instrument_id: str) -> bool:
    try:
        await venue.instruments([instrument_id])
    except StartRefused:
        return False
    return True


async def _armed(gateway: wiring.Gateway, settings: Settings) -> Finding:
    if not gateway.needs_arming(settings):
        return findings.ok("armed", "play money: nothing to arm")
    try:
        account_id = await gateway.venue.account_id()
        wiring.check_armed(settings, account_id)
    except (StartRefused, VenueError) as error:
        words, _, remedy = str(error).partition("; ")
        return findings.failed("armed", words, remedy or "name the account")
    return findings.ok("armed", f"real money of account {account_id}, as named")


async def _capital(
    venue: Venue,
    settings: Settings,
    clock: Clock,
    how: Examination,
    attestation: Attestation,
    snapshot: AccountSnapshot,
) -> list[Finding]:
    rules = {each.rules.instrument_id: each.rules for each in attestation.instruments}
    marks: dict[str, Decimal] = {}
    try:
        for name in rules:
            marks |= await _mark(venue, name, clock)
    except VenueError as error:
        return [
            findings.failed("capital", f"no mark: {error}", "try again"),
            *findings.skipped(("fees a month",), "no mark"),
        ]
    plan = capital.Plan(
        equity=snapshot.balance.equity if how.equity is None else how.equity,
        turnover_month=how.turnover_month,
        taker_fee_bps=attestation.taker_fee_bps or Decimal(repr(settings.fee_bps)),
    )
    return list(
        capital.lines(plan, capital.needs(settings, rules, marks), settings.core_instrument)
    )


async def _mark(venue: Venue, instrument_id: str, clock: Clock) -> dict[str, Decimal]:
    now_ns = clock.now_ns()
    candles = await venue.mark_candles(instrument_id, 60, now_ns - _MARK_NS, now_ns)
    return {instrument_id: candles[-1].close} if candles else {}
