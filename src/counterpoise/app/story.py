"""What a decision's rows say in sentences and figures. Everything here is pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

Row = Mapping[str, Any]

#: Why nothing is done, by the decision's action.
_HEADS: Final = {
    "skipped": "Nothing was decided: something a decision needs was not known.",
    "unchanged": "Nothing was to be done: no rule demanded a trade.",
    "blocked": "Something was wanted and might not go out.",
    "traded": "Orders were wanted.",
}


def waterfall(outputs: Row) -> list[dict[str, str]]:
    """Return one row per step from what is held to the targets: `rule`, then each leg's figure.

    `outputs` is a cycle's decoded `outputs`. Figures are signed multiples of equity; a step that
    moved a leg says from what, to what and by how much.
    """
    body = outputs["decision"]
    targets = body["targets"]
    legs = sorted({*targets, *(leg for step in body["waterfall"] for leg in step["after"])})
    if not legs:
        return []
    held = {leg: f"{targets[leg]['held_fraction']:+.3f}" for leg in legs if leg in targets}
    rows = [{"rule": "held"} | {leg: held.get(leg, "-") for leg in legs}]
    for step in body["waterfall"]:
        moved = {leg: _step(step, leg) for leg in legs}
        rows.append({"rule": str(step["rule"])} | moved)
    wanted = {leg: f"{targets[leg]['notional_fraction']:+.3f}" for leg in legs if leg in targets}
    rows.append({"rule": "target"} | {leg: wanted.get(leg, "-") for leg in legs})
    quantities = {leg: str(targets[leg]["quantity"]) for leg in legs if leg in targets}
    return [*rows, {"rule": "base units"} | {leg: quantities.get(leg, "-") for leg in legs}]


def paid(rows: Row) -> list[dict[str, Any]]:
    """Return what the fills of a decision came to, one row per leg and one for all of them.

    `rows` is `LedgerReader.explain_rows`. Quote; `slippage` is what was paid beyond mid at the
    decision, None = mid was not known.
    """
    mids = {
        row["instrument_id"]: (row["bid"] + row["ask"]) / 2
        for row in rows["markets"]
        if row["bid"] is not None and row["ask"] is not None
    }
    found: dict[str, dict[str, Any]] = {}
    for fill in rows["fills"]:
        name = fill["instrument_id"]
        sums = found.setdefault(name, _nothing_paid(name, known=name in mids))
        sign = 1 if fill["side"] == "buy" else -1
        sums["quantity"] += sign * fill["quantity"]
        sums["notional"] += fill["quantity"] * fill["price"]
        sums["fee"] += fill["fee"]
        sums["realised_pnl"] += fill["realised_pnl"] or 0
        if name in mids:
            sums["slippage"] += sign * fill["quantity"] * (fill["price"] - mids[name])
    legs = [found[name] for name in sorted(found)]
    if not legs:
        return []
    known = all(leg["slippage"] is not None for leg in legs)
    total = _nothing_paid("all", known=known) | {"quantity": None}
    for key in ("notional", "fee", "realised_pnl", *(("slippage",) if known else ())):
        total[key] = sum((leg[key] for leg in legs), Decimal(0))
    return [*legs, total]


def why_not(rows: Row) -> list[str]:
    """Return, line by line, why a decision sent no order, or that it did.

    `rows` is `LedgerReader.explain_rows`, with `trading_state` (Row or None) beside it.
    """
    decision = rows["decision"]
    sent = len(rows["intents"])
    if sent:
        return [f"{sent} orders were sent for it; `explain` without --why-not tells of them."]
    lines = [_HEADS.get(decision["action"], decision["summary"])]
    outputs = msgspec.json.decode(decision["outputs"])
    body = outputs.get("decision")
    if body is None:
        return [*lines, f"  {decision['summary']}", *_state(rows)]
    lines += [f"  {item['code']}: {item['text']}" for item in _spoken(body["reasons"])]
    lines += _unknown(msgspec.json.decode(decision["inputs"])["decision"])
    lines += _gaps(body["targets"])
    lines += _gate(outputs["review"], rows["denials"])
    lines += [
        f"  would have: {wish['side']} {wish['quantity']} {wish['instrument_id']}"
        for wish in body["would_have"]
    ]
    if decision["action"] == "blocked" and "OBSERVE_MODE" in decision["reasons"]:
        lines.append("  The daemon observes: it decides and never sends.")
    if rows["outcome"] is not None:
        lines.append(f"  In the end: {rows['outcome']['summary']}.")
    return [*lines, *_state(rows)]


def _step(step: Row, leg: str) -> str:
    before, after = step["before"].get(leg, 0.0), step["after"].get(leg, 0.0)
    if before == after:
        return f"{after:+.3f}"
    return f"{before:+.3f} -> {after:+.3f} ({after - before:+.3f})"


def _nothing_paid(instrument_id: str, *, known: bool) -> dict[str, Any]:
    names = ("quantity", "notional", "fee", "realised_pnl")
    sums: dict[str, Any] = {"instrument_id": instrument_id, **dict.fromkeys(names, Decimal(0))}
    return sums | {"slippage": Decimal(0) if known else None}


def _spoken(reasons: Sequence[Row]) -> list[Row]:
    # A rule without an input says so at every decision; that is not why nothing was sent.
    return [item for item in reasons if item["code"] != "RULE_SKIPPED"]


def _unknown(inputs: Row) -> list[str]:
    found = [f"  not known of the account: {name}" for name in inputs["account"]["missing"]]
    for name, view in sorted(inputs["market"]["instruments"].items()):
        if view["missing"]:
            found.append(f"  not known of {name}: {', '.join(view['missing'])}")
    return found


def _gaps(targets: Row) -> list[str]:
    return [
        f"  {name}: held {target['held_fraction']:+.3f} of equity, wanted "
        f"{target['notional_fraction']:+.3f}, gap "
        f"{target['notional_fraction'] - target['held_fraction']:+.3f}"
        for name, target in sorted(targets.items())
    ]


def _gate(review: Sequence[Row], denials: Sequence[Row]) -> list[str]:
    found = [
        f"  risk at the decision: {one['side']} {one['quantity']} {one['instrument_id']} denied, "
        f"{one['denial']}: {one['message']}"
        for one in review
        if one["denial"] is not None
    ]
    return found + [
        f"  risk before sending: {one['side']} {one['quantity']} {one['instrument_id']} denied, "
        f"{one['reason']}: {msgspec.json.decode(one['body']).get('message', '')}"
        for one in denials
    ]


def _state(rows: Row) -> list[str]:
    state = rows.get("trading_state")
    if state is None or rows["decision"]["trading_state"] == "active":
        return []
    held_by = ", ".join(state["causes"]) or "nothing"
    name = rows["decision"]["trading_state"].upper()
    return [f"  The trading state was {name} since {state['changed_at']}, held back by: {held_by}."]
