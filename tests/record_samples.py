"""A record of every class, made from its fields' types; two numbers never give equal values."""

import dataclasses
import types
import typing
from decimal import Decimal
from typing import Any

from counterpoise.domain.records import Record
from counterpoise.ledger import schema

ACCOUNT = "okx-7"


def sample(record_type: type[Record], number: int) -> Record:
    """Return the `number`th record of a class; optional fields are filled."""
    hints = typing.get_type_hints(record_type)
    values: dict[str, Any] = {}
    for place, field in enumerate(dataclasses.fields(record_type)):
        annotation = hints[field.name]
        if isinstance(annotation, types.UnionType):
            annotation = next(one for one in annotation.__args__ if one is not types.NoneType)
        values[field.name] = _value(field.name, annotation, number, place)
    return record_type(**values)


def every_table() -> list[tuple[str, type[Record]]]:
    """Return each table of the record with its class."""
    return sorted(schema.RECORD_TYPES.items())


def _value(name: str, annotation: Any, number: int, place: int) -> Any:
    if name == "account_id":
        return ACCOUNT
    if name in schema.JSON_FIELDS:
        return f'{{"b": {number}, "a": [1.50, "\\u00e9"]}}'
    values = {
        bool: number % 2 == 0,
        int: 1_790_000_000_000_000_000 + number * 1_000 + place,
        float: number / 7 + place,
        # As venues write them: trailing zeros and exponents.
        Decimal: (Decimal("1.500"), Decimal("1E+3"), Decimal("2E-9"))[place % 3] + number,
        str: f"{name} {number} é",
        tuple[str, ...]: (f"REASON_{number}", 'OTHER, "quoted"'),
    }
    return values[annotation]
