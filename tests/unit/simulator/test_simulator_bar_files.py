"""Real bars from Parquet files; without pyarrow only the refusals can be tried."""

import importlib.util
from pathlib import Path

import pytest

from counterpoise.simulator.bar_files import BarsUnreadable, read_bars

HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None
NAMES = ("BTCUSDT", "ETHUSDT")


def test_refusals_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BarsUnreadable, match="no folder such as ohlcv_5m"):
        read_bars(tmp_path, NAMES)
    (tmp_path / "ohlcv_15m").mkdir()
    with pytest.raises(BarsUnreadable, match="ohlcv_15m has none of BTCUSDT, ETHUSDT"):
        read_bars(tmp_path, NAMES)
    with pytest.raises(BarsUnreadable, match="ohlcv_15m has none of BTCUSDT"):
        read_bars(tmp_path / "ohlcv_15m", ["BTCUSDT"])


@pytest.mark.skipif(HAS_PYARROW, reason="pyarrow is installed")
def test_missing_reader_is_named(tmp_path: Path) -> None:
    (tmp_path / "ohlcv_5m").mkdir()
    (tmp_path / "ohlcv_5m" / "BTCUSDT.parquet").write_bytes(b"PAR1")
    with pytest.raises(BarsUnreadable, match="needs the package pyarrow"):
        read_bars(tmp_path, NAMES)


@pytest.mark.skipif(not HAS_PYARROW, reason="pyarrow is not installed")
def test_finest_timeframe_of_the_named_instruments_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    def write(path: Path, *rows: tuple[float, ...]) -> None:
        path.parent.mkdir(exist_ok=True)
        names = ("ts", "open", "high", "low", "close", "volume")
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        parquet.write_table(pa.table({k: list(v) for k, v in columns.items()}), path)

    write(tmp_path / "ohlcv_1h" / "BTCUSDT.parquet", (0, 9.0, 9.0, 9.0, 9.0, 1.0))
    write(
        tmp_path / "ohlcv_15m" / "BTCUSDT.parquet",
        (0, 1.0, 3.0, 0.5, 2.0, 7.0),
        (900_000, 2.0, 2.0, 1.0, 1.0, 0.0),
    )
    write(tmp_path / "ohlcv_15m" / "OPUSDT.parquet", (900_000, 1.0, 1.0, 1.0, 1.0, 1.0))
    bars = read_bars(tmp_path, NAMES)
    assert (bars.step_seconds, bars.first_ms) == (900, 0)
    assert bars.markets == (("BTCUSDT", ((1.0, 3.0, 0.5, 2.0, 7.0), (2.0, 2.0, 1.0, 1.0, 0.0))),)
    (tmp_path / "ohlcv_15m" / "ETHUSDT.parquet").write_bytes(b"nothing")
    with pytest.raises(BarsUnreadable, match=r"ETHUSDT\.parquet"):
        read_bars(tmp_path, NAMES)
