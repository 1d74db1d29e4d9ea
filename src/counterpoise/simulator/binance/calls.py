"""One REST call as a handler sees it, and the words every handler shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Final, TypeVar

from counterpoise.domain import units
from counterpoise.domain.instruments import Instrument
from counterpoise.exchange.parameters import InstrumentParameters
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.auth import missing
from counterpoise.simulator.binance.errors import Code, WireError
from counterpoise.simulator.binance.limits import Usage
from counterpoise.simulator.binance.listen_keys import ListenKeys
from counterpoise.simulator.binance.numbers import UpdateNumbers
from counterpoise.simulator.binance.tape import Tape
from counterpoise.simulator.venue import RunningVenue
from counterpoise.simulator.wire import Floor

#: Rows of an answer where the client names no limit.
ROWS_START: Final = 500
_RowT = TypeVar("_RowT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What handlers work on."""

    #: Market, account, faults, connections.
    floor: Floor
    #: The instruments by our id; one that is delisted leaves.
    listed: dict[str, InstrumentParameters]
    #: Keys of user data streams.
    listen_keys: ListenKeys
    #: Countdowns of cancel-all, ms since the epoch per instrument; kept by the process alone.
    countdowns: dict[str, int]
    #: Trades and funding rates seen since the start.
    tape: Tape
    #: Numbers of book updates.
    numbers: UpdateNumbers
    #: What the client has used of its limits.
    usage: Usage

    @property
    def venue(self) -> RunningVenue:
        """The running market."""
        return self.floor.venue

    @property
    def account_id(self) -> str:
        """The one account."""
        return self.floor.account_id

    def instrument(self, instrument_id: str) -> Instrument:
        """Return an instrument's rules in force. OrderRefused: it is not listed."""
        return self.venue.exchange.instrument(instrument_id)

    def now_ms(self) -> int:
        """Return the venue's time as clients are told."""
        return symbols.milliseconds(self.venue.clock.told_ns())


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that passed the frame. Query and body are one set of fields, as at Binance."""

    #: Fields of query and body; empty values are left out.
    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a field that must be there; WireError -1102."""
        value = self.fields.get(name)
        if value is None:
            raise missing(name)
        return value

    def whole(self, name: str) -> int | None:
        """Return a whole number; None = not given; WireError -1102 = not one."""
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise missing(name) from None

    def figure(self, name: str) -> Decimal | None:
        """Return a figure; None = not given; WireError -1102 = not a finite one."""
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            figure = Decimal(value)
        except InvalidOperation:
            raise missing(name) from None
        if not figure.is_finite():
            raise missing(name)
        return figure

    def flag(self, name: str) -> bool | None:
        """Return a truth value; None = not given; WireError -1102 = not one."""
        value = self.fields.get(name, "").lower()
        if value not in ("", "true", "false"):
            raise missing(name)
        return value == "true" if value else None

    def rows_max(self, most: int, start: int = ROWS_START) -> int:
        """Return `limit`, 1 to `most`; WireError -1130 = beyond."""
        limit = self.whole("limit")
        if limit is None:
            return min(start, most)
        if not 1 <= limit <= most:
            raise WireError(Code.PARAMETER, "Data sent for parameter 'limit' is not valid.")
        return limit

    def within(self, instant_ns: int) -> bool:
        """Tell whether an instant lies in `startTime` to `endTime`, both included."""
        since, until = self.whole("startTime"), self.whole("endTime")
        instant_ms = instant_ns // units.NS_PER_MS
        return (since is None or instant_ms >= since) and (until is None or instant_ms <= until)


def instrument_of(desk: Desk, call: Call) -> str:
    """Return the instrument `symbol` names; WireError -1102, -1121."""
    return listed(desk, call.text("symbol"))


def instruments_of(desk: Desk, call: Call) -> Sequence[str]:
    """Return the instrument `symbol` names, or all of them."""
    named = call.fields.get("symbol")
    return tuple(desk.listed) if named is None else (listed(desk, named),)


def listed(desk: Desk, symbol: str) -> str:
    """Return our id of a symbol; WireError -1121 = not listed."""
    if symbol not in desk.listed:
        raise WireError(Code.SYMBOL)
    return symbol


def one_or_all(call: Call, rows: Sequence[object]) -> object:
    """Return the one row of a named symbol, or the list."""
    return rows[0] if "symbol" in call.fields else rows


def clip(call: Call, rows: Sequence[_RowT], most: int, start: int = ROWS_START) -> list[_RowT]:
    """Return at most `limit` of the rows, oldest first: the oldest from a start, else the newest."""
    limit = call.rows_max(most, start)
    forward = any(name in call.fields for name in ("startTime", "fromId"))
    return list(rows[:limit] if forward else rows[-limit:])


class Security(Enum):
    """What a request must show."""

    NONE = "none"
    KEY = "key"
    SIGNED = "signed"


Handler = Callable[[Desk, Call], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint."""

    handler: Handler
    security: Security = Security.NONE
    #: Request weight, or what tells it.
    weight: int | Callable[[Call], int] = 1
    #: Whether order usage is counted and told.
    orders: bool = False

    def weigh(self, call: Call) -> int:
        """Return the weight of a call."""
        return self.weight if isinstance(self.weight, int) else self.weight(call)


#: (method, path) -> endpoint.
Routes = dict[tuple[str, str], Route]
