"""Topics asked for again: refused is well, granted is lost, and a server that cannot tell is left."""

import json

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.bybit import frames
from counterpoise.venues.bybit.hearing import PROBE, TopicProbe
from counterpoise.venues.connection import Dropped

TOPICS = ("order", "execution", "wallet")
THERE = {"success": False, "ret_msg": "error:already subscribed,topic:order"}
GRANTED = {"success": True, "ret_msg": ""}


def at(seconds: float) -> int:
    return 1_700_000_000 * NS_PER_SECOND + round(seconds * NS_PER_SECOND)


def answer(fields: dict[str, object]) -> frames.Frame:
    body = {"op": "subscribe", "req_id": PROBE, **fields}
    return frames.FRAME.decode(json.dumps(body).encode())


@pytest.fixture
def probe() -> TopicProbe:
    made = TopicProbe(TOPICS)
    made.begin(at(0))
    return made


def topics(sent: list[bytes]) -> list[str]:
    return [name for each in map(json.loads, sent) for name in each["args"]]


def test_every_topic_is_asked_for_in_turn(probe: TopicProbe) -> None:
    asked = []
    for second in range(25):
        sent = probe.due(at(second))
        if sent:
            assert json.loads(sent[0])["req_id"] == PROBE
            assert probe.answered(answer(THERE)) == ()
            asked += topics(sent)
    assert asked == ["order", "execution", "wallet", "order", "execution", "wallet", "order"]


def test_a_topic_that_is_granted_again_was_lost(probe: TopicProbe) -> None:
    probe.due(at(0))
    probe.answered(answer(THERE))
    assert topics(probe.due(at(4))) == ["execution"]
    with pytest.raises(Dropped, match="the subscription of execution was gone") as dropped:
        probe.answered(answer(GRANTED))
    assert dropped.value.at_once


def test_a_topic_that_was_lost_before_any_was_refused_is_known_by_the_second_answer(probe) -> None:
    assert topics(probe.due(at(0))) == ["order"]
    assert probe.answered(answer(GRANTED)) is None
    assert topics(probe.due(at(4))) == ["order"]
    with pytest.raises(Dropped, match="the subscription of order was gone"):
        probe.answered(answer(THERE))


@pytest.mark.parametrize("said", [(GRANTED, GRANTED), ({"success": False, "ret_msg": "no"},)])
def test_a_server_that_does_not_tell_them_apart_is_asked_no_more(probe: TopicProbe, said) -> None:
    for number, each in enumerate(said):
        assert probe.due(at(4 * number)) != []
        assert probe.answered(answer(each)) is None
    assert [probe.due(at(second)) for second in range(9, 60)] == [[]] * 51
    # Another connection may be to another server.
    probe.begin(at(60))
    assert probe.due(at(60)) != []


def test_a_question_without_an_answer_costs_the_connection(probe: TopicProbe) -> None:
    probe.due(at(0))
    assert probe.due(at(10)) == []
    with pytest.raises(Dropped, match="did not say whether order is subscribed"):
        probe.due(at(10.1))
