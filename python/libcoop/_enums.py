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
    PROCESS = 2
    """Each in a process of its own, with an interpreter of its own, which is started again when it ends."""


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


class Executor(enum.IntEnum):
    """What runs a service."""

    ASYNC = 0
    """A task of the host's loop of asyncio: `async def` only."""
    THREAD = 1
    """A thread of the host's process."""
    PROCESS = 2
    """A process of its own, forked from a small one."""
    ASYNC_PROCESS = 3
    """A process of its own whose liveness the library beats for."""


class Restart(enum.IntEnum):
    """When a service that has ended is started again."""

    PERMANENT = 0
    """Always, after a normal end too."""
    TRANSIENT = 1
    """After an end that was not normal."""
    TEMPORARY = 2
    """Never; its specification goes with it."""


class Strategy(enum.IntEnum):
    """Which siblings go with a service that has ended, and are started again with it."""

    ONE_FOR_ONE = 0
    """None."""
    ONE_FOR_ALL = 1
    """All."""
    REST_FOR_ONE = 2
    """Those started after it."""
    SIMPLE_ONE_FOR_ONE = 3
    """None; all children are made of one template, and started by `start_child` only."""


class AutoShutdown(enum.IntEnum):
    """Whether a supervisor ends by itself when significant children have."""

    NEVER = 0
    """It does not."""
    ANY_SIGNIFICANT = 1
    """When any significant child has ended by itself."""
    ALL_SIGNIFICANT = 2
    """When the last significant child that was active has."""


class Growth(enum.IntEnum):
    """How a delay grows from restart to restart."""

    FIXED = 0
    """The same each time."""
    LINEAR = 1
    """One more `delay` each time."""
    EXPONENTIAL = 2
    """Twice as long each time."""


class ChildState(enum.IntEnum):
    """What a child does at the moment."""

    TERMINATED = 0
    """It does not run: not started yet, terminated, or a transient or permanent one that is not restarted."""
    STARTING = 1
    """It is not ready yet."""
    RUNNING = 2
    """It is ready."""
    STOPPING = 3
    """It was asked to stop."""
    RESTARTING = 4
    """It waits for its restart."""
    PARKED = 5
    """It rests, and is tried again."""
    UNRESPONSIVE = 6
    """It ignored its deadline, and goes on by itself."""
