"""What befell a paper account while nobody listened: the fundings of that time.

A real venue charges, liquidates and fills without us; a model does not. Fundings are charged
afterwards at the rate the venue charged and the mark it had then. Nothing else is made up for:
orders and stops meet the market again from the next mark on.
"""

from collections.abc import Sequence
from typing import Final

from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import HistoricFunding, PublicVenue
from counterpoise.venues.history import PublicHistory
from counterpoise.venues.paper.account import PaperAccount

#: The mark of a moment is looked for in the bars of this long before it, ns.
_MARK_NS: Final = 600 * NS_PER_SECOND


async def charge_missed(account: PaperAccount, public: PublicVenue, address: str) -> int:
    """Charge what was due since the account was last changed; return how many fundings.

    `address` is the venue's public REST. Raises VenueUnreachable or VenueRejected.
    """
    exchange = account.exchange
    since_ns, until_ns = exchange.now_ns, account.venue_ns()
    held = exchange.held()
    charged = 0
    # Funding is charged on the hour, whatever the interval.
    if held and since_ns // NS_PER_HOUR != until_ns // NS_PER_HOUR:
        history = PublicHistory(account.terms.venue, address=address)
        try:
            await history.open(held)
            for instrument_id in held:
                rates = await _rates(history, instrument_id, since_ns, until_ns)
                charged += await _charge(account, public, instrument_id, rates)
        finally:
            await history.close()
    exchange.covered(until_ns)
    return charged


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


async def _charge(
    account: PaperAccount,
    public: PublicVenue,
    instrument_id: str,
    rates: Sequence[HistoricFunding],
) -> int:
    charged = 0
    for each in rates:
        due_ns = each.funding_ms * NS_PER_MS
        bars = await public.mark_candles(instrument_id, 60, due_ns - _MARK_NS, due_ns)
        if not bars:
            continue
        rate = decimal_from_float(each.rate)
        account.commit(account.exchange.charge_missed(instrument_id, rate, bars[-1].close, due_ns))
        charged += 1
    return charged
