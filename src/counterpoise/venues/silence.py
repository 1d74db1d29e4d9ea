"""How long each of a venue's inputs may say nothing on a socket that lives.

A subscription can be lost without a word while the socket goes on answering pings. Every input
has a rhythm that a venue keeps even when nothing changes; an input that misses it several times is
taken for lost, and a new connection is made (values of the old one then age as after any cut).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped

#: An input that stays silent on new connections is waited for twice as long each time, up to
#: this many seconds: one dead market must not cut off the others again and again.
SILENT_SECONDS_MAX = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Longest silence per input, seconds; each venue has its own. 0 = it may be silent for ever."""

    #: Marks.
    mark: float
    #: Funding rates.
    funding: float
    #: Order books.
    book: float
    #: The account.
    account: float


class SilenceWatch:
    """When each input was last heard on the present connection."""

    def __init__(self) -> None:
        self._heard_ns: dict[tuple[str, str], int] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._unheard: set[tuple[str, str]] = set()

    def expect(self, channel: str, names: Iterable[str], seconds: float, now_ns: int) -> None:
        """Expect a channel of some instruments from now on; patience learnt before stays."""
        if not seconds:
            return
        for name in names:
            key = (channel, name)
            self._heard_ns[key] = now_ns
            self._unheard.add(key)
            self._seconds.setdefault(key, seconds)

    @property
    def all_heard(self) -> bool:
        """True once every expected input has been heard on the present connection."""
        return not self._unheard

    def hear(self, channel: str, name: str, now_ns: int, seconds: float) -> None:
        """Take a message of an input; its patience is the usual one again."""
        key = (channel, name)
        if key in self._heard_ns:
            self._heard_ns[key] = now_ns
            self._unheard.discard(key)
            self._seconds[key] = seconds

    def look(self, now_ns: int) -> None:
        """Raise Dropped if an expected input has been silent for too long."""
        for key, heard_ns in self._heard_ns.items():
            seconds = self._seconds[key]
            if now_ns - heard_ns < seconds * NS_PER_SECOND:
                continue
            self._seconds[key] = min(2 * seconds, SILENT_SECONDS_MAX)
            raise Dropped(f"no {' '.join(part for part in key if part)} for {seconds:.0f} s")
