"""A person at a terminal reads sentences; what has no sentence keeps its keys."""

import io
from collections.abc import Iterator

import pytest
import structlog

from counterpoise.app import log_writer, logs, words


class Screen(io.StringIO):
    """What is shown once the writer's thread had its turn."""

    def getvalue(self) -> str:
        assert log_writer.drain(5.0)
        return super().getvalue()


@pytest.fixture
def screen() -> Iterator[io.StringIO]:
    out = Screen()
    logs.configure("plain", "info", out)
    yield out
    structlog.reset_defaults()


def test_a_fill_is_a_sentence(screen: io.StringIO) -> None:
    structlog.get_logger().info(
        "fill.seen", side="buy", quantity="0.1", instrument="BTCUSDT", price="50000", fee="2.5"
    )
    assert screen.getvalue().endswith("  filled buy 0.1 BTCUSDT at 50000, fee 2.5\n")


def test_an_incident_catches_the_eye(screen: io.StringIO) -> None:
    structlog.get_logger().error("incident.opened", kind="account.drift", summary="they differ")
    assert "ERROR INCIDENT account.drift: they differ" in screen.getvalue()


def test_an_event_without_a_sentence_keeps_its_keys(screen: io.StringIO) -> None:
    structlog.get_logger().warning("something.else", number=7)
    assert "something.else" in screen.getvalue()
    assert "number" in screen.getvalue()


def test_a_missing_key_does_not_break_the_line(screen: io.StringIO) -> None:
    structlog.get_logger().info("order.denied", reason="LEVERAGE_EXCEEDED")
    assert "denied -: LEVERAGE_EXCEEDED" in screen.getvalue()


def test_every_sentence_can_be_said() -> None:
    for event in words.SENTENCES:
        said = words.say(lambda *_: "keys")(None, "info", {"event": event, "time": "12:00:00"})
        assert said.startswith("12:00:00  ")
        assert said != "keys"
