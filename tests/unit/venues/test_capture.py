import gzip
import json

import pytest
import zstandard

from counterpoise.domain.errors import DataError
from counterpoise.venues import capture
from counterpoise.venues.capture import CapturedFrame, CaptureFile

FRAMES = [
    CapturedFrame(received_ns=1, kind="ws", url="wss://somewhere/ws", frame='{"a":"\\u00e9 \\n"}'),
    CapturedFrame(received_ns=2, kind="http", url="https://somewhere/x?y=1", frame="not json"),
    CapturedFrame(received_ns=3, kind="ws", url="", frame=""),
]


def read(path):
    skipped = capture.Skipped()
    return list(capture.read(path, skipped)), skipped


def written(path, frames=FRAMES):
    with CaptureFile(path) as file:
        for frame in frames:
            file.write(frame)
    return path


def test_what_is_written_is_read(tmp_path):
    frames, skipped = read(written(tmp_path / "a.jsonl.zst"))
    assert frames == FRAMES
    assert skipped == capture.Skipped()


def test_a_line_is_the_published_format(tmp_path):
    path = written(tmp_path / "a.jsonl.zst", FRAMES[:1])
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().decode()
    assert json.loads(text) == {
        "received_ns": 1,
        "kind": "ws",
        "url": "wss://somewhere/ws",
        "frame": '{"a":"\\u00e9 \\n"}',
    }


@pytest.mark.parametrize("form", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_compressed_or_not_by_its_first_bytes(tmp_path, form):
    line = b'{"received_ns":1,"kind":"ws","url":"u","frame":"f"}\n'
    path = tmp_path / "any.name"
    path.write_bytes(form(line + line))
    assert [frame.frame for frame in read(path)[0]] == ["f", "f"]


def test_two_files_joined_are_one(tmp_path):
    one = written(tmp_path / "one").read_bytes()
    (tmp_path / "two").write_bytes(one + one)
    assert read(tmp_path / "two")[0] == FRAMES + FRAMES


def test_lines_that_are_no_frame_are_counted_and_passed_over(tmp_path):
    path = tmp_path / "a.jsonl"
    good = b'{"received_ns":1,"kind":"ws","url":"u","frame":"f"}\n'
    path.write_bytes(good + b"\n" + b'{"frame":\n' + b"\xff\xfe\n" + b"[1]\n" + good + good[:20])
    frames, skipped = read(path)
    assert [frame.frame for frame in frames] == ["f", "f"]
    assert skipped.lines == 4


def test_a_file_cut_off_yields_what_was_flushed(tmp_path):
    path = tmp_path / "a.zst"
    file = CaptureFile(path)
    file.write(FRAMES[0])
    file.write(FRAMES[1])
    file.flush()
    kept = path.read_bytes()
    file.write(FRAMES[2])
    file.close()
    (tmp_path / "cut.zst").write_bytes(kept)
    assert read(tmp_path / "cut.zst")[0] == FRAMES[:2]


def test_a_damaged_file_says_so_after_what_could_be_read(tmp_path):
    path = tmp_path / "a.zst"
    many = [CapturedFrame(received_ns=n, frame="f" * 1_000) for n in range(300)]
    path.write_bytes(written(path, many).read_bytes() + b"\x28\xb5\x2f\xfd" + b"\xff" * 40)
    frames, skipped = read(path)
    assert 200 < len(frames) < 300
    assert frames == many[: len(frames)]
    assert skipped.broken


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    written(tmp_path / "a")
    with pytest.raises(DataError, match="exists"):
        CaptureFile(tmp_path / "a")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.zst"):
        read(tmp_path / "none.zst")
