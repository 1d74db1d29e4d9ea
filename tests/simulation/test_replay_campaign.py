"""A sample of `make replay`: cycles decided over two restarts of the code replay byte for byte."""

import pytest

import replay_campaign

pytestmark = pytest.mark.timeout(240)


def test_cycles_over_two_restarts_of_the_code_replay_equal() -> None:
    done = replay_campaign.campaign(cycles=30, restarts=2)
    assert done.interpreters == 3
    assert done.decisions["cycle"] == 30
    assert done.differences == []
    assert done.replayed == {"equal": sum(done.decisions.values())}
    # Days without a crash would show less.
    assert done.lives > done.interpreters
