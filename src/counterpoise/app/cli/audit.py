"""`counterpoise audit verify | export | head`: can the record be trusted?"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.ledger_access import open_dsn
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.ledger.verifying import Fault, Record, Report

#: Faults printed in words; `--json` prints all of them.
_SHOWN_MAX: Final = 50

audit = typer.Typer(help="The record's hash chain.", no_args_is_help=True)

Checkpoints = Annotated[
    Path | None,
    typer.Option(help="File of published heads; default: the daemon's, if one is configured."),
]


@audit.command("verify")
def verify(
    export: Annotated[
        Path | None, typer.Option(help="Check this export (JSON lines) instead of the database.")
    ] = None,
    checkpoints: Checkpoints = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="PEM file; every published head must carry its signature then."),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="Directory with archived months, checked with the rest.")
    ] = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Find rows that were changed, removed, inserted or moved; exit 1 if there is one."""
    from counterpoise.app import configuration
    from counterpoise.ledger.exported_record import ExportedRecord
    from counterpoise.ledger.stored_record import StoredRecord

    if export is not None:
        with ExportedRecord(export) as record:
            report, faults = _check(record, checkpoints, public_key)
    else:
        settings = configuration.load(profile)
        heads = checkpoints or settings.checkpoints
        key = public_key or (settings.checkpoint_key if checkpoints is None else None)
        if heads is not None and checkpoints is None and not heads.exists():
            heads = None
        with open_dsn(settings) as dsn, StoredRecord(dsn, archive) as stored:
            report, faults = _check(stored, heads, key)
    _tell(report, faults, json=json)
    if faults:
        raise typer.Exit(1)


def _check(
    record: "Record", heads: Path | None, key: Path | None
) -> "tuple[Report, tuple[Fault, ...]]":
    from counterpoise.ledger import checkpoints, verifying

    if key is not None and heads is None:
        raise SettingsError(f"--public-key {key}: there are no published heads; add --checkpoints")
    report = verifying.verify(record)
    faults = report.faults
    if heads is not None:
        known = None if key is None else checkpoints.load_public_key(key)
        faults += tuple(checkpoints.check(checkpoints.read(heads), record, known))
    return report, faults


def _tell(report: "Report", faults: "tuple[Fault, ...]", *, json: bool) -> None:
    heads = {
        name: {"block_no": head.block_no, "hash": head.hash.hex()}
        for name, head in report.heads.items()
    }
    if json:
        output.print_json(
            {
                "archived": report.archived,
                "blocks": report.blocks,
                "faults": [asdict(fault) for fault in faults],
                "heads": heads,
                "rows": report.rows,
            }
        )
        return
    for fault in faults[:_SHOWN_MAX]:
        typer.echo(f"{fault.finding.value}: {fault.message}")
    if len(faults) > _SHOWN_MAX:
        typer.echo(f"and {len(faults) - _SHOWN_MAX} more; --json shows all")
    for name, head in heads.items():
        typer.echo(f"{name}: block {head['block_no']} {head['hash']}")
    if report.archived:
        typer.echo(f"{report.archived} rows are archived and were not looked at (--archive DIR)")
    result = f"{len(faults)} faults" if faults else "nothing was changed"
    typer.echo(f"verified {report.rows} rows in {report.blocks} blocks: {result}")


@audit.command("head")
def head(profile: Profile = None, json: Json = False) -> None:
    """Print where each chain ends, to be kept somewhere else."""
    from counterpoise.app import configuration
    from counterpoise.ledger.stored_record import StoredRecord

    with open_dsn(configuration.load(profile)) as dsn, StoredRecord(dsn) as record:
        heads = record.heads()
    if json:
        output.print_json(
            {
                name: {"block_no": end.block_no, "hash": end.hash.hex()}
                for name, end in heads.items()
            }
        )
        return
    for name, end in heads.items():
        typer.echo(f"{name} {end.block_no} {end.hash.hex()}")


@audit.command("export")
def export(
    out: Annotated[
        Path, typer.Option(help="FILE.jsonl for JSON lines, or a directory for Parquet.")
    ],
    profile: Profile = None,
) -> None:
    """Write the sealed record to files that `verify --export` checks without the database."""
    from counterpoise.app import configuration
    from counterpoise.ledger import exporting
    from counterpoise.ledger.stored_record import StoredRecord

    with open_dsn(configuration.load(profile)) as dsn, StoredRecord(dsn) as record:
        if out.suffix in (".jsonl", ".json"):
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("wb") as file:
                blocks, rows = exporting.write_json_lines(record, file)
        else:
            blocks, rows = exporting.write_parquet(record, out)
    typer.echo(f"wrote {rows} rows and {blocks} blocks to {out}")


@audit.command("archive")
def archive(
    before: Annotated[str, typer.Option(help="Month, such as 2026-01: everything before it.")],
    out: Annotated[Path, typer.Option(help="Directory for the files; keep it.")],
    profile: Profile = None,
) -> None:
    """Move months that are over out of the database; the chain still covers the files."""
    from datetime import UTC, datetime

    from counterpoise.app import configuration
    from counterpoise.ledger import archiving

    try:
        moment = datetime.strptime(before, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise SettingsError(f"--before {before}: allowed is a month such as 2026-01") from None
    moved = 0
    with open_dsn(configuration.load(profile)) as dsn:
        for one in archiving.archive(dsn, moment, out):
            moved += 1
            typer.echo(f"{one.partition}: {one.rows} rows to {one.path} sha256 {one.sha256}")
    if not moved:
        typer.echo(f"there is no month before {before}")
