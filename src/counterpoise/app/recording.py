"""The records a start makes: the run, its configuration, its instruments."""

import hashlib
import os
import socket
from collections.abc import Iterator

from counterpoise import __version__
from counterpoise.app import attesting
from counterpoise.app.settings import Settings
from counterpoise.app.wiring import Gateway
from counterpoise.domain.account import Attestation
from counterpoise.domain.records import (
    AttestationSeen,
    ConfigurationUsed,
    InstrumentSeen,
    Record,
    RunStarted,
)
from counterpoise.engine.state import State
from counterpoise.ledger import codec
from counterpoise.ports import Clock
from counterpoise.strategy.parameters import STRATEGY_VERSION


def configuration_body(settings: Settings) -> str:
    """Return the effective configuration as canonical JSON, secrets masked."""
    return codec.encode(settings.model_dump(mode="json"))


def configuration_sha256(body: str) -> str:
    """Return the hash a configuration is known by, hex."""
    return hashlib.sha256(body.encode()).hexdigest()


def configuration_used(settings: Settings, run_id: str, now_ns: int) -> ConfigurationUsed:
    """Return the row of a configuration that applies from now on."""
    body = configuration_body(settings)
    return ConfigurationUsed(
        configuration_sha256=configuration_sha256(body),
        run_id=run_id,
        body=body,
        created_ns=now_ns,
    )


def run_started(
    settings: Settings,
    state: State,
    attestation: Attestation,
    gateway: Gateway,
    clock: Clock,
) -> Iterator[Record]:
    """Yield the rows of a start, the run first."""
    now_ns = clock.now_ns()
    configuration = configuration_used(settings, state.run.run_id, now_ns)
    attested = attesting.body(attesting.facts(attestation))
    state.attestation_sha256 = attesting.sha256(attested)
    yield RunStarted(
        run_id=state.run.run_id,
        account_id=state.run.account_id,
        venue=state.run.venue,
        profile=settings.profile,
        mode=settings.mode,
        version=__version__,
        strategy_version=STRATEGY_VERSION,
        host=socket.gethostname(),
        pid=os.getpid(),
        epoch=state.run.epoch,
        configuration_sha256=configuration.configuration_sha256,
        started_ns=now_ns,
        attestation_sha256=state.attestation_sha256,
    )
    yield configuration
    yield AttestationSeen(
        attestation_sha256=state.attestation_sha256,
        run_id=state.run.run_id,
        body=attested,
        attested_ns=now_ns,
    )
    for instrument_id, rules in sorted(state.instruments.items()):
        yield InstrumentSeen(
            run_id=state.run.run_id,
            venue=state.run.venue,
            instrument_id=instrument_id,
            venue_symbol=gateway.venue.venue_symbol(instrument_id),
            tick_size=rules.tick_size,
            lot_size=rules.lot_size,
            quantity_min=rules.quantity_min,
            contract_size=gateway.venue.contract_size(instrument_id),
            body=codec.encode(
                {
                    "rules": rules,
                    "leverage_setting": attestation.leverage_settings.get(instrument_id),
                }
            ),
            valid_from_ns=now_ns,
        )
