"""The daemon's events as sentences for a person at a terminal."""

from collections.abc import Callable, MutableMapping
from typing import Any, Final

Event = MutableMapping[str, Any]
Render = Callable[[Any, str, Event], str]

#: Event name -> sentence; a key in braces is the event's own. Other events keep their keys.
SENTENCES: Final = {
    "daemon.started": (
        "Running {core} on the venue {venue}, profile {profile}, a decision every "
        "{cycle_seconds} s. Health: {status}"
    ),
    "daemon.stopped": "Ended ({reason}).",
    "warming.started": "Reading 30 days of history of {instruments} instruments ...",
    "warming.done": "History read.",
    "stream.up": "Stream of {stream} is up.",
    "lease.acquired": "This is the only daemon on {name}.",
    "ledger.available": "The record takes commits.",
    "decision.made": "DECISION {decision}: {summary}",
    "decision.ended": "  {outcome}: {summary}; leverage {leverage}.",
    "order.sent": "  sent {side} {quantity} {instrument}, no worse than {price_limit} ({source})",
    "fill.seen": "  filled {side} {quantity} {instrument} at {price}, fee {fee}",
    "order.denied": "  denied {instrument}: {reason}",
    "order.ended": "  order in {instrument} {state}: {code} {message}",
    "trading_state.changed": "STATE {state}, held back by: {causes}",
    "control.handled": "OPERATOR {action}: {result}; {message}",
    "incident.opened": "INCIDENT {kind}: {summary}",
    "configuration.reloaded": "Configuration taken over: {changed}",
    "configuration.unchanged": "Configuration read again: nothing changed.",
    "configuration.refused": "Configuration refused: {reason}",
    "log.lost": "{lines} lines of this log could not be written.",
}

#: Sentences of these levels begin with the level, so that they catch the eye.
_LOUD: Final = frozenset({"error", "critical"})


class _Keys(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "-"


def say(otherwise: Render) -> Render:
    """Return a renderer that says known events in words and leaves the rest to `otherwise`."""

    def render(logger: Any, method: str, event: Event) -> str:
        sentence = SENTENCES.get(str(event.get("event")))
        if sentence is None:
            return otherwise(logger, method, event)
        keys = _Keys({key: "none" if value is None else value for key, value in event.items()})
        loud = f"{method.upper()} " if method in _LOUD else ""
        return f"{event.get('time', '')}  {loud}{sentence.format_map(keys)}".rstrip()

    return render
