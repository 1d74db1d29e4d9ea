"""What tells other commands where a daemon runs never holds it up."""

import json
from pathlib import Path

import pytest

from counterpoise.app import address
from counterpoise.status.client import ADDRESS_FILE


def test_it_names_account_and_port(tmp_path: Path) -> None:
    address.write(tmp_path, "4242", 8080)
    told = json.loads((tmp_path / ADDRESS_FILE).read_text())
    assert (told["account_id"], told["status_port"]) == ("4242", 8080)


def test_a_disk_that_takes_nothing_is_said_and_nothing_old_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address.write(tmp_path, "another", 8080)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    address.write(tmp_path, "4242", None)
    assert list(tmp_path.iterdir()) == []
