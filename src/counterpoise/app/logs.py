"""How log lines look: one fixed event name, then keys. JSON for machines, words for a terminal.

A value that is a secret never reaches a line: secrets are pydantic's SecretStr, which shows
stars, and a key that is named like one is starred here as well.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog

from counterpoise.app import words

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
        [words.say(_console(colors=out.isatty()))]
        if plain
        else [structlog.processors.format_exc_info, render_json]
    )
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; their lines take the same shape.
    handler = logging.StreamHandler(out)
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


def _console(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="time", pad_event_to=28, sort_keys=False
    )
