"""An auditor with a code path of its own: SQL and the venue's words in, findings out.

It imports nothing of the product. Every figure is computed again from executions, in the plainest
way there is, and must agree with what the venue says and with what the daemon wrote.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

Row = Mapping[str, Any]

ZERO: Final = Decimal(0)
#: Quote that sums of rounded figures may be apart.
CASH_TOLERANCE: Final = Decimal("0.000001")
#: The product's promise.
LEVERAGE_MAX: Final = Decimal(3)
#: The guard of a daemon has looked by then, seconds after its process began.
LOOKED_SECONDS_MAX: Final = 60
#: What it found above the ceiling when it first looked is below it by then, seconds after that.
REDUCED_SECONDS_MAX: Final = 15
#: States after which nothing happens to an order.
OVER: Final = {"filled", "canceled", "expired", "rejected"}


def sign(side: str) -> int:
    """Return +1 for a buy."""
    return {"buy": 1, "sell": -1}[side]


class Book:
    """Positions and cash of one account, execution by execution, at average entry price."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.held: dict[str, Decimal] = defaultdict(Decimal)
        self.entry: dict[str, Decimal] = {}

    def execute(
        self, name: str, side: str, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> None:
        """Book one execution."""
        before, change = self.held[name], sign(side) * quantity
        after = before + change
        if before * change >= 0:
            cost = abs(before) * self.entry.get(name, ZERO) + quantity * price
            self.entry[name] = cost / abs(after)
        else:
            closed = min(abs(before), quantity)
            direction = 1 if before > 0 else -1
            self.cash += direction * closed * (price - self.entry[name])
            if before * after < 0:
                self.entry[name] = price
        self.held[name] = after
        self.cash -= fee

    def positions(self) -> dict[str, Decimal]:
        """Return what is held."""
        return {name: quantity for name, quantity in self.held.items() if quantity}

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return cash and unrealised profit at these marks."""
        return self.cash + sum(
            (q * (marks[name] - self.entry[name]) for name, q in self.positions().items()), ZERO
        )

    def gross(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return gross exposure at these marks."""
        return sum((abs(q) * marks[name] for name, q in self.positions().items()), ZERO)


def audit_fills(recorded: Iterable[Row], at_venue: Iterable[Row]) -> list[str]:
    """Return where the ledger's executions are not the venue's, to the last digit."""
    fields = ("client_order_id", "side", "quantity", "price", "fee")

    findings: list[str] = []

    def keyed(rows: Iterable[Row]) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            key = (row["instrument_id"], str(row["fill_id"]))
            if key in found:
                findings.append(f"execution {key} twice in one list")
            found[key] = [
                str(Decimal(row[f]).normalize()) if f in fields[2:] else str(row[f]) for f in fields
            ]
        return found

    ours, theirs = keyed(recorded), keyed(at_venue)
    findings += [
        f"execution {k} of the venue is not in the ledger" for k in theirs if k not in ours
    ]
    findings += [f"execution {k} of the ledger never happened" for k in ours if k not in theirs]
    findings += [
        f"execution {key}: ledger {ours[key]}, venue {theirs[key]}"
        for key in ours.keys() & theirs.keys()
        if ours[key] != theirs[key]
    ]
    return findings


def audit_orders(intents: Iterable[Row], accepted: Iterable[Row]) -> list[str]:
    """Return orders the venue took twice, without an intent, or other than intended."""
    wanted = {row["client_order_id"]: row for row in intents}
    taken = list(accepted)
    findings = [
        f"order {key} was taken {count} times"
        for key, count in Counter(row["client_order_id"] for row in taken).items()
        if count != 1
    ]
    for row in taken:
        key = row["client_order_id"]
        intent = wanted.get(key)
        if intent is None:
            findings.append(f"order {key} at the venue has no intent on record")
            continue
        # A reduce-only order is cut to the position by the venue; nothing is ever larger.
        larger = Decimal(row["quantity"]) > intent["quantity"]
        other = (row["instrument_id"], row["side"]) != (intent["instrument_id"], intent["side"])
        if larger or other or row["reduce_only"] != intent["reduce_only"]:
            findings.append(f"order {key} is not what was intended: {row} for {dict(intent)}")
    return findings


def audit_plans(
    decisions: Iterable[Row], intents: Iterable[Row], fills: Iterable[Row]
) -> list[str]:
    """Return decisions whose increases traded more than was decided.

    `decisions` have `planned`: base units to trade by instrument, signed.
    """
    reducing = {row["client_order_id"]: row["reduce_only"] for row in intents}
    decided = {row["client_order_id"]: row["decision_id"] for row in intents}
    grown: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in fills:
        key = row["client_order_id"]
        if key in decided and not reducing[key]:
            grown[decided[key], row["instrument_id"]] += row["quantity"] * sign(row["side"])
    findings = []
    for row in decisions:
        for name, planned in row["planned"].items():
            done = grown.pop((row["decision_id"], name), ZERO)
            if abs(done) > abs(planned) or done * planned < 0:
                findings.append(
                    f"decision {row['decision_id']} wanted {planned} {name}, increases did {done}"
                )
    findings += [f"increases nobody decided: {key} {done}" for key, done in grown.items() if done]
    return findings


def audit_ends(
    intents: Iterable[Row], events: Iterable[Row], resting: Iterable[str] = ()
) -> list[str]:
    """Return intents without an end; `resting` = stops the venue holds back, meant to be open."""
    states: dict[str, list[str]] = defaultdict(list, {key: [*OVER] for key in resting})
    for row in events:
        states[row["client_order_id"]].append(row["state"])
    return [
        f"intent {row['client_order_id']} has no end: {states[row['client_order_id']]}"
        for row in intents
        if not OVER & set(states[row["client_order_id"]])
    ]


def audit_stops(
    intents: Iterable[Row], events: Iterable[Row], at_venue: Iterable[Row]
) -> tuple[list[str], set[str]]:
    """Return where the venue's stops are not the ledger's, and the ids of those that rest there.

    `at_venue` have client_order_id, instrument_id, side, quantity, trigger_price, reduce_only and
    state ("live" = held back).
    """
    fields = ("quantity", "trigger_price")
    wanted = {row["client_order_id"]: row for row in intents if row["trigger_price"] is not None}
    over = {row["client_order_id"] for row in events if row["state"] in OVER}
    taken = list(at_venue)
    counts = Counter(row["client_order_id"] for row in taken)
    findings = [f"stop {key} was taken {n} times" for key, n in counts.items() if n != 1]
    resting = set()
    for row in taken:
        key, intent = row["client_order_id"], wanted.get(row["client_order_id"])
        if intent is None:
            findings.append(f"stop {key} at the venue has no intent on record")
            continue
        same = (row["instrument_id"], row["side"]) == (intent["instrument_id"], intent["side"])
        same = same and all(Decimal(row[f]) == intent[f] for f in fields)
        if not same or not row["reduce_only"]:
            findings.append(f"stop {key} is not what was intended: {row} for {dict(intent)}")
        if row["state"] == "live":
            resting.add(key)
            if key in over:
                findings.append(f"stop {key} rests at the venue, the ledger says it is over")
    return findings, resting


def audit_leverage(snapshots: Iterable[Row], label: str) -> list[str]:
    """Return snapshots above the ceiling."""
    return [
        f"{label}: leverage {row['leverage']}"
        for row in snapshots
        if row["leverage"] is not None and row["leverage"] > LEVERAGE_MAX
    ]


def audit_ceiling(looks: Iterable[Row], fills: Iterable[Row], lives: Iterable[Row]) -> list[str]:
    """Return looks above the ceiling, but for what the market did while no guard was there.

    A look above it is excused only if, since the venue was last seen at or below it, nothing that we
    held grew, the executions since then keep the book below at the marks of that time, and no
    daemon lived, or the one that began meanwhile still had to look, or had just done so.

    `looks` in time have at_ns, leverage, fills_count, and, unless the daemon wrote them, marks and
    wallet_balance of the venue; `fills` are the venue's in their order; `lives` in time have began_ns, and
    looked_ns of the first look of its guard and ended_ns, None = that never came.
    """
    executed, living = list(fills), list(lives)
    findings = []
    below: Row = {"fills_count": 0, "wallet_balance": ZERO, "marks": {}}
    above_since_ns: int | None = None
    for look in looks:
        if look["leverage"] is not None and look["leverage"] <= LEVERAGE_MAX:
            if look["marks"] is not None:
                below, above_since_ns = look, None
            continue
        above_since_ns = look["at_ns"] if above_since_ns is None else above_since_ns
        why = _moved(below, look, executed) or _guarded(look["at_ns"], above_since_ns, living)
        if why:
            findings.append(f"leverage {look['leverage']}: {why}")
    return findings


def _moved(below: Row, above: Row, fills: list[Row]) -> str:
    # What else than marks there is between two looks; "" = nothing.
    book = Book(ZERO)
    for number, row in enumerate(fills[: above["fills_count"]]):
        if number == below["fills_count"]:
            book.cash = below["wallet_balance"]
        before = abs(book.held[row["instrument_id"]])
        book.execute(
            row["instrument_id"],
            row["side"],
            *(Decimal(row[f]) for f in ("quantity", "price", "fee")),
        )
        if number >= below["fills_count"] and abs(book.held[row["instrument_id"]]) > before:
            return f"an execution {row['side']} {row['quantity']} {row['instrument_id']} increased"
    if above["fills_count"] <= below["fills_count"]:
        book.cash = below["wallet_balance"]
    equity = book.equity(below["marks"])
    if equity <= 0 or book.gross(below["marks"]) > LEVERAGE_MAX * equity:
        return "executions carried it there, not marks"
    return ""


def _guarded(at_ns: int, above_since_ns: int, lives: list[Row]) -> str:
    # Which daemon should have reduced; "" = none could yet.
    begun = [life for life in lives if life["began_ns"] <= at_ns]
    if not begun or (begun[-1]["ended_ns"] is not None and at_ns >= begun[-1]["ended_ns"]):
        return ""
    life = begun[-1]
    if life["looked_ns"] is None or at_ns <= life["looked_ns"]:
        late = at_ns - life["began_ns"] > LOOKED_SECONDS_MAX * 10**9
        return f"no guard looked within {LOOKED_SECONDS_MAX} s of a start" if late else ""
    if above_since_ns > life["looked_ns"]:
        return "a daemon with a guard lived"
    late = at_ns - life["looked_ns"] > REDUCED_SECONDS_MAX * 10**9
    return f"not reduced within {REDUCED_SECONDS_MAX} s of a guard's first look" if late else ""


def audit_books(
    cash: Decimal,
    fills: Iterable[Row],
    other_cash: Decimal,
    truth: Row,
    recorded: Mapping[str, Decimal],
) -> tuple[list[str], Decimal | None]:
    """Return where positions, cash, equity and leverage do not follow, and leverage.

    `fills` in their order, `cash` at the beginning, `other_cash` = funding and transfers;
    `truth` is the venue's: positions {name: {quantity, mark}}, wallet_balance, equity;
    `recorded` are the ledger's last positions.
    """
    book = Book(cash + other_cash)
    for row in fills:
        book.execute(
            row["instrument_id"],
            row["side"],
            *(Decimal(row[f]) for f in ("quantity", "price", "fee")),
        )
    held = {k: Decimal(str(v["quantity"])) for k, v in truth["positions"].items()}
    held = {name: quantity for name, quantity in held.items() if quantity}
    marks = {k: Decimal(str(v["mark"])) for k, v in truth["positions"].items()}
    findings = []
    if book.positions() != held:
        findings.append(f"executions make {book.positions()}, the venue holds {held}")
        return findings, None
    if {name: quantity for name, quantity in recorded.items() if quantity} != held:
        findings.append(f"the ledger's positions are {dict(recorded)}, the venue holds {held}")
    for name, ours, theirs in (
        ("cash", book.cash, Decimal(str(truth["wallet_balance"]))),
        ("equity", book.equity(marks), Decimal(str(truth["equity"]))),
    ):
        if abs(ours - theirs) > CASH_TOLERANCE:
            findings.append(f"{name}: executions make {ours}, the venue says {theirs}")
    equity = book.equity(marks)
    leverage = book.gross(marks) / equity if equity > 0 else None
    if held and (leverage is None or leverage > LEVERAGE_MAX):
        findings.append(f"leverage by executions is {leverage}")
    return findings, leverage
