"""Named places of the order path, and how a daemon is made to die there.

The product has no hook for this: the real functions are wrapped from outside, in the daemon's own
process, before it starts. At the n-th matching passage the process group is ended by SIGKILL.
"""

import functools
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from crash_venues import VENUES

#: What a passage is judged by: the call's arguments (`self` first) and its result (None before).
Match = Callable[[tuple[Any, ...], Any], bool]

#: A kill "during" a call comes this long after the call began, seconds.
DURING_SECONDS: Final = 0.2
#: Event of a daemon that dies, with `at_ns`.
DIED: Final = "daemon.died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place to die at."""

    name: str
    #: "module:Class.function", "module:function", or "venue:function" of the venue's own class.
    target: str
    #: "before" the call, "after" it returned, or "during": a moment after it began.
    moment: str
    #: What the daemon is made to do: open, patient, guard, flatten or again.
    scene: str = "open"
    #: Whether a passage counts.
    match: Match = lambda _arguments, _result: True
    #: Passages there are at least in the scene; a run dies at one of them.
    passages: int = 1


def record(name: str, **fields: object) -> Match:
    """Match `append(record)` of a record class, with these fields."""

    def matches(arguments: tuple[Any, ...], _result: Any) -> bool:
        written = arguments[1]
        return type(written).__name__ == name and all(
            getattr(written, key) == value for key, value in fields.items()
        )

    return matches


def spooled(table: str) -> Match:
    """Match `Spool.append(records)` that holds a row of a table."""
    return lambda arguments, _result: any(each.table == table for each in arguments[1])


def shipped(table: str) -> Match:
    """Match `Shipper._move(parcels, ...)` that holds a row of a table."""
    return lambda arguments, _result: any(each.spooled.table == table for each in arguments[1])


def told(*states: str) -> Match:
    """Match an order update with one of these states."""
    return lambda arguments, _result: arguments[1].state.value in states


def waited_for(arguments: tuple[Any, ...], _result: Any) -> bool:
    """Match a wait for a commit of something: an empty spool's end at the start is nothing."""
    return bool(arguments[1] > 0)


def reduces(arguments: tuple[Any, ...], _result: Any) -> bool:
    """Match an order (approved or journaled) that reduces at once: no stop."""
    intent = arguments[1].intent
    return bool(intent.reduce_only and intent.trigger_price is None)


def sends(_arguments: tuple[Any, ...], result: Any) -> bool:
    """Match actions that hold an order to be sent."""
    return any(type(each).__name__ == "Submit" for each in result or ())


def second_phase(arguments: tuple[Any, ...], _result: Any) -> bool:
    """Match the beginning of a plan's second phase: one side of the pair has traded."""
    return bool(arguments[0].phase > 0)


_JOURNAL = "counterpoise.ledger.journal:PostgresJournal"
_SPOOL = "counterpoise.ledger.spool:Spool"
_SHIPPER = "counterpoise.ledger.shipper:Shipper"
_LEASE = "counterpoise.ledger.lease:Lease"


def _point(name: str, target: str, moment: str, **more: Any) -> Point:
    return Point(name=name, target=target, moment=moment, **more)


_APPEND = f"{_JOURNAL}.append"
_INTENT = spooled("order_intent")

_ALL: Final = (
    # The decision and its way into the record.
    _point("decision_made", "counterpoise.engine.cycling:_trade", "after", match=sends),
    _point("decision_appended", _APPEND, "after", match=record("DecisionMade")),
    _point("memory_before", _APPEND, "before", match=record("MemoryKept")),
    _point("memory_kept", _APPEND, "after", match=record("MemoryKept")),
    _point("pair_opened", _APPEND, "after", match=record("PairOpened")),
    # The intent: spool, fsync, Postgres, stamp.
    _point("spool_before", f"{_SPOOL}.append", "before", match=_INTENT),
    _point("spool_before_fsync", "spool:COMMIT", "before", match=_INTENT),
    _point("spool_after_fsync", "spool:COMMIT", "after", match=_INTENT),
    _point("spool_after", f"{_SPOOL}.append", "after", match=_INTENT),
    _point("ship_before", f"{_SHIPPER}._move", "before", match=shipped("order_intent")),
    _point("commit_before", "postgres:COMMIT", "before", match=shipped("order_intent")),
    _point("commit_after", "postgres:COMMIT", "after", match=shipped("order_intent")),
    _point("ship_after", f"{_SHIPPER}._move", "after", match=shipped("order_intent")),
    _point("stamp_before", f"{_SHIPPER}.committed", "after", match=waited_for),
    _point("stamp_after", f"{_JOURNAL}.journal_order", "after", passages=3),
    # The order at the venue.
    _point("send_before", "venue:submit", "before", passages=3),
    _point("sent", "venue:submit", "during", passages=3),
    _point("answered", "venue:submit", "after", passages=3),
    _point(
        "accepted_told",
        "counterpoise.engine.orders_told:update",
        "before",
        match=told("accepted"),
        passages=2,
    ),
    _point(
        "ended_told",
        "counterpoise.engine.orders_told:update",
        "before",
        match=told("filled", "canceled"),
        passages=3,
    ),
    _point("order_event_appended", _APPEND, "after", match=record("OrderEventSeen"), passages=6),
    # The fill and what follows from it.
    _point(
        "fill_told",
        "counterpoise.engine.account_told:told_fill",
        "before",
        passages=3,
    ),
    _point("fill_before", _APPEND, "before", match=record("FillSeen"), passages=3),
    _point("fill_appended", _APPEND, "after", match=record("FillSeen"), passages=3),
    _point("fill_spooled", f"{_SPOOL}.append", "after", match=spooled("fill")),
    _point("fill_shipped", f"{_SHIPPER}._move", "after", match=shipped("fill")),
    _point("position_before", _APPEND, "before", match=record("PositionSeen"), passages=3),
    _point("position_appended", _APPEND, "after", match=record("PositionSeen"), passages=3),
    _point(
        "pair_half_filled",
        "counterpoise.engine.working:enter_phase",
        "before",
        match=second_phase,
    ),
    _point("outcome_before", _APPEND, "before", match=record("DecisionEnded")),
    _point("outcome_appended", _APPEND, "after", match=record("DecisionEnded")),
    _point("equity_appended", _APPEND, "after", match=record("EquitySeen"), passages=2),
    # What runs beside it.
    _point(
        "reconcile_before",
        "counterpoise.execution.reconciler:Reconciler._ask",
        "before",
        passages=2,
    ),
    _point(
        "reconcile_after", "counterpoise.execution.reconciler:Reconciler._ask", "after", passages=2
    ),
    _point("lease_beat_before", f"{_LEASE}._try_beat", "before", passages=6),
    _point("lease_beat_after", f"{_LEASE}._try_beat", "after", passages=6),
    _point("hand_over_delete_before", f"{_SPOOL}.delete_through", "before"),
    _point("hand_over_delete_after", f"{_SPOOL}.delete_through", "after"),
    # A resting order is canceled.
    _point("cancel_before", "venue:cancel", "before", scene="patient"),
    _point("cancel_sent", "venue:cancel", "after", scene="patient"),
    # The guard and a flatten: reductions, stamped by the local disk.
    _point(
        "guard_decision",
        _APPEND,
        "after",
        scene="guard",
        match=record("DecisionMade", kind="guard"),
    ),
    _point("reduction_stamped", f"{_JOURNAL}.journal_order", "after", scene="guard", match=reduces),
    _point("reduction_sent", "venue:submit", "during", scene="guard", match=reduces),
    _point("reduction_answered", "venue:submit", "after", scene="guard", match=reduces),
    _point(
        "flatten_decision",
        _APPEND,
        "after",
        scene="flatten",
        match=record("DecisionMade", kind="flatten"),
    ),
    _point(
        "flatten_sent",
        "venue:submit",
        "during",
        scene="flatten",
        match=reduces,
        passages=2,
    ),
    # The start after a crash, which dies as well.
    _point("again_leased", f"{_LEASE}.acquire", "after", scene="again"),
    _point("again_hand_over", f"{_SHIPPER}._move", "before", scene="again"),
    _point(
        "again_intents_adopted",
        "counterpoise.app.boot:take_up_intents",
        "after",
        scene="again",
    ),
    _point(
        "again_decisions_adopted",
        "counterpoise.app.boot:take_up_decisions",
        "after",
        scene="again",
    ),
    _point(
        "again_reconciled",
        "counterpoise.execution.reconciler:Reconciler._ask",
        "after",
        scene="again",
    ),
    _point(
        "again_resolver_asks",
        "counterpoise.execution.resolver:Resolver._ask",
        "before",
        scene="again",
    ),
    _point(
        "again_resolver_asked",
        "counterpoise.execution.resolver:Resolver._ask",
        "after",
        scene="again",
    ),
    _point(
        "again_outcome_appended", _APPEND, "after", scene="again", match=record("DecisionEnded")
    ),
)

POINTS: Final = {each.name: each for each in _ALL}
assert len(POINTS) == len(_ALL), "a point's name twice"


class _Trap:
    """Counts passages and ends the process at the one it is set for."""

    def __init__(self, point: Point, passage: int) -> None:
        self.point = point
        self._left = passage
        self._counting = threading.Lock()

    def passed(self, arguments: tuple[Any, ...], result: Any = None) -> bool:
        """Count a passage; True = this is the one."""
        if not self.point.match(arguments, result):
            return False
        with self._counting:
            self._left -= 1
            return self._left == 0

    def begin(self, arguments: tuple[Any, ...]) -> None:
        """Look before the call."""
        if self.point.moment == "after" or not self.passed(arguments):
            return
        if self.point.moment == "before":
            die()
        timer = threading.Timer(DURING_SECONDS, die)
        timer.daemon = True
        timer.start()

    def end(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Look after the call."""
        if self.point.moment == "after" and self.passed(arguments, result):
            die()


def die() -> None:
    """End this process and its group as a power cut would, its last word in the log being when."""
    said = json.dumps({"event": DIED, "at_ns": time.time_ns()})
    os.write(sys.stderr.fileno(), f"\n{said}\n".encode())
    os.killpg(os.getpgid(0), signal.SIGKILL)


def set_trap(point: Point, passage: int, venue: str) -> None:
    """Wrap the point's function so that its n-th passage is the last thing this process does."""
    trap = _Trap(point, passage)
    if point.target == "spool:COMMIT":
        _wrap_spool_commit(trap)
    elif point.target == "postgres:COMMIT":
        _wrap_postgres_commit(trap)
    else:
        target = point.target.replace("venue:", f"{VENUES[venue].adapter}.", 1)
        module, _, path = target.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, _wrapped(getattr(owner, name), trap))


def _wrapped(function: Callable[..., Any], trap: _Trap) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(*arguments: Any, **named: Any) -> Any:
            trap.begin(arguments)
            result = await function(*arguments, **named)
            trap.end(arguments, result)
            return result

        return asynchronous

    @functools.wraps(function)
    def plain(*arguments: Any, **named: Any) -> Any:
        trap.begin(arguments)
        result = function(*arguments, **named)
        trap.end(arguments, result)
        return result

    return plain


class _WatchedConnection:
    """A spool's SQLite connection whose COMMIT of the wanted batch is a point."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        #: Looks at a COMMIT; None = it is of no interest.
        self.trap: _Trap | None = None

    def execute(self, statement: str, *values: Any) -> Any:
        trap = self.trap if statement == "COMMIT" else None
        if trap is not None and trap.point.moment == "before":
            die()
        found = self._connection.execute(statement, *values)
        if trap is not None:
            die()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _wrap_spool_commit(trap: _Trap) -> None:
    from counterpoise.ledger.spool import Spool

    append = Spool.append

    @functools.wraps(append)
    def watched(spool: Any, records: Any) -> int:
        if trap.passed((spool, records)):
            spool._writer = _WatchedConnection(spool._writer)
            spool._writer.trap = trap
        return append(spool, records)

    Spool.append = watched  # type: ignore[method-assign]


def _wrap_postgres_commit(trap: _Trap) -> None:
    from sqlalchemy.ext.asyncio import AsyncTransaction

    from counterpoise.ledger.shipper import Shipper

    move, leave = Shipper._move, AsyncTransaction.__aexit__
    wanted = threading.Event()

    @functools.wraps(move)
    async def watched(*arguments: Any) -> None:
        if trap.passed(arguments):
            wanted.set()
        await move(*arguments)

    @functools.wraps(leave)
    async def left(*arguments: Any) -> Any:
        if wanted.is_set() and trap.point.moment == "before":
            die()
        result = await leave(*arguments)
        if wanted.is_set():
            die()
        return result

    Shipper._move = watched  # type: ignore[method-assign]
    AsyncTransaction.__aexit__ = left  # type: ignore[method-assign]
