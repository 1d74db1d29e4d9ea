"""Auto-deleveraging: who gives up a profitable position when the insurance fund runs dry.

Traders are ranked by profit fraction x leverage, the highest first; a loss is divided by the
leverage instead. Besides accounts a seeded crowd is in the queue.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.orders import Side
from counterpoise.domain.rounding import decimal_from_float
from counterpoise.exchange.draws import generator
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.parameters import ExchangeParameters, InstrumentParameters
from counterpoise.exchange.rules import CrowdRule

#: Stream of the generator the crowd is drawn from.
STREAM_CROWD: Final = 11
#: Highest ADL indicator: first in the queue.
RANK_MAX: Final = 5
#: The crowd's entries scatter around the start price by this deviation, fraction.
ENTRY_DEVIATION: Final = 0.05
#: The crowd's leverage scatters around this by a factor.
LEVERAGE_TYPICAL: Final = 8.0
LEVERAGE_DEVIATION: Final = 0.6
#: Stands in for the leverage of an account without equity.
_LEVERAGE_BANKRUPT: Final = Decimal(1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An account's position that ADL may shrink."""

    account_id: str
    position_side: PositionSide
    #: Base units, unsigned.
    quantity: Decimal
    #: Quote per base.
    entry_price: Decimal
    #: Of the whole account at mark, quote.
    equity: Decimal


@dataclass(slots=True, kw_only=True)
class Member:
    """One trader of the crowd."""

    #: Base units, unsigned; 0 = deleveraged away.
    quantity: Decimal
    #: Quote per base.
    entry_price: Decimal
    leverage: Decimal


def score(holder: Side, entry_price: Decimal, mark: Decimal, leverage: Decimal) -> Decimal:
    """Return what ranks a position: profit fraction x leverage, or loss fraction / leverage."""
    profit = holder.sign * (mark - entry_price) / entry_price
    return profit * leverage if profit > 0 else profit / leverage


class AdlQueue:
    """The crowd of every market, and the order it and accounts are deleveraged in."""

    def __init__(self, parameters: ExchangeParameters) -> None:
        self._crowd: dict[tuple[str, Side], list[Member]] = {}
        rule = parameters.rules.crowd
        for place, market in enumerate(parameters.instruments):
            for holder in Side:
                number = place * 2 + (holder is Side.SELL)
                self._crowd[market.instrument.instrument_id, holder] = (
                    [] if rule is None else _members(parameters.seed, number, market, rule)
                )

    def crowd(self, instrument_id: str, holder: Side) -> tuple[Member, ...]:
        """Return who of the crowd is long (BUY) or short (SELL). KeyError: unknown instrument."""
        return tuple(self._crowd[instrument_id, holder])

    def assign(
        self, instrument_id: str, holder: Side, claims: Sequence[Claim], quantity: Decimal,
        mark: Decimal,
    ) -> list[tuple[Claim, Decimal]]:  # fmt: skip
        """Spread a quantity over longs (holder BUY) or shorts, first in the queue first.

        Returns the accounts' parts; the crowd's are taken off it here. What is beyond all of
        them vanishes.
        """
        parts: list[tuple[Claim, Decimal]] = []
        left = quantity
        for _, trader in self._queue(instrument_id, holder, claims, mark):
            part = min(left, trader.quantity)
            if part <= 0:
                continue
            left -= part
            if isinstance(trader, Claim):
                parts.append((trader, part))
            else:
                trader.quantity -= part
        return parts

    def rank(
        self, instrument_id: str, holder: Side, claims: Sequence[Claim],
        who: tuple[str, PositionSide], mark: Decimal,
    ) -> int:  # fmt: skip
        """Return the indicator of one of the claims, 1 (last fifth) to 5 (first fifth).

        Who is alone is no fifth of anything: 1.
        """
        queue = self._queue(instrument_id, holder, claims, mark)
        if len(queue) == 1:
            return 1
        for place, (_, trader) in enumerate(queue):
            if isinstance(trader, Claim) and (trader.account_id, trader.position_side) == who:
                return RANK_MAX - RANK_MAX * place // len(queue)
        raise AssertionError("the position asked for is not among the claims")

    def save(self) -> list[list[str]]:
        """Return what is left of the crowd, as JSON-able figures."""
        return [[str(each.quantity) for each in members] for members in self._crowd.values()]

    def load(self, saved: list[list[Any]]) -> None:
        """Take over what `save` gave."""
        for members, quantities in zip(self._crowd.values(), saved, strict=True):
            for member, quantity in zip(members, quantities, strict=True):
                member.quantity = Decimal(quantity)

    def _queue(
        self, instrument_id: str, holder: Side, claims: Sequence[Claim], mark: Decimal
    ) -> list[tuple[Decimal, Claim | Member]]:
        queue: list[tuple[Decimal, Claim | Member]] = []
        for claim in claims:
            notional = claim.quantity * mark
            leverage = notional / claim.equity if claim.equity > 0 else _LEVERAGE_BANKRUPT
            queue.append((score(holder, claim.entry_price, mark, leverage), claim))
        queue += [
            (score(holder, member.entry_price, mark, member.leverage), member)
            for member in self._crowd[instrument_id, holder]
            if member.quantity
        ]
        return sorted(queue, key=lambda each: -each[0])


def _members(seed: int, number: int, market: InstrumentParameters, rule: CrowdRule) -> list[Member]:
    draws = generator(seed, STREAM_CROWD, number)
    entries = draws.standard_normal(rule.members)
    leverages = draws.standard_normal(rule.members)
    shares = draws.standard_exponential(rule.members)
    price, lot = float(market.price_start), market.instrument.lot_size
    notional = market.depth_quote * rule.depth_multiple
    lots_all = notional / price / float(lot) / float(shares.sum())
    return [
        Member(
            quantity=max(1, round(float(shares[each]) * lots_all)) * lot,
            entry_price=decimal_from_float(
                price * math.exp(ENTRY_DEVIATION * float(entries[each]))
            ),
            leverage=decimal_from_float(
                max(1.0, LEVERAGE_TYPICAL * math.exp(LEVERAGE_DEVIATION * float(leverages[each])))
            ),
        )
        for each in range(rule.members)
    ]
