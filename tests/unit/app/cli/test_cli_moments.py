import pytest

from counterpoise.app.cli.moments import since_ns
from counterpoise.domain.errors import SettingsError

NOW_NS = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("90m", 5_400), ("6h", 21_600), ("2d", 172_800)]
)
def test_ago(text, seconds):
    assert since_ns(text, NOW_NS) == NOW_NS - seconds * 10**9


@pytest.mark.parametrize(
    ("text", "moment_ns"),
    [
        ("2023-11-14T22:13:20", NOW_NS),
        ("2023-11-14T22:13:20Z", NOW_NS),
        ("2023-11-14T23:13:20+01:00", NOW_NS),
        ("2023-11-14", 1_699_920_000 * 10**9),
    ],
)
def test_a_time(text, moment_ns):
    assert since_ns(text) == moment_ns


def test_nothing_is_no_limit():
    assert since_ns(None) is None


@pytest.mark.parametrize("text", ["", "yesterday", "5w", "-3h", "2023-13-01"])
def test_anything_else_is_refused(text):
    with pytest.raises(SettingsError, match="--since"):
        since_ns(text)
