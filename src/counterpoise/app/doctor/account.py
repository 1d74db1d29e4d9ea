"""The account, its key and the chosen instruments, as the venue attests them."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from counterpoise.app import attesting, boot, parameters
from counterpoise.app.doctor import findings
from counterpoise.app.doctor.findings import Finding
from counterpoise.app.settings import Settings, variable
from counterpoise.app.venue_table import PAPER
from counterpoise.domain.account import AccountSnapshot, Attestation
from counterpoise.domain.instruments import InstrumentState, InstrumentTerms

#: Lines of this part, for when the venue did not answer.
CHECKS: Final = (
    "key permissions",
    "key address",
    "account mode",
    "position mode",
    "margin mode",
    "assets",
    "leverage setting",
    "fees",
    "clock",
)

#: Line -> what `attesting.Fault.what` it judges.
_FAULTS: Final = {
    "key permissions": "permissions",
    "account mode": attesting.ACCOUNT_MODE,
    "position mode": attesting.POSITION_MODE,
    "margin mode": attesting.MARGIN_MODE,
    "clock": "clock",
}


def lines(
    attestation: Attestation, snapshot: AccountSnapshot, settings: Settings
) -> Iterator[Finding]:
    """Yield a line per point of the account, then one per instrument."""
    said = {
        "key permissions": f"may {', '.join(sorted(attestation.permissions))}",
        "account mode": f"mode {attestation.account_mode or 'not told'}",
        "position mode": "net (one-way)",
        "margin mode": "cross",
        "clock": f"{attestation.clock_offset_ms:.0f} ms from the venue's",
    }
    flat = not snapshot.positions and not snapshot.open_orders
    sets = flat and settings.mode == "trade"
    paper = settings.environment == PAPER
    if paper:
        said["key permissions"] = "no key: a model account in this process"
    wrong: dict[str, list[attesting.Fault]] = {}
    for fault in attesting.faults(attestation, settings.clock_offset_ms_max):
        wrong.setdefault(fault.what, []).append(fault)
    for check, what in _FAULTS.items():
        if what in wrong:
            yield _wrong(check, wrong[what], sets=sets)
        else:
            yield findings.ok(check, said[check])
    yield findings.ok("key address", "no key") if paper else _address(attestation)
    yield _assets(attestation)
    yield _leverage(attestation, snapshot, settings)
    yield _fees(attestation, settings)
    for terms in attestation.instruments:
        yield _instrument(attestation, terms, settings)


def _wrong(check: str, faults: Sequence[attesting.Fault], *, sets: bool) -> Finding:
    # `sets`: a start would mend what can be set.
    found = "; ".join(fault.found for fault in faults)
    remedy = "; ".join(fault.remedy for fault in faults)
    if sets and all(fault.settable for fault in faults):
        return findings.warning(check, f"{found}: the start sets it otherwise", remedy)
    return findings.failed(check, found, remedy)


def _address(attestation: Attestation) -> Finding:
    if attestation.ip_bound is None:
        return findings.ok("key address", "the venue does not tell whether the key is bound")
    if attestation.ip_bound:
        return findings.ok("key address", "bound to named addresses")
    return findings.warning(
        "key address",
        "the key works from every address",
        "bind it to this machine's address; unbound keys expire when idle, and a thief can use them",
    )


def _assets(attestation: Attestation) -> Finding:
    if attestation.multi_asset:
        return findings.warning(
            "assets",
            "other assets than the settlement currency count as margin",
            "hold the settlement currency only, or choose the single-asset (futures) mode: what "
            "other assets are worth as margin is the venue's to change",
        )
    return findings.ok("assets", "margin is the settlement currency alone")


def _leverage(attestation: Attestation, snapshot: AccountSnapshot, settings: Settings) -> Finding:
    wanted = boot.leverage_setting(parameters.leverage_ceiling(settings))
    busy = {each.instrument_id for each in snapshot.positions}
    busy |= {each.instrument_id for each in snapshot.open_orders}
    wrong = {i: now for i, now in attestation.leverage_settings.items() if now != wanted}
    kept = sorted(i for i in wrong if i in busy)
    if kept:
        told = ", ".join(f"{i} {wrong[i]}" for i in kept)
        return findings.warning(
            "leverage setting",
            f"{told} instead of {wanted}, with a position or an order in it",
            "the start leaves them; set them by hand once they are flat",
        )
    if wrong:
        told = ", ".join(sorted(wrong))
        return findings.ok("leverage setting", f"{told}: the start sets {wanted}")
    return findings.ok("leverage setting", f"{wanted} in every instrument")


def _fees(attestation: Attestation, settings: Settings) -> Finding:
    taker, maker = attestation.taker_fee_bps, attestation.maker_fee_bps
    if taker is None:
        return findings.warning(
            "fees",
            "the venue does not tell what the account pays",
            f"see that {variable('fee_bps')}={settings.fee_bps:g} is what it is",
        )
    tier = f"level {attestation.fee_tier}, " if attestation.fee_tier else ""
    told = "not told" if maker is None else f"{maker.normalize():f} bps"
    words = f"{tier}taker {taker.normalize():f} bps, maker {told}"
    if taker > Decimal(repr(settings.fee_bps)):
        return findings.warning(
            "fees",
            f"{words}; the strategy reckons with {settings.fee_bps:g}",
            f"set {variable('fee_bps')}={taker.normalize():f}",
            taker_fee_bps=taker,
        )
    return findings.ok("fees", words, taker_fee_bps=taker)


def _instrument(attestation: Attestation, terms: InstrumentTerms, settings: Settings) -> Finding:
    rules = terms.rules
    check = f"instrument {rules.instrument_id}"
    hours = attestation.funding_interval_hours.get(rules.instrument_id)
    words = (
        f"{terms.venue_symbol}: contract {terms.contract_size.normalize():f} {rules.base}, tick "
        f"{rules.tick_size.normalize():f}, lot {rules.lot_size.normalize():f}, "
        f"{len(rules.tiers)} margin tiers, funding every "
        f"{'? ' if hours is None else f'{hours.normalize():f} '}h"
    )
    core = rules.instrument_id == settings.core_instrument
    if rules.state is not InstrumentState.LIVE:
        say = findings.failed if core else findings.warning
        return say(
            check,
            f"{rules.state.value}: the venue does not take ordinary orders in it; {words}",
            "wait, or choose another instrument",
        )
    if not rules.tiers:
        return findings.failed(
            check,
            f"no margin tiers are known; {words}",
            "choose another instrument: nothing increases in one without them",
        )
    if hours is None:
        return findings.warning(
            check, words, "the venue does not tell how often funding is charged; look it up there"
        )
    return findings.ok(check, words)
