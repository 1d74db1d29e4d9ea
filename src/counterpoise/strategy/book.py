"""The held book in multiples of equity, and the record of what each rule does to the wish."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain.account import AccountView
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.market.view import MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.decision import WaterfallStep
from counterpoise.strategy.parameters import StrategyParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is held. Legs are signed multiples of equity, for every instrument with a position."""

    #: Quote, positive.
    equity: Decimal
    #: Signed base units of every held instrument.
    quantities: dict[str, Decimal]
    #: Signed notionals.
    legs: dict[str, float]
    #: Unrealised profit at mark of the legs whose entry is known.
    profits: dict[str, float]
    #: Slope on the core's return of every instrument with a known one; the core's is 1.
    betas: dict[str, float]

    def held(self, instrument_id: str) -> float:
        """Return a leg, 0 if flat."""
        return self.legs.get(instrument_id, 0.0)


def held_book(
    equity: Decimal,
    account: AccountView,
    market: MarketView,
    signals: SignalsView,
    parameters: StrategyParameters,
) -> Book:
    """Return the held book; every held instrument must have a mark."""
    quantities = {
        name: account.quantities[name]
        for name in sorted(account.quantities)
        if account.quantities[name] != 0
    }
    legs: dict[str, float] = {}
    profits: dict[str, float] = {}
    for name, quantity in quantities.items():
        mark = market.instruments[name].mark
        assert mark is not None, "the caller checked that every held instrument has a mark"
        legs[name] = float_from_decimal(quantity * mark / equity)
        entry = account.entry_prices.get(name)
        if entry is not None:
            profits[name] = float_from_decimal(quantity * (mark - entry) / equity)
    betas = {name: signals.beta[name] for name in sorted(signals.beta)}
    betas[parameters.core_instrument] = 1.0
    return Book(equity=equity, quantities=quantities, legs=legs, profits=profits, betas=betas)


def quantity_of(leg: float, equity: Decimal, mark: Decimal) -> Decimal:
    """Return the base units, signed and off the grid, of a leg given in multiples of equity."""
    return decimal_from_float(leg) * equity / mark


class Waterfall:
    """The legs on their way through the rules, and every step that changed them."""

    def __init__(self) -> None:
        #: The legs after the last rule, signed multiples of equity.
        self.legs: dict[str, float] = {}
        self._steps: list[WaterfallStep] = []

    def apply(self, rule: str, legs: Mapping[str, float]) -> None:
        """Take `legs` as the result of `rule`; a rule that changed nothing leaves no step."""
        if legs == self.legs:
            return
        after = {name: legs[name] for name in sorted(legs)}
        self._steps.append(WaterfallStep(rule=rule, before=self.legs, after=after))
        self.legs = after

    def put(self, rule: str, name: str, leg: float) -> None:
        """Change one leg."""
        self.apply(rule, {**self.legs, name: leg})

    def steps(self) -> tuple[WaterfallStep, ...]:
        """Return the steps so far."""
        return tuple(self._steps)
