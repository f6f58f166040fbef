"""What the tests of hosts share: services, and waiting for what is to come."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libcoop
from libcoop import ChildInfo, ChildState, Context

LONG = 60.0
"""Seconds after which what was waited for will not come."""


def until(condition: Callable[[], Any]) -> Any:
    """Waits until a condition holds, and answers what it answered."""
    deadline = time.monotonic() + LONG
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.005)
    return answer


def child(supervisor: libcoop.Supervisor | libcoop.AsyncSupervisor, name: str) -> ChildInfo:
    """What is told of a child."""
    (found,) = [one for one in supervisor.which_children() if one.name == name]
    return found


def runs(supervisor: libcoop.Supervisor, name: str, run: int) -> ChildInfo:
    """Waits until this run of a child is ready."""

    def is_there() -> ChildInfo | None:
        found = child(supervisor, name)
        return found if found.state == ChildState.RUNNING and found.run >= run else None

    found: ChildInfo = until(is_there)
    return found


def stop_when(host: libcoop.Host, condition: Callable[[], Any]) -> threading.Thread:
    """A thread that stops the host when a condition holds, while another waits for it."""

    def stop() -> None:
        until(condition)
        host.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


def names(supervisor: libcoop.Supervisor | libcoop.AsyncSupervisor) -> list[str]:
    return [one.name for one in supervisor.which_children()]


def waits(ctx: Context, *_args: object) -> None:
    """Runs until it is asked to stop."""
    ctx.stopping.wait()


async def sleeps(ctx: Context, *_args: object) -> None:
    """Runs until it is cancelled."""
    await asyncio.sleep(3600)


def returns(ctx: Context) -> None:
    """Has nothing to do."""


def raises(ctx: Context) -> None:
    raise ValueError("no luck")


SLEEP = ["sleep", "3600"]


class Same(libcoop.Service):
    """One class for every executor, plain."""

    def __init__(self, path: str, *, word: str) -> None:
        self._path = Path(path)
        self._word = word

    def run(self, ctx: Context) -> None:
        self._path.write_text(f"{ctx.name} {ctx.path} {ctx.run} {self._word} {bool(ctx.stopping)}")
        ctx.ready()
        assert ctx.stopping.wait()
        assert ctx.stopping.is_set()
        with self._path.open("a") as file:
            file.write(" stopped")


class AsyncSame(Same):
    """As an `async def`."""

    async def run(self, ctx: Context) -> None:  # type: ignore[override]
        self._path.write_text(f"{ctx.name} {ctx.path} {ctx.run} {self._word} {bool(ctx.stopping)}")
        ctx.ready()
        await ctx.stopping
        await ctx.stopping
        with self._path.open("a") as file:
            file.write(" stopped")


async def notes(ctx: Context, folder: str, name: str) -> None:
    """Makes a file of this name."""
    (Path(folder) / name).touch()
    ctx.ready()
    await ctx.stopping


def hangs_once(ctx: Context) -> None:
    """Beats, but in its first run."""
    if ctx.run == 1:
        time.sleep(3600)
    while not ctx.stopping.wait(0.02):
        ctx.beat()
