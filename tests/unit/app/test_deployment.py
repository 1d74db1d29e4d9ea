"""How supervisors treat a daemon that ended: nobody here runs them, so their files are read."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / "deploy/systemd/counterpoise.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_never_gives_up_and_waits_longer_each_time(unit: dict[str, list[str]]) -> None:
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert "StartLimitBurst" not in unit
    assert unit["Restart"] == ["on-failure"]
    assert int(unit["RestartSec"][0]) < int(unit["RestartMaxDelaySec"][0]) <= 60
    assert int(unit["RestartSteps"][0]) > 0
    assert {"time-sync.target", "postgresql.service"} <= set(unit["After"][0].split())


def test_the_unit_goes_on_with_a_flatten_and_not_with_a_wrong_configuration(
    unit: dict[str, list[str]],
) -> None:
    assert unit["RestartPreventExitStatus"] == ["2"]
    # Its exit code is not the main process's, so a wrong configuration would be tried for ever.
    assert "ExecStartPre" not in unit


def services() -> dict[str, str]:
    text = (ROOT / "docker-compose.yml").read_text()
    body = text.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    parts = re.split(r"^  (\w+):\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_container_that_was_told_to_stop_stays_stopped() -> None:
    daemon = (ROOT / "docker-compose.yml").read_text().partition("\nservices:\n")[0]
    assert re.findall(r"^  restart: (.*)$", daemon, flags=re.MULTILINE) == ["on-failure"]


def test_what_no_container_comes_back_from_is_said_with_the_remedy() -> None:
    daemon = (ROOT / "docker-compose.yml").read_text().partition("\nservices:\n")[0]
    above = daemon.partition("  restart: ")[0]
    comment = " ".join(line.strip(" #") for line in above.splitlines()[-12:])
    assert "restart of the machine or of the Docker engine" in comment
    assert "docker compose --profile testnet up --detach" in comment


@pytest.mark.parametrize("name", ["migrate", "demo", "daemon"])
def test_each_command_of_a_container_reads_the_same_profile(name: str) -> None:
    body = services()[name]
    assert re.search(r"^      COUNTERPOISE_PROFILE: (demo|testnet)$", body, flags=re.MULTILINE)
    (command,) = re.findall(r"^    command: (.*)$", body, flags=re.MULTILINE)
    assert "profile" not in command


def test_the_image_has_the_program_by_its_name() -> None:
    image = (ROOT / "Dockerfile").read_text()
    assert "> /venv/bin/counterpoise" in image
    assert 'ENTRYPOINT ["counterpoise"]' in image
    assert 'CMD ["counterpoise", "status"]' in image
