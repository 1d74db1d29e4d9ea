"""No kind of fault without a test on every venue."""

import ast
from pathlib import Path

from counterpoise.simulator.fault_kinds import RULES, FaultKind
from counterpoise.simulator.venues import VenueName
from fault_rows import FAULT_ROWS

HERE = Path(__file__).parent


def kinds_ordered_by(path: Path) -> set[str]:
    """Return the kinds named in the tests of a file that run on every venue.

    Such a test takes the fixture `desk`; a kind is named in it, in its parameters, or in a
    function of the file that it calls.
    """
    functions = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    found: set[str] = set()
    for function in functions:
        if "desk" in {argument.arg for argument in function.args.args}:
            found |= {
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    return found & {kind.value for kind in FaultKind}


def test_every_kind_is_ordered_on_every_venue() -> None:
    ordered: set[str] = set()
    for path in sorted(HERE.glob("test_faults_*.py")):
        if path.name != Path(__file__).name:
            ordered |= kinds_ordered_by(path)
    assert sorted({kind.value for kind in FaultKind} - ordered) == []
    assert set(FAULT_ROWS) == {venue.value for venue in VenueName}


def test_what_a_venue_lacks_is_what_the_table_says() -> None:
    for venue, row in FAULT_ROWS.items():
        assert set(row.absent) == {kind for kind, rule in RULES.items() if venue in rule.absent}
