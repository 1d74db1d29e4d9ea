"""What the venue attests of account and instruments: asked, judged, hashed and compared.

One frozen value holds all of it. Its facts are text by field, so that a difference can be named;
what only measures (the clock) or moves by itself (a state) is not among them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import structlog

from counterpoise.domain.account import (
    AccountSnapshot,
    Attestation,
    AttestedDifference,
)
from counterpoise.domain.errors import (
    LeaseLost,
    LedgerUnavailable,
    StartRefused,
    VenueRejected,
)
from counterpoise.domain.instruments import InstrumentTerms
from counterpoise.execution.sends import SendPermit
from counterpoise.ledger import codec
from counterpoise.ports import Venue

#: A permission whose name holds one of these moves money out of the account.
_MOVES_MONEY: Final = ("withdraw", "transfer")
#: Fact of something the venue does not tell.
NOT_TOLD: Final = "not told"

#: What is wrong with modes; on a flat account the daemon sets the ones that can be set.
MARGIN_MODE: Final = "margin mode"
POSITION_MODE: Final = "position mode"
ACCOUNT_MODE: Final = "account mode"

_log = structlog.get_logger(__name__)

#: How such a remedy ends.
_BY_THE_START: Final = (
    "; once nothing is held and no order is open, stops included, the start sets it itself"
)

Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something about the account with which the daemon does not start."""

    #: What is wrong: "permissions", "position mode", "margin mode", "account mode", "clock".
    what: str
    #: How it is.
    found: str
    #: What ends it.
    remedy: str
    #: Whether the daemon ends it itself on an account without positions and orders.
    settable: bool = False

    @property
    def words(self) -> str:
        """Both as one sentence."""
        return f"{self.found}; {self.remedy}"


async def attest(venue: Venue, instrument_ids: Sequence[str]) -> Attestation:
    """Return account and instruments as the venue says they are now.

    Raises StartRefused or the `VenueError` family.
    """
    # The rules first: asking for them is what reads the venue's list anew.
    rules = await venue.instruments(instrument_ids)
    attestation = await venue.attest(instrument_ids)
    terms = tuple(
        InstrumentTerms(
            rules=each,
            venue_symbol=venue.venue_symbol(each.instrument_id),
            contract_size=venue.contract_size(each.instrument_id),
        )
        for each in rules
    )
    return replace(attestation, instruments=terms)


def refused_permissions(attestation: Attestation) -> list[str]:
    """Return the key's permissions that move money, as the venue names them."""
    return sorted(
        each
        for each in attestation.permissions
        if any(word in each.lower() for word in _MOVES_MONEY)
    )


def faults(attestation: Attestation, clock_offset_ms_max: float) -> list[Fault]:
    """Return why the daemon would not start on this account; empty = it would."""
    found = [*_key_faults(attestation), *_mode_faults(attestation)]
    if abs(attestation.clock_offset_ms) > clock_offset_ms_max:
        words = (
            f"this clock differs from the venue's by {attestation.clock_offset_ms:.0f} ms, more "
            f"than {clock_offset_ms_max:.0f}"
        )
        found.append(Fault(what="clock", found=words, remedy="synchronise it (NTP)"))
    return found


def check(
    attestation: Attestation, clock_offset_ms_max: float, *, before_preparing: bool = False
) -> None:
    """Refuse an account that is not set up as the daemon needs it; says how to mend it.

    Before preparing, modes that the daemon may still set do not count.
    """
    found = [
        fault
        for fault in faults(attestation, clock_offset_ms_max)
        if not (before_preparing and fault.settable)
    ]
    if found:
        raise StartRefused("\n".join(fault.words for fault in found))


async def prepare(
    venue: Venue,
    attestation: Attestation,
    snapshot: AccountSnapshot,
    setting: Decimal,
    permit: SendPermit,
) -> tuple[bool, list[str]]:
    """Make modes as they must be and the leverage setting the ceiling, where nothing is in the way.

    Returns whether anything was set, and the instruments that kept a setting of their own because
    a position or an open order is in them: changing it could move their margin under them. Modes
    are the account's: one position or order anywhere leaves them, and the start is then refused.
    Nothing is set without the lease. Raises LeaseLost, and LedgerUnavailable while it is not sure.
    """
    busy = {held.instrument_id for held in snapshot.positions}
    busy |= {order.instrument_id for order in snapshot.open_orders}
    modes = not busy and await _set_modes(venue, attestation, permit)
    settings = attestation.leverage_settings
    # Another mode may bring leverage settings of its own.
    wrong = [i for i, now in settings.items() if now != setting or modes]
    for instrument_id in wrong:
        if instrument_id not in busy:
            _check_permit(permit)
            await venue.set_leverage(instrument_id, setting)
    return modes or any(i not in busy for i in wrong), [i for i in wrong if i in busy]


async def _set_modes(venue: Venue, attestation: Attestation, permit: SendPermit) -> bool:
    # Returns whether they were set; a venue that refuses leaves the fault, with its remedy.
    wrong = [fault.what for fault in _mode_faults(attestation) if fault.settable]
    if not wrong:
        return False
    _check_permit(permit)
    try:
        await venue.set_modes()
    except VenueRejected as error:
        _log.warning("modes.not_set", wrong=wrong, error=str(error))
        return False
    _log.info("modes.set", changed=wrong)
    return True


def _check_permit(permit: SendPermit) -> None:
    # The last look before the bytes leave, as for an increase.
    if permit.fenced:
        raise LeaseLost(
            "another daemon took the account over during the start; nothing more is set"
        )
    if not permit.may_increase():
        raise LedgerUnavailable(
            "Postgres does not confirm the lease, without which nothing is set at the venue; start "
            "again once it answers"
        )


def facts(attestation: Attestation) -> dict[str, str]:
    """Return everything attested as text by field, in canonical order."""
    found = {
        "account_id": attestation.account_id,
        "account_mode": attestation.account_mode or NOT_TOLD,
        "fee_tier": attestation.fee_tier or NOT_TOLD,
        "ip_bound": _text(attestation.ip_bound),
        "maker_fee_bps": _text(attestation.maker_fee_bps),
        "margin_mode": "cross" if attestation.cross_margin else "isolated",
        "multi_asset": _text(attestation.multi_asset),
        "permissions": ",".join(sorted(attestation.permissions)),
        "position_mode": "one_way" if attestation.one_way else "hedge",
        "taker_fee_bps": _text(attestation.taker_fee_bps),
    }
    for terms in attestation.instruments:
        name = terms.rules.instrument_id
        found |= {f"{name}.{field}": text for field, text in _of_instrument(attestation, terms)}
    return dict(sorted(found.items()))


def body(attested: Facts) -> str:
    """Return facts as canonical JSON."""
    return codec.encode(dict(attested))


def sha256(text: str) -> str:
    """Return the hash an attestation is known by, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def differences(expected: Facts, found: Facts) -> tuple[AttestedDifference, ...]:
    """Return what is not as expected, by field; of instruments that were not asked, nothing.

    What is not told any more differs from what was: nobody knows that it still holds.
    """
    asked = {field.partition(".")[0] for field in found}
    return tuple(
        AttestedDifference(field=field, expected=expected[field], found=found.get(field, NOT_TOLD))
        for field in sorted(expected)
        if field.partition(".")[0] in asked and expected[field] != found.get(field, NOT_TOLD)
    )


def _key_faults(attestation: Attestation) -> Iterator[Fault]:
    refused = refused_permissions(attestation)
    if refused:
        yield Fault(
            what="permissions",
            found=f"the API key may {', '.join(refused)}",
            remedy="make one that may only read and trade",
        )
    if "trade" not in attestation.permissions:
        yield Fault(
            what="permissions",
            found="the API key may not trade",
            remedy="make one that may read and trade",
        )


def _mode_faults(attestation: Attestation) -> Iterator[Fault]:
    if attestation.account_mode_fault:
        words, _, remedy = attestation.account_mode_fault.partition("; ")
        settable = attestation.account_mode_settable
        yield Fault(
            what=ACCOUNT_MODE,
            found=words,
            remedy=f"{remedy}{_BY_THE_START if settable else ''}",
            settable=settable,
        )
    if not attestation.one_way:
        yield Fault(
            what=POSITION_MODE,
            found="the account keeps long and short positions apart",
            remedy=f"set position mode to net (one-way){_BY_THE_START}",
            settable=True,
        )
    if not attestation.cross_margin:
        yield Fault(
            what=MARGIN_MODE,
            found="positions have margin of their own instead of cross margin",
            remedy=f"close them and switch their instruments to cross margin{_BY_THE_START}",
            settable=True,
        )


def _of_instrument(attestation: Attestation, terms: InstrumentTerms) -> Iterator[tuple[str, str]]:
    rules, name = terms.rules, terms.rules.instrument_id
    ends = attestation.tier_quantities.get(name) or tuple(tier.notional_max for tier in rules.tiers)
    yield "contract_size", _text(terms.contract_size)
    yield "funding_interval_hours", _text(attestation.funding_interval_hours.get(name))
    yield "leverage_setting", _text(attestation.leverage_settings.get(name))
    yield "lot_size", _text(rules.lot_size)
    yield "notional_min", _text(rules.notional_min)
    yield "quantity_min", _text(rules.quantity_min)
    yield "tick_size", _text(rules.tick_size)
    yield "tier_ends", " ".join("none" if end is None else _text(end) for end in ends)
    yield (
        "tier_margins",
        " ".join(
            f"{_text(tier.initial_margin_fraction)}/{_text(tier.maintenance_margin_fraction)}"
            f"-{_text(tier.maintenance_margin_deduction)}"
            for tier in rules.tiers
        ),
    )
    yield "venue_symbol", terms.venue_symbol


def _text(value: Decimal | bool | None) -> str:  # noqa: FBT001 - a value, not a switch
    if value is None:
        return NOT_TOLD
    if isinstance(value, bool):
        return str(value).lower()
    # 0.10 and 0.1 are one fact.
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
