"""`counterpoise replay`: compute recorded decisions again."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.ledger_access import one_decision, open_reader
from counterpoise.app.cli.options import Json, Profile


def replay(
    decision_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Decision, or the beginning of its id.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every decision on record.")] = False,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Compute decisions again from what they stored; exit 0 only if every byte is the same.

    Without ID it is the newest decision.
    """
    from counterpoise.app import configuration
    from counterpoise.app import replay as app_replay

    with open_reader(configuration.load(profile)) as reader:
        rows = reader.decision_records() if everything else [one_decision(reader, decision_id)]
        results = list(app_replay.replay(rows))
    if json:
        output.print_json([asdict(result) for result in results])
    else:
        notable = [r for r in results if r.result is not app_replay.ReplayResult.EQUAL]
        for result in notable:
            typer.echo(
                f"{result.decision_id} {result.decided_at} {result.kind}: "
                f"{result.result.value}; {result.detail}"
            )
        counts = Counter(result.result.value for result in results)
        words = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        typer.echo(f"replayed {len(results)} decisions: {words or 'none is on record'}")
    if any(result.result in app_replay.FAILURES for result in results):
        raise typer.Exit(1)
