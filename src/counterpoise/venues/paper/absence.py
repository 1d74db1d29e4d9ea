"""What befell a paper account while nobody listened: the fundings of that time.

A real venue charges, liquidates and fills without us; a model does not. Fundings are charged
afterwards at the rate the venue charged and the mark it had then. Nothing else is made up for:
orders and stops meet the market again from the next mark on.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import structlog

from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.mirror.exchange import MirrorExchange
from counterpoise.ports import HistoricFunding, PublicVenue
from counterpoise.venues.history import PublicHistory
from counterpoise.venues.paper.account import PaperAccount

_log = structlog.get_logger(__name__)

#: The mark of a moment is looked for in the bars of this long before it, ns.
_MARK_NS: Final = 600 * NS_PER_SECOND
#: What a venue's history does not list this long after its moment was not charged, ns. One that is
#: younger may be listed yet: it is charged as the stream's next one tells (`Fundings`).
LISTED_NS: Final = 600 * NS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missed:
    # One funding nobody heard of.
    due_ns: int
    instrument_id: str
    rate: Decimal
    mark: Decimal


async def charge_missed(account: PaperAccount, public: PublicVenue, address: str) -> int:
    """Charge what was due since the account last knew; return how many fundings.

    `address` is the venue's public REST. All of them are charged, or none: VenueUnreachable or
    VenueRejected.
    """
    exchange = account.exchange
    until_ns = account.venue_ns()
    # Funding is charged on the hour, whatever the interval.
    known = {each: _known_ns(exchange, each) for each in exchange.held()}
    hour = until_ns // NS_PER_HOUR
    since = {each: known_ns for each, known_ns in known.items() if known_ns // NS_PER_HOUR != hour}
    if not since:
        return 0
    missed: list[_Missed] = []
    history = PublicHistory(account.terms.venue, address=address)
    try:
        await history.open(tuple(since))
        for instrument_id, since_ns in since.items():
            rates = await _rates(history, instrument_id, since_ns, until_ns)
            missed += [await _missed(exchange, public, instrument_id, each) for each in rates]
    finally:
        await history.close()
    events: list[ExchangeEvent] = []
    for one in sorted(missed, key=lambda each: (each.due_ns, each.instrument_id)):
        events += exchange.charge_missed(one.instrument_id, one.rate, one.mark, one.due_ns)
    for instrument_id in since:
        exchange.covered(until_ns - LISTED_NS, instrument_id)
    account.commit(events)
    return len(missed)


def _known_ns(exchange: MirrorExchange, instrument_id: str) -> int:
    # Up to when nothing is owed.
    holding = exchange.holding(instrument_id)
    opened_ns = 0 if holding is None else holding.opened_ns
    return max(exchange.funded_ns(instrument_id), opened_ns)


async def _rates(
    history: PublicHistory, instrument_id: str, since_ns: int, until_ns: int
) -> list[HistoricFunding]:
    found: dict[int, HistoricFunding] = {}
    first_ms, end_ms = since_ns // NS_PER_MS + 1, until_ns // NS_PER_MS + 1
    for start_ms in range(first_ms, end_ms, history.funding_page_ms()):
        last_ms = min(start_ms + history.funding_page_ms(), end_ms)
        for each in await history.fundings(instrument_id, start_ms, last_ms):
            if start_ms <= each.funding_ms < last_ms:
                found[each.funding_ms] = each
    return [found[moment] for moment in sorted(found)]


async def _missed(
    exchange: MirrorExchange, public: PublicVenue, instrument_id: str, charged: HistoricFunding
) -> _Missed:
    due_ns = charged.funding_ms * NS_PER_MS
    bars = await public.mark_candles(instrument_id, 60, due_ns - _MARK_NS, due_ns)
    holding = exchange.holding(instrument_id)
    assert holding is not None, "it is held"
    mark = bars[-1].close if bars else holding.entry_price
    if not bars:
        # Not charged now, it never would be; what it was entered at is the best that is known.
        _log.warning("paper.funding_without_mark", instrument=instrument_id, at_ns=due_ns)
    return _Missed(
        due_ns=due_ns,
        instrument_id=instrument_id,
        rate=decimal_from_float(charged.rate),
        mark=mark,
    )
