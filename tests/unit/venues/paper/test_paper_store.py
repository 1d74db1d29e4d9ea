"""The account's file: whole lines count, a torn last one does not, a damaged one refuses."""

import pytest

from counterpoise.domain.errors import StartRefused, VenueUnreachable
from counterpoise.venues.paper import store
from counterpoise.venues.paper.store import PaperFile

HEAD = {"account_id": "a", "venue": "okx"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "paper" / "okx.account"


@pytest.fixture
def kept(path):
    made = PaperFile(path)
    made.claim()
    yield made
    made.close()


def test_there_is_no_account_before_the_first(path):
    assert PaperFile(path).read() is None


def test_what_was_written_is_read_in_order(kept, path):
    kept.rewrite(HEAD, {"n": 1})
    kept.append({"n": 2, "words": "ä\n"})
    head, changes = PaperFile(path).read()
    assert (head["account_id"], head["format"]) == ("a", store.FORMAT)
    assert changes == [{"n": 1}, {"n": 2, "words": "ä\n"}]
    assert kept.length == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lost", [1, 2, 9])
def test_a_torn_last_line_does_not_count(kept, path, lost):
    kept.rewrite(HEAD, {"n": 1})
    kept.append({"n": 2})
    content = path.read_bytes()
    path.write_bytes(content[:-lost])
    assert PaperFile(path).read()[1] == [{"n": 1}]


def test_a_last_line_of_another_content_does_not_count(kept, path):
    kept.rewrite(HEAD, {"n": 1})
    kept.append({"n": 2})
    path.write_bytes(path.read_bytes().replace(b'{"n":2}', b'{"n":3}'))
    assert PaperFile(path).read()[1] == [{"n": 1}]


def test_a_damaged_line_in_front_of_others_is_refused(kept, path):
    kept.rewrite(HEAD, {"n": 1})
    kept.append({"n": 2})
    path.write_bytes(path.read_bytes().replace(b'{"n":1}', b'{"n":3}'))
    with pytest.raises(StartRefused, match=r"line 2 of the paper account .* is damaged; .*--fresh"):
        PaperFile(path).read()


def test_another_format_is_refused(kept, path, monkeypatch):
    monkeypatch.setattr(store, "FORMAT", 7)
    kept.rewrite(HEAD, {})
    monkeypatch.undo()
    with pytest.raises(StartRefused, match="format 7 and this version reads 1"):
        PaperFile(path).read()


def test_one_process_writes_and_others_read(kept, path):
    kept.rewrite(HEAD, {"n": 1})
    other = PaperFile(path)
    with pytest.raises(StartRefused, match="another daemon trades the paper account"):
        other.claim()
    assert other.read()[1] == [{"n": 1}]
    kept.close()
    other.claim()
    other.close()
    other.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "paper").write_text("in the way")
    with pytest.raises(StartRefused, match="COUNTERPOISE_STATE_DIR"):
        PaperFile(tmp_path / "paper" / "okx.account").claim()


def test_accounts_that_are_set_aside_keep_their_names(kept, path):
    assert kept.set_aside() is None
    for expected in ("a.aside", "a.aside2"):
        kept.rewrite(HEAD, {"n": 1})
        assert kept.set_aside() == path.with_name(expected)
        assert not path.exists()
    path.write_bytes(b"0 {}\n0 {}\n0 {}\n")
    assert kept.set_aside().name == "okx-damaged.aside"


def test_a_disk_that_fails_once_is_never_trusted_again(kept, monkeypatch):
    kept.rewrite(HEAD, {"n": 1})

    def fails(_file):
        raise OSError(5, "no disk")

    monkeypatch.setattr(store.os, "fsync", fails)
    with pytest.raises(VenueUnreachable, match="no disk"):
        kept.append({"n": 2})
    monkeypatch.undo()
    with pytest.raises(VenueUnreachable, match="no disk"):
        kept.append({"n": 3})
    assert "cannot be written" in kept.failure


def test_a_rewrite_that_fails_leaves_the_old_file(kept, path, monkeypatch):
    kept.rewrite(HEAD, {"n": 1})

    def fails(_file):
        raise OSError(28, "full")

    monkeypatch.setattr(store.os, "fsync", fails)
    with pytest.raises(VenueUnreachable, match="full"):
        kept.rewrite(HEAD, {"n": 2})
    assert PaperFile(path).read()[1] == [{"n": 1}]
