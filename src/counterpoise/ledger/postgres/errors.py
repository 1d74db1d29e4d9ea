"""What can go wrong with the built-in server."""

from counterpoise.domain.errors import StartRefused


class PostgresFailed(StartRefused):
    """The built-in server cannot run: says why and what to do; the start stops."""


class PostgresBusy(PostgresFailed):
    """Another process runs the built-in server of this directory; a command attaches to it."""
