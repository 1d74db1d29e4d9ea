"""One request as a handler sees it, and the words every handler shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar
from urllib.parse import quote, unquote

from counterpoise.domain import units
from counterpoise.domain.instruments import Instrument
from counterpoise.exchange.orders import OrderRefused
from counterpoise.exchange.parameters import InstrumentParameters
from counterpoise.simulator.bybit.auth import KeyRules
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.protection import Protection
from counterpoise.simulator.bybit.symbols import CATEGORIES, CATEGORY
from counterpoise.simulator.bybit.tape import Tape
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.venue import RunningVenue

#: Rows of a page where none are asked for, and the most.
ROWS_DEFAULT: Final = 20
ROWS_MAX: Final = 50
#: How far back history goes where no start is asked for, and the longest span of one request.
HISTORY_SPAN_NS: Final = 7 * units.NS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What handlers work on."""

    #: The running venue.
    venue: RunningVenue
    #: Its one account.
    account_id: str
    #: The key as clients may ask about it.
    api_key: str
    #: What the key may do.
    rules: KeyRules
    #: Instruments it lists, by our id, which is Bybit's symbol as well.
    listed: Mapping[str, InstrumentParameters]
    #: What was traded and charged since the process began.
    tape: Tape
    #: Disconnect protection.
    protection: Protection
    #: Faults that live in what is shown here.
    faults: FaultPlan

    def instrument(self, symbol: str) -> Instrument:
        """Return the rules in force of an instrument; WireError 10001 = not listed."""
        try:
            return self.venue.exchange.instrument(symbol)
        except OrderRefused:
            raise WireError(Code.PARAMETER, "params error: symbol invalid") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that passed the frame."""

    #: Query fields of a GET; empty values are left out.
    query: Mapping[str, str]
    #: The JSON body of a POST.
    body: Mapping[str, object]

    @property
    def linear(self) -> bool:
        """Whether the query leaves linear instruments in; WireError 10001 = no such category."""
        category = self.query.get("category", CATEGORY)
        if category not in CATEGORIES:
            raise WireError(Code.PARAMETER, "params error: category invalid")
        return category == CATEGORY

    def wanted(self, desk: Desk) -> list[str]:
        """Return the instruments `symbol` or `baseCoin` leave; WireError 10001 = not listed."""
        if not self.linear:
            return []
        symbol, base = self.query.get("symbol"), self.query.get("baseCoin")
        if symbol is not None:
            return [desk.instrument(symbol).instrument_id]
        return [
            each.instrument_id
            for each in desk.venue.exchange.instruments()
            if base in (None, each.base)
        ]

    def past(self, desk: Desk) -> list[str]:
        """Return the instruments a list of the past is about; unnamed, those that ended as well."""
        if not self.linear or {"symbol", "baseCoin"} & self.query.keys():
            return self.wanted(desk)
        return list(desk.listed)

    def one(self, desk: Desk) -> str:
        """Return the one instrument the query must name; WireError 10001."""
        symbol = self.query.get("symbol")
        if symbol is None or not self.linear:
            raise WireError(Code.PARAMETER, "params error: symbol invalid")
        return desk.instrument(symbol).instrument_id

    def rows_max(self, default: int = ROWS_DEFAULT, most: int = ROWS_MAX) -> int:
        """Return `limit`, 1 to `most`."""
        asked = int_field(self.query.get("limit"), "limit")
        return max(1, min(default if asked is None else asked, most))

    def span(self, now_ns: int) -> tuple[int, int]:
        """Return `startTime` and `endTime`, ns, both inclusive; the last 7 days if not given.

        WireError 10001: the end is before the start, or they are more than 7 days apart.
        """
        start = int_field(self.query.get("startTime"), "startTime")
        end = int_field(self.query.get("endTime"), "endTime")
        start_ns = None if start is None else start * units.NS_PER_MS
        end_ns = None if end is None else (end + 1) * units.NS_PER_MS - 1
        if start_ns is not None and end_ns is not None:
            if not 0 <= end_ns - start_ns <= HISTORY_SPAN_NS + units.NS_PER_MS:
                raise WireError(Code.PARAMETER, "The time range is over 7 days")
            return start_ns, end_ns
        if start_ns is not None:
            return start_ns, start_ns + HISTORY_SPAN_NS
        if end_ns is not None:
            return end_ns - HISTORY_SPAN_NS, end_ns
        return max(0, now_ns - HISTORY_SPAN_NS), now_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result with an outcome per item beside it, as batches have."""

    #: `result`.
    result: Row
    #: `retExtInfo`.
    extra: Row


Handler = Callable[[Desk, Call], Row | Answer]


def int_field(value: object, name: str) -> int | None:
    """Return a whole number; None = not given; WireError 10001 = not one."""
    if value is None or value == "":
        return None
    try:
        return int(str(value))
    except ValueError:
        raise WireError(Code.PARAMETER, f"params error: {name} invalid") from None


def decimal_field(value: object) -> Decimal | None:
    """Return a figure that came as text or number; None = not a finite one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        figure = Decimal(str(value))
    except InvalidOperation:
        return None
    return figure if figure.is_finite() else None


def flag_field(value: object) -> bool:
    """Return a flag that came as a boolean or as text."""
    return value in (True, "true", "True")


RowT = TypeVar("RowT")


def page(
    rows: Sequence[RowT], call: Call, *, key: Callable[[RowT], str],
    default: int = ROWS_DEFAULT, most: int = ROWS_MAX,
) -> tuple[list[RowT], str]:  # fmt: skip
    """Return one page of newest-first rows and the cursor of the next; "" = it is the last.

    A cursor names the last row of the page before it; WireError 10001: there is no such row.
    """
    first = 0
    cursor = call.query.get("cursor")
    if cursor:
        name = unquote(cursor)
        found = next((at for at, row in enumerate(rows) if key(row) == name), None)
        if found is None:
            raise WireError(Code.PARAMETER, "params error: cursor invalid")
        first = found + 1
    shown = list(rows[first : first + call.rows_max(default, most)])
    more = first + len(shown) < len(rows)
    return shown, quote(key(shown[-1]), safe="") if shown and more else ""
