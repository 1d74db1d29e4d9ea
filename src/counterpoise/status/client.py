"""Asks a running daemon how it is, from another process. Synchronous."""

import http.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

#: One question, seconds.
REQUEST_SECONDS_MAX: Final = 3.0
#: File in the state directory in which a daemon says where it answers.
ADDRESS_FILE: Final = "daemon.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """What was found."""

    #: True = the risk loop ticks.
    live: bool
    #: True = nothing holds the daemon back.
    ready: bool
    #: What /readyz said; empty when nobody answered.
    facts: dict[str, Any]
    #: One sentence for a person.
    summary: str


def ask(state_dir: Path, host: str) -> DaemonStatus:
    """Return how the daemon of a state directory is; "not running" is an answer too."""
    address = _read_address(state_dir / ADDRESS_FILE)
    if address is None:
        return _silent(f"no daemon has started in {state_dir}")
    if address["status_port"] is None:
        return _silent(f"the daemon of {state_dir} is starting, or its start was refused")
    # A daemon that listens everywhere is asked on loopback.
    where = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        live, _ = _get(where, address["status_port"], "/livez")
        ready, facts = _get(where, address["status_port"], "/readyz")
    except (OSError, ValueError, http.client.HTTPException):
        return _silent(f"the daemon of {state_dir} does not answer; it has ended or hangs")
    if not live:
        return DaemonStatus(live=False, ready=False, facts=facts, summary="the risk loop stands")
    held = ", ".join(str(code) for code in facts.get("held_back_by", []))
    summary = "trading" if ready else f"running, held back by: {held}"
    return DaemonStatus(live=True, ready=ready, facts=facts, summary=summary)


def last_account(state_dir: Path) -> str | None:
    """Return the account of the daemon that runs in a state directory, or ran there last.

    None = none did, or one of a version that did not tell.
    """
    address = _read_address(state_dir / ADDRESS_FILE)
    told = None if address is None else address.get("account_id")
    return told if isinstance(told, str) else None


def _silent(summary: str) -> DaemonStatus:
    return DaemonStatus(live=False, ready=False, facts={}, summary=summary)


def _read_address(path: Path) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return found if isinstance(found, dict) and "status_port" in found else None


def _get(host: str, port: int, path: str) -> tuple[bool, dict[str, Any]]:
    connection = http.client.HTTPConnection(host, port, timeout=REQUEST_SECONDS_MAX)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = msgspec.json.decode(response.read())
    finally:
        connection.close()
    if not isinstance(body, dict):
        raise msgspec.DecodeError(f"{path} answers {body!r}")
    return response.status == http.client.OK, body
