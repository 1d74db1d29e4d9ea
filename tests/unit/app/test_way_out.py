"""What hangs in the disk holds neither the loop nor the process."""

import subprocess
import sys
import threading
import time

import pytest

from counterpoise.app.way_out import on_thread

LEAVES = """
import asyncio, sys, threading
from counterpoise.app.way_out import WayOut, on_thread

for_ever = threading.Event()
way_out = WayOut(seconds_max=0.3)

async def main():
    if not await on_thread(for_ever.wait, 0.1):
        way_out.hang()
    if sys.argv[1] == "executor":
        # As the spool's reader does: asyncio waits for this thread at its end.
        asyncio.ensure_future(asyncio.to_thread(for_ever.wait))
    await asyncio.sleep(0.1)
    way_out.arm(7)

asyncio.run(main())
way_out.disarm()
if sys.argv[1] == "thread":
    # As anything that the interpreter waits for.
    threading.Thread(target=for_ever.wait).start()
if sys.argv[1] == "nothing":
    sys.exit(5)
"""


@pytest.mark.parametrize(("what", "code"), [("executor", 7), ("thread", 7), ("nothing", 5)])
def test_the_process_ends_although_a_thread_hangs(what: str, code: int) -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVES, what], timeout=30, check=False)
    assert ended.returncode == code


async def test_work_that_hangs_is_left_behind_in_time() -> None:
    gate = threading.Event()
    started = time.monotonic()
    assert await on_thread(lambda: gate.wait(30) and None, 0.1) is False
    assert time.monotonic() - started < 5
    gate.set()


async def test_work_that_ends_tells_how() -> None:
    done: list[str] = []
    assert await on_thread(lambda: done.append(threading.current_thread().name), 5)
    assert done == ["closing"]

    def breaks() -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        await on_thread(breaks, 5)
