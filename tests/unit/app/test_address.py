"""What tells commands of a daemon never keeps it from its book."""

import os
import time
from pathlib import Path

import pytest

from counterpoise.app import address
from counterpoise.status import client
from counterpoise.status.client import ADDRESS_FILE


def test_a_full_disk_leaves_no_address_and_no_stale_one(tmp_path: Path) -> None:
    address.write(tmp_path, "7", 1)
    assert client.last_account(tmp_path) == "7"
    (tmp_path / "daemon.new").symlink_to("/dev/full")
    address.write(tmp_path, "8", 2)
    assert not (tmp_path / ADDRESS_FILE).exists()
    assert client.last_account(tmp_path) is None
    address.write(tmp_path, "8", 2)
    assert client.last_account(tmp_path) == "8"


async def test_a_disk_that_hangs_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "WRITE_SECONDS_MAX", 0.2)
    os.mkfifo(tmp_path / "daemon.new")
    started = time.monotonic()
    await address.tell(tmp_path, "7", 1)
    assert time.monotonic() - started < 5
    assert not (tmp_path / ADDRESS_FILE).exists()
    # Whoever reads frees the thread.
    assert b'"7"' in (tmp_path / "daemon.new").read_bytes()
