"""How log lines look: one fixed event name, then keys. JSON for machines, words for a terminal.

A value that is a secret never reaches a line: secrets are pydantic's SecretStr, which shows
stars, and a key that is named like one is starred here as well.

No call that logs raises or waits, whatever is told and whoever reads (see `log_writer`).
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast

import msgspec
import structlog

from counterpoise.app import words
from counterpoise.app.log_writer import LogWriter

#: Keys whose values are never shown.
_SECRET_WORDS: Final = ("secret", "password", "passphrase", "api_key", "dsn", "database_url")

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="string")


def configure(log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Set structlog and the standard library's logging up, once, at the start.

    `log_format` is "json", "plain" or "auto" (plain on a terminal).
    """
    out = stream if stream is not None else sys.stderr
    plain = log_format == "plain" or (log_format == "auto" and out.isatty())
    level = _LEVELS[log_level]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(
            fmt="%H:%M:%S" if plain else "iso", utc=not plain, key="time"
        ),
        hide_secrets,
    ]
    last: list[structlog.typing.Processor] = (
        [rendered_anyhow(words.say(_console(colors=out.isatty())))]
        if plain
        else [structlog.processors.format_exc_info, rendered_anyhow(render_json)]
    )

    def say_lost(count: int) -> str:
        event: Any = {"event": "log.lost", "lines": count}
        for processor in (*shared, *last):
            event = processor(None, "error", event)
        return cast("str", event)

    writer = LogWriter(out, say_lost)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(writer),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; their lines take the same shape.
    handler = _LibraryLines(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("counterpoise").setLevel(level)


def hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Star out every value whose key is named like a secret."""
    for key in event:
        if any(word in key for word in _SECRET_WORDS):
            event[key] = "***"
    return event


def render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Return one line of JSON: time, level and event first, then the keys as they came."""
    first = {key: event.pop(key) for key in ("time", "level", "event") if key in event}
    return _ENCODER.encode({**first, **event}).decode()


def rendered_anyhow(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """Return a renderer that falls back to less where `render` cannot say a value."""

    def renders(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        kept = dict(event)
        try:
            return cast("str", render(logger, method, event))
        except Exception as error:  # noqa: BLE001  what is told must not end what tells it
            kept["not_rendered"] = type(error).__name__
        try:
            # Says what an encoder of UTF-8 cannot: half a surrogate pair, a huge integer.
            return json.dumps(kept, default=str, skipkeys=True)
        except Exception:  # noqa: BLE001  as above
            return json.dumps({"event": str(kept.get("event")), "not_rendered": "all the rest"})

    return renders


class _Lines:
    # What structlog's loggers write to; its methods are named by level.

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def msg(self, line: str) -> None:
        self._writer.write(line)

    def critical(self, line: str) -> None:
        self._writer.write(line, critical=True)

    debug = info = warning = warn = error = log = msg
    fatal = critical


class _LibraryLines(logging.Handler):
    # What the standard library's loggers write to.

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  a library's bad arguments end nothing of ours
            line = json.dumps({"event": str(record.msg), "not_rendered": type(error).__name__})
        self._writer.write(line, critical=record.levelno >= logging.CRITICAL)


def _console(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="time", pad_event_to=28, sort_keys=False
    )
