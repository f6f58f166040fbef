"""Services as tasks of a loop of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from libcoop import _libcoop
from libcoop._context import Context
from libcoop._running import build, cancel_on_stop, describe

_CLOSED = "its loop of asyncio is closed"


class OnLoop:
    """Begins the runs of one service; called on the library's thread, with a run and its end."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, entry: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._loop = loop
        self._entry = entry
        self._args = args
        self._kwargs = kwargs

    def __call__(self, native: _libcoop.ServiceContext, end: _libcoop.ServiceEnd) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin, native, end)
        except RuntimeError:
            end.lost(_CLOSED)

    def _begin(self, native: _libcoop.ServiceContext, end: _libcoop.ServiceEnd) -> None:
        if native.is_stopping():
            end.shutdown()
            return
        ctx = Context(native)
        try:
            begin = build(self._entry, self._args + tuple(native.args or ()), self._kwargs, ctx)
            task = self._loop.create_task(_run(begin), name=ctx.path)
        except Exception as error:
            end.failed(describe(error))
            return
        task.add_done_callback(partial(_done, ctx, end))
        cancel_on_stop(ctx, self._loop, task, partial(end.lost, _CLOSED))
        # Weakly: the task holds the end.
        end.kill_by(partial(_kill, self._loop, weakref.ref(task)))


class Exited(Exception):
    """SystemExit of a service, which is not the host's."""


async def _run(begin: Callable[[], Any]) -> None:
    try:
        await begin()
    except SystemExit as exit:
        # asyncio would let it end the loop, with all the services on it.
        if exit.code not in (None, 0):
            raise Exited(str(exit.code)) from exit


def _done(ctx: Context, end: _libcoop.ServiceEnd, task: asyncio.Task[None]) -> None:
    ctx._native._forget_callbacks()
    if task.cancelled():
        if ctx.is_stopping():
            end.shutdown()
        else:
            end.failed("CancelledError: its task was cancelled, and it was not asked to stop")
    elif (error := task.exception()) is not None:
        end.failed(describe(error.__cause__ if isinstance(error, Exited) and error.__cause__ else error))
    else:
        end.returned()


def _kill(loop: asyncio.AbstractEventLoop, task: weakref.ref[asyncio.Task[None]]) -> None:
    if (there := task()) is not None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(there.cancel)
