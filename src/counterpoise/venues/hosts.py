"""Which addresses are on this machine, where no venue counts requests and no order costs money."""

from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def host_of(url: str) -> str | None:
    """Return an address's host, None = it has none."""
    return urlsplit(url).hostname


def is_loopback(url: str) -> bool:
    """Tell whether an address stays on this machine."""
    return host_of(url) in _LOOPBACK
