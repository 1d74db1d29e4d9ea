"""Holds the daemon back while the venue attests something else than at the start of the run."""

from counterpoise.domain.events import AccountAttested
from counterpoise.domain.records import AttestationSeen
from counterpoise.engine import actions, controls, recording, working
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause

#: Kind of the incident that names a difference.
KIND = "attestation.drift"


def attested(state: State, event: AccountAttested) -> list[actions.Action]:
    """Take what the venue attests now: a difference lets nothing increase until it is gone.

    Each difference is told once, by an incident of its own; each new attestation is on record.
    """
    done: list[actions.Action] = []
    if event.attestation_sha256 not in ("", state.attestation_sha256):
        done.append(_seen(state, event))
    known = {(each.field, each.found) for each in state.attestation_differences}
    state.attestation_differences = event.differences
    if not event.differences:
        return done + controls.remove_cause(state, Cause.ATTESTATION)
    began = Cause.ATTESTATION not in state.causes
    done += controls.add_cause(state, Cause.ATTESTATION)
    done += [
        recording.incident(
            state,
            KIND,
            "error",
            f"{each.field} is {each.found}, was attested as {each.expected}; nothing increases",
            {"field": each.field, "expected": each.expected, "found": each.found},
        )
        for each in event.differences
        if (each.field, each.found) not in known
    ]
    return done + working.drop_increases(state, "attestation drift") if began else done


def _seen(state: State, event: AccountAttested) -> actions.Action:
    state.attestation_sha256 = event.attestation_sha256
    return actions.Write(
        record=AttestationSeen(
            attestation_sha256=event.attestation_sha256,
            run_id=state.run.run_id,
            body=event.body,
            attested_ns=state.now_ns,
        )
    )
