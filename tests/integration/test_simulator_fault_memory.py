"""Faults on order outlive the venue's process: counts, draws and windows go on where they were."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from counterpoise.simulator.clock import Clock
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import Fault, FaultPlan
from counterpoise.simulator.opening import Opening, open_floor
from venue_process import VenueProcess, venue_process

#: Server time at each venue, the cheapest request there is.
TIMES = {
    "okx": "/api/v5/public/time",
    "binance": "/fapi/v1/time",
    "bybit": "/v5/market/time",
}


@contextmanager
def killed(venue: str, directory: Path, **options: object) -> Iterator[VenueProcess]:
    """Run a venue and end it as a power cut of the process would: kill -9."""
    process = VenueProcess(venue, directory / "process.log", **options)
    try:
        yield process
    finally:
        os.kill(process.ask("/_alive")["pid"], signal.SIGKILL)
        process.stop()


def options(directory: Path, **more: object) -> dict[str, object]:
    return {"speed": 0, "seed": 11, "state_dir": directory / "venue", **more}


def is_struck(process: VenueProcess) -> bool:
    status, answer = process.attempt(TIMES[process.venue])
    return status != 200 or str(answer.get("retCode", "0")) != "0"


def waiting(process: VenueProcess) -> list[tuple[str, int]]:
    return [(each["kind"], each["count"]) for each in process.ask("/_control")["faults"]]


@pytest.mark.parametrize("venue", list(TIMES))
def test_a_count_goes_on_after_a_kill(tmp_path: Path, venue: str) -> None:
    with killed(venue, tmp_path, **options(tmp_path)) as process:
        process.fault("rate_limited", path_contains=TIMES[venue], count=3)
        assert [is_struck(process) for _ in range(2)] == [True, True]
    with venue_process(venue, tmp_path / "again.log", **options(tmp_path)) as process:
        assert waiting(process) == [("rate_limited", 3)]
        assert [is_struck(process) for _ in range(3)] == [True, False, False]
        assert waiting(process) == []


def test_a_window_is_of_the_venues_time_and_what_lasts_is_shown_at_once(tmp_path: Path) -> None:
    with killed("okx", tmp_path, **options(tmp_path)) as process:
        process.fault("empty_book", symbol="BTCUSDT", duration_seconds=300)
        process.fault("clock_jump", value="90", duration_seconds=300)
        process.fault("transfer", value="25", after_seconds=400)
        process.advance(200)
        # A command, so that the kill loses none of the granted time.
        process.fault("transfer", value="1")
        assert process.state()["wallet_balance"] == "10001"
    with venue_process("okx", tmp_path / "again.log", **options(tmp_path)) as process:
        opened_ns = process.state()["now_ns"]
        books = process.ask("/api/v5/market/books?instId=BTC-USDT-SWAP&sz=5")["data"][0]
        assert (books["bids"], books["asks"]) == ([], [])
        told_ms = int(process.ask(TIMES["okx"])["data"][0]["ts"])
        assert told_ms == opened_ns // 1_000_000 + 90_000
        process.advance(99)
        assert [kind for kind, _ in waiting(process)] == ["empty_book", "clock_jump", "transfer"]
        process.advance(2)
        assert [kind for kind, _ in waiting(process)] == ["transfer"]
        books = process.ask("/api/v5/market/books?instId=BTC-USDT-SWAP&sz=5")["data"][0]
        assert len(books["bids"]) == 5
        assert process.state()["wallet_balance"] == "10001"
        process.advance(100)
        assert process.state()["wallet_balance"] == "10026"


def test_draws_go_on_where_they_were(tmp_path: Path) -> None:
    # Nothing is closed: each floor is left as a kill leaves it, and the next takes its directory.
    outcomes = []
    for name, cuts in (("whole", [32]), ("cut", [7, 14, 11])):
        directory = tmp_path / name
        directory.mkdir()
        struck: list[bool] = []
        for number, requests in enumerate(cuts):
            # The seed of its draws is the one it was opened with.
            floor, _ = open_floor(directory, Opening(seed=11 + number, speed=0))
            if number == 0:
                floor.faults.add(Fault(kind=FaultKind.DELAY, count=30, probability=0.5))
            struck += [floor.faults.next("GET", "/x") is not None for _ in range(requests)]
        outcomes.append(struck)
    assert outcomes[0] == outcomes[1]
    assert 6 <= sum(outcomes[0]) <= 26


def test_a_scenarios_faults_are_armed_once_in_a_venues_life(tmp_path: Path) -> None:
    script = tmp_path / "trouble.toml"
    script.write_text(
        'name = "trouble"\nsummary = "Two transfers and a refusal."\n'
        '[[faults]]\nat_seconds = 5.0\nkind = "transfer"\narguments = { value = "75" }\n'
        '[[faults]]\nat_seconds = 20.0\nkind = "transfer"\narguments = { value = "7" }\n'
        '[[faults]]\nat_seconds = 0.0\nkind = "rate_limited"\ncount = 2\n'
        f'arguments = {{ path_contains = "{TIMES["binance"]}" }}\n'
    )
    played = options(tmp_path, scenario=script)
    with venue_process("binance", tmp_path / "one.log", **played) as process:
        assert is_struck(process)
        process.advance(6)
        assert process.state()["wallet_balance"] == "10075"
    with venue_process("binance", tmp_path / "two.log", **played) as process:
        assert [is_struck(process) for _ in range(2)] == [True, False]
        assert waiting(process) == [("transfer", 1)]
        process.advance(6)
        assert process.state()["wallet_balance"] == "10075"


def test_a_scenario_is_joined_where_it_is_asked_to_be(tmp_path: Path) -> None:
    script = tmp_path / "fall.toml"
    script.write_text(
        'name = "fall"\nsummary = "A fall, a stop and cash."\n'
        '[[phases]]\nname = "fall"\nstart_seconds = 10\nseconds = 20\n'
        "[phases.markets]\nBTCUSDT = { move = -0.05 }\n"
        '[[faults]]\nat_seconds = 5.0\nkind = "transfer"\narguments = { value = "75" }\n'
        '[[faults]]\nat_seconds = 20.0\nkind = "empty_book"\nduration_seconds = 60.0\n'
    )
    opened_ns = []
    marks = []
    for name, start, grant in (("whole", 0.0, 40.0), ("joined", 30.0, 10.0)):
        joined = {"speed": 0, "seed": 11, "scenario": script, "start_at": start}
        with venue_process("okx", tmp_path / f"{name}.log", **joined) as process:
            if name == "joined":
                # What had come before is over; what lasts, lasts.
                assert waiting(process) == [("empty_book", 0)]
            process.advance(grant)
            truth = process.truth()
            opened_ns.append(truth["now_ns"])
            marks.append(truth["markets"]["BTCUSDT"]["mark"])
            assert truth["wallet_balance"] == ("10075" if name == "whole" else "10000")
    assert opened_ns[0] == opened_ns[1]
    assert marks[0] == marks[1]


def test_what_was_written_down_goes_on_bit_by_bit() -> None:
    clock = Clock(speed=0, opened_ns=0)
    written: list[tuple[bytes, bool]] = []
    plan = FaultPlan(clock, seed=3, keep=lambda saved, ordered: written.append((saved, ordered)))
    plan.add(Fault(kind=FaultKind.DELAY, count=40, probability=0.5))
    assert [ordered for _, ordered in written] == [True]
    first = [plan.next("GET", "/x") is not None for _ in range(10)]
    assert len(written) == 11
    assert {ordered for _, ordered in written[1:]} == {False}
    other = FaultPlan(clock, seed=3)
    other.restore(written[-1][0])
    assert other.restored
    rest = [plan.next("GET", "/x") is not None for _ in range(30)]
    assert [other.next("GET", "/x") is not None for _ in range(30)] == rest
    assert other.save() == plan.save()
    assert 5 < sum(first + rest) < 35
