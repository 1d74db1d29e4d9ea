"""Hands a virtual day to the naive auditor: the record's rows on one side, the venue's on the other."""

import json
from bisect import bisect_right
from collections import Counter
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

import naive_auditor
from counterpoise.app import replay
from counterpoise.domain import records
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.orders import OrderCategory
from counterpoise.simulator.venues import VenueName
from crash_run import INCIDENTS_REFUSED, planned
from crash_venues import VENUES
from memory_record import MemoryReader
from virtual_world import CASH_START, World

#: The daemon's equity is never above the venue's last figure and lags a step behind; fraction.
EQUITY_TOLERANCE: Final = Decimal("0.002")
#: After the trouble the record must be right again within this, ns.
SETTLED_NS: Final = 30_000_000_000
#: A seizure may be taken for drift for this long, ns: one cycle, and how late its message may be.
SEIZED_NS: Final = 20_000_000_000
#: What says that the venue took a position away, and until when after it did, ns: a message may be
#: lost and the next answer lag.
LOSSES: Final = frozenset({"leg.vanished", "core.vanished"})
LOSS_NS: Final = 35_000_000_000
CLOCKS_APART_NS: Final = 2_000_000_000
#: A stop may lack this much of its position before it is replaced.
STOP_PART_MIN: Final = Decimal("0.97")
_OTHER_CASH: Final = (BillKind.FUNDING, BillKind.DEPOSIT, BillKind.WITHDRAWAL)


def audit(world: World) -> list[str]:
    """Return everything that is not as it must be."""
    reader, venue = MemoryReader(world.kept), world.venue
    rows = {kind: [asdict(row) for row in reader.all(kind)] for kind in _KINDS}
    intents, fills = rows[records.IntentWritten], rows[records.FillSeen]
    sent = _sent_by_stops(world)
    at_venue = _told(world, sent)
    ended = {row["decision_id"] for row in rows[records.DecisionEnded]}
    decisions = rows[records.DecisionMade]
    found = list(world.broken)
    found += _twice(rows)
    incidents = rows[records.IncidentOpened]
    listed = _without_forgotten(world, fills, at_venue, _differences(incidents))
    found += naive_auditor.audit_fills(_unnamed(fills, at_venue), listed)
    # What the venue seized is no order of anybody's; its executions are compared like any other.
    accepted = venue.wire.running.accepted_orders(world.venue.account_id)
    taken = [
        asdict(o) for o in accepted if o.category is OrderCategory.NORMAL and o.order_id not in sent
    ]
    found += naive_auditor.audit_orders(intents, taken)
    events = rows[records.OrderEventSeen]
    stop_findings, resting = naive_auditor.audit_stops(intents, events, _stops(world))
    found += stop_findings
    found += naive_auditor.audit_plans(planned(decisions), intents, fills)
    found += naive_auditor.audit_ends(intents, events, resting)
    found += _floor(world, resting)
    found += naive_auditor.audit_leverage(rows[records.EquitySeen], "equity row")
    found += naive_auditor.audit_leverage([{"leverage": world.leverage_max}], "venue")
    found += [
        f"decision {r['decision_id']} has no outcome"
        for r in decisions
        if r["decision_id"] not in ended
    ]
    found += [
        f"incident {row['kind']}: {row['summary']}"
        for row in incidents
        if row["kind"] in INCIDENTS_REFUSED
        and not _is_of_a_seizure(row, at_venue)
        and not _is_of_an_end(world, row)
    ]
    found += _false_losses(incidents, at_venue)
    found += _books(world, reader, at_venue)
    found += [
        f"replay of {each.decision_id}: {each.result.value} {each.detail}"
        for each in replay.replay({**row, "decided_at": ""} for row in decisions)
        if each.result is not replay.ReplayResult.EQUAL
    ]
    return found + _equity(world, rows[records.EquitySeen], at_venue)


_KINDS: Final[tuple[type[Any], ...]] = (
    records.IntentWritten,
    records.FillSeen,
    records.OrderEventSeen,
    records.DecisionMade,
    records.DecisionEnded,
    records.EquitySeen,
    records.IncidentOpened,
)


def _stops(world: World) -> list[dict[str, Any]]:
    # Every stop the venue ever took, as it stands.
    return [
        asdict(each.terms) | {"state": each.state.value}
        for each in world.exchange.trigger_orders(world.venue.account_id)
    ]


def _floor(world: World, resting: set[str]) -> list[str]:
    # After the quiet each held leg has exactly one stop, for about all of it and no more.
    live = [t.terms for t in world.exchange.trigger_orders(world.venue.account_id) if t.live]
    found = [f"stop {t.client_order_id} rests unknown" for t in live
             if t.client_order_id not in resting]  # fmt: skip
    held = {
        n: p.quantity for n, p in world.exchange.account(world.venue.account_id).positions.items()
    }
    for name, quantity in sorted(held.items()):
        if quantity == 0:
            continue
        parts = [t.quantity * t.side.sign / -quantity for t in live
                 if t.instrument_id == name and t.quantity is not None]  # fmt: skip
        if len(parts) != 1 or not STOP_PART_MIN <= parts[0] <= 1:
            found.append(f"{name}: {quantity} held, stops for {parts} of it")
    return found


def _sent_by_stops(world: World) -> dict[str, str | None]:
    # What a stop sends is on record under the stop's id, whatever the venue names it.
    accepted = world.venue.wire.running.accepted_orders(world.venue.account_id)
    return {o.order_id: o.trigger.client_order_id for o in accepted if o.trigger}


def _told(world: World, sent: dict[str, str | None]) -> list[dict[str, Any]]:
    # Executions under the ids the venue gives them.
    fill_id = VENUES[world.name.value].fill_id
    rows = [asdict(fill) for fill in world.exchange.fills(world.venue.account_id, 0)]
    return [
        row
        | {
            "fill_id": fill_id(row),
            "client_order_id": sent.get(row["order_id"], row["client_order_id"]),
        }
        for row in rows
    ]


def _unnamed(fills: list[dict[str, Any]], at_venue: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # Binance gives orders of its own a name; the model has none for them.
    seized = {fill["fill_id"] for fill in at_venue if fill["trade_sequence"] < 0}
    return [f | {"client_order_id": None} if f["fill_id"] in seized else f for f in fills]


def _without_forgotten(
    world: World,
    fills: list[dict[str, Any]],
    at_venue: list[dict[str, Any]],
    differences: set[str],
) -> list[dict[str, Any]]:
    # What a venue settles as a market ends is on record if it was told in time: afterwards Binance
    # lists no executions of it, and OKX no size of its contracts. An order of ours that was carried
    # out just before may be missing for the same reason, but then its position is a difference.
    if world.name is VenueName.BYBIT:
        return at_venue
    open_now = {each.instrument_id for each in world.exchange.instruments()}
    known = {(fill["instrument_id"], fill["fill_id"]) for fill in fills}
    return [
        fill
        for fill in at_venue
        if (fill["trade_sequence"] > 0 and fill["instrument_id"] not in differences)
        or fill["instrument_id"] in open_now
        or (fill["instrument_id"], fill["fill_id"]) in known
    ]


def _differences(incidents: list[dict[str, Any]]) -> set[str]:
    drifts = [row for row in incidents if row["kind"] == "account.drift"]
    return {name for row in drifts for name in json.loads(row["body"])}


def _is_of_an_end(world: World, row: dict[str, Any]) -> bool:
    # Where executions of an ended market are not listed, what they did is told as a difference.
    if row["kind"] != "account.drift" or world.name is VenueName.BYBIT:
        return False
    open_now = {each.instrument_id for each in world.exchange.instruments()}
    named = set(json.loads(row["body"]))
    ended = named - open_now - {"cash_unexplained", "equity_unexplained"}
    return bool(ended) and not named & open_now


def _is_of_a_seizure(row: dict[str, Any], at_venue: list[dict[str, Any]]) -> bool:
    # An execution that is nobody's order is told as such; the venue's own have a number below 0.
    # A position seized between the questions of one reconciliation, its message under way, is
    # called drift until the next one: it is of that instrument alone, and of that moment. The cash
    # it moved is unexplained as long as its execution is not listed.
    seized = [fill for fill in at_venue if fill["trade_sequence"] < 0]
    figures = json.loads(row["body"])
    if row["kind"] == "account.foreign":
        # Filled in several executions, the venue's own order is open in between.
        orders = {fill["order_id"] for fill in seized}
        named = figures.get("fill_id") in {fill["fill_id"] for fill in seized}
        return named or figures.get("venue_order_id") in orders
    lately = {
        fill["instrument_id"]
        for fill in seized
        if 0 <= row["opened_ns"] - fill["event_ns"] < SEIZED_NS
    }
    explained = lately | {"cash_unexplained"} if lately else lately
    return row["kind"] == "account.drift" and set(figures) <= explained


def _false_losses(incidents: list[dict[str, Any]], at_venue: list[dict[str, Any]]) -> list[str]:
    # Nothing is lost where the venue took nothing: hedges and core were cut for it.
    seized_ns = [fill["event_ns"] for fill in at_venue if fill["trade_sequence"] < 0]
    return [
        f"incident {row['kind']} without a seizure: {row['summary']}"
        for row in incidents
        if row["kind"] in LOSSES
        and not any(-CLOCKS_APART_NS < row["opened_ns"] - ns < LOSS_NS for ns in seized_ns)
    ]


def _twice(rows: dict[type[Any], list[dict[str, Any]]]) -> list[str]:
    # What is a primary key in Postgres is one here, too.
    keys = {
        records.IntentWritten: "client_order_id",
        records.DecisionMade: "decision_id",
        records.DecisionEnded: "decision_id",
    }
    return [
        f"{kind.__name__} {key} written {count} times"
        for kind, name in keys.items()
        for key, count in Counter(row[name] for row in rows[kind]).items()
        if count != 1
    ]


def _other_cash(world: World, until_ns: int) -> Decimal:
    bills = [b for b in world.exchange.bills(world.venue.account_id, 0) if b.event_ns <= until_ns]
    moved = sum((b.change for b in bills if b.kind in _OTHER_CASH), Decimal(0))
    return moved - CASH_START


def _books(world: World, reader: MemoryReader, at_venue: list[dict[str, Any]]) -> list[str]:
    state = world.exchange.account(world.venue.account_id)
    truth = {
        "positions": {
            name: {"quantity": held.quantity, "mark": held.mark}
            for name, held in state.positions.items()
        },
        "wallet_balance": state.wallet_balance,
        "equity": state.equity,
    }
    other = _other_cash(world, world.exchange.now_ns)
    found, _ = naive_auditor.audit_books(CASH_START, at_venue, other, truth, reader.positions())
    return found


def _equity(
    world: World, recorded: list[dict[str, Any]], at_venue: list[dict[str, Any]]
) -> list[str]:
    # What the daemon wrote once it had time to settle, against the executions and the marks.
    times = [when for when, _ in world.marks]
    found = []
    checked = 0
    for row in recorded:
        if row["event_ns"] < world.quiet_ns + SETTLED_NS:
            continue
        marks = world.marks[max(0, bisect_right(times, row["event_ns"]) - 1)][1]
        book = naive_auditor.Book(CASH_START + _other_cash(world, row["event_ns"]))
        for fill in at_venue:
            if fill["event_ns"] <= row["event_ns"]:
                book.execute(
                    fill["instrument_id"],
                    fill["side"],
                    fill["quantity"],
                    fill["price"],
                    fill["fee"],
                )
        checked += 1
        equity = book.equity(marks)
        leverage = book.gross(marks) / equity
        for name, ours, theirs, unit in (
            ("equity", equity, row["equity"], equity),
            ("leverage", leverage, row["leverage"], Decimal(1)),
        ):
            if theirs is None or abs(ours - theirs) > EQUITY_TOLERANCE * 5 * unit:
                found.append(f"{name} recorded {theirs}, recomputed {ours:.6f}")
    if not checked:
        found.append("nothing of equity was recorded in the quiet")
    return found
