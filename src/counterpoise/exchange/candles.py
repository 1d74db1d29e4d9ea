"""One-minute bars of marks and last trades, history and live in one row of minutes."""

import base64
import zlib
from decimal import Decimal
from typing import Any, Final, Literal

import numpy as np

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from counterpoise.exchange.constants import Integers
from counterpoise.exchange.history import MINUTES_PER_DAY, History
from counterpoise.exchange.quotes import CandleRow

CandleKind = Literal["mark", "last"]

_KINDS: Final[dict[str, int]] = {"mark": 0, "last": 1}
#: Live minutes kept beyond the history's length; then the oldest day is dropped.
LIVE_DAYS_MAX: Final = 30


class CandleStore:
    """Bars in ticks and volumes in lots, for all markets over the same minutes."""

    def __init__(self, past: History, close_ticks: list[int]) -> None:
        count, minutes, _ = past.bars.shape
        self._first_ns = past.open_ns
        self._minutes = minutes
        #: Minutes that came from the history and are still held.
        self._minutes_history = minutes
        self._minutes_max = minutes + LIVE_DAYS_MAX * MINUTES_PER_DAY
        #: Shape (kinds, markets, capacity, 4) as open, high, low, close.
        self._bars: Integers = np.empty((2, count, minutes, 4), dtype=np.int64)
        self._bars[:] = past.bars
        self._volumes: Integers = past.volumes.copy()
        self._begin(np.array([close_ticks, close_ticks], dtype=np.int64))

    def record(self, event_ns: int, mark_ticks: list[int], last_ticks: list[int]) -> None:
        """Take one step's prices; a new minute opens at the last close."""
        while event_ns >= self._first_ns + self._minutes * NS_PER_MINUTE:
            self._begin(self._bars[:, :, self._minutes - 1, 3].copy())
        prices = np.array([mark_ticks, last_ticks], dtype=np.int64)
        bar = self._bars[:, :, self._minutes - 1]
        np.maximum(bar[:, :, 1], prices, out=bar[:, :, 1])
        np.minimum(bar[:, :, 2], prices, out=bar[:, :, 2])
        bar[:, :, 3] = prices

    def add_trade(self, position: int, ticks: int, lots: int) -> None:
        """Take one more trade of a market at the time of the last step."""
        bar = self._bars[1, position, self._minutes - 1]
        bar[1] = max(int(bar[1]), ticks)
        bar[2] = min(int(bar[2]), ticks)
        bar[3] = ticks
        self._volumes[position, self._minutes - 1] += lots

    def rows(
        self, position: int, instrument: Instrument, step_seconds: int,
        since_ns: int, until_ns: int, kind: CandleKind, now_ns: int,
    ) -> list[CandleRow]:  # fmt: skip
        """Return bars opened in [since, until), oldest first; ValueError: not whole minutes.

        A bar whose minutes are not all held any more is left out.
        """
        if step_seconds <= 0 or step_seconds % 60:
            raise ValueError(f"step_seconds={step_seconds} is not a whole number of minutes")
        step_ns = step_seconds * NS_PER_SECOND
        end_ns = self._first_ns + self._minutes * NS_PER_MINUTE
        first = max(-(-since_ns // step_ns), -(-self._first_ns // step_ns))
        last = min(-(-until_ns // step_ns), -(-end_ns // step_ns))
        if first >= last:
            return []
        minutes = step_seconds // 60
        begin = (first * step_ns - self._first_ns) // NS_PER_MINUTE
        end = min(begin + (last - first) * minutes, self._minutes)
        starts = np.arange(begin, end, minutes)
        bars = self._bars[_KINDS[kind], position, :end]
        opens = bars[starts, 0].tolist()
        highs = np.maximum.reduceat(bars[:, 1], starts).tolist()
        lows = np.minimum.reduceat(bars[:, 2], starts).tolist()
        closes = bars[np.minimum(starts + minutes, end) - 1, 3].tolist()
        volumes = [0] * len(starts)
        if kind == "last":
            volumes = np.add.reduceat(self._volumes[position, :end], starts).tolist()
        tick, lot = instrument.tick_size, instrument.lot_size
        return [
            CandleRow(
                open_ns=(first + at) * step_ns,
                open=opens[at] * tick,
                high=highs[at] * tick,
                low=lows[at] * tick,
                close=closes[at] * tick,
                volume=volumes[at] * lot if volumes[at] else Decimal(0),
                confirmed=(first + at + 1) * step_ns <= now_ns,
            )
            for at in range(len(starts))
        ]

    def save(self) -> dict[str, Any]:
        """Return the live minutes; the history is made again from the parameters."""
        live = slice(self._minutes_history, self._minutes)
        return {
            "first_ns": self._first_ns,
            "minutes": self._minutes,
            "bars": _packed(self._bars[:, :, live]),
            "volumes": _packed(self._volumes[:, live]),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave, on a store that holds the same history."""
        dropped = (int(saved["first_ns"]) - self._first_ns) // NS_PER_MINUTE
        self._minutes_history = max(0, self._minutes_history - dropped)
        keep = slice(dropped, dropped + self._minutes_history)
        live = int(saved["minutes"]) - self._minutes_history
        count = self._bars.shape[1]
        bars = _unpacked(saved["bars"]).reshape(2, count, live, 4)
        volumes = _unpacked(saved["volumes"]).reshape(count, live)
        self._bars = np.concatenate([self._bars[:, :, keep], bars], axis=2)
        self._volumes = np.concatenate([self._volumes[:, keep], volumes], axis=1)
        self._first_ns = int(saved["first_ns"])
        self._minutes = int(saved["minutes"])

    def _begin(self, open_ticks: Integers) -> None:
        if self._minutes >= self._minutes_max:
            self._drop_day()
        if self._minutes == self._bars.shape[2]:
            self._bars = np.pad(self._bars, ((0, 0), (0, 0), (0, MINUTES_PER_DAY), (0, 0)))
            self._volumes = np.pad(self._volumes, ((0, 0), (0, MINUTES_PER_DAY)))
        self._bars[:, :, self._minutes] = open_ticks[:, :, None]
        self._volumes[:, self._minutes] = 0
        self._minutes += 1

    def _drop_day(self) -> None:
        self._bars = self._bars[:, :, MINUTES_PER_DAY:].copy()
        self._volumes = self._volumes[:, MINUTES_PER_DAY:].copy()
        self._first_ns += MINUTES_PER_DAY * NS_PER_MINUTE
        self._minutes -= MINUTES_PER_DAY
        self._minutes_history = max(0, self._minutes_history - MINUTES_PER_DAY)


def _packed(values: Integers) -> str:
    raw = np.ascontiguousarray(values).astype("<i8").tobytes()
    return base64.b64encode(zlib.compress(raw, 1)).decode("ascii")


def _unpacked(text: str) -> Integers:
    raw = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(raw, dtype="<i8").astype(np.int64)
