"""A difference to what was attested lets nothing increase, and is told once."""

import json

from counterpoise.domain.account import AttestedDifference, TradingState
from counterpoise.domain.events import AccountAttested
from counterpoise.domain.records import AttestationSeen, IncidentOpened
from counterpoise.engine.trading_state import MEANINGS, Cause
from engine_world import World

TICK = AttestedDifference(field="BTCUSDT.tick_size", expected="0.1", found="0.5")
FEE = AttestedDifference(field="fee_tier", expected="Lv1", found="Lv2")


def attested(world: World, *differences: AttestedDifference, sha256: str = "a") -> None:
    world.feed(
        AccountAttested(
            attestation_sha256=sha256,
            body="{}",
            differences=differences,
            received_ns=world.after(1),
        )
    )


def incidents(world: World) -> list[IncidentOpened]:
    records = [getattr(action, "record", None) for action in world.done]
    return [record for record in records if isinstance(record, IncidentOpened)]


def test_a_difference_reduces_with_an_incident_that_names_it() -> None:
    world = World()
    world.state.attestation_sha256 = "a"
    attested(world)
    assert world.done == []
    attested(world, TICK, sha256="b")
    assert Cause.ATTESTATION in world.state.causes
    assert world.state.trading_state is TradingState.REDUCING
    (incident,) = incidents(world)
    assert (incident.kind, incident.severity) == ("attestation.drift", "error")
    assert json.loads(incident.body) == {
        "field": "BTCUSDT.tick_size",
        "expected": "0.1",
        "found": "0.5",
    }
    assert "BTCUSDT.tick_size is 0.5, was attested as 0.1" in incident.summary
    assert set(MEANINGS) == set(Cause)


def test_the_same_difference_is_told_once_and_a_new_one_anew() -> None:
    world = World()
    attested(world, TICK)
    attested(world, TICK)
    assert len(incidents(world)) == 1
    attested(world, TICK, FEE)
    assert [json.loads(each.body)["field"] for each in incidents(world)] == [
        "BTCUSDT.tick_size",
        "fee_tier",
    ]


def test_it_is_let_go_once_all_is_as_it_was() -> None:
    world = World()
    attested(world, TICK)
    attested(world)
    assert Cause.ATTESTATION not in world.state.causes
    attested(world, TICK)
    assert len(incidents(world)) == 2


def test_each_attestation_is_on_record_once_it_differs_from_the_last() -> None:
    world = World()
    world.state.attestation_sha256 = "a"
    for sha256 in ("a", "b", "b", "", "a"):
        attested(world, TICK, sha256=sha256)
    records = [getattr(action, "record", None) for action in world.done]
    seen = [each.attestation_sha256 for each in records if isinstance(each, AttestationSeen)]
    assert seen == ["b", "a"]
