"""The record of a virtual daemon: what a crash leaves of it, and what the next start reads."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final, TypeVar

from counterpoise.domain import records
from counterpoise.domain.orders import TERMINAL, ApprovedOrder, JournaledOrder
from counterpoise.ledger import codec
from counterpoise.ledger.journal import MemoryJournal
from counterpoise.ports import Clock

#: A record is on disk this long after it was appended, virtual seconds.
FSYNC_SECONDS: Final = 0.004
#: An increase waits this long for a Postgres that is away.
AWAY_SECONDS: Final = 2.0
_ENDS: Final = frozenset(state.value for state in TERMINAL)

R = TypeVar("R")


class CrashableJournal(MemoryJournal):
    """Keeps records in order; what is not synced yet is lost in a crash."""

    def __init__(self, clock: Clock, kept: list[records.Record]) -> None:
        super().__init__(clock)
        self.records = kept
        self._durable = len(kept)

    def append(self, record: records.Record) -> int:
        """Keep a record; it is durable a moment later."""
        number = super().append(record)
        asyncio.get_running_loop().call_later(FSYNC_SECONDS, self._synced, number)
        return number

    async def journal_order(
        self, approved: ApprovedOrder, intent: records.IntentWritten
    ) -> JournaledOrder:
        """Stamp an order once its intent and everything before it is durable."""
        journaled = await super().journal_order(approved, intent)
        await asyncio.sleep(FSYNC_SECONDS)
        self._synced(len(self.records))
        return journaled

    def crash(self) -> list[records.Record]:
        """Return what is left."""
        del self.records[self._durable :]
        return self.records

    def _synced(self, number: int) -> None:
        self._durable = max(self._durable, min(number, len(self.records)))


class MemoryReader:
    """The questions a start asks the ledger, answered from a list of records."""

    def __init__(self, kept: list[records.Record]) -> None:
        self._kept = kept

    def all(self, kind: type[R]) -> list[R]:
        """Return every record of a kind, oldest first."""
        return [each for each in self._kept if type(each) is kind]

    def positions(self) -> dict[str, Decimal]:
        """Return the newest recorded position of each instrument."""
        return {row.instrument_id: row.quantity for row in self.all(records.PositionSeen)}

    def last_instants(self, apart_ns: int) -> list[dict[str, Any]]:
        """Return the last moment each position has on record and the executions from it on."""
        found = []
        stamped = [row for row in self.all(records.PositionSeen) if row.event_ns > 0]
        for name, last in {row.instrument_id: row for row in stamped}.items():
            since_ns = last.event_ns - apart_ns
            rows = [row for row in stamped if row.instrument_id == name]
            before = [row.quantity for row in rows if row.event_ns < since_ns]
            fills = [
                row
                for row in self.all(records.FillSeen)
                if row.instrument_id == name and row.event_ns >= since_ns
            ]
            signed = [row.quantity if row.side == "buy" else -row.quantity for row in fills]
            found.append(
                {
                    "instrument_id": name,
                    "since_ns": since_ns,
                    "before": before[-1] if before else Decimal(0),
                    "fill_ids": [row.fill_id for row in fills],
                    "quantities": signed,
                }
            )
        return found

    def memory_last(self) -> Mapping[str, Any] | None:
        """Return the newest memory."""
        kept = self.all(records.MemoryKept)
        return asdict(kept[-1]) if kept else None

    def trading_state_last(self) -> Mapping[str, Any] | None:
        """Return the newest trading state."""
        kept = self.all(records.TradingStateChanged)
        return asdict(kept[-1]) if kept else None

    def open_intents(self) -> list[dict[str, Any]]:
        """Return intents that no end followed."""
        events: dict[str, list[records.OrderEventSeen]] = {}
        for row in self.all(records.OrderEventSeen):
            events.setdefault(row.client_order_id or "", []).append(row)
        found = []
        for intent in self.all(records.IntentWritten):
            told = events.get(intent.client_order_id, [])
            if any(row.state in _ENDS for row in told):
                continue
            last = asdict(told[-1]) if told else {}
            named = {key: last.get(key) for key in ("venue_order_id", "filled_quantity")}
            executed = self._executed(intent.client_order_id)
            found.append(asdict(intent) | named | {"executed": executed})
        return found

    def _executed(self, client_order_id: str) -> Decimal:
        rows = self.all(records.FillSeen)
        return sum((r.quantity for r in rows if r.client_order_id == client_order_id), Decimal(0))

    def _increased(self, sent: list[records.IntentWritten]) -> str:
        # What increases with an end on record filled, by instrument.
        found: dict[str, Decimal] = {}
        for intent in sent:
            key, name = intent.client_order_id, intent.instrument_id
            told = [r for r in self.all(records.OrderEventSeen) if r.client_order_id == key]
            if intent.reduce_only or not any(row.state in _ENDS for row in told):
                continue
            filled = max((row.filled_quantity or Decimal(0) for row in told), default=Decimal(0))
            found[name] = found.get(name, Decimal(0)) + max(filled, self._executed(key))
        return codec.encode(found)

    def unfinished_decisions(self, account_id: str) -> list[dict[str, Any]]:
        """Return decisions without an outcome."""
        return [
            asdict(row)
            for row in self.all(records.DecisionMade)
            if row.account_id == account_id and row.decision_id not in self._ended()
        ]

    def unfinished_pairs(self, account_id: str) -> list[dict[str, Any]]:
        """Return pairs of decisions without an outcome, with what was sent for them."""
        filled = {row.client_order_id for row in self.all(records.FillSeen)}
        found = []
        for pair in self.all(records.PairOpened):
            if pair.account_id != account_id or pair.decision_id in self._ended():
                continue
            sent = [
                row
                for row in self.all(records.IntentWritten)
                if row.decision_id == pair.decision_id
            ]
            keys = [row.client_order_id for row in sent]
            found.append(
                asdict(pair)
                | {
                    "attempt_last": max((row.attempt for row in sent), default=None),
                    "client_order_ids": keys,
                    "orders_filled": len(filled & set(keys)),
                    "increased": self._increased(sent),
                    "overtaken": self._overtaken(pair),
                }
            )
        return found

    def losses(self) -> frozenset[str]:
        """Return the kinds of incidents of positions gone since the last cycle's decision."""
        cycles = [row.decided_ns for row in self.all(records.DecisionMade) if row.kind == "cycle"]
        return frozenset(
            row.kind
            for row in self.all(records.IncidentOpened)
            if row.opened_ns > max(cycles, default=0)
            and row.kind in ("leg.vanished", "core.vanished", "stop.acted")
        )

    def asked_from_ns(self) -> tuple[int | None, int | None]:
        """Return the newest execution's and the newest memory's time."""
        fills = [row.event_ns for row in self.all(records.FillSeen)]
        memory = self.memory_last()
        return max(fills, default=None), None if memory is None else int(memory["kept_ns"])

    def memory_first_ns(self) -> int | None:
        """Return when the first memory was kept."""
        return min((row.kept_ns for row in self.all(records.MemoryKept)), default=None)

    def transfers_since_memory(self) -> Decimal:
        """Return cash moved since the last memory was kept, quote."""
        total = Decimal(0)
        for row in self._kept:
            if type(row) is records.MemoryKept:
                total = Decimal(0)
            elif isinstance(row, records.TransferSeen):
                total += row.transfer
        return total

    def _overtaken(self, pair: records.PairOpened) -> bool:
        decided = any(
            row.decided_ns >= pair.opened_ns
            and row.decision_id != pair.decision_id
            and row.kind != "protection"
            for row in self.all(records.DecisionMade)
        )
        return decided or any(
            row.opened_ns >= pair.opened_ns and row.severity == "critical"
            for row in self.all(records.IncidentOpened)
        )

    def _ended(self) -> set[str]:
        return {row.decision_id for row in self.all(records.DecisionEnded)}
