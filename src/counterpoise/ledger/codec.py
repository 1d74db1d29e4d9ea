"""Canonical JSON: one text per value, the same on any machine, and back without loss.

Keys are sorted, Decimals are strings, floats are their shortest text that reads back equal,
enums are their values. What JSON cannot say (NaN, infinities) is refused rather than nulled.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
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


def _refuse_non_finite(value: Any) -> None:
    # msgspec writes NaN as null, which would read back as "unknown" instead of failing here.
    if isinstance(value, (float, Decimal)):
        # `math.isfinite` itself raises on a signalling NaN.
        finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
        if not finite:
            raise ValueError(f"value={value!r} has no JSON form")
        return
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = (*value.keys(), *value.values())
    elif isinstance(value, (tuple, list, set, frozenset)):
        parts = value
    elif dataclasses.is_dataclass(value):
        parts = (getattr(value, field.name) for field in dataclasses.fields(value))
    for part in parts:
        _refuse_non_finite(part)
