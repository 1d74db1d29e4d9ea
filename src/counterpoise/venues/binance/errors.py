"""What a Binance code means for an order: refused, not sent, or unknown.

A code that is not here leaves an order UNKNOWN, as does what is raised without one
(`venues.outcomes`): HTTP 503 with whatever words, and every other answer of a machine in between.
Sources: USD-M "Error Codes", "General Info" (HTTP 503), and the change log of 2025-10-23 (-1008).
"""

from collections.abc import Mapping
from typing import Final

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    PriceRefused,
    VenueError,
    VenueRejected,
)
from counterpoise.venues.outcomes import OutcomeTable, code_of, codes

#: Venue code -> meaning for a request that changes something.
CODES: Final[Mapping[str, type[VenueError]]] = {
    # Refused at the door: too many, not allowed, wrongly signed, too late, overload (-1008).
    **codes(VenueRejected, "-1002 -1003 -1004 -1008 -1015 -1020 -1021 -1022 -1023 -1099"),
    # Malformed.
    **codes(
        VenueRejected,
        "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1108 -1109 -1110 -1111 -1112 -1113 -1114"
        " -1115 -1116 -1117 -1118 -1119 -1120 -1121 -1122 -1125 -1126 -1127 -1128 -1130 -1131"
        " -1136",
    ),
    # The order itself was refused: margin, limits, rights, leverage.
    **codes(
        VenueRejected,
        "-2010 -2011 -2012 -2013 -2014 -2015 -2016 -2017 -2018 -2019 -2020 -2021 -2024 -2025"
        " -2026 -2027 -2028",
    ),
    # It would not reduce: the position is gone, on the other side, being liquidated, or reserved
    # by orders that rest. Read it again; the same order again would be refused again.
    **codes(PositionDoubtful, "-2022 -2023 -4118"),
    # Filters and settings.
    **codes(
        VenueRejected,
        "-4000 -4001 -4002 -4003 -4004 -4005 -4006 -4007 -4008 -4009 -4010 -4011 -4012 -4013 -4014"
        " -4015 -4017 -4018 -4019 -4020 -4021 -4022 -4023 -4025 -4026 -4027 -4028"
        " -4029 -4030 -4031 -4032 -4033 -4044 -4045 -4046 -4047 -4048 -4049 -4050 -4051 -4052 -4053"
        " -4054 -4055 -4056 -4057 -4058 -4059 -4060 -4061 -4062 -4063 -4064 -4065 -4066 -4067 -4068"
        " -4069 -4070 -4071 -4072 -4073 -4074 -4075 -4076 -4077 -4078 -4079 -4080 -4081 -4082"
        " -4083 -4084 -4085 -4086 -4087 -4088 -4104 -4105 -4106 -4107 -4108 -4109 -4110 -4111"
        " -4112 -4113 -4114 -4115 -4117 -4120 -4136 -4137 -4138 -4139 -4140 -4141"
        " -4142 -4144 -4161 -4164 -4165 -4167 -4168 -4169 -4170 -4171 -4172 -4178 -4183 -4184"
        " -4188 -4192 -4202 -4203 -4205 -4206 -4208 -4209 -4210 -4211 -4400 -4401 -4402 -4403"
        " -4509",
    ),
    # Its price, or the best one there is, lies outside the band around the mark.
    **codes(PriceRefused, "-4016 -4024 -4131"),
    # Execution rules: FOK, post-only, self-trade, modify.
    **codes(VenueRejected, "-5021 -5022 -5024 -5025 -5026 -5027 -5028 -5029 -5037 -5038 -5039"),
    # An order with this id is there. An id is used once, so it is this one's: whoever carried the
    # request sent it twice, and the first copy was taken.
    **codes(OutcomeUnknown, "-4116"),
    # The engine was asked and did not say: neither success nor failure is proven.
    **codes(OutcomeUnknown, "-1000 -1001 -1005 -1006 -1007 -1014 -1016"),
}

#: What a key, its rights or the clock must be mended by; these end a start with the remedy.
KEY_REMEDIES: Final[Mapping[str, str]] = {
    "-1002": "the key is not authorised; check key and permissions",
    "-1021": "this machine's clock is off; synchronise it",
    "-1022": "the secret is wrong (bad signature); check it",
    "-1099": "the key is not authorised; check key and permissions",
    "-2014": "the API key's form is wrong; check it",
    "-2015": "the API key is wrong, this machine's IP address is not on its list, or it lacks the"
    " permission to trade futures; a demo key opens the demo only",
}

#: A cancel that finds the order already over or never placed.
ALREADY_OVER: Final = frozenset({"-2011"})

#: A market that is not listed, or not any more.
SYMBOL_UNKNOWN: Final = "-1121"

#: A query that finds no order.
NOT_FOUND: Final = frozenset({"-2013"})

#: Refused for being too many or overload: an order was not placed, a read may be asked again.
TOO_FREQUENT: Final = frozenset({"-1003", "-1008", "-1015"})

#: A stamp that is not of the venue's time: the request was not looked at any further.
STAMP_REFUSED: Final = "-1021"

#: A setting that already is as asked.
UNCHANGED: Final = frozenset({"-4046", "-4059", "-4171"})

#: A listen key that is no more.
LISTEN_KEY_GONE: Final = "-1125"


def _answer_code(answer: Mapping[str, object]) -> tuple[str | None, str]:
    code = code_of(answer.get("code"), fine="200")
    return code, "" if code is None else str(answer.get("msg", ""))


TABLE: Final = OutcomeTable(
    venue="Binance",
    meanings=CODES,
    too_frequent=TOO_FREQUENT,
    key_remedies=KEY_REMEDIES,
    read=_answer_code,
)
