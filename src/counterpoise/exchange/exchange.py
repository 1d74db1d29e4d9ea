"""The modelled venue: markets that move on a fixed grid of steps, and accounts that trade them.

Same parameters, opening time, requests and times of requests: same venue, whatever the calls to
`advance` were in between, as long as none spans more than `FAST_FORWARD_NS`.

Parameters: `parameters.demo_parameters(seed)`, `venues.okx_parameters(seed)`,
`venues.binance_parameters(seed)`, `venues.bybit_parameters(seed)`.

Commands of clients; a refusal is an `OrderRefused` and nothing happened:
    place(account_id, order) -> (PlacedOrder, events)
    amend(account_id, *, order_id, client_order_id, quantity, price_limit) -> (PlacedOrder, events)
    cancel(account_id, *, order_id, client_order_id) -> events
    place_trigger, amend_trigger, cancel_trigger: orders held back, in `trigger_commands.py`
    set_leverage(account_id, instrument_id, leverage) -> events
    set_position_mode(account_id, mode, instrument_id=None) -> events
    set_self_trade_mode(account_id, mode)
Commands of operators, in `operations.py`; those on settings are in `settings.py`:
    shock(instrument_id, fraction, seconds)
    transfer(account_id, change) -> events
    set_fee_level(account_id, level)
    set_instrument_state(instrument_id, state) -> events; delist(instrument_id) -> events
    change_rules(instrument_id, *, tick_size, lot_size, ..., tiers) -> events
    set_funding_interval(instrument_id, hours) -> events
    force_reduce(account_id, instrument_id, *, quantity, position_side, price) -> events (ADL)
    force_liquidate(account_id) -> events
    force_cancel(account_id, *, order_id, client_order_id) -> events
    set_insurance_fund(balance)
Questions besides the obvious: instrument, instruments, price_band, adl_rank, leverage_max,
    position_mode, self_trade_mode, fee_tier, insurance_fund.
"""

import hashlib
from decimal import Decimal
from typing import Any, Final, Self

import msgspec

from counterpoise.domain.orders import Side
from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_MS
from counterpoise.exchange.adl import AdlQueue
from counterpoise.exchange.board import Board
from counterpoise.exchange.candles import CandleKind
from counterpoise.exchange.desk import Desk
from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    LiquidationPrinted,
    TradePrinted,
)
from counterpoise.exchange.liquidator import Liquidator
from counterpoise.exchange.parameters import ExchangeParameters, fingerprint
from counterpoise.exchange.quotes import Book, CandleRow, FundingState
from counterpoise.exchange.scenarios.script import Scenario
from counterpoise.exchange.trading import Trading
from counterpoise.exchange.trigger_desk import TriggerDesk

#: A call of `advance` over more than this is walked in whole minutes, and market events are told
#: once at the end of them; account events are all told. Not in a scenario: there every step is
#: walked, so that its moments are not passed over and its log is the same at any speed.
FAST_FORWARD_NS: Final = 10 * NS_PER_MINUTE
_PRINTED: Final = (TradePrinted, LiquidationPrinted)
#: Shape of what `save` returns; another shape is refused.
SAVED_VERSION: Final = 1


class Exchange(Trading):
    """One venue. Not safe for threads; make it by `create` or `restore`."""

    _board: Board

    def __init__(
        self, parameters: ExchangeParameters, opened_ns: int, scenario: Scenario | None = None
    ) -> None:
        assert parameters.instruments, "a venue needs a market"
        board = Board(parameters, opened_ns, scenario)
        desk = Desk(parameters, board.trade, self.price_band)
        liquidator = Liquidator(desk, parameters.rules.liquidation, AdlQueue(parameters))
        triggers = TriggerDesk(parameters, desk, board.price)
        super().__init__(parameters, board, desk, liquidator, triggers)
        self._opened_ns = opened_ns
        self._step_ns = parameters.step_ms * NS_PER_MS
        self._scenario = scenario
        self._scenario_sha256 = _scenario_fingerprint(scenario)
        self._desk.now_ns = opened_ns
        self._desk.clearing.marks = self._board.marks()
        self._book_ns = dict.fromkeys(self._desk.books, opened_ns)
        self._refresh_books(0.0)
        for book in self._desk.books.values():
            book.changes()

    @classmethod
    def create(
        cls, parameters: ExchangeParameters, opened_ns: int, scenario: Scenario | None = None
    ) -> Self:
        """Open a venue whose history ends at `opened_ns` with every market at its start price.

        `scenario` plays from then on; None = calm markets. ValueError: its bars do not fit.
        """
        return cls(parameters, opened_ns, scenario)

    @classmethod
    def restore(
        cls, parameters: ExchangeParameters, saved: dict[str, Any], scenario: Scenario | None = None
    ) -> Self:
        """Make the venue `save` was taken from, at its place in its scenario.

        ValueError: other parameters, other scenario or other version.
        """
        if saved.get("version") != SAVED_VERSION:
            raise ValueError(f"saved version={saved.get('version')} is not {SAVED_VERSION}")
        if saved["parameters_sha256"] != fingerprint(parameters):
            raise ValueError("the venue was saved with other parameters; they decide its markets")
        if saved.get("scenario_sha256") != _scenario_fingerprint(scenario):
            raise ValueError("the venue was saved with another scenario; it decides its markets")
        exchange = cls(parameters, int(saved["opened_ns"]), scenario)
        exchange._load(saved)
        return exchange

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON-able values; restoring it continues bit by bit."""
        return {
            "version": SAVED_VERSION,
            "parameters_sha256": fingerprint(self._parameters),
            "scenario_sha256": self._scenario_sha256,
            "opened_ns": self._opened_ns,
            "book_ns": dict(self._book_ns),
            "board": self._board.save(),
            "desk": self._desk.save(),
            "crowd": self._liquidator.queue.save(),
            "triggers": self._triggers.save(),
        }

    @property
    def parameters(self) -> ExchangeParameters:
        """What the venue is made of."""
        return self._parameters

    @property
    def opened_ns(self) -> int:
        """When the venue opened: second 0 of its scenario, ns."""
        return self._opened_ns

    @property
    def scenario(self) -> Scenario | None:
        """What plays; None = nothing. Its `faults_due` tells what befalls the wire and when."""
        return self._scenario

    @property
    def phase(self) -> str | None:
        """Name of the scenario's phase the markets are in; None = in none."""
        return self._board.phase

    def advance(self, until_ns: int) -> list[ExchangeEvent]:
        """Let time pass and return what happened. ValueError: `until_ns` is in the past."""
        if until_ns < self.now_ns:
            raise ValueError(f"until_ns={until_ns} is before now_ns={self.now_ns}")
        events: list[ExchangeEvent] = []
        if until_ns - self.now_ns > FAST_FORWARD_NS and self._scenario is None:
            events = self._fast_forward(until_ns)
        at_ns = (self._board.stepped_ns // self._step_ns + 1) * self._step_ns
        while at_ns <= until_ns:
            events += self._step(at_ns)
            events += self._market_changes()
            at_ns += self._step_ns
        self._desk.now_ns = until_ns
        return events

    def shock(self, instrument_id: str, fraction: float, seconds: float) -> None:
        """Move a market by a fraction over seconds on top of its path; it stays there."""
        self._board.shock(instrument_id, fraction, seconds)

    def set_funding_interval(self, instrument_id: str, hours: int) -> list[ExchangeEvent]:
        """Charge funding every so many hours from now on, counted from 00:00 UTC.

        OrderRefused: unknown instrument. ValueError: `hours` does not divide a day.
        """
        self._desk.clearing.instrument(instrument_id)
        return [*self._board.set_funding_interval(instrument_id, hours, self._desk.now_ns)]

    def book(self, instrument_id: str) -> Book:
        """Return an instrument's whole order book. KeyError: unknown instrument."""
        book = self._desk.books[instrument_id]
        return Book(
            instrument_id=instrument_id,
            bids=book.levels(Side.BUY),
            asks=book.levels(Side.SELL),
            event_ns=self._book_ns[instrument_id],
        )

    def mark(self, instrument_id: str) -> Decimal:
        """Return the mark, quote per base. KeyError: unknown instrument."""
        return self._board.mark(instrument_id)

    def index(self, instrument_id: str) -> Decimal:
        """Return the index, quote per base. KeyError: unknown instrument."""
        return self._board.index(instrument_id)

    def last(self, instrument_id: str) -> Decimal:
        """Return the last trade's price, quote per base. KeyError: unknown instrument."""
        return self._board.last(instrument_id)

    def funding(self, instrument_id: str) -> FundingState:
        """Return the next funding. KeyError: unknown instrument."""
        return self._board.funding(instrument_id)

    def candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int, *,
        kind: CandleKind,
    ) -> list[CandleRow]:  # fmt: skip
        """Return bars opened in [since, until), oldest first, the forming one unconfirmed.

        ValueError: `step_seconds` is not a whole number of minutes.
        """
        return self._board.candles(
            instrument_id, step_seconds, since_ns, until_ns, kind, self.now_ns
        )

    def _fast_forward(self, until_ns: int) -> list[ExchangeEvent]:
        # Trades of the background are left out: nobody was there to see them.
        events: list[ExchangeEvent] = []
        at_ns = (self._board.stepped_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
        while at_ns <= until_ns:
            events += [each for each in self._step(at_ns) if not isinstance(each, _PRINTED)]
            at_ns += NS_PER_MINUTE
        return [*events, *self._market_changes()]

    def _step(self, at_ns: int) -> list[ExchangeEvent]:
        board, desk = self._board, self._desk
        desk.now_ns = at_ns
        seconds = board.step(at_ns)
        desk.clearing.marks = board.marks()
        self._refresh_books(seconds)
        for place, (instrument_id, book) in enumerate(desk.books.items()):
            desk.meet_background(instrument_id)
            lots = board.frame.print_lots[place]
            if lots and (lots := book.coarse_lots(lots)):
                side = Side.BUY if lots > 0 else Side.SELL
                forced = board.frame.forced[place]
                desk.print_background(instrument_id, side, abs(lots), forced=forced)
        self._triggers.watch()
        events = desk.drain()
        for instrument_id, rate in board.funding_due(at_ns):
            events += self._charge_funding(instrument_id, rate)
        events += board.funding_changes(at_ns)
        self._liquidate()
        events += desk.drain()
        if at_ns % NS_PER_MINUTE == 0:
            desk.registry.forget(at_ns)
        return events

    def _refresh_books(self, seconds: float) -> None:
        depth = self._board.frame.depth
        for place, book in enumerate(self._desk.books.values()):
            book.refresh(depth, place, seconds)

    def _market_changes(self) -> list[ExchangeEvent]:
        return [*self._board.mark_changes(), *self._book_changes(self.now_ns)]

    def _book_changes(self, event_ns: int) -> list[ExchangeEvent]:
        events: list[ExchangeEvent] = []
        listing = self._desk.clearing.listing
        for instrument_id, book in self._desk.books.items():
            bids, asks = book.changes()
            if (bids or asks) and not listing.delisted(instrument_id):
                self._book_ns[instrument_id] = event_ns
                events.append(
                    BookChanged(
                        instrument_id=instrument_id, bids=bids, asks=asks, event_ns=event_ns
                    )
                )
        return events

    def _load(self, saved: dict[str, Any]) -> None:
        self._board.load(saved["board"])
        self._desk.load(saved["desk"])
        self._triggers.load(saved.get("triggers", []))
        if "crowd" in saved:
            self._liquidator.queue.load(saved["crowd"])
        for instrument_id in self._desk.books:
            self._coarsen(instrument_id)
        self._desk.clearing.marks = self._board.marks()
        self._book_ns = {name: int(event_ns) for name, event_ns in saved["book_ns"].items()}


def _scenario_fingerprint(scenario: Scenario | None) -> str | None:
    if scenario is None:
        return None
    return hashlib.sha256(msgspec.json.encode(scenario, order="sorted")).hexdigest()
