"""Every exception of the project, as a tree. The docstring says what the daemon does next.

CounterpoiseError
|- SettingsError            the start stops with the message
|- StartRefused             the start stops with the message and the remedy
|- DataError                the command of the laboratory stops with the message
|- VenueError
|  |- VenueUnreachable      nothing was sent; reads are retried
|  |- VenueRejected         the venue refused; never retried
|  |  |- PositionDoubtful   it would not reduce, the venue says; the position is read again
|  |  '- PriceRefused       its price is outside the venue's band; a reduction goes at market
|  '- OutcomeUnknown        may have happened; resolved by evidence, never retried
'- LedgerError
   |- LedgerUnavailable     Postgres is away; nothing increases
   |- SpoolFailed           the local spool is dead; no increase, reductions go by the log
   '- LeaseLost             another daemon writes for this account; sending stops
"""


class CounterpoiseError(Exception):
    """Root of all expected errors; its text is meant for the operator."""


class SettingsError(CounterpoiseError):
    """A configuration value is wrong: names the variable, the value and what is allowed."""


class StartRefused(CounterpoiseError):
    """The account, venue or database is not as it must be: says what and how to mend it."""


class DataError(CounterpoiseError):
    """Recorded data is missing or not as it must be: says which file and what is allowed."""


class VenueError(CounterpoiseError):
    """Something between us and the venue went wrong."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        #: The venue's own code; None = the venue did not answer with one.
        self.code = code


class VenueUnreachable(VenueError):
    """The request surely never reached the venue; a read is retried, an order is not placed."""


class VenueRejected(VenueError):
    """The venue answered with a definite refusal; the order does not exist and is not retried."""


class StampRefused(VenueRejected):
    """The venue refused the time a request was stamped with and looked at nothing else.

    The clock was measured anew meanwhile: what lowers risk may be sent once more.
    """


class PositionDoubtful(VenueRejected):
    """A reduction would not reduce, the venue says: read the position, then decide anew."""


class PriceRefused(VenueRejected):
    """The price lies outside what the venue takes now: a reduction is sent again at market."""


class OutcomeUnknown(VenueError):
    """The request may have been carried out; it counts as open until evidence resolves it."""


class LedgerError(CounterpoiseError):
    """Something between us and the record went wrong."""


class LedgerUnavailable(LedgerError):
    """Postgres did not commit in time; increases are denied, reductions go on from the spool."""


class SpoolFailed(LedgerError):
    """The local spool could not be written durably; no increase until the daemon is restarted."""


class LeaseLost(LedgerError):
    """Another daemon holds the account's lease; this one stops sending."""
