"""Canonical JSON: one text per value, the same on any machine, and back without loss.

Keys are sorted, Decimals are strings, floats are their shortest text that reads back equal,
enums are their values. What JSON cannot say (NaN, infinities) is refused rather than nulled.
"""

import dataclasses
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

Value = TypeVar("Value")

_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string")


def encode(value: object) -> str:
    """Return the canonical JSON of dataclasses, containers and scalars.

    Raises ValueError for NaN or an infinity (float or Decimal) anywhere in it and TypeError for
    a type JSON has no word for.
    """
    _refuse_non_finite(value)
    return _ENCODER.encode(value).decode()


def decode(text: str, type_: type[Value]) -> Value:
    """Return the value of `type_` that `encode` wrote as `text`.

    Raises ValueError (msgspec's DecodeError is one) when the text is not JSON, a field is
    missing or of another type.
    """
    return msgspec.json.decode(text, type=type_, strict=True)


def _refuse_non_finite(value: Any) -> None:  # noqa: ANN401 - walks whatever it is given
    # msgspec writes NaN as null, which would read back as "unknown" instead of failing here.
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"value={value!r} has no JSON form")
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"value={value!r} has no JSON form")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_non_finite(key)
            _refuse_non_finite(item)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            _refuse_non_finite(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _refuse_non_finite(getattr(value, field.name))
