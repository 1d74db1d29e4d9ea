"""One REST call as a handler sees it, and the words every handler shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from aiohttp import web

from counterpoise.domain import units
from counterpoise.domain.instruments import Instrument
from counterpoise.exchange.parameters import InstrumentParameters
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.okx.errors import Code, Row, WireError
from counterpoise.simulator.okx.fundings import Fundings
from counterpoise.simulator.okx.limits import Limits
from counterpoise.simulator.okx.symbols import BY_SYMBOL, Contract
from counterpoise.simulator.venue import RunningVenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What handlers work on."""

    #: The running venue.
    venue: RunningVenue
    #: Its one account.
    account_id: str
    #: The instruments it lists, by our id.
    listed: Mapping[str, InstrumentParameters]
    #: Fees it charges, bps of notional.
    maker_fee_bps: Decimal
    #: Fees it charges, bps of notional.
    taker_fee_bps: Decimal
    #: What goes wrong.
    faults: FaultPlan = field(default_factory=FaultPlan)
    #: How many orders may come.
    limits: Limits = field(default_factory=Limits)
    #: What funding was charged.
    fundings: Fundings = field(default_factory=Fundings)

    @property
    def rules(self) -> Mapping[str, Instrument]:
        """What is listed now with the rules in force, by our id."""
        return {each.instrument_id: each for each in self.venue.exchange.instruments()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that passed the frame: signed where it must be, body decoded."""

    #: Query fields; empty values are left out.
    query: Mapping[str, str]
    #: The JSON body; None = none.
    body: object
    #: Epoch ms after which an order must not be taken (`expTime`); None = no limit.
    expires_ms: int | None
    #: Market time at arrival, ns.
    received_ns: int

    def contract(self) -> Contract | None:
        """Return the contract `instId` names; None = not given; WireError 51001 = not listed."""
        symbol = self.query.get("instId")
        return None if symbol is None else contract_of(symbol)

    def rows_max(self, most: int) -> int:
        """Return `limit`, 1 to `most`, default 100."""
        return max(1, min(int_field(self.query.get("limit"), "limit") or 100, most))

    def only_swaps(self) -> bool:
        """Tell whether `instType` leaves swaps in."""
        return self.query.get("instType", "SWAP") in ("SWAP", "ANY")


#: A handler answers with rows, or with a whole response of its own.
Answer = Sequence[object] | web.Response
Handler = Callable[[Desk, Call], Answer]


def contract_of(symbol: str) -> Contract:
    """Return the contract of an OKX symbol; WireError 51001 = not listed."""
    contract = BY_SYMBOL.get(symbol)
    if contract is None:
        raise WireError(Code.INSTRUMENT)
    return contract


def int_field(value: str | None, name: str) -> int | None:
    """Return a whole number; None = not given; WireError 51000 = not one."""
    if value is None or value == "":
        return None
    try:
        return int(value)
    except ValueError:
        raise WireError(Code.ORDER_PARAMETER, f"Parameter {name} error") from None


def decimal_field(value: object) -> Decimal | None:
    """Return a figure that came as text or number; None = not a finite one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        figure = Decimal(str(value))
    except InvalidOperation:
        return None
    return figure if figure.is_finite() else None


RowT = TypeVar("RowT")


def page(rows: Sequence[RowT], call: Call, *, key: Callable[[RowT], str], most: int) -> list[RowT]:
    """Return one page of newest-first rows: `after` = older than an id, `before` = newer."""
    after = int_field(call.query.get("after"), "after")
    before = int_field(call.query.get("before"), "before")
    kept = [
        row
        for row in rows
        if (after is None or int(key(row)) < after) and (before is None or int(key(row)) > before)
    ]
    return kept[: call.rows_max(most)]


def within(call: Call, instant_ns: int) -> bool:
    """Tell whether an instant lies in the query's `begin` to `end` (epoch ms)."""
    begin = int_field(call.query.get("begin"), "begin")
    end = int_field(call.query.get("end"), "end")
    instant_ms = instant_ns // units.NS_PER_MS
    return (begin is None or instant_ms >= begin) and (end is None or instant_ms <= end)


__all__ = [
    "Answer",
    "Call",
    "Desk",
    "Handler",
    "Row",
    "contract_of",
    "decimal_field",
    "int_field",
    "page",
    "within",
]
