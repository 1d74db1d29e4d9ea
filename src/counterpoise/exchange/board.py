"""What the venue publishes of its markets: marks, index, last trades, funding rates, candles."""

import math
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange import funding, history
from counterpoise.exchange.background import MarketFrame
from counterpoise.exchange.candles import CandleKind, CandleStore
from counterpoise.exchange.events import FundingRateChanged, MarkChanged
from counterpoise.exchange.market import MarketModel
from counterpoise.exchange.orders import TriggerSource
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.quotes import CandleRow, FundingState
from counterpoise.exchange.scenarios.script import Scenario

#: Bands follow the premium with this time constant.
PREMIUM_SECONDS: Final = 30.0


class Board:
    """Public figures of all markets, moved by the market model step by step."""

    def __init__(
        self, parameters: ExchangeParameters, opened_ns: int, scenario: Scenario | None = None
    ) -> None:
        past = history.history(parameters, opened_ns)
        self._parameters = parameters
        self._scenario = scenario
        self._step_ns = parameters.step_ms * NS_PER_MS
        self._instruments = [each.instrument for each in parameters.instruments]
        self._places = {each.instrument_id: at for at, each in enumerate(self._instruments)}
        self._market = MarketModel(parameters, past.log_variance, scenario, opened_ns)
        #: When the markets last moved, ns.
        self.stepped_ns = opened_ns
        #: Where the markets stand; before the first step: the opening.
        self.frame: MarketFrame = self._market.frame(opened_ns // self._step_ns)
        self._mark_ticks = self.frame.mark_ticks
        self._index_ticks = self.frame.index_ticks
        self._last_ticks = list(self._mark_ticks)
        #: Mark and index as last told in an event.
        self._told = list(zip(self._mark_ticks, self._index_ticks, strict=True))
        self._candles = CandleStore(past, self._mark_ticks)
        self._hours = [each.funding_interval_hours for each in parameters.instruments]
        #: Hours an operator set, by market; they outlast a scenario's.
        self._commanded: dict[int, int] = {}
        #: Per market: the interval's premium so far, where later minutes count more.
        self._premiums = [funding.PremiumAverage() for _ in self._instruments]
        #: Per market: mid - index averaged over about 30 s, quote per base.
        self._gap = [0.0 for _ in self._instruments]
        self._funding = {name: self._funding_at(name, opened_ns) for name in self._places}

    @property
    def phase(self) -> str | None:
        """Name of the scenario's phase the markets are in; None = in none."""
        stress = self._market.stress
        if self._scenario is None or stress is None or stress.place is None:
            return None
        return self._scenario.phases[stress.place].name

    def step(self, at_ns: int) -> float:
        """Move all markets to `at_ns`; return the seconds that passed."""
        seconds = (at_ns - self.stepped_ns) / NS_PER_SECOND
        self.stepped_ns = at_ns
        phase = self.phase
        self.frame = self._market.step(at_ns // self._step_ns, seconds, at_ns)
        if self.phase != phase:
            self._take_intervals()
        self._mark_ticks = self.frame.mark_ticks
        self._index_ticks = self.frame.index_ticks
        self._candles.record(at_ns, self._mark_ticks, self._last_ticks)
        self._follow_premium(at_ns, seconds)
        return seconds

    def trade(self, instrument_id: str, ticks: int, lots: int) -> None:
        """Take note of a trade."""
        place = self._places[instrument_id]
        self._last_ticks[place] = ticks
        self._candles.add_trade(place, ticks, lots)

    def shock(self, instrument_id: str, fraction: float, seconds: float) -> None:
        """Move a market by a fraction over seconds; it stays there."""
        self._market.shock(self._places[instrument_id], fraction, seconds)

    def funding_due(self, at_ns: int) -> list[tuple[str, Decimal]]:
        """Return instruments and final rates whose funding is charged at `at_ns`, and go on."""
        due = []
        for instrument_id, place in self._places.items():
            if at_ns >= self._funding[instrument_id].funding_ns:
                due.append((instrument_id, self._funding_at(instrument_id, at_ns - 1).rate))
                self._market.premium_reset(place)
                self._premiums[place] = funding.PremiumAverage()
        return due

    def set_funding_interval(
        self, instrument_id: str, hours: int, at_ns: int
    ) -> list[FundingRateChanged]:
        """Change how often funding is charged from now on. ValueError: it must divide a day."""
        if hours < 1 or 24 % hours:
            raise ValueError(f"hours={hours} does not divide a day")
        place = self._places[instrument_id]
        self._commanded[place] = self._hours[place] = hours
        now = self._funding[instrument_id] = self._funding_at(instrument_id, at_ns)
        return [self._rate_changed(instrument_id, now, at_ns)]

    def premium(self, instrument_id: str) -> Decimal:
        """Return mid - index averaged over about 30 s, quote per base."""
        return decimal_from_float(self._gap[self._places[instrument_id]])

    def funding_changes(self, at_ns: int) -> list[FundingRateChanged]:
        """Bring the next rates up to date, at whole minutes; return what changed."""
        changes = []
        if at_ns % NS_PER_MINUTE == 0:
            for instrument_id, before in self._funding.items():
                now = self._funding_at(instrument_id, at_ns)
                if now != before:
                    self._funding[instrument_id] = now
                    changes.append(self._rate_changed(instrument_id, now, at_ns))
        return changes

    def mark_changes(self) -> list[MarkChanged]:
        """Return marks and index prices that moved since the last call."""
        changes = []
        for place, instrument in enumerate(self._instruments):
            now = (self._mark_ticks[place], self._index_ticks[place])
            if now != self._told[place]:
                self._told[place] = now
                changes.append(
                    MarkChanged(
                        instrument_id=instrument.instrument_id,
                        mark=now[0] * instrument.tick_size,
                        index=now[1] * instrument.tick_size,
                        event_ns=self.stepped_ns,
                    )
                )
        return changes

    def mark(self, instrument_id: str) -> Decimal:
        """Return the mark, quote per base. KeyError: unknown instrument."""
        return self._price(instrument_id, self._mark_ticks)

    def marks(self) -> dict[str, Decimal]:
        """Return all marks, quote per base."""
        return {name: self._price(name, self._mark_ticks) for name in self._places}

    def index(self, instrument_id: str) -> Decimal:
        """Return the index, quote per base. KeyError: unknown instrument."""
        return self._price(instrument_id, self._index_ticks)

    def last(self, instrument_id: str) -> Decimal:
        """Return the last trade's price, quote per base. KeyError: unknown instrument."""
        return self._price(instrument_id, self._last_ticks)

    def price(self, instrument_id: str, source: TriggerSource) -> Decimal:
        """Return the price a trigger order waits for. KeyError: unknown instrument."""
        match source:
            case TriggerSource.MARK:
                return self.mark(instrument_id)
            case TriggerSource.INDEX:
                return self.index(instrument_id)
            case TriggerSource.LAST:
                return self.last(instrument_id)

    def funding(self, instrument_id: str) -> FundingState:
        """Return the next funding. KeyError: unknown instrument."""
        return self._funding[instrument_id]

    def candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int,
        kind: CandleKind, now_ns: int,
    ) -> list[CandleRow]:  # fmt: skip
        """Return bars opened in [since, until), oldest first. ValueError: not whole minutes."""
        place = self._places[instrument_id]
        return self._candles.rows(
            place, self._instruments[place], step_seconds, since_ns, until_ns, kind, now_ns
        )

    def save(self) -> dict[str, Any]:
        """Return the state as JSON-able figures that read back exactly."""
        return {
            "stepped_ns": self.stepped_ns,
            "mark_ticks": list(self._mark_ticks),
            "index_ticks": list(self._index_ticks),
            "last_ticks": list(self._last_ticks),
            "told": [list(each) for each in self._told],
            "funding": msgspec.to_builtins(self._funding),
            "market": self._market.save(),
            "candles": self._candles.save(),
            "hours": list(self._hours),
            "commanded": sorted(self._commanded.items()),
            "premiums": msgspec.to_builtins(self._premiums),
            "gap": list(self._gap),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave, on a board opened at the same time.

        An older version gave less; its averages begin anew.
        """
        self._hours = [int(hours) for hours in saved.get("hours", self._hours)]
        self._commanded = {int(place): int(hours) for place, hours in saved.get("commanded", ())}
        if "premiums" in saved:
            self._premiums = msgspec.convert(saved["premiums"], list[funding.PremiumAverage])
        self._gap = [float(gap) for gap in saved.get("gap", self._gap)]
        self.stepped_ns = int(saved["stepped_ns"])
        self._mark_ticks = [int(ticks) for ticks in saved["mark_ticks"]]
        self._index_ticks = [int(ticks) for ticks in saved["index_ticks"]]
        self._last_ticks = [int(ticks) for ticks in saved["last_ticks"]]
        self._told = [(int(mark), int(index)) for mark, index in saved["told"]]
        self._funding = msgspec.convert(saved["funding"], dict[str, FundingState])
        self._market.load(saved["market"])
        self._candles.load(saved["candles"])

    def _price(self, instrument_id: str, ticks: list[int]) -> Decimal:
        place = self._places[instrument_id]
        return ticks[place] * self._instruments[place].tick_size

    def _take_intervals(self) -> None:
        # A phase's funding intervals; the premiums of a new interval count from its first moment.
        stress = self._market.stress
        for place, market in enumerate(self._parameters.instruments):
            hours = None if stress is None else stress.funding_interval_hours(place)
            hours = self._commanded.get(place) or hours or market.funding_interval_hours
            if hours != self._hours[place]:
                self._hours[place] = hours
                self._market.premium_reset(place)
                self._premiums[place] = funding.PremiumAverage()

    def _follow_premium(self, at_ns: int, seconds: float) -> None:
        # What bands and weighted funding rates need of the book and the index.
        frame = self.frame
        keep = math.exp(-seconds / PREMIUM_SECONDS)
        minute = self._parameters.rules.premium_weighted and at_ns % NS_PER_MINUTE == 0
        touch, count = frame.depth.touch, len(self._instruments)
        for place, instrument in enumerate(self._instruments):
            bid, ask = touch[place], touch[count + place]
            index = frame.index_ticks[place]
            gap = ((bid + ask) / 2 - index) * float(instrument.tick_size)
            self._gap[place] = keep * self._gap[place] + (1.0 - keep) * gap
            if minute:
                self._premiums[place].add(funding.premium(bid, ask, index))

    def _premium_average(self, place: int) -> Decimal:
        if not self._parameters.rules.premium_weighted:
            return decimal_from_float(self._market.premium_average(place))
        return decimal_from_float(self._premiums[place].value)

    def _funding_at(self, instrument_id: str, at_ns: int) -> FundingState:
        place = self._places[instrument_id]
        market, hours = self._parameters.instruments[place], self._hours[place]
        interval_ns = hours * NS_PER_HOUR
        return FundingState(
            rate=funding.funding_rate(
                self._parameters.rules.funding_formula,
                self._premium_average(place),
                hours,
                rate_max=market.funding_rate_cap or self._parameters.funding_rate_max,
                rate_min=market.funding_rate_floor,
            ),
            funding_ns=(at_ns // interval_ns + 1) * interval_ns,
            interval_hours=hours,
        )

    @staticmethod
    def _rate_changed(instrument_id: str, now: FundingState, at_ns: int) -> FundingRateChanged:
        return FundingRateChanged(
            instrument_id=instrument_id,
            rate=now.rate,
            funding_ns=now.funding_ns,
            interval_hours=now.interval_hours,
            event_ns=at_ns,
        )
