import io
import json
import logging

import pytest
import structlog

from counterpoise.app import log_writer, logs


class Stream(io.StringIO):
    """What was written once the writer's thread had its turn."""

    def getvalue(self):
        assert log_writer.drain(5.0)
        return super().getvalue()


@pytest.fixture
def stream():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    package_level = logging.getLogger("counterpoise").level
    yield Stream()
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("counterpoise").setLevel(package_level)


def test_json_has_time_level_and_event_first(stream):
    logs.configure("json", "info", stream)
    structlog.get_logger().info("order.denied", reason="LEVERAGE_EXCEEDED", leverage=3.07)
    line = stream.getvalue()
    assert line.endswith("}\n")
    found = json.loads(line)
    assert list(found) == ["time", "level", "event", "reason", "leverage"]
    assert (found["event"], found["level"], found["leverage"]) == ("order.denied", "info", 3.07)


def test_auto_is_json_where_nobody_looks(stream):
    logs.configure("auto", "info", stream)
    structlog.get_logger().info("a.b")
    assert json.loads(stream.getvalue())["event"] == "a.b"


def test_plain_words_for_a_terminal(stream):
    logs.configure("plain", "info", stream)
    structlog.get_logger().info("fill.seen", quantity="0.1")
    assert "filled" in stream.getvalue()
    assert "0.1" in stream.getvalue()


@pytest.mark.parametrize("key", ["api_secret", "passphrase", "database_url", "dsn", "api_key"])
def test_a_value_named_like_a_secret_is_starred(stream, key):
    logs.configure("json", "info", stream)
    structlog.get_logger().info("x", **{key: "hidden"})
    assert json.loads(stream.getvalue())[key] == "***"


def test_lines_below_the_level_are_not_written(stream):
    logs.configure("json", "warning", stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_lines_of_libraries_take_the_same_shape(stream):
    logs.configure("json", "info", stream)
    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("somebody.else").warning("worth %s", "knowing")
    logging.getLogger("counterpoise.simulator").info("listening")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["worth knowing", "listening"]


def test_an_exception_is_told_in_the_line(stream):
    logs.configure("json", "info", stream)
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("engine.broken")
    assert "ValueError: why" in json.loads(stream.getvalue())["exception"]


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.mark.parametrize("shape", ["json", "plain"])
@pytest.mark.parametrize("value", ["half a pair: \ud83d", 2**80, Unspeakable(), {1: {2, 3}}])
def test_no_value_keeps_a_line_from_being_written_or_its_caller_from_going_on(stream, shape, value):
    logs.configure(shape, "info", stream)
    structlog.get_logger().warning("order.refused", message=value)
    structlog.get_logger().warning("after.it")
    first, last = stream.getvalue().splitlines()
    assert "order.refused" in first
    assert "after.it" in last


def test_half_a_pair_and_a_huge_number_are_told_whole(stream):
    logs.configure("json", "info", stream)
    structlog.get_logger().warning("x", text="\ud83d", number=2**80, kept="7")
    found = json.loads(stream.getvalue())
    assert (found["text"], found["number"], found["kept"]) == ("\ud83d", 2**80, "7")


def test_a_librarys_bad_arguments_raise_nothing_and_say_what_they_can(stream, capfd):
    logs.configure("json", "info", stream)
    logging.getLogger("somebody.else").warning("%d of %d", "one")  # noqa: PLE1206
    assert json.loads(stream.getvalue())["event"] == "%d of %d"
    assert capfd.readouterr().err == ""
