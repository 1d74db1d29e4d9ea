"""What no venue means to say: figures that are none, and instants outside of time.

"NaN" and "1E+999999" are numbers to a parser, and would stop whoever computes with them.
"""

from dataclasses import is_dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    Event,
    StreamAlive,
    StreamDown,
)

#: Powers of ten between which every price, quantity and sum of money lies.
MAGNITUDE_MAX: Final = 30

#: Instants a record can hold, ns.
INSTANT_NS_MAX: Final = 2**63 - 1

#: Their figures are text, which the book reads with care, or our own.
_TEXT_ONLY: Final = (BookDelta, BookSnapshot, BookGap, StreamAlive, StreamDown)


def figure(text: str) -> Decimal:
    """Return a figure that is kept between messages. Raises ValueError or ArithmeticError."""
    value = Decimal(text)
    _check_figure(text[:40], value)
    return value


def check(event: Event) -> None:
    """Raise ValueError if a figure or instant of an event cannot be meant."""
    if not isinstance(event, _TEXT_ONLY):
        _check_part("figure", event)
    elif isinstance(event, BookDelta | BookSnapshot):
        _check_instant("event_ns", event.event_ns)


def check_answer(found: object) -> None:
    """Raise ValueError if a figure or instant of what a venue answered cannot be meant.

    `found` is what a port returns: one value, several, several by name, or None.
    """
    _check_part("figure", found)


def _check_part(name: str, part: object) -> None:
    if isinstance(part, Decimal):
        _check_figure(name, part)
    elif isinstance(part, int) and name.endswith("_ns"):
        _check_instant(name, part)
    elif isinstance(part, tuple):
        for each in part:
            _check_part(name, each)
    elif isinstance(part, dict):
        for key, each in part.items():
            _check_part(f"{name} of {key}", each)
    elif is_dataclass(part):
        for each in getattr(type(part), "__slots__", ()):
            _check_part(each, getattr(part, each))


def _check_figure(name: str, value: Decimal) -> None:
    if not value.is_finite() or (value and abs(value.adjusted()) > MAGNITUDE_MAX):
        raise ValueError(f"{name}={value} is no figure of a market")


def _check_instant(name: str, instant_ns: int) -> None:
    if not 0 <= instant_ns <= INSTANT_NS_MAX:
        raise ValueError(f"{name}={instant_ns} is no instant")
