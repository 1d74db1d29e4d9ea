"""No frame stops a stream: bad ones are counted, the good ones after them are read."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.events import StreamName
from counterpoise.venues.connection import Dropped, Timing, _Connection
from venue_frames import NOW_NS, SPOKEN

#: What takes the place of a value: other kinds, and figures nobody means.
HOSTILE = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        2**63,
        10**4_000,
        1.5,
        "",
        "NaN",
        "sNaN",
        "-Infinity",
        "1E+999999999",
        "1e-999999999",
        "0x10",
        "-5",
        "9" * 5_000,
        "\u0000",
        "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        [],
        {},
        [[]],
        [["1"]],
        [["NaN", "1"]],
        [{}],
        {"": None},
    ]
)

NOISE = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=20,
    ).map(lambda body: json.dumps(body).encode()),
    st.sampled_from([b"[", b'{"data":', b'{"arg":', b'{"topic":[', b'{"a":']).flatmap(
        lambda start: st.sampled_from([start * 5_000, start * 900])
    ),
    st.sampled_from([b"", b"\xff\xfe", b"null", b"[]", b"{}", b'"ping"', b"<html>504</html>"]),
)


def places(body, path=()):
    """Every place in a decoded frame."""
    yield path
    if isinstance(body, dict):
        for name, value in body.items():
            yield from places(value, (*path, name))
    elif isinstance(body, list):
        for number, value in enumerate(body):
            yield from places(value, (*path, number))


def changed(body, path, value):
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[path[0]] = changed(body[path[0]], path[1:], value)
    return copy


def without(body, path):
    """A decoded frame that lacks one thing."""
    parent = body
    for part in path[:-1]:
        parent = parent[part]
    if isinstance(parent, dict):
        rest = {name: value for name, value in parent.items() if name != path[-1]}
    else:
        rest = parent[: path[-1]] + parent[path[-1] + 1 :]
    return changed(body, path[:-1], rest)


@st.composite
def torn(draw, frames):
    """A good frame whose bytes did not all arrive as they were sent."""
    frame = draw(st.sampled_from(frames))
    at = draw(st.integers(0, len(frame) - 1))
    rest = draw(st.sampled_from([b"", frame[at:], frame[at + 1 :]]))
    return frame[:at] + draw(st.binary(max_size=6)) + rest


@st.composite
def twisted(draw, frames):
    """A good frame with something else, or nothing, in one place."""
    body = json.loads(draw(st.sampled_from(frames)))
    path = draw(st.sampled_from(list(places(body))))
    if path and draw(st.booleans()):
        return json.dumps(without(body, path)).encode()
    return json.dumps(changed(body, path, draw(HOSTILE))).encode()


def spoiled(frames):
    return st.one_of(torn(frames), twisted(frames), NOISE)


class StillClock:
    def now_ns(self):
        return NOW_NS

    def monotonic(self):
        return 0.0


def begun(spoken):
    conversation = spoken.make()
    conversation.begin(NOW_NS)
    connection = _Connection(conversation, StillClock(), Timing(), None)
    for frame in spoken.opening:
        connection._hear(frame, NOW_NS)
    assert connection.malformed_frames == 0
    return connection


def reads_the_good_one(connection, spoken):
    events = connection._hear(spoken.good, NOW_NS)
    assert spoken.kind in {type(event) for event in events or ()}, events


@pytest.mark.parametrize("name", SPOKEN)
def test_the_good_frame_is_good(name):
    connection = begun(SPOKEN[name])
    reads_the_good_one(connection, SPOKEN[name])
    assert connection.malformed_frames == 0


@pytest.mark.parametrize("name", SPOKEN)
def test_no_frame_stops_a_conversation(name):
    spoken = SPOKEN[name]

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @example(bad=b"[" * 200_000)
    @example(bad=b'{"data":' * 100_000)
    @given(bad=spoiled([*spoken.opening, spoken.good]))
    def check(bad):
        connection = begun(spoken)
        try:
            connection._hear(bad, NOW_NS)
        except Dropped:
            # The socket connects again, which begins the conversation anew.
            connection = begun(spoken)
        except StartRefused:
            # A login that is refused is told as one, not as a frame.
            assert "account" in name
            assert b"success" in bad or b"event" in bad
            connection = begun(spoken)
        if name == "binance-books":
            # A message that was lost leaves a gap, and the next snapshot is REST's to bring.
            connection = begun(spoken)
        reads_the_good_one(connection, spoken)

    check()


@pytest.mark.parametrize("name", SPOKEN)
@pytest.mark.parametrize(
    "bad",
    [b"", b"\xff\xfe{}", b"{", b"[" * 100_000, b'{"data":' * 50_000, b"[1]", b"nothing", b"7"],
    ids=["empty", "not-utf8", "cut", "deep-list", "deep-object", "list", "word", "number"],
)
def test_a_frame_that_is_no_message_is_counted_once(name, bad):
    spoken = SPOKEN[name]
    connection = begun(spoken)
    if connection.conversation.stream is StreamName.ACCOUNT:
        with pytest.raises(Dropped, match="could not be read"):
            connection._hear(bad, NOW_NS)
    else:
        assert connection._hear(bad, NOW_NS) is None
        reads_the_good_one(connection, spoken)
    assert connection.malformed_frames == 1


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "1E+999999", "-1E+31"])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("okx-marks", b'"markPx": "100.15"'),
        ("binance-marks", b'"p": "100.15"'),
        ("bybit-marks", b'"markPrice": "100.15"'),
        ("okx-account", b'"eq": "1000.5"'),
        ("binance-account", b'"pa": "-3"'),
        ("bybit-account", b'"execQty": "0.5"'),
    ],
)
def test_a_figure_nobody_means_is_not_passed_on(name, field, figure):
    spoken = SPOKEN[name]
    assert field in spoken.good
    bad = spoken.good.replace(
        field, field.rpartition(b'"')[0].rpartition(b'"')[0] + b'"' + figure.encode() + b'"'
    )
    connection = begun(spoken)
    if connection.conversation.stream is StreamName.ACCOUNT:
        with pytest.raises(Dropped):
            connection._hear(bad, NOW_NS)
    else:
        assert connection._hear(bad, NOW_NS) is None
    assert connection.malformed_frames == 1
