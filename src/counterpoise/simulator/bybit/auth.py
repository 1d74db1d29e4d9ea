"""Who is asking: Bybit's signed headers and auth frames (docs v5, "Integration Guidance")."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.bybit.errors import Code, WireError
from counterpoise.simulator.keys import Credentials

#: Default and largest window of a signed request, ms.
WINDOW_MS: Final = 5_000
#: How far ahead of the server a stamp may be, ms.
AHEAD_MS: Final = 1_000
#: What an auth frame signs before its expiry.
AUTH_PATH: Final = "GET/realtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """What the key may do beyond being known."""

    #: False = it may trade.
    read_only: bool = False
    #: Addresses it is bound to; empty = any.
    addresses: tuple[str, ...] = ()
    #: When it stops working, ns; None = never.
    expires_ns: int | None = None


def signature(secret: str, message: str) -> str:
    """Return the hex digest of HMAC-SHA256."""
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def check_key(
    credentials: Credentials, rules: KeyRules, key: str, *, address: str, now_ns: int
) -> None:
    """WireError: 10003 unknown key, 33004 expired, 10010 used from another address."""
    if not hmac.compare_digest(key.encode(), credentials.api_key.encode()):
        raise WireError(Code.KEY)
    if rules.expires_ns is not None and now_ns >= rules.expires_ns:
        raise WireError(Code.KEY_EXPIRED)
    if rules.addresses and address not in rules.addresses:
        raise WireError(Code.ADDRESS)


def check_request(
    credentials: Credentials, headers: Mapping[str, str], *, payload: str, now_ns: int,
    wall_ns: int,
) -> None:  # fmt: skip
    """Check stamp and signature of a private request.

    `payload` is the query as sent or the body, `now_ns` the server time clients are told and
    `wall_ns` their own clock's; the nearer of both counts. WireError: 10001, 10002, 10004.
    """
    stamp = headers.get("X-BAPI-TIMESTAMP", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "") or str(WINDOW_MS)
    sign = headers.get("X-BAPI-SIGN", "")
    if not stamp.isdigit() or not window.isdigit() or not sign:
        raise WireError(Code.PARAMETER, "Required parameter 'sign' or 'timestamp' is missing.")
    check_stamp(int(stamp), int(window), now_ns=now_ns, wall_ns=wall_ns)
    expected = signature(credentials.secret, f"{stamp}{credentials.api_key}{window}{payload}")
    if not hmac.compare_digest(sign.encode(), expected.encode()):
        raise WireError(Code.SIGN, f"error sign! origin_string[{stamp}...]")


def check_stamp(stamp_ms: int, window_ms: int, *, now_ns: int, wall_ns: int) -> None:
    """WireError 10002: the stamp is not within [server - window, server + 1 s)."""
    for server_ns in (now_ns, wall_ns):
        server_ms = server_ns // units.NS_PER_MS
        if server_ms - window_ms <= stamp_ms < server_ms + AHEAD_MS:
            return
    raise WireError(
        Code.TIMESTAMP,
        "invalid request, please check your server timestamp or recv_window param."
        f" req_timestamp[{stamp_ms}],server_timestamp[{now_ns // units.NS_PER_MS}],"
        f"recv_window[{window_ms}]",
    )


def check_frame(
    credentials: Credentials, args: Sequence[object], *, now_ns: int, wall_ns: int
) -> None:
    """Check the signature and expiry of an auth frame; the key is `check_key`'s. WireError."""
    if len(args) != 3 or not str(args[1]).isdigit():
        raise WireError(Code.PARAMETER, "Params Error")
    expires_ms = int(str(args[1]))
    if expires_ms * units.NS_PER_MS <= min(now_ns, wall_ns):
        raise WireError(Code.SIGN, "Params Error: expires has passed")
    expected = signature(credentials.secret, f"{AUTH_PATH}{expires_ms}")
    if not hmac.compare_digest(str(args[2]).encode(), expected.encode()):
        raise WireError(Code.SIGN, "Params Error: sign")
