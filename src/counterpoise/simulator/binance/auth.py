"""Who is asking: Binance's key header and signed parameters ("General Info", SIGNED endpoints)."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.binance.errors import Code, WireError
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.keys import Credentials

#: Validity of a signed request where it names none, ms.
RECV_WINDOW_MS: Final = 5_000
RECV_WINDOW_MS_MAX: Final = 60_000
#: A stamp may be this far ahead of the venue's clock, ms (exclusive).
AHEAD_MS_MAX: Final = 1_000


def signature(secret: str, payload: str) -> str:
    """Return the hex HMAC-SHA256 of the parameters as they are sent."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_key(credentials: Credentials, headers: Mapping[str, str]) -> None:
    """Check X-MBX-APIKEY; raises WireError (-2014, -2015)."""
    key = headers.get("X-MBX-APIKEY", "")
    if not key.isalnum():
        raise WireError(Code.KEY_FORMAT, status=401)
    if not hmac.compare_digest(key.encode(), credentials.api_key.encode()):
        raise WireError(Code.KEY, status=401)


def signed_payload(query: str, body: str) -> tuple[str, str | None]:
    """Return what was signed and the signature: query and body joined without a separator."""
    found: str | None = None
    parts: list[str] = []
    for part in (query, body):
        kept: list[str] = []
        for field in part.split("&") if part else []:
            if field.startswith("signature="):
                found = field.removeprefix("signature=")
            else:
                kept.append(field)
        parts.append("&".join(kept))
    return "".join(parts), found


def check_signature(secret: str, *, query: str, body: str) -> None:
    """Check the signature of raw query and body; raises WireError (-1102, -1022)."""
    payload, sent = signed_payload(query, body)
    if sent is None:
        raise missing("signature")
    expected = signature(secret, payload)
    if not hmac.compare_digest(sent.encode(), expected.encode()):
        raise WireError(Code.SIGNATURE)


def check_stamp(fields: Mapping[str, str], clock: Clock) -> None:
    """Check timestamp and recvWindow; raises WireError (-1102, -1021, -1131).

    Clients stamp by their own clock or by the server time they were told; either will do.
    """
    try:
        stamp_ms = int(fields.get("timestamp", ""))
    except ValueError:
        raise missing("timestamp") from None
    try:
        window_ms = int(fields.get("recvWindow") or RECV_WINDOW_MS)
    except ValueError:
        raise missing("recvWindow") from None
    if not 0 < window_ms <= RECV_WINDOW_MS_MAX:
        raise WireError(Code.RECV_WINDOW)
    clocks_ms = (
        (time.time_ns() + clock.jump_ns) // units.NS_PER_MS,
        clock.told_ns() // units.NS_PER_MS,
    )
    if any(now - window_ms <= stamp_ms < now + AHEAD_MS_MAX for now in clocks_ms):
        return
    if all(stamp_ms >= now + AHEAD_MS_MAX for now in clocks_ms):
        raise WireError(
            Code.TIMESTAMP, "Timestamp for this request was 1000ms ahead of the server's time."
        )
    raise WireError(Code.TIMESTAMP)


def missing(name: str) -> WireError:
    """Return the refusal of a parameter that is not there or not readable."""
    return WireError(
        Code.MANDATORY,
        f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    )
