"""Files of raw frames: JSON lines, compressed or not, one frame as it was received per line.

A line is {"received_ns": ours, "kind": "ws" | "http", "url": where, "frame": the text}.
"""

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import zstandard

from counterpoise.domain.errors import DataError

#: Bytes of one line at most; a whole book of a thousand levels is 60 KB.
LINE_BYTES_MAX: Final = 64 * 1024 * 1024

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = b"\x1f\x8b"
#: What is lost before damage, and read at once.
_READ_AHEAD_BYTES: Final = 1 << 16
#: How hard zstd works: its own default.
_LEVEL: Final = 3


class CapturedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a capture."""

    #: Our clock, ns.
    received_ns: int = 0
    #: "ws" = a frame of a stream, "http" = the body of an answer.
    kind: str = "ws"
    #: The stream's or the request's address.
    url: str = ""
    #: The text as received.
    frame: str


#: Is shown every frame as it was received.
Tap = Callable[[CapturedFrame], None]

_DECODER: Final = msgspec.json.Decoder(CapturedFrame)
_ENCODER: Final = msgspec.json.Encoder()


def streamed(url: str, frame: bytes, received_ns: int) -> CapturedFrame:
    """Return a frame of a stream; bytes that are no text become U+FFFD."""
    text = frame.decode("utf-8", "replace")
    return CapturedFrame(received_ns=received_ns, kind="ws", url=url, frame=text)


@dataclass(slots=True, kw_only=True)
class Skipped:
    """What a file has besides readable frames."""

    #: Lines that are no frame; the last one may be cut off.
    lines: int = 0
    #: Why the file ended before its end; "" = it did not.
    broken: str = ""


def read(path: Path, skipped: Skipped) -> Iterator[CapturedFrame]:
    """Yield a file's frames in its order, and count in `skipped` what is none.

    A file that was cut off yields what it has, a damaged one what comes well before the damage. Raises DataError
    if it cannot be opened.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    with raw:
        lines = _lines(raw, skipped)
        for line in lines:
            if not line.strip():
                continue
            try:
                yield _DECODER.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                skipped.lines += 1


def _lines(raw: io.BufferedReader, skipped: Skipped) -> Iterator[bytes]:
    plain = _plain(raw)
    while True:
        try:
            line = plain.readline(LINE_BYTES_MAX)
        except (zstandard.ZstdError, EOFError, OSError) as error:
            skipped.broken = str(error)
            return
        if not line:
            return
        yield line


def _plain(raw: io.BufferedReader) -> io.BufferedIOBase:
    # By its first bytes: a name promises nothing.
    start = raw.read(len(_ZSTD))
    raw.seek(0)
    if start == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(reader, _READ_AHEAD_BYTES)  # type: ignore[type-var, unused-ignore]
    if start.startswith(_GZIP):
        return gzip.open(raw)
    return raw


class CaptureFile:
    """A capture that is written; what was flushed survives a kill."""

    def __init__(self, path: Path) -> None:
        """Open for writing; a file that is there is not touched. Raises DataError."""
        try:
            self._file = path.open("xb")
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
        compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._stream = compressor.stream_writer(self._file, closefd=False)
        #: Frames written.
        self.frames = 0
        #: Bytes of lines before compression.
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, frame: CapturedFrame) -> None:
        """Append one frame."""
        line = _ENCODER.encode(frame) + b"\n"
        self._stream.write(line)
        self.frames += 1
        self.bytes += len(line)

    def flush(self) -> None:
        """Hand everything to the system, in a form that can be read if nothing follows."""
        self._stream.flush(zstandard.FLUSH_BLOCK)
        self._file.flush()

    def close(self) -> None:
        """End the file; safe to call twice."""
        if not self._file.closed:
            self._stream.close()  # type: ignore[no-untyped-call, unused-ignore]
            self._file.close()
