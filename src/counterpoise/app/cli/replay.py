"""`counterpoise replay`: compute recorded decisions again."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.ledger_access import one_decision, open_reader
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import SettingsError


def replay(
    decision_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Decision, or the beginning of its id.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every decision on record.")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", help='Every decision since then: "90m", "2d" or an ISO time.'),
    ] = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Compute decisions again from what they stored; exit 0 only if every byte is the same.

    Without ID it is the newest decision. What differs is named by its first differing field.
    """
    from counterpoise.app import configuration
    from counterpoise.app import replay as app_replay

    if sum((decision_id is not None, everything, since is not None)) > 1:
        raise SettingsError("ID, --since and --all exclude each other")
    many = everything or since is not None
    since_ns = moments.since_ns(since)
    with open_reader(configuration.load(profile)) as reader:
        rows = reader.decision_records(since_ns) if many else [one_decision(reader, decision_id)]
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
