"""What an answer that cannot be understood means, at one seam for every port of every adapter.

An adapter converts as it likes and lets whatever that raises through. `adapter` turns it into the
port's own word around every public coroutine of a class, those it inherits and those to come.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from counterpoise.domain.errors import OutcomeUnknown, VenueError, VenueUnreachable
from counterpoise.venues import plausible
from counterpoise.venues.connection import MALFORMED

#: What reading an answer may raise; the last one where a row is no object.
UNREADABLE: Final = (*MALFORMED, AttributeError)

#: Ports that change something: what they asked for may have been carried out, whatever was
#: answered. Every other port only reads, and may ask again.
CHANGES: Final = frozenset(
    {
        "submit",
        "cancel",
        "place_trigger",
        "cancel_trigger",
        "set_leverage",
        "set_modes",
        "arm_dead_man",
    }
)

#: Ask for nothing.
_SILENT: Final = frozenset({"close"})

#: Text of the fault kept in a message, characters.
_FAULT_LENGTH_MAX: Final = 160

_PACKAGE: Final = __name__.rpartition(".")[0]

C = TypeVar("C")


@contextmanager
def read_or_raise(
    label: str, asked: str, kind: type[VenueError] = VenueUnreachable
) -> Iterator[None]:
    """Turn what cannot be understood into `kind`, naming the venue, the question and the value.

    Of an answer nothing is guessed and no row of ours is dropped: the whole of it counts as not
    had. Who looks at the account or its history asks for the same time again, so nothing is lost.
    """
    try:
        yield
    except UNREADABLE as error:
        fault = f"{type(error).__name__}: {error}"[:_FAULT_LENGTH_MAX]
        raise kind(
            f"{label} answered what cannot be understood, asked for {asked}{_row_of(error)}: {fault}"
        ) from error


def adapter(label: str) -> Callable[[type[C]], type[C]]:
    """Return a class decorator: no port raises anything but what `ports` says.

    A read that cannot be understood, or has a figure no market has, is VenueUnreachable; for a
    request that changes something it is OutcomeUnknown. `label` = how people write the venue.
    """

    def guard(cls: type[C]) -> type[C]:
        for name, port in inspect.getmembers(cls, inspect.iscoroutinefunction):
            if not name.startswith("_") and name not in _SILENT:
                setattr(cls, name, _guarded(port, label, name))
        return cls

    return guard


def _guarded(port: Callable[..., Any], label: str, name: str) -> Callable[..., Any]:
    kind = OutcomeUnknown if name in CHANGES else VenueUnreachable
    asked = name.replace("_", " ")

    @functools.wraps(port)
    async def guarded(*arguments: Any, **named: Any) -> Any:
        # A call with the wrong arguments is no answer: it is made outside.
        asking = port(*arguments, **named)
        with read_or_raise(label, asked, kind):
            found = await asking
            plausible.check_answer(found)
        return found

    return guarded


def _row_of(error: BaseException) -> str:
    # The function of an adapter that gave up is called after what it reads: "position".
    row, frame = "", error.__traceback__
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(f"{_PACKAGE}.") and module.count(".") > _PACKAGE.count(".") + 1:
            row = frame.tb_frame.f_code.co_name
        frame = frame.tb_next
    return f" ({row.strip('_<>')})" if row else ""
