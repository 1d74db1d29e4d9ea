"""Finds out which account's daemon a command is meant for: a database may know several."""

from typing import TYPE_CHECKING, Final

from counterpoise.domain.errors import SettingsError, StartRefused
from counterpoise.ledger import controls
from counterpoise.status import client

if TYPE_CHECKING:
    from pathlib import Path

    from counterpoise.ledger.reader import LedgerReader

_SHADOW: Final = "-shadow"


def check_here(state_dir: "Path", named: str | None) -> None:
    """Raise SettingsError for a named account that is not the state directory's daemon's.

    For a stop where the directory has the record as well: another account's daemon does not read
    that record, or not now, and would end as soon as it starts here.
    """
    here = client.last_account(state_dir)
    if named is None or here is None or named == here:
        return
    raise SettingsError(
        f"--account {named}: the daemon of {state_dir} is that of {here}, so there is nothing of "
        f"{named} to stop here and nothing was asked of anybody; stop it with the "
        f"COUNTERPOISE_STATE_DIR that it runs in, or leave --account out to stop that of {here}"
    )


def account_id(reader: "LedgerReader", state_dir: "Path", named: str | None) -> str:
    """Return the account a command is for.

    It is the one that was named, else that of the daemon which runs in the state directory or was
    the last to run there, else the only one on record. Raises SettingsError naming those on record
    when none of this tells, or when the database does not know the directory's: a command must not
    wait for a daemon that reads elsewhere. Raises StartRefused when there is none.
    """
    told = client.last_account(state_dir)
    known = controls.accounts(reader)
    if told is None and not known:
        raise StartRefused("no account is on record; start the daemon first")
    if named is not None:
        if named.endswith(_SHADOW):
            raise SettingsError(f"--account {named}: a shadow twin takes no commands")
        if named not in {*known, told}:
            raise SettingsError(f"--account {named}: allowed is one of {', '.join(known)}")
        return named
    if told is not None and known and told not in known:
        raise SettingsError(
            f"--account is needed: the last daemon in {state_dir} ran on {told}, and on record are "
            f"{', '.join(known)}"
        )
    if told is not None:
        return told
    if len(known) > 1:
        raise SettingsError(
            f"--account is needed: no daemon has run in {state_dir}, and on record are "
            f"{', '.join(known)}"
        )
    return known[0]
