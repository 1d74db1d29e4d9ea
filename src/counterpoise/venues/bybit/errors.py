"""What a Bybit code means for an order: refused, not sent, or unknown.

A code that is not here leaves an order UNKNOWN, as does what is raised without one
(`venues.outcomes`). Sources: Bybit v5 "Error Codes"; the ambiguous ones are those that say the
server did not get to an end.
"""

from collections.abc import Mapping
from typing import Final

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    PriceRefused,
    VenueError,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.venues.outcomes import OutcomeTable, code_of, codes

#: The stamp lies outside the window: this machine's clock, or the request was too long on its way.
OUT_OF_TIME: Final = "10002"

#: Venue code -> meaning for a request that changes something.
CODES: Final[Mapping[str, type[VenueError]]] = {
    # The request was malformed, unsigned or not allowed: it was refused at the door.
    **codes(
        VenueRejected,
        "10001 10002 10003 10004 10005 10006 10007 10008 10009 10010 10017 10018 10020 10024 10027"
        " 10028 10029 10032 10404 33004 100028",
    ),
    # The order itself was refused: parameters, limits, margin, instrument, risk limit.
    **codes(
        VenueRejected,
        "110004 110005 110006 110007 110009 110011 110012 110013 110014 110015 110016 110018"
        " 110019 110020 110021 110022 110023 110029 110030 110031 110032 110035 110036 110037"
        " 110038 110039 110040 110041 110042 110044 110045 110046 110047 110048 110049 110050"
        " 110051 110052 110053 110057 110058 110059 110060 110061 110062 110063 110064 110065"
        " 110066 110067 110068 110069 110070 110071 110073 110074 110089 110090 110092"
        " 110093 110094 110095 110096 110097 110098 110099 182011"
        " 3200641",
    ),
    # The price lies outside what the venue takes now.
    **codes(PriceRefused, "110003 110120 110121 30208 30209"),
    # It would not reduce: the position is gone, on the other side, or reserved by orders that
    # rest. Read it again; the same order again would be refused again.
    **codes(PositionDoubtful, "110017 110034"),
    # Cancels and queries: the order is over or never was.
    **codes(VenueRejected, "110001 110008 110010 20001"),
    # Settings: refused, or as they are already; nothing changed.
    **codes(
        VenueRejected,
        "34036 34040 110024 110025 110026 110027 110028 110033 110043 110054 110055 110056 110075",
    ),
    # An order with this id is there. An id is used once, so it is this one's: whoever carried the
    # request sent it twice, and the first copy was taken.
    **codes(OutcomeUnknown, "110072"),
    # The server was asked and did not get to an end: neither success nor failure is proven. A
    # duplicate request (10014) says nothing about the first one.
    **codes(OutcomeUnknown, "10000 10014 10016 10019 110079 170007 170146"),
}

#: What a key, its rights or the clock must be mended by; these end a start with the remedy.
KEY_REMEDIES: Final[Mapping[str, str]] = {
    OUT_OF_TIME: "this machine's clock is off; synchronise it (Bybit allows 1 s ahead, 5 s behind)",
    "10003": "the API key is wrong or of another environment; use a testnet key for the testnet, a"
    " demo key for demo trading and a live key for production",
    "10004": "the secret is wrong (bad signature); check it",
    "10005": "the key lacks a permission; give it reading, contract orders and positions, nothing"
    " of the wallet",
    "10007": "the key does not open an account; check it",
    "10008": "Bybit has banned the account; ask its support",
    "10009": "Bybit has banned this machine's IP address; ask its support",
    "10010": "this machine's IP address is not on the key's list; add it at Bybit",
    "10024": "Bybit serves the account no more for its rules of compliance; ask its support",
    "10028": "the account is no unified trading account; upgrade it at Bybit",
    "33004": "the key has expired (without a bound address after 90 days); make a new one",
}

#: A cancel that finds the order already over.
ALREADY_OVER: Final = frozenset({"110001", "110008", "110010", "20001"})

#: A setting that is as it was asked for already.
UNCHANGED: Final = frozenset({"34036", "34040", "110025", "110026", "110043"})

#: Refused for being too many: an order was not placed, a read may be asked again.
TOO_FREQUENT: Final = frozenset({"10006", "10018"})

#: A question that demo trading does not answer.
NOT_IN_DEMO: Final = frozenset({"10001", "10005", "10017", "10032", "10404"})

#: A symbol Bybit does not list is a wrong parameter.
PARAMETER: Final = "10001"


def _answer_code(answer: Mapping[str, object]) -> tuple[str | None, str]:
    code = code_of(answer.get("retCode"), fine="0")
    return code, "" if code is None else str(answer.get("retMsg", ""))


TABLE: Final = OutcomeTable(
    venue="Bybit",
    meanings=CODES,
    too_frequent=TOO_FREQUENT,
    key_remedies=KEY_REMEDIES,
    read=_answer_code,
    # The gate before the venue turns an address away that asked too much (HTTP 403).
    texts=(("access too frequent", VenueUnreachable),),
)
