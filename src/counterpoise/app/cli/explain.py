"""`counterpoise explain`: why a decision was made and what became of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.ledger_access import one_decision, open_reader
from counterpoise.app.cli.options import Json, Profile

_INTENTS: Final = (
    "instrument_id",
    "leg",
    "side",
    "quantity",
    "price_limit",
    "reduce_only",
    "leverage_worst",
    "client_order_id",
)
_EVENTS: Final = (
    "recorded_at",
    "instrument_id",
    "state",
    "source",
    "filled_quantity",
    "average_price",
    "code",
    "message",
)
_FILLS: Final = ("event_at", "instrument_id", "side", "quantity", "price", "fee", "liquidity")
_DENIALS: Final = ("instrument_id", "side", "quantity", "reason", "body")
_PAID: Final = ("instrument_id", "quantity", "notional", "fee", "slippage", "realised_pnl")
_REVIEW: Final = (
    "instrument_id",
    "side",
    "quantity",
    "reduce_only",
    "quantity_approved",
    "leverage_worst",
    "denial",
    "message",
)
_SIGNALS: Final = (
    "instrument_id",
    "volatility_fast",
    "volatility_medium",
    "volatility_slow",
    "beta",
    "correlation_fast",
    "correlation_medium",
    "stress_ratio",
)
_MARKETS: Final = ("instrument_id", "mark", "bid", "ask", "funding_rate", "mark_age_ms")


def explain(
    decision_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Decision, or the beginning of its id.")
    ] = None,
    why_not: Annotated[bool, typer.Option("--why-not", help="Only why it sent no order.")] = False,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Tell why a decision was made, rule by rule, and what became of its orders.

    Without ID it is the newest decision.
    """
    from counterpoise.app import configuration, story

    with open_reader(configuration.load(profile)) as reader:
        chosen = one_decision(reader, decision_id)
        rows = reader.explain_rows(chosen["decision_id"])
        state = reader.trading_state_at(chosen["account_id"], chosen["decided_ns"])
    assert rows is not None, "a decision that was just read is gone from an append-only table"
    rows["trading_state"] = state
    if json:
        output.print_json([{"why_not": story.why_not(rows)} if why_not else rows])
        return
    _print_decision(rows["decision"])
    if why_not:
        for line in story.why_not(rows):
            typer.echo(line)
        return
    _print_rules(rows["decision"])
    for title, name, columns in (
        ("market", "markets", _MARKETS),
        ("signals", "signals", _SIGNALS),
        ("refused by risk", "denials", _DENIALS),
        ("orders", "intents", _INTENTS),
        ("what the venue said", "order_events", _EVENTS),
        ("fills", "fills", _FILLS),
    ):
        if rows[name]:
            typer.echo("")
            output.print_rows(rows[name], columns, title=title)
    paid = story.paid(rows)
    if paid:
        typer.echo("")
        output.print_rows(paid, _PAID, title="paid")
    if rows["outcome"] is not None:
        outcome = rows["outcome"]
        typer.echo(f"\noutcome: {outcome['outcome']}; {outcome['summary']}")


def _print_decision(decision: Mapping[str, Any]) -> None:
    typer.echo(
        f"{decision['decision_id']}  {decision['decided_at']}  {decision['kind']}  "
        f"{decision['action']}  {decision['trading_state']}"
    )
    typer.echo(decision["summary"])
    typer.echo(
        f"equity {output.cell(decision['equity'])}  leverage {output.cell(decision['leverage'])}  "
        f"highest since the cycle before {output.cell(decision['leverage_max'])}"
    )


def _print_rules(decision: Mapping[str, Any]) -> None:
    import msgspec

    from counterpoise.app import story

    outputs = msgspec.json.decode(decision["outputs"])
    body = outputs.get("decision")
    if body is None:
        # The guard and a flatten say all they have to say in the summary and their reasons.
        typer.echo(f"reasons: {', '.join(decision['reasons'])}")
        return
    typer.echo("\nreasons")
    for reason in body["reasons"]:
        typer.echo(f"  {reason['code']}: {reason['text']}")
    steps = story.waterfall(outputs)
    if steps:
        typer.echo("")
        title = "from what is held to the targets, multiples of equity, rule by rule"
        output.print_rows(steps, tuple(steps[0]), title=title)
    if outputs["review"]:
        typer.echo("")
        output.print_rows(outputs["review"], _REVIEW, title="what risk said at the decision")
    for wish in body["would_have"]:
        typer.echo(
            f"would have: {wish['side']} {wish['quantity']} {wish['instrument_id']} "
            f"(reduce-only {str(wish['reduce_only']).lower()})"
        )
