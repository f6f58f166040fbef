"""What is told of children, and of a host's end."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

from libcoop._enums import AutoShutdown, ChildState, Growth, Restart, Strategy
from libcoop._errors import Failed
from libcoop._options import Backoff

SUPERVISOR = "supervisor"


class ChildInfo(NamedTuple):
    """A child, as `which_children` answers."""

    id: int
    """Its id in its host."""
    name: str
    """Its name among its siblings."""
    path: str
    """Its names from the root down, joined by "/"."""
    executor: str
    """What runs it: "async", "thread", "process", "async process", or "supervisor"."""
    state: ChildState
    run: int
    """Which run of it this is, or was the last; 0 before the first."""
    pid: int | None
    """Its process, if it has one of its own."""

    @property
    def is_supervisor(self) -> bool:
        """Whether it is a supervisor."""
        return self.executor == SUPERVISOR


class ChildCounts(NamedTuple):
    """How many children there are, as `count_children` answers."""

    specs: int
    """Specifications; one under SIMPLE_ONE_FOR_ONE."""
    active: int
    """Children that run."""
    supervisors: int
    """Children that are supervisors, running or not."""
    workers: int
    """Children that are not, running or not."""


class Flags(NamedTuple):
    """What a supervisor is: `sup_flags` in OTP."""

    strategy: Strategy
    intensity: int | None
    period: float
    auto_shutdown: AutoShutdown


class ChildSpec(NamedTuple):
    """What a supervisor knows of a child, with every default filled in."""

    id: str
    """Its name among its siblings."""
    executor: str
    restart: Restart
    shutdown: float | str
    """Seconds; "kill"; math.inf."""
    significant: bool
    ready: str
    ready_within: float | None
    """None if it is ready at once."""
    watchdog: float | None
    liveness: float | None
    backoff: Backoff | None
    park: bool
    park_at_start: bool
    normal_exits: tuple[int, ...]
    supervisor: Flags | None
    """What it is as a supervisor, if it is one."""


class Finish(NamedTuple):
    """How a host has ended."""

    how: str
    """"stopped", "signal" or "auto_shutdown"."""
    signal: signal.Signals | None
    """Which signal stopped it."""


def info(told: tuple[int, str, str, str, int, int, int | None]) -> ChildInfo:
    id, name, path, executor, state, run, pid = told
    return ChildInfo(id, name, path, executor, ChildState(state), run, pid)


def spec(told: dict[str, Any]) -> ChildSpec:
    backoff, flags, within = told["backoff"], told["supervisor"], told["ready_within"]
    if backoff is not None:
        delay, growth, cap, jitter, calm = backoff
        backoff = Backoff(delay, Growth(growth), cap, jitter, calm)
    if flags is not None:
        strategy, intensity, period, auto_shutdown = flags
        flags = Flags(Strategy(strategy), intensity, period, AutoShutdown(auto_shutdown))
    return ChildSpec(
        id=told["id"],
        executor=told["executor"],
        restart=Restart(told["restart"]),
        shutdown="kill" if told["shutdown"] == -1 else told["shutdown"],
        significant=told["significant"],
        ready="now" if within is None else "notify",
        ready_within=within,
        watchdog=told["watchdog"],
        liveness=told["liveness"],
        backoff=backoff,
        park=told["park"],
        park_at_start=told["park_at_start"],
        normal_exits=tuple(told["normal_exits"]),
        supervisor=flags,
    )


def finish(told: tuple[int, int | None, str]) -> Finish:
    """Raises Failed if the root gave up."""
    how, signum, text = told
    if how == 3:
        raise Failed(text)
    return Finish(("stopped", "signal", "auto_shutdown")[how], None if signum is None else signal.Signals(signum))
