"""Postgres behind a door that freezes: its kernel takes bytes, and nothing ever answers."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

_POLL_SECONDS = 0.05


class FrozenProxy:
    """Passes everything on until `word` goes by in a question; once `armed`, that freezes it."""

    def __init__(self, dsn: str, word: bytes) -> None:
        self._behind = conninfo_to_dict(dsn)
        self._word = word
        self.armed = threading.Event()
        #: Set = frozen. Cleared = it thaws.
        self.frozen = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._front = socket.create_server(("127.0.0.1", 0))
        port = self._front.getsockname()[1]
        user, name = str(self._behind["user"]), str(self._behind["dbname"])
        self.password = str(self._behind["password"])
        self.dsn = f"postgresql://{user}:{quote(self.password, safe='')}@127.0.0.1:{port}/{name}"

    def __enter__(self) -> Self:
        """Take connections."""
        self._begin(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Thaw and take no more."""
        self.armed.clear()
        self.frozen.clear()
        # Closing alone does not end an `accept` that waits.
        with contextlib.suppress(OSError):
            self._front.shutdown(socket.SHUT_RDWR)
        self._front.close()
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._front.accept()
                self._sockets.append(client)
                self._wait()
                server = socket.socket(socket.AF_UNIX)
                self._sockets.append(server)
                server.connect(f"{self._behind['host']}/.s.PGSQL.{self._behind['port']}")
                self._begin(self._pump, client, server, True)
                self._begin(self._pump, server, client, False)

    def _pump(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError), source, sink:
            while content := source.recv(65_536):
                if asks and self.armed.is_set() and self._word in content:
                    self.frozen.set()
                self._wait()
                sink.sendall(content)
            sink.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        while self.frozen.is_set():
            time.sleep(_POLL_SECONDS)

    def _begin(self, work: Callable[..., None], *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()
