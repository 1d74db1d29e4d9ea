"""`counterpoise pause | resume | flatten | stop | high-water reset`: an operator's wishes.

A wish is a row in the database, addressed to one account; that account's daemon answers with
another. Both stay in the record. To leave one takes no more than where the record is: the book can be
closed with settings that no start would take.
"""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.ledger_access import open_dsn, open_reader
from counterpoise.app.cli.options import Account, Profile, Why
from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.domain.events import ControlAction, OrderStatement

if TYPE_CHECKING:
    from counterpoise.app.configuration import Place

#: How long a command waits for the daemon's answer, seconds.
ANSWER_SECONDS_MAX: Final = 10.0

high_water = typer.Typer(help="The highest unit NAV so far, which the drawdown rule looks at.")


@high_water.callback()
def _group() -> None:
    pass


def pause(profile: Profile = None, reason: Why = "", account: Account = None) -> None:
    """Only lower risk from now on; survives a restart."""
    ask(ControlAction.PAUSE, profile, reason, account)


def resume(
    profile: Profile = None,
    reason: Why = "",
    account: Account = None,
    from_halt: Annotated[
        bool, typer.Option("--from-halt", help="Also leave HALTED, after the cause was mended.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say what holds it back and what ends that.")
    ] = False,
) -> None:
    """Trade both ways again."""
    if explain:
        _explain(profile, account)
        return
    ask(ControlAction.RESUME, profile, reason, account, from_halt=from_halt)


def flatten(profile: Profile = None, reason: Why = "", account: Account = None) -> None:
    """Close every position, reduce-only, and stay paused."""
    ask(ControlAction.FLATTEN, profile, reason, account)


def stop(
    profile: Profile = None,
    reason: Why = "",
    account: Account = None,
    flatten_first: Annotated[
        bool, typer.Option("--flatten", help="Close every position first.")
    ] = False,
) -> None:
    """End the daemon as SIGTERM does."""
    action = ControlAction.FLATTEN_STOP if flatten_first else ControlAction.STOP
    ask(action, profile, reason, account)


@high_water.command("reset")
def reset(profile: Profile = None, reason: Why = "", account: Account = None) -> None:
    """Forget the highest unit NAV: the drawdown rule starts anew from today's."""
    ask(ControlAction.HIGH_WATER_RESET, profile, reason, account)


def _explain(profile: str | None, account: str | None) -> None:
    from counterpoise.app import configuration, holding
    from counterpoise.app.cli import addressee
    from counterpoise.status import client

    place = configuration.place(profile)
    found = client.ask(place.state_dir, place.status_host)
    if found.facts and account in {None, client.last_account(place.state_dir)}:
        state, held = str(found.facts["trading_state"]), list(found.facts["held_back_by"])
    else:
        with open_reader(place) as reader:
            account_id = addressee.account_id(reader, place.state_dir, account)
            last = reader.trading_state_last(account_id)
        state = f"account {account_id}, {found.summary}; the next start"
        held = holding.left_by_the_last_run(last["causes"] if last else ())
    if not held:
        typer.echo(f"{state}: nothing holds it back")
        return
    typer.echo(f"{state}: held back by {len(held)}")
    output.print_rows(holding.explained(held), ("held_back_by", "meaning", "ends"))


def ask(
    action: ControlAction,
    profile: str | None,
    reason: str,
    account: str | None = None,
    *,
    from_halt: bool = False,
    statement: OrderStatement | None = None,
) -> None:
    """Record a wish, print the daemon's answer; exit 1 if it is refused or none comes in time.

    `account` None = of the order that a statement is about, else of this state directory's daemon.
    """
    from counterpoise.app import configuration

    place = configuration.place(profile)
    account_id, answer = _answer(
        place, action, reason, account, from_halt=from_halt, statement=statement
    )
    if answer is None:
        typer.echo(
            f"{action.value}: the request is recorded, but no daemon of account {account_id} "
            f"answered within {ANSWER_SECONDS_MAX:.0f} s; it is carried out when one runs",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(
        f"{action.value}: {answer['result']}; trading state {answer['trading_state']}"
        + (f"; {answer['message']}" if answer["message"] else "")
        + f" (account {account_id})"
    )
    if answer["result"] == "refused":
        raise typer.Exit(1)


def _answer(
    place: "Place",
    action: ControlAction,
    reason: str,
    account: str | None,
    *,
    from_halt: bool,
    statement: OrderStatement | None,
) -> tuple[str, dict[str, Any] | None]:
    # The account asked, and its daemon's answer; None = none in time.
    from counterpoise.app.cli import addressee
    from counterpoise.ledger import controls
    from counterpoise.ledger.reader import LedgerReader
    from counterpoise.status import client

    stops = action in {ControlAction.STOP, ControlAction.FLATTEN_STOP}
    embedded = place.database_url is None
    if stops and embedded:
        # Recorded all the same, it would end the next daemon as soon as that one starts.
        addressee.check_here(place.state_dir, account)
        if not client.ask(place.state_dir, place.status_host).live:
            raise StartRefused(f"no daemon runs in {place.state_dir}; there is nothing to stop")
    with open_dsn(place) as dsn:
        with LedgerReader(dsn) as reader:
            if account is None and statement is not None:
                account = controls.account_of_order(reader, statement.client_order_id)
            account_id = addressee.account_id(reader, place.state_dir, account)
        control_id = controls.request(
            dsn, action, reason, from_halt, account_id=account_id, statement=statement
        )
        try:
            return account_id, controls.wait_ack(dsn, control_id, account_id, ANSWER_SECONDS_MAX)
        except LedgerUnavailable:
            if not (stops and embedded):
                raise
    # The daemon took its own database along before the answer was read.
    ended = {"result": "done", "trading_state": "stopped", "message": "the daemon has ended"}
    return account_id, ended
