"""Equity at mark (architecture invariant 1).

Two figures are kept and the lower one counts: our own (wallet + unrealised PnL at the current
mark) and the venue's last one, carried forward by the marks and fills since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain.orders import Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityAnchor:
    """The venue's last figure of equity and what it was computed from."""

    #: Equity as the venue told it, quote.
    venue_equity: Decimal
    #: Our marks at that moment, quote per base; every held instrument needs one.
    marks: dict[str, Decimal]
    #: Signed base units held at that moment.
    quantities: dict[str, Decimal]
    #: Venue clock of the figure, ns.
    anchor_ns: int


def equity_at_mark(
    wallet_balance: Decimal | None,
    quantities: Mapping[str, Decimal],
    entry_prices: Mapping[str, Decimal],
    marks: Mapping[str, Decimal],
) -> Decimal | None:
    """Return wallet + sum of quantity x (mark - average entry), quote.

    None if the wallet, or a held instrument's mark or entry, is not known.
    """
    if wallet_balance is None:
        return None
    total = wallet_balance
    for instrument_id in sorted(quantities):
        quantity = quantities[instrument_id]
        if quantity == 0:
            continue
        mark, entry = marks.get(instrument_id), entry_prices.get(instrument_id)
        if mark is None or entry is None:
            return None
        total += quantity * (mark - entry)
    return total


def equity_from_anchor(
    anchor: EquityAnchor,
    marks: Mapping[str, Decimal],
    fills: Sequence[Fill] = (),
    cash: Decimal = Decimal(0),
) -> Decimal | None:
    """Return the venue's figure carried to the current marks, quote.

    Adds what the anchored positions gained since, what each later fill gained from its price to
    the mark less its fee (taken as quote), and `cash` (funding and transfers since, + received).
    None if a mark that is needed is missing, then or now.
    """
    total = anchor.venue_equity + cash
    for instrument_id in sorted(anchor.quantities):
        quantity = anchor.quantities[instrument_id]
        if quantity == 0:
            continue
        then, now = anchor.marks.get(instrument_id), marks.get(instrument_id)
        if then is None or now is None:
            return None
        total += quantity * (now - then)
    for fill in fills:
        now = marks.get(fill.instrument_id)
        if now is None:
            return None
        total += fill.signed_quantity * (now - fill.price) - fill.fee
    return total


def equity(own: Decimal | None, carried: Decimal | None) -> Decimal | None:
    """Return the lower of our own figure and the venue's carried one; None if either is None."""
    if own is None or carried is None:
        return None
    return min(own, carried)
