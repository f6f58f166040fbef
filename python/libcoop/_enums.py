"""The enumerations of libcoop, with the numbers that Rust and C give them."""

import enum


class Priority(enum.IntEnum):
    """How urgent a task is: the pool runs the higher level first."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


class Mode(enum.IntEnum):
    """How the ports of a set are served."""

    SINGLE = 0
    """All on one event loop."""
    THREAD = 1
    """Each on threads of its own, drained without the interpreter."""


class RunMode(enum.IntEnum):
    """How long `EventLoop.run` goes on."""

    DEFAULT = 0
    """Until the loop is stopped."""
    ONCE = 1
    """One turn that waits for something to do."""
    NOWAIT = 2
    """One turn of what is ready now."""
    UNTIL_IDLE = 3
    """Until no post, timer or watch is left."""
