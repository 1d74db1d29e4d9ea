"""The state directory: whole files, a private key, one process at a time."""

import stat

from counterpoise.simulator import files


def test_a_key_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    made = files.make_credentials(tmp_path)
    assert files.read_credentials(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600
    assert files.make_credentials(tmp_path).secret != made.secret


def test_a_torn_file_reads_as_none(tmp_path):
    (tmp_path / "port.json").write_text('{"port": 12')
    assert files.read_json(files.port_path(tmp_path)) is None
    files.write_port(tmp_path, port=1234, started_ns=5)
    document = files.read_json(files.port_path(tmp_path))
    assert document is not None
    assert document["port"] == 1234
    assert files.last_port(tmp_path) == 1234


def test_the_old_venue_is_put_aside_whole(tmp_path):
    made = files.make_credentials(tmp_path)
    files.store_path(tmp_path).write_bytes(b"old")
    aside = files.set_aside(tmp_path)
    assert aside is not None
    assert files.read_credentials(aside) == made
    assert (aside / "state.sqlite").read_bytes() == b"old"
    assert files.read_credentials(tmp_path) is None
    assert files.set_aside(tmp_path) is None


def test_one_process_has_the_directory(tmp_path):
    held = files.lock(tmp_path)
    assert held is not None
    assert files.lock(tmp_path) is None
    assert files.is_locked(tmp_path)
    held.close()
    assert not files.is_locked(tmp_path)
