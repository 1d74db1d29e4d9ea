"""Finds out which account's daemon a command is meant for: a database may know several."""

from typing import TYPE_CHECKING, Final

from counterpoise.domain.errors import SettingsError, StartRefused
from counterpoise.ledger import controls
from counterpoise.status import client

if TYPE_CHECKING:
    from pathlib import Path

    from counterpoise.ledger.reader import LedgerReader

_SHADOW: Final = "-shadow"


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
