from decimal import Decimal

import pytest

from counterpoise.app.cli import output


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (Decimal("3.0000"), "3"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.1234567"), "0.123457"),
        (Decimal("-0.50"), "-0.5"),
        (0.123456, "0.1235"),
        (["A", "B"], "A, B"),
        ("[red]", r"\[red]"),
        (True, "True"),
    ],
)
def test_a_cell(value, shown):
    assert output.cell(value) == shown


def test_rows_show_the_chosen_columns_in_order(capsys):
    output.print_rows([{"b": Decimal("1.50"), "a": "x", "c": "unseen"}], ("a", "b"))
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["a", "b"]
    assert line.split() == ["x", "1.5"]


def test_json_is_canonical(capsys):
    output.print_json([{"b": Decimal("1.50"), "a": None}])
    assert capsys.readouterr().out == '[{"a":null,"b":"1.50"}]\n'
