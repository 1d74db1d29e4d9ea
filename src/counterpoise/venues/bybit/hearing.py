"""Whether Bybit's private topics are still subscribed: asked for again, they are refused.

Bybit says "already subscribed" to a topic the connection has, and grants one that it lost.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from counterpoise.domain.events import Event
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.bybit import frames
from counterpoise.venues.connection import Dropped

_log = structlog.get_logger(__name__)

#: A topic is asked for again this often, one after the other, and answered within this, ns.
PROBE_NS: Final = 4 * NS_PER_SECOND
PROBED_WITHIN_NS: Final = 10 * NS_PER_SECOND
#: What Bybit says where the subscription is still there.
_STILL_THERE: Final = "already subscribed"

#: The questions' own request id.
PROBE: Final = "probe"


class TopicProbe:
    """Asks for topics that are subscribed already: only a lost one is granted again.

    Where a topic is granted before any was refused, it is asked for once more: a server that grants
    it again tells nothing and is asked no more.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics
        self._count = 0
        self._asked_ns = 0
        #: The topic whose answer is awaited; "" = none is.
        self._awaited = ""
        #: Whether an answer proves anything; None = not known yet.
        self._telling: bool | None = None
        #: A topic that was granted before any was refused; "" = none was.
        self._granted = ""

    def begin(self, now_ns: int) -> None:
        """Begin anew on a new connection."""
        self._count, self._asked_ns = 0, now_ns - PROBE_NS
        self._awaited, self._telling, self._granted = "", None, ""

    def due(self, now_ns: int) -> list[bytes]:
        """Return the next question if it is time. Raises Dropped for one without an answer."""
        if self._awaited:
            if now_ns - self._asked_ns > PROBED_WITHIN_NS:
                raise Dropped(f"Bybit did not say whether {self._awaited} is subscribed")
            return []
        if self._telling is False or now_ns - self._asked_ns < PROBE_NS:
            return []
        self._awaited = self._granted or self._topics[self._count % len(self._topics)]
        self._count += not self._granted
        self._asked_ns = now_ns
        return [frames.request("subscribe", [self._awaited], PROBE)]

    def answered(self, message: frames.Frame) -> Sequence[Event] | None:
        """Take an answer; a sign of life, or Dropped for a subscription that was gone."""
        topic, self._awaited = self._awaited, ""
        there = not message.success and _STILL_THERE in message.ret_msg
        if (there and self._granted) or (message.success and self._telling):
            raise Dropped(f"the subscription of {topic} was gone", at_once=True)
        if there:
            self._telling = True
            return ()
        if message.success and not self._granted:
            self._granted = topic
            return None
        self._telling = False
        _log.warning("account.probe_tells_nothing", answer=message.ret_msg[:100])
        return None
