"""The house style that no other tool checks. A rule that is only written down is not kept."""

import ast
import gc
import re
import subprocess
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "counterpoise"
TESTS = ROOT / "tests"

FILE_LINES_MAX = 500
FILE_LINES_P90_MAX = 350
FUNCTION_LINES_MAX = 70

#: Names that say nothing about what is inside.
MODULE_NAMES_REFUSED = frozenset(
    {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
)
#: Words the glossary has another one for, as whole parts of a name.
WORDS_REFUSED = {
    "amount": "quantity, notional or payment",
    "coin": "instrument",
    "pct": "fraction or bps",
    "percent": "fraction or bps",
    "percentage": "fraction or bps",
    "qty": "quantity",
    "ticker": "instrument",
    "timestamp": "event time or received time (`*_ns`)",
    "vol": "volatility",
}
#: stamp -> the one file that may make it.
STAMPS = {
    "ApprovedOrder": "risk/gate.py",
    "JournaledOrder": "ledger/journal.py",
}
#: Only here is the environment read.
ENVIRONMENT_HOME = "app"
#: Left where a thing is unfinished; unfinished things are not merged. Joined here so that this
#: list is not its own finding.
UNFINISHED = tuple("".join(parts) for parts in (("TO", "DO"), ("FIX", "ME"), ("XX", "X")))


def python_files(*directories):
    return sorted(path for directory in directories for path in directory.rglob("*.py"))


@cache
def text_of(path):
    return path.read_text(encoding="utf-8")


@cache
def parsed(path):
    return ast.parse(text_of(path), filename=str(path))


@pytest.fixture(scope="module", autouse=True)
def _trees_are_let_go():
    # A worker has other tests to do, and its collector would go through all of them.
    gc.disable()
    yield
    parsed.cache_clear()
    text_of.cache_clear()
    gc.enable()


def in_source(path):
    return path.relative_to(SOURCE).as_posix() if path.is_relative_to(SOURCE) else None


def where(path, node):
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def found_none(findings):
    assert not findings, "\n" + "\n".join(findings)


# -- size ------------------------------------------------------------------------------------


def test_files_are_short():
    lines = {path: len(path.read_text().splitlines()) for path in python_files(SOURCE)}
    found_none([f"{p.relative_to(ROOT)}: {n}" for p, n in lines.items() if n > FILE_LINES_MAX])
    ordered = sorted(lines.values())
    assert ordered[len(ordered) * 9 // 10] <= FILE_LINES_P90_MAX


def code_lines(node):
    """Lines with code of its own: no blank line, comment or docstring."""
    docstrings = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            docstrings |= set(range(inner.lineno, inner.end_lineno + 1))
    lines = set()
    for inner in ast.walk(node):
        if hasattr(inner, "lineno"):
            lines |= {inner.lineno, inner.end_lineno}
    return len(lines - docstrings)


def test_functions_fit_a_screen():
    findings = []
    for path in python_files(SOURCE):
        for node in ast.walk(parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                count = code_lines(node)
                if count > FUNCTION_LINES_MAX:
                    findings.append(f"{where(path, node)} {node.name}: {count} lines of code")
    found_none(findings)


# -- names -----------------------------------------------------------------------------------


def test_modules_are_named_for_what_they_hold():
    found_none(
        [
            str(path.relative_to(ROOT))
            for path in python_files(SOURCE)
            if MODULE_NAMES_REFUSED & {path.stem, path.parent.name}
        ]
    )


def names_defined(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node, node.name
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id


def words_of(name):
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return set(spaced.lower().split("_"))


def test_names_come_from_the_glossary():
    # The venue's own words stay as they are where its wire is read and written.
    wire = tuple(
        f"{side}/{venue}/"
        for side in ("venues", "simulator")
        for venue in ("binance", "bybit", "okx")
    )
    findings = []
    for path in python_files(SOURCE):
        if in_source(path).startswith(wire):
            continue
        for node, name in names_defined(parsed(path)):
            findings += [
                f"{where(path, node)} {name}: say {WORDS_REFUSED[word]}"
                for word in sorted(words_of(name) & WORDS_REFUSED.keys())
            ]
    found_none(findings)


def public_classes(tree):
    return [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]


def test_public_things_say_what_they_are():
    findings = []
    for path in python_files(SOURCE):
        tree = parsed(path)
        if not ast.get_docstring(tree):
            findings.append(f"{path.relative_to(ROOT)}: the module")
        for scope in (tree, *public_classes(tree)):
            for node in scope.body:
                public = (
                    isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                    and not node.name.startswith("_")
                    and not any(
                        isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list
                    )
                )
                if public and not ast.get_docstring(node):
                    findings.append(f"{where(path, node)} {node.name}")
    found_none(findings)


# -- permission is a type --------------------------------------------------------------------


def called(node):
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def stamps_made(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if called(node) in STAMPS:
                yield node, called(node)
            # `replace(order, ...)` and `object.__new__(ApprovedOrder)` make one as well.
            for argument in node.args:
                name = getattr(argument, "attr", getattr(argument, "id", None))
                if name in STAMPS and called(node) in {"__new__", "partial"}:
                    yield node, name


@pytest.mark.parametrize(("stamp", "home"), sorted(STAMPS.items()))
def test_a_stamp_is_made_in_one_file(stamp, home):
    findings = [
        f"{where(path, node)} makes {name}"
        for path in python_files(SOURCE, TESTS)
        # Whoever makes one names it.
        if in_source(path) != home and stamp in text_of(path)
        for node, name in stamps_made(parsed(path))
        if name == stamp
    ]
    found_none(findings)


def test_the_search_for_stamps_finds_one():
    tree = ast.parse("orders.ApprovedOrder(intent=1)\nx = JournaledOrder()\npartial(ApprovedOrder)")
    assert [name for _, name in stamps_made(tree)] == [
        "ApprovedOrder",
        "JournaledOrder",
        "ApprovedOrder",
    ]


# -- layers ----------------------------------------------------------------------------------


def test_layers_are_the_contracts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {c["id"]: c for c in project["tool"]["importlinter"]["contracts"]}
    named = {
        name.strip().strip("()")
        for line in contracts["layers"]["layers"]
        for name in line.split("|")
    }
    present = {p.name for p in SOURCE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    present |= {p.stem for p in SOURCE.glob("*.py")} - {"__init__"}
    assert present <= named
    assert named - present <= {"lab"}


def test_only_app_reads_the_environment():
    findings = []
    for path in python_files(SOURCE):
        if in_source(path).split("/")[0] == ENVIRONMENT_HOME:
            continue
        for node in ast.walk(parsed(path)):
            named = (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}) or (
                isinstance(node, ast.alias) and node.name in {"environ", "getenv"}
            )
            if named:
                findings.append(where(path, node))
    found_none(findings)


def test_only_app_catches_everything():
    findings = []
    for path in python_files(SOURCE):
        if in_source(path).split("/")[0] == ENVIRONMENT_HOME:
            continue
        findings += [
            where(path, node)
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ExceptHandler) and catches_everything(node)
        ]
    found_none(findings)


def catches_everything(handler):
    """A bare or broad `except`; one that cleans up and raises again is none."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"BaseException", "Exception"})
        for kind in kinds
    )
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


# -- what is committed -----------------------------------------------------------------------


@cache
def committed_texts():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    texts = {}
    for name in filter(None, listed):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".gz", ".zst"}:
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    return texts


def lines_with(pattern, *, skip=()):
    expression = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in committed_texts().items()
        if name not in skip
        for number, line in enumerate(text.splitlines(), 1)
        if expression.search(line)
    ]


def test_nothing_is_left_unfinished():
    words = "|".join(UNFINISHED)
    found_none(lines_with(rf"\b({words})\b|[Nn]ot implemented yet", skip={"tests/test_tidy.py"}))


def test_no_registry_is_named():
    hosts = ("py" + "pi.org", "files.python" + "hosted", "registry." + "npmjs", "deb." + "debian")
    found_none(lines_with("|".join(re.escape(host) for host in hosts)))


def test_no_path_of_a_machine_is_named():
    # The root of a home or work directory in front of a name; "/tmp" alone is everybody's.
    found_none(lines_with(r"(?<![\w.~}])/(work|home/\w+|root|Users|tmp/w|opt/pypi)/\w"))


# -- tests -----------------------------------------------------------------------------------


def test_test_files_have_names_of_their_own():
    # Pytest imports them by path; a second file of the same name confuses readers and caches.
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    found_none(sorted(name for name, count in names.items() if count > 1))


def test_unit_tests_mirror_the_source():
    findings = []
    for path in (TESTS / "unit").rglob("test_*.py"):
        package = path.parent.relative_to(TESTS / "unit")
        if not (SOURCE / package).is_dir():
            findings.append(f"{path.relative_to(ROOT)}: src/counterpoise/{package} does not exist")
    found_none(findings)
