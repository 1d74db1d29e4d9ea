import math
from decimal import Decimal

import pytest

from counterpoise.domain.orders import Side
from counterpoise.domain.records import DecisionMade, FillSeen
from counterpoise.ledger import codec
from ledger_samples import decision, fill, run_started


def test_keys_are_sorted_and_money_is_text() -> None:
    value = {"b": Decimal("1.50"), "a": {"z": 0.1, "y": Side.BUY}, "c": (1, None, True)}
    assert codec.encode(value) == '{"a":{"y":"buy","z":0.1},"b":"1.50","c":[1,null,true]}'


def test_fields_of_a_dataclass_are_sorted() -> None:
    text = codec.encode(run_started())
    start = '{"account_id":"okx-7","attestation_sha256":null,"configuration_sha256":"000'
    assert text.startswith(start)


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")],
)
def test_what_json_cannot_say_is_refused(value: object) -> None:
    for wrapped in (value, {"a": [value]}, decision(equity=value)):
        with pytest.raises(ValueError, match="has no JSON form"):
            codec.encode(wrapped)


@pytest.mark.parametrize("number", [0.1 + 0.2, 1e-310, 5e-324, 1.7976931348623157e308, -0.0, 1e22])
def test_a_float_reads_back_bit_for_bit(number: float) -> None:
    back = codec.decode(codec.encode({"x": number}), dict[str, float])["x"]
    assert back.hex() == number.hex()


@pytest.mark.parametrize("text", ["1.50", "-0", "1E+3", "1E-21"])
def test_a_decimal_keeps_its_digits(text: str) -> None:
    back = codec.decode(codec.encode([Decimal(text)]), list[Decimal])[0]
    assert str(back) == text


def test_records_read_back_equal() -> None:
    assert codec.decode(codec.encode(decision()), DecisionMade) == decision()
    assert codec.decode(codec.encode(fill(3)), FillSeen) == fill(3)


@pytest.mark.parametrize(
    "text", ["", "{", '{"fill_id":"f1"}', codec.encode(fill(1)).replace('"f1"', "1")]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        codec.decode(text, FillSeen)
