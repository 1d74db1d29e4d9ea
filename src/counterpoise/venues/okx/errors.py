"""What an OKX code means for an order: refused, not sent, or unknown.

A code that is not here leaves an order UNKNOWN, as does what is raised without one
(`venues.outcomes`). Sources: OKX API v5 error codes; the ambiguous ones are those whose text says so.
"""

from collections.abc import Mapping
from typing import Any, Final

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    PriceRefused,
    VenueError,
    VenueRejected,
)
from counterpoise.venues.outcomes import OutcomeTable, code_of, codes

#: The stamp of a request is over 30 s off OKX's clock; it looked at nothing else.
STAMP_REFUSED: Final = "50102"

#: Venue code -> meaning for a request that changes something.
CODES: Final[Mapping[str, type[VenueError]]] = {
    # The request was malformed, unsigned or not allowed: it was refused at the door.
    **codes(
        VenueRejected,
        "50000 50002 50006 50007 50008 50009 50010 50011 50012 50014 50015 50016 50024 50025"
        " 50027 50028 50035 50036 50037 50038 50039 50040 50041 50044 50047 50060 50061 50062"
        " 50067 50068 50069 50072 50100 50101 50102 50103 50104 50105 50106 50107 50108"
        " 50109 50110 50111 50112 50113 50114 50115 50118 50119 50120 50121",
    ),
    # Position, currency or account frozen (ADL, liquidation, funding): refused.
    **codes(VenueRejected, "50017 50018 50019 50020 50021 50022 50023"),
    # The order itself was refused: parameters, limits, margin, instrument, reduce-only.
    **codes(
        VenueRejected,
        "51000 51001 51002 51003 51004 51005 51007 51008 51009 51010 51011 51012 51014"
        " 51015 51017 51020 51021 51022 51023 51024 51025 51026 51027 51028 51029 51030"
        " 51031 51037 51038 51039 51041 51043 51044 51050 51051 51052 51053 51058 51061 51063"
        " 51066 51069 51070 51071 51076 51077 51078 51087 51088 51090 51091 51092"
        " 51093 51094 51095 51096 51098 51099 51100 51101 51102 51103 51104 51105 51106 51107"
        " 51108 51109 51110 51111 51113 51115 51116 51117 51118 51119 51120 51121 51122"
        " 51124 51125 51126 51127 51128 51129 51130 51131 51132 51133 51134 51135 51136 51137"
        " 51138 51139 51147 51150 51151 51152 51153 51154 51155 51156 51158 51159 51162"
        " 51163 51164 51166 51167 51168 51171 51174 51175 51176 51185 51201 51202"
        " 51203 51204 51205 51250 51327 51328 51329 51330 51732 51733 51734 51735 51736 54000"
        " 54008 54009 54011 54024 54031 54051 54072 54073 54094",
    ),
    # It would not reduce: the position is gone, on the other side, or reserved by orders that
    # rest (venues.md 3.2). Read it again; the same order again would be refused again.
    **codes(PositionDoubtful, "51112 51148 51169 51170"),
    # Its price is outside the band that OKX takes now, which moves with index and mark.
    **codes(PriceRefused, "51006"),
    # A stop that its price has passed already, or for a position that is gone.
    **codes(
        VenueRejected, "51277 51278 51279 51280 51300 51302 51303 51304 51305 51306 51307 51308"
    ),
    # Cancels and queries: the order is over, never was, or cannot be cancelled now.
    **codes(
        VenueRejected,
        "51400 51401 51402 51403 51404 51405 51406 51407 51408 51409 51410 51603",
    ),
    # Leverage: refused, nothing changed.
    **codes(
        VenueRejected,
        "59000 59001 59100 59101 59102 59103 59104 59105 59106 59107 59108 59109 59113 59200 59201",
    ),
    # An order with this id is there. An id is used once, so it is this one's: whoever carried the
    # request sent it twice, and the first copy was taken.
    **codes(OutcomeUnknown, "50071 51016 51065 51068"),
    # The engine was asked and did not say: neither success nor failure is proven.
    **codes(OutcomeUnknown, "50001 50004 50005 50013 50026 51054 51149"),
}

#: What a key, its rights or the clock must be mended by; these end a start with the remedy.
KEY_REMEDIES: Final[Mapping[str, str]] = {
    "50100": "the API key is frozen; ask OKX support or make a new key",
    "50101": "the key belongs to another environment; use a demo key for demo trading and a live"
    " key for production",
    STAMP_REFUSED: "this machine's clock is off; synchronise it (OKX allows 30 s)",
    "50103": "no API key was sent; set the key",
    "50104": "no passphrase was sent; set the passphrase",
    "50105": "the passphrase is wrong; set the one given when the key was made",
    "50106": "no signature was sent; set the secret",
    "50107": "no timestamp was sent; synchronise this machine's clock",
    "50110": "this machine's IP address is not on the key's list; add it at OKX",
    "50111": "the API key is wrong; check it",
    "50112": "this machine's clock is off; synchronise it",
    "50113": "the secret is wrong (bad signature); check it",
    "50114": "the key is not authorised; check key, secret and passphrase",
    "50119": "OKX knows no such API key; check it and the region of the host",
    "50120": "the key lacks a permission; give it reading and trading, not withdrawing",
    "51010": "the account mode does not trade swaps; switch it to Futures mode",
    "60004": "this machine's clock is off; synchronise it",
    "60005": "the API key is wrong; check it",
    "60006": "this machine's clock is off; synchronise it (OKX allows 30 s)",
    "60007": "the secret is wrong (bad signature); check it",
    "60009": "login failed; check key, secret and passphrase",
    "60022": "this machine's IP address is not on the key's list; add it at OKX",
    "60024": "the passphrase is wrong; set the one given when the key was made",
    "60032": "OKX knows no such API key; check it and the region of the host",
}

#: A cancel that finds the order already over or already being cancelled.
ALREADY_OVER: Final = frozenset({"51400", "51401", "51402", "51405", "51410", "51603"})

#: A query that finds no order. An instrument that is not there (51001) proves nothing about one.
#: A parameter OKX does not take.
WRONG_PARAMETER: Final = frozenset({"51000"})

NOT_FOUND: Final = frozenset({"51603"})

#: Refused for being too many: an order was not placed, a read may be asked again.
TOO_FREQUENT: Final = frozenset({"50011", "50061"})


def first_row(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said of the one order that was asked about; {} = nothing."""
    rows = answer.get("data")
    row = rows[0] if isinstance(rows, list) and rows else None
    return row if isinstance(row, dict) else {}


def _answer_code(answer: Mapping[str, object]) -> tuple[str | None, str]:
    rows = answer.get("data")
    for row in rows if isinstance(rows, list) else []:
        code = code_of(row.get("sCode"), fine="0") if isinstance(row, dict) else None
        if code is not None:
            return code, str(row.get("sMsg", ""))
    code = code_of(answer.get("code"), fine="0")
    return code, "" if code is None else str(answer.get("msg", ""))


TABLE: Final = OutcomeTable(
    venue="OKX",
    meanings=CODES,
    too_frequent=TOO_FREQUENT,
    key_remedies=KEY_REMEDIES,
    read=_answer_code,
)
classify = TABLE.classify
from_code = TABLE.from_code
code_and_words = TABLE.code_and_words
start_refusal = TABLE.start_refusal
