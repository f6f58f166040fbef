"""`libcoop.Cancelled`, apart from the other exceptions: it is one of `concurrent.futures`' too."""

from concurrent.futures import CancelledError

from libcoop._errors import Error


class Cancelled(Error, CancelledError):
    """The task was cancelled before it began, or the coroutine before it ended."""
