"""Faults: what can go wrong on order, and which of it is going wrong now.

A fault is ordered by `POST /_control`, by `counterpoise simulator fault` or by a scenario's
schedule. It waits `after_seconds`, then strikes with `probability` until `count` strikes are used
up or `duration_seconds` have passed, all in market time. Draws come from the venue's seed.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from counterpoise.domain import units
from counterpoise.simulator.clock import Clock

#: Longest `seconds` of a delay.
DELAY_SECONDS_MAX: Final = 600.0
#: Longest `after_seconds` and `duration_seconds`.
DURATION_SECONDS_MAX: Final = 30 * 86_400.0
#: Most faults that may wait at a time.
FAULTS_MAX: Final = 300


class FaultKind(StrEnum):
    """What goes wrong. What each does stands in `RULES`."""

    DROP_AFTER_READ = "drop_after_read"
    HTTP_200_EMPTY = "http_200_empty"
    DELAY = "delay"
    REJECT_50026 = "reject_50026"
    ACCEPT_THEN_TIMEOUT = "accept_then_timeout"
    UNAVAILABLE = "unavailable"
    UNKNOWN_OUTCOME = "unknown_outcome"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    MAINTENANCE = "maintenance"
    REJECT_INCREASES = "reject_increases"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    PARTIAL_FILL = "partial_fill"
    LATE_PRIVATE = "late_private"
    DUPLICATE_PRIVATE = "duplicate_private"
    REORDER_PRIVATE = "reorder_private"
    LOSE_PRIVATE = "lose_private"
    SILENT_STREAMS = "silent_streams"
    HALF_OPEN = "half_open"
    RECONNECT_STORM = "reconnect_storm"
    GAP_BOOKS = "gap_books"
    WRONG_SEQUENCE_BOOKS = "wrong_sequence_books"
    CROSSED_BOOK = "crossed_book"
    EMPTY_BOOK = "empty_book"
    FREEZE_BOOK = "freeze_book"
    STALE_MARK = "stale_mark"
    CLOCK_JUMP = "clock_jump"
    EMPTY_POSITIONS = "empty_positions"
    EMPTY_MARGINS = "empty_margins"
    CUT_STREAMS = "cut_streams"
    UPGRADE_NOTICE = "upgrade_notice"
    FORCE_REDUCE = "force_reduce"
    LIQUIDATE = "liquidate"
    CANCEL_BEHIND = "cancel_behind"
    INSTRUMENT_STATE = "instrument_state"
    LOT_SIZE = "lot_size"
    FUNDING_INTERVAL = "funding_interval"
    TIERS = "tiers"
    TRANSFER = "transfer"
    LEVERAGE = "leverage"
    POSITION_MODE = "position_mode"
    CLEAR = "clear"


class Place(StrEnum):
    """Where a fault strikes."""

    #: An answered request; `path_contains`, `method` and `stage` narrow it.
    ANSWER = "answer"
    #: An order the venue is about to take; `symbol` narrows it.
    ORDER = "order"
    #: A push of private events.
    PRIVATE_PUSH = "private push"
    #: A push of a book; `symbol` narrows it.
    BOOK_PUSH = "book push"
    #: Lasts: what a venue shows or a connection does for `duration_seconds`.
    LASTING = "lasting"
    #: Happens once, when it is due.
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one kind of fault does."""

    #: Where it strikes.
    place: Place
    #: What a client sees, for the docs.
    words: str
    #: What `value` means; "" = not used.
    value: str = ""
    #: Whether it strikes order entry alone unless `path_contains` says otherwise.
    order_entry: bool = False
    #: Whether the venue has carried the request out unless `stage` says otherwise.
    carries_out: bool = True


#: The one table of faults; `docs/simulator.md` shows it and a test holds them together.
RULES: Final[Mapping[FaultKind, Rule]] = {
    FaultKind.DROP_AFTER_READ: Rule(
        place=Place.ANSWER, words="the connection ends without an answer"
    ),
    FaultKind.HTTP_200_EMPTY: Rule(place=Place.ANSWER, words="HTTP 200 with an empty body"),
    FaultKind.DELAY: Rule(place=Place.ANSWER, words="the answer comes `seconds` late"),
    FaultKind.REJECT_50026: Rule(
        place=Place.ANSWER, words="the older name of `unavailable`", carries_out=False
    ),
    FaultKind.ACCEPT_THEN_TIMEOUT: Rule(
        place=Place.ANSWER,
        words="carried out, then silence for `seconds` and the connection ends",
        order_entry=True,
    ),
    FaultKind.UNAVAILABLE: Rule(
        place=Place.ANSWER,
        words="HTTP 503 in the venue's words; with `stage` answer it comes after acceptance",
        carries_out=False,
    ),
    FaultKind.UNKNOWN_OUTCOME: Rule(
        place=Place.ANSWER,
        words="the venue's own code for 'may or may not have been carried out'",
        order_entry=True,
    ),
    FaultKind.RATE_LIMITED: Rule(
        place=Place.ANSWER, words="too many requests, in the venue's words", carries_out=False
    ),
    FaultKind.BANNED: Rule(place=Place.ANSWER, words="the address is shut out", carries_out=False),
    FaultKind.MAINTENANCE: Rule(
        place=Place.ANSWER,
        words="a maintenance window: every request is refused",
        carries_out=False,
    ),
    FaultKind.REJECT_INCREASES: Rule(
        place=Place.ORDER, words="orders that could grow a position are refused for margin"
    ),
    FaultKind.DUPLICATE_CLIENT_ID: Rule(
        place=Place.ORDER, words="an order is refused because its client id is said to exist"
    ),
    FaultKind.PARTIAL_FILL: Rule(
        place=Place.ORDER,
        words="a taking order fills in part, the rest is canceled",
        value="fraction that fills, default 0.5",
    ),
    FaultKind.LATE_PRIVATE: Rule(
        place=Place.PRIVATE_PUSH, words="a private event comes `seconds` late"
    ),
    FaultKind.DUPLICATE_PRIVATE: Rule(
        place=Place.PRIVATE_PUSH, words="a private event comes twice"
    ),
    FaultKind.REORDER_PRIVATE: Rule(
        place=Place.PRIVATE_PUSH, words="a private event comes after the one behind it"
    ),
    FaultKind.LOSE_PRIVATE: Rule(place=Place.PRIVATE_PUSH, words="a private event is lost"),
    FaultKind.SILENT_STREAMS: Rule(
        place=Place.LASTING, words="no pushes, while pings are answered"
    ),
    FaultKind.HALF_OPEN: Rule(
        place=Place.ACT,
        words="open sockets stay open, nothing is read or written, not even pongs; cut at the end",
    ),
    FaultKind.RECONNECT_STORM: Rule(
        place=Place.LASTING, words="every WebSocket is cut each `seconds`"
    ),
    FaultKind.GAP_BOOKS: Rule(
        place=Place.BOOK_PUSH, words="book updates are lost, their numbers taken"
    ),
    FaultKind.WRONG_SEQUENCE_BOOKS: Rule(
        place=Place.BOOK_PUSH, words="a book update names a predecessor that never was"
    ),
    FaultKind.CROSSED_BOOK: Rule(
        place=Place.LASTING, words="the shown book's best bid stands above its best ask"
    ),
    FaultKind.EMPTY_BOOK: Rule(place=Place.LASTING, words="the shown book has no levels"),
    FaultKind.FREEZE_BOOK: Rule(place=Place.LASTING, words="the shown book stands still"),
    FaultKind.STALE_MARK: Rule(place=Place.LASTING, words="the shown mark and index stand still"),
    FaultKind.CLOCK_JUMP: Rule(
        place=Place.LASTING,
        words="server time and the check of request stamps are off",
        value="seconds the clock jumps, default 60",
    ),
    FaultKind.EMPTY_POSITIONS: Rule(
        place=Place.LASTING, words="position lists are empty although positions are held"
    ),
    FaultKind.EMPTY_MARGINS: Rule(
        place=Place.LASTING, words="margin figures of account and positions are empty strings"
    ),
    FaultKind.CUT_STREAMS: Rule(place=Place.ACT, words="every WebSocket is cut"),
    FaultKind.UPGRADE_NOTICE: Rule(
        place=Place.ACT, words="sockets are told they will be closed for an upgrade, and are"
    ),
    FaultKind.FORCE_REDUCE: Rule(
        place=Place.ACT,
        words="auto-deleveraging: a position shrinks without an order",
        value="base quantity, default all of it",
    ),
    FaultKind.LIQUIDATE: Rule(
        place=Place.ACT,
        words="the venue closes a position as in a liquidation",
        value="base quantity, default all of it",
    ),
    FaultKind.CANCEL_BEHIND: Rule(
        place=Place.ACT,
        words="open orders are canceled without a request",
    ),
    FaultKind.INSTRUMENT_STATE: Rule(
        place=Place.ACT,
        words="an instrument's state changes",
        value="live, post_only, suspend or delisted",
    ),
    FaultKind.LOT_SIZE: Rule(
        place=Place.ACT, words="an instrument's lot size changes", value="base quantity"
    ),
    FaultKind.FUNDING_INTERVAL: Rule(
        place=Place.ACT, words="an instrument's funding interval changes", value="hours"
    ),
    FaultKind.TIERS: Rule(
        place=Place.ACT,
        words="an instrument's margin fractions change in every tier",
        value="factor, 2 = doubled",
    ),
    FaultKind.TRANSFER: Rule(
        place=Place.ACT, words="cash moves in or out", value="quote, negative = out"
    ),
    FaultKind.LEVERAGE: Rule(
        place=Place.ACT,
        words="the leverage setting changes behind the client's back",
        value="leverage",
    ),
    FaultKind.POSITION_MODE: Rule(
        place=Place.ACT,
        words="the position mode changes behind the client's back",
        value="one_way or hedge",
    ),
    FaultKind.CLEAR: Rule(place=Place.ACT, words="faults that wait or last are forgotten"),
}

#: How long a lasting fault lasts if nothing is said, seconds.
LASTING_SECONDS: Final = 10.0
#: How far a clock jumps if nothing is said, seconds.
CLOCK_JUMP_SECONDS: Final = 60.0


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order for trouble, the body of `POST /_control`."""

    #: What goes wrong.
    kind: FaultKind
    #: Strikes only requests whose path and query contain this, or private pushes of channels
    #: whose name does; "" = all of its place.
    path_contains: str = ""
    #: Strikes only requests of this method ("POST"); "" = any.
    method: str = ""
    #: Instrument, any spelling the venue knows; "" = all.
    symbol: str = ""
    #: Strikes left; 0 = no bound while it lasts. Lasting faults do not count.
    count: int = 1
    #: Chance of each strike.
    probability: float = 1.0
    #: Length of a delay.
    seconds: float = 1.0
    #: Market seconds from now until it is armed.
    after_seconds: float = 0.0
    #: Market seconds it stays armed; None = until its count is used up, 10 for lasting ones.
    duration_seconds: float | None = None
    #: "answer": carried out, then struck; "request": struck before; None = as its kind has it.
    stage: str | None = None
    #: The figure some kinds need; "" = their default.
    value: str = ""

    def __post_init__(self) -> None:
        if self.stage not in (None, "answer", "request"):
            raise ValueError(f"stage={self.stage!r}; 'answer' or 'request'")
        if self.count < 0 or (self.count == 0 and self.duration_seconds is None):
            raise ValueError(f"count={self.count}; at least 1, or 0 with duration_seconds")
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability={self.probability}; above 0, at most 1")
        if not 0 <= self.seconds <= DELAY_SECONDS_MAX:
            raise ValueError(f"seconds={self.seconds}; 0 to {DELAY_SECONDS_MAX}")
        for name in ("after_seconds", "duration_seconds"):
            span = getattr(self, name)
            if span is not None and not 0 <= span <= DURATION_SECONDS_MAX:
                raise ValueError(f"{name}={span}; 0 to {DURATION_SECONDS_MAX:.0f}")

    @property
    def rule(self) -> Rule:
        """What its kind does."""
        return RULES[self.kind]

    @property
    def carries_out(self) -> bool:
        """Whether the venue sees the request before the fault strikes."""
        return self.rule.carries_out if self.stage is None else self.stage == "answer"


@dataclass(slots=True)
class _Armed:
    # A fault with its window in market time; `strikes_left` None = no bound.
    fault: Fault
    instrument_id: str
    from_ns: int
    until_ns: int | None
    strikes_left: int | None


class FaultPlan:
    """The faults that wait, are armed or last, oldest first."""

    def __init__(self, clock: Clock | None = None, *, seed: int = 0) -> None:
        #: What time it is at the venue.
        self.clock = clock or Clock()
        self._draws = random.Random(seed)  # noqa: S311  (rehearsed bad luck, not a secret)
        self._armed: list[_Armed] = []

    def add(self, fault: Fault, instrument_id: str = "", *, from_ns: int | None = None) -> None:
        """Take a fault; `instrument_id` is its symbol, resolved. ValueError above FAULTS_MAX.

        `from_ns` is the market time it is armed at; None = now.
        """
        if len(self._armed) >= FAULTS_MAX:
            raise ValueError(f"more than {FAULTS_MAX} faults are waiting")
        place = fault.rule.place
        duration = fault.duration_seconds
        if duration is None and place is Place.LASTING:
            duration = LASTING_SECONDS
        if from_ns is None:
            from_ns = self.clock.now_ns()
        from_ns += round(fault.after_seconds * units.NS_PER_SECOND)
        until_ns = None if duration is None else from_ns + round(duration * units.NS_PER_SECOND)
        strikes = None if place is Place.LASTING or fault.count == 0 else fault.count
        self._armed.append(_Armed(fault, instrument_id, from_ns, until_ns, strikes))

    def clear(self) -> None:
        """Forget them all."""
        self._armed.clear()

    @property
    def quiet(self) -> bool:
        """Whether no fault waits, is armed or lasts: the usual case, asked for every push."""
        return not self._armed

    def armed(self) -> list[Fault]:
        """Return the faults that wait, are armed or last, oldest first."""
        self._expire()
        return [each.fault for each in self._armed]

    def next(self, method: str, path_query: str, *, order_entry: bool = True) -> Fault | None:
        """Return the fault that strikes this request and count it down; None = none does."""
        for each in self._struck_at(Place.ANSWER):
            fault = each.fault
            if fault.rule.order_entry and not fault.path_contains and not order_entry:
                continue
            if (
                fault.path_contains in path_query
                and fault.method in ("", method)
                and self._strikes(each)
            ):
                return fault
        return None

    def takes(self, kind: FaultKind, instrument_id: str = "", *, topic: str = "") -> Fault | None:
        """Return an armed or lasting fault of a kind that strikes here, counted; None = none.

        `topic` is what `path_contains` is looked for in; "" = anywhere.
        """
        if not self._armed:
            return None
        for each in self._struck_at(RULES[kind].place):
            if (
                each.fault.kind is kind
                and each.instrument_id in ("", instrument_id)
                and (not topic or each.fault.path_contains in topic)
                and self._strikes(each)
            ):
                return each.fault
        return None

    def due_acts(self) -> list[tuple[Fault, str]]:
        """Take the acts whose time has come, with their instrument ids."""
        due = self._struck_at(Place.ACT)
        for each in due:
            self._armed.remove(each)
        return [
            (each.fault, each.instrument_id)
            for each in due
            if each.fault.probability >= 1 or self._draws.random() < each.fault.probability
        ]

    def _struck_at(self, place: Place) -> list[_Armed]:
        if not self._armed:
            return []
        self._expire()
        now_ns = self.clock.now_ns()
        return [
            each
            for each in self._armed
            if each.fault.rule.place is place and each.from_ns <= now_ns
        ]

    def _expire(self) -> None:
        now_ns = self.clock.now_ns()
        self._armed = [
            each for each in self._armed if each.until_ns is None or now_ns < each.until_ns
        ]

    def _strikes(self, each: _Armed) -> bool:
        if each.fault.rule.place is Place.LASTING:
            return True
        if each.fault.probability < 1 and self._draws.random() >= each.fault.probability:
            return False
        if each.strikes_left is not None:
            each.strikes_left -= 1
            if each.strikes_left == 0:
                self._armed.remove(each)
        return True
