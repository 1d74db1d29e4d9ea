"""Many instruments on one set of connections: who is where, and what the set as a whole says.

A stream is alive only while every connection of it is: values of the one that is gone must age.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from counterpoise.domain.events import Event, StreamAlive, StreamDown
from counterpoise.ports import Feed
from counterpoise.venues.connection import StreamSocket

T = TypeVar("T")


def shards(items: Iterable[T], per_connection: int) -> list[tuple[T, ...]]:
    """Return the items in groups of at most `per_connection`, as even as they can be."""
    listed = list(items)
    count = max(1, -(-len(listed) // per_connection))
    size, more = divmod(len(listed), count)
    found: list[tuple[T, ...]] = []
    start = 0
    for number in range(count):
        end = start + size + (number < more)
        found.append(tuple(listed[start:end]))
        start = end
    return found


class ShardedStream:
    """Several sockets of one stream, told as one; of one that is down, what it carried."""

    def __init__(self, sockets: Sequence[tuple[Iterable[str], StreamSocket]]) -> None:
        """`sockets` are told with the instruments they carry."""
        self._sockets = tuple(socket for _, socket in sockets)
        self._carried = tuple(tuple(instrument_ids) for instrument_ids, _ in sockets)
        #: When each socket was last alive; one that is down is not there.
        self._alive_ns: dict[int, int] = {}
        self._told_ns = 0
        self._told_down = False

    @property
    def malformed_frames(self) -> int:
        """Frames skipped because they could not be read, since the start."""
        return sum(socket.malformed_frames for socket in self._sockets)

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number, socket in enumerate(self._sockets):
                group.create_task(socket.run(self._listener(number, feed)))

    def _listener(self, number: int, feed: Feed) -> Feed:
        def hear(event: Event) -> None:
            if isinstance(event, StreamAlive):
                self._alive(number, event, feed)
            elif isinstance(event, StreamDown):
                self._down(number, event, feed)
            else:
                feed(event)

        return hear if len(self._sockets) > 1 else feed

    def _alive(self, number: int, event: StreamAlive, feed: Feed) -> None:
        self._alive_ns[number] = event.received_ns
        if len(self._alive_ns) < len(self._sockets):
            return
        # The quietest connection speaks for all.
        least_ns = min(self._alive_ns.values())
        if least_ns > self._told_ns or self._told_down:
            self._told_ns = least_ns
            self._told_down = False
            feed(StreamAlive(stream=event.stream, received_ns=least_ns))

    def _down(self, number: int, event: StreamDown, feed: Feed) -> None:
        self._alive_ns.pop(number, None)
        self._told_down = True
        feed(replace(event, instrument_ids=self._carried[number]))
