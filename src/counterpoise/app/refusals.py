"""Turns a refused configuration into words: the variable, its value and what is allowed."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import annotated_types
from pydantic import SecretStr, ValidationError

from counterpoise.app.settings import PREFIX, Settings, variable

_NAME: Final = re.compile(r"\b([a-z][a-z0-9_]*)=")

#: Kinds of pydantic's refusals that a bare phrase answers.
_ALLOWED: Final = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "path_type": "a path",
    "string_pattern_mismatch": "capital letters and digits, such as BTCUSDT",
    "string_type": "text",
    "tuple_type": "a list separated by commas",
}


def is_secret(field: str) -> bool:
    """Tell whether a field's value must never be shown."""
    return "SecretStr" in repr(Settings.model_fields[field].annotation)


def mask(value: object) -> str:
    """Return what may be shown of a value: "***" for a secret that is set."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, (tuple, list)):
        return ",".join(str(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def range_words(field: str) -> str | None:
    """Return "0 to 10" from a field's declared bounds; None = it declares none."""
    lower = upper = None
    for bound in Settings.model_fields[field].metadata:
        match bound:
            case annotated_types.Ge(ge=figure):
                lower = f"{figure}"
            case annotated_types.Gt(gt=figure):
                lower = f"more than {figure}"
            case annotated_types.Le(le=figure):
                upper = f"{figure}"
            case annotated_types.Lt(lt=figure):
                upper = f"less than {figure}"
    if lower is None or upper is None:
        return lower or upper
    return f"{lower} to {upper}"


def validation_words(
    error: ValidationError, given: Mapping[str, Any], sources: Mapping[str, str]
) -> list[str]:
    """Return one line per refused value."""
    return [_line(refusal, given, sources) for refusal in error.errors(include_url=False)]


def rule_words(error: ValueError) -> str:
    """Return a rule's own refusal ("entry_scale=2: allowed is ...") with variables' names."""

    def rename(match: re.Match[str]) -> str:
        name = match[1]
        return f"{variable(name)}=" if name in Settings.model_fields else match[0]

    return _NAME.sub(rename, str(error))


def unknown_words(names: Iterable[str], known: Iterable[str], where: str) -> list[str]:
    """Return one line per unknown name, with the nearest known one."""
    candidates = sorted(known)
    lines = []
    for name in sorted(names):
        near = nearest(name, candidates)
        hint = f"; did you mean {near}?" if near else ""
        lines.append(f"{name} ({where}) is no setting{hint}")
    return lines


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that an unknown one was probably meant to be; None = there is none."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def _line(refusal: Any, given: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    words = str(refusal.get("ctx", {}).get("error", refusal["msg"]))
    if not refusal["loc"] or words.startswith(PREFIX):
        return words
    field = str(refusal["loc"][0])
    shown = "***" if is_secret(field) else mask(given.get(field))
    if refusal["type"] == "literal_error":
        words = f"allowed is {refusal['ctx']['expected']}"
    elif refusal["type"] in _ALLOWED:
        words = f"allowed is {_ALLOWED[refusal['type']]}"
    elif refusal["type"] != "value_error":
        words = f"allowed is {range_words(field) or refusal['msg']}"
    return f"{variable(field)}={shown}: {words} (from {sources.get(field, 'default')})"
