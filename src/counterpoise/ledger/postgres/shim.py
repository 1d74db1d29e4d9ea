"""Runs postgres as its child and ends it when the parent goes away, however that happens.

Started as a file by `server.py`: `shim.py <uid>:<gid>|- <postgres> <arguments>`. The parent
holds the other end of standard input and writes nothing; its end means stop. Postgres itself
must not run as root, so root gives it another user's id, and to nothing else.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

_FAST, _IMMEDIATE, _KILL = signal.SIGINT, signal.SIGQUIT, signal.SIGKILL
#: What is sent to stop, and how many seconds each gets.
_STOPS = ((_FAST, 30.0), (_IMMEDIATE, 10.0), (_KILL, 5.0))
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run until postgres ends or must end; return its exit code."""
    stopping: list[int] = []
    # The terminal's Ctrl-C is the daemon's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    # Any signal, a child's end included, makes `select` return.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    server = _start(sys.argv[1], sys.argv[2:])
    while server.poll() is None and not stopping:
        ready, _, _ = select.select([0, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 512)
        if 0 in ready and not os.read(0, 1):
            stopping.append(1)
    for number, seconds in _STOPS:
        if server.poll() is not None:
            break
        server.send_signal(number)
        try:
            server.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    return server.returncode or 0


def _start(owner: str, command: list[str]) -> "subprocess.Popen[bytes]":
    uid, gid = (None, None) if owner == "-" else (int(part) for part in owner.split(":"))
    # This process has one thread, so that running a function after the fork is safe.
    return subprocess.Popen(  # noqa: S603 - what our parent wants run
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_us(),  # noqa: PLW1509
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
    )


def _die_with_us() -> Callable[[], object] | None:
    # Should the shim itself be killed, Linux sends postgres a fast shutdown. Loaded here because
    # nothing may be imported between fork and exec.
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, int(_FAST), 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
