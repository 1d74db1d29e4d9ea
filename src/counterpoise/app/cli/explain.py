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
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Tell why a decision was made, rule by rule, and what became of its orders.

    Without ID it is the newest decision.
    """
    from counterpoise.app import configuration

    with open_reader(configuration.load(profile)) as reader:
        chosen = one_decision(reader, decision_id)
        rows = reader.explain_rows(chosen["decision_id"])
    assert rows is not None, "a decision that was just read is gone from an append-only table"
    if json:
        output.print_json([rows])
        return
    _print_decision(rows["decision"])
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

    body = msgspec.json.decode(decision["outputs"]).get("decision")
    if body is None:
        # The guard and a flatten say all they have to say in the summary and their reasons.
        typer.echo(f"reasons: {', '.join(decision['reasons'])}")
        return
    typer.echo("\nreasons")
    for reason in body["reasons"]:
        typer.echo(f"  {reason['code']}: {reason['text']}")
    steps = [
        {"rule": step["rule"], **{leg: _change(step, leg) for leg in step["after"]}}
        for step in body["waterfall"]
    ]
    legs = sorted({leg for step in steps for leg in step} - {"rule"})
    if steps:
        typer.echo("")
        output.print_rows(
            steps, ("rule", *legs), title="targets, multiples of equity, rule by rule"
        )
    targets = [{"instrument_id": leg, **target} for leg, target in body["targets"].items()]
    if targets:
        typer.echo("")
        columns = ("instrument_id", "role", "quantity", "notional_fraction", "held_fraction")
        output.print_rows(targets, columns, title="targets")
    for wish in body["would_have"]:
        typer.echo(
            f"would have: {wish['side']} {wish['quantity']} {wish['instrument_id']} "
            f"(reduce-only {str(wish['reduce_only']).lower()})"
        )


def _change(step: Mapping[str, Any], leg: str) -> str:
    before, after = step["before"].get(leg, 0.0), step["after"][leg]
    return f"{after:+.3f}" if before == after else f"{before:+.3f} -> {after:+.3f}"
