"""What a venue's code or a broken answer means for an order: refused, not sent, or unknown.

Two tables, of codes and of what is raised without one. What is in neither leaves an order UNKNOWN:
most classes of ccxt are no evidence (a dropped connection and a maintenance page look alike).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from ccxt.base import errors as ccxt_errors  # type: ignore[import-untyped,unused-ignore]

from counterpoise.domain.errors import (
    OutcomeUnknown,
    StartRefused,
    VenueError,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.venues.unreadable import UNREADABLE

#: Text of a venue's answer kept in a message, characters.
MESSAGE_LENGTH_MAX: Final = 300

#: Text of a code kept, characters: what is longer is none of the venue's.
CODE_LENGTH_MAX: Final = 40

#: Links followed from an exception to what caused it.
CAUSES_MAX: Final = 8

#: What a call may raise before we have looked at it; ccxt itself stumbles over odd answers.
RAISED: Final = (
    ccxt_errors.BaseError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
    *UNREADABLE,
)

#: What is raised, or what caused it -> meaning, if the venue's code is nowhere in the text. The
#: first that applies speaks; whatever is not here may have reached the venue, timeouts and every
#: other class of ccxt included.
EXCEPTIONS: Final[tuple[tuple[type[BaseException], type[VenueError]], ...]] = (
    # No connection, so not one byte left; a client we closed ourselves refuses before it connects.
    (aiohttp.ClientConnectorError, VenueUnreachable),
    (ccxt_errors.ExchangeClosedByUser, VenueUnreachable),
    # What ccxt itself refuses to send, or knows by its words as the venue's refusal.
    (ccxt_errors.ArgumentsRequired, VenueRejected),
    (ccxt_errors.BadSymbol, VenueRejected),
    (ccxt_errors.InvalidOrder, VenueRejected),
    (ccxt_errors.NotSupported, VenueRejected),
)


def code_of(value: object, *, fine: str) -> str | None:
    """Return a code as text, whatever it was in the answer; None = there is none, or all is well.

    `fine` is the code of an answer that is no refusal.
    """
    code = "" if value is None else str(value)[:CODE_LENGTH_MAX]
    return None if code in {"", fine} else code


def codes(kind: type[VenueError], text: str) -> dict[str, type[VenueError]]:
    """Return a table row: every code of a text means the same."""
    return dict.fromkeys(text.split(), kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeTable:
    """One venue's meanings."""

    #: The venue's name in messages.
    venue: str
    #: Venue code -> meaning for a request that changes something.
    meanings: Mapping[str, type[VenueError]]
    #: Refused for being too many: an order was not placed, a read may be asked again.
    too_frequent: frozenset[str]
    #: Codes a key, its rights or the clock must be mended by -> the remedy.
    key_remedies: Mapping[str, str]
    #: Code and words of an answer in the venue's form; (None, "") = it has no refusal.
    read: Callable[[Mapping[str, object]], tuple[str | None, str]]
    #: Text of an answer without a code -> meaning; the first that is contained speaks.
    texts: tuple[tuple[str, type[VenueError]], ...] = ()

    def classify(self, exception: BaseException, *, placing: bool) -> VenueError:
        """Return what a failed call means.

        `placing` is True for every request that changes something (order, cancel, leverage). A
        read has no unknown outcome: whatever is no definite refusal is VenueUnreachable and may
        be repeated.
        """
        code, words = self.code_and_words(str(exception))
        message = words or f"{type(exception).__name__}: {str(exception)[:MESSAGE_LENGTH_MAX]}"
        if code is not None:
            return self.from_code(code, message, placing=placing)
        kind = self._meaning(exception)
        if kind is VenueRejected:
            return VenueRejected(message, code="LOCAL")
        return OutcomeUnknown(message) if placing and kind is None else VenueUnreachable(message)

    def from_code(self, code: str, words: str, *, placing: bool) -> VenueError:
        """Return what the venue's code means; a code that is not in the table proves nothing."""
        kind = self.meanings.get(code, OutcomeUnknown)
        message = f"{self.venue} {code}: {words}"
        if placing or (issubclass(kind, VenueRejected) and code not in self.too_frequent):
            return kind(message, code=code)
        return VenueUnreachable(message, code=code)

    def code_and_words(self, text: str) -> tuple[str | None, str]:
        """Return the venue's code and words from an exception's text.

        ccxt puts the answer's JSON behind the exchange's name. (None, "") = no such answer in it.
        """
        start = text.find("{")
        if start < 0:
            return None, ""
        try:
            answer, _ = json.JSONDecoder().raw_decode(text[start:])
            code, words = self.read(answer) if isinstance(answer, dict) else (None, "")
        except (ValueError, RecursionError):
            return None, ""
        return code, words[:MESSAGE_LENGTH_MAX]

    def start_refusal(self, error: VenueError) -> StartRefused | None:
        """Return the refusal with its remedy if the account or key is at fault, else None."""
        remedy = self.key_remedies.get(error.code or "")
        if remedy is None:
            return None
        return StartRefused(f"{self.venue} refused the account's key ({error.code}): {remedy}")

    def _meaning(self, exception: BaseException) -> type[VenueError] | None:
        # A connector's error comes wrapped, so causes are looked at; ccxt's refusals come bare.
        chain: list[BaseException] = []
        cause: BaseException | None = exception
        while cause is not None and len(chain) < CAUSES_MAX:
            chain.append(cause)
            cause = cause.__cause__
        for raised, kind in EXCEPTIONS:
            wrapped = kind is VenueUnreachable
            if any(isinstance(each, raised) for each in (chain if wrapped else chain[:1])):
                return kind
        said = str(exception)
        return next((kind for part, kind in self.texts if part in said), None)
