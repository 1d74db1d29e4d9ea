"""Who is asking: OKX's signed headers and login frame (docs-v5, "REST Authentication")."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.okx.errors import Code, WireError

#: A signed request older or newer than this is refused.
TIMESTAMP_TOLERANCE_SECONDS: Final = 30

#: What a login frame signs after its timestamp.
LOGIN_PATH: Final = "GET/users/self/verify"


def signature(secret: str, message: str) -> str:
    """Return base64 of HMAC-SHA256."""
    digest = hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _instant_seconds(stamp: str) -> float:
    # REST stamps are ISO with ms and Z; OKX takes epoch seconds with decimals as well.
    try:
        return float(stamp)
    except ValueError:
        pass
    try:
        parsed = datetime.fromisoformat(stamp)
    except ValueError:
        raise WireError(Code.TIMESTAMP, status=401) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return parsed.timestamp()


def check_request(
    credentials: Credentials,
    headers: Mapping[str, str],
    *,
    method: str,
    path_query: str,
    body: str,
    clock: Clock,
) -> None:
    """Check the four headers of a private request; raises WireError with OKX's code."""
    key = headers.get("OK-ACCESS-KEY", "")
    sign = headers.get("OK-ACCESS-SIGN", "")
    stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
    passphrase = headers.get("OK-ACCESS-PASSPHRASE", "")
    for value, code in (
        (key, Code.HEADER_KEY),
        (passphrase, Code.HEADER_PASSPHRASE),
        (sign, Code.HEADER_SIGN),
        (stamp, Code.HEADER_TIMESTAMP),
    ):
        if not value:
            raise WireError(code, status=401)
    stamp_ns = int(_instant_seconds(stamp) * units.NS_PER_SECOND)
    if clock.stamp_age_seconds(stamp_ns) > TIMESTAMP_TOLERANCE_SECONDS:
        raise WireError(Code.TIMESTAMP_OLD, status=401)
    if not hmac.compare_digest(key.encode(), credentials.api_key.encode()):
        raise WireError(Code.KEY, status=401)
    expected = signature(credentials.secret, f"{stamp}{method}{path_query}{body}")
    if not hmac.compare_digest(sign.encode(), expected.encode()):
        raise WireError(Code.SIGN, status=401)
    if not hmac.compare_digest(passphrase.encode(), credentials.passphrase.encode()):
        raise WireError(Code.PASSPHRASE, status=401)


class LoginRefused(Exception):
    """A login frame is wrong; the socket answers with the code, 60004 to 60009."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code} {message}")


def check_login(credentials: Credentials, args: Mapping[str, str], clock: Clock) -> None:
    """Check one login argument; raises LoginRefused (60004 to 60009)."""
    stamp = args.get("timestamp", "")
    try:
        age = clock.stamp_age_seconds(int(float(stamp) * units.NS_PER_SECOND))
    except (ValueError, OverflowError):
        raise LoginRefused("60004", "Invalid timestamp") from None
    if age > TIMESTAMP_TOLERANCE_SECONDS:
        raise LoginRefused("60006", "Timestamp request expired")
    if not hmac.compare_digest(args.get("apiKey", "").encode(), credentials.api_key.encode()):
        raise LoginRefused("60005", "Invalid apiKey")
    expected = signature(credentials.secret, f"{stamp}{LOGIN_PATH}")
    if not hmac.compare_digest(args.get("sign", "").encode(), expected.encode()):
        raise LoginRefused("60007", "Invalid sign")
    if not hmac.compare_digest(
        args.get("passphrase", "").encode(), credentials.passphrase.encode()
    ):
        raise LoginRefused("60009", "Login failed")
