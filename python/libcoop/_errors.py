"""The exceptions of libcoop: one for each error of the core, under its name.

Each is a `libcoop.Error`, and also the built-in exception that fits it, so that code which does not know libcoop can
catch it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libcoop._cancelled import Cancelled as Cancelled


class Error(Exception):
    """The base of all of libcoop's exceptions."""


class Invalid(Error, ValueError):
    """An argument is outside what is allowed."""


class Null(Error, ValueError):
    """Something that must be there is missing (C only)."""


class Stale(Error):
    """The timer, watch or other small thing has ended or was cancelled."""


class Closed(Error, RuntimeError):
    """The object was stopped, shut down or closed."""


class QueueFull(Error):
    """A bounded queue has no room."""


class Timeout(Error, TimeoutError):
    """The deadline passed first."""


class Affinity(Error, ValueError):
    """A CPU set names no worker."""


class WouldDeadlock(Error, RuntimeError):
    """The call would wait for itself."""


class Forked(Error, RuntimeError):
    """The object was made before fork() and this is the child."""


class Unsupported(Error, RuntimeError):
    """This build or this system cannot do it."""


class Panic(Error, RuntimeError):
    """A bug in the library was caught at its edge."""


class Os(Error, OSError):
    """The operating system refused; `errno` says why."""


class Exists(Error, ValueError):
    """There is one already."""


class Failed(Error, RuntimeError):
    """A handler could not start."""


class WouldBlock(Error, BlockingIOError):
    """A call that does not wait would have to."""


class Resolve(Error, OSError):
    """A host's name has no address, or could not be looked up."""


def __getattr__(name: str) -> object:
    # Apart, since it is one of concurrent.futures' too, which is much to import for programs that do not use it.
    if name == "Cancelled":
        from libcoop._cancelled import Cancelled

        return Cancelled
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
