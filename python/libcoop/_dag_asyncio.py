"""Coroutines of a graph as tasks of the asyncio loop that its run was started in."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any

from libcoop import _libcoop
from libcoop._cancelled import Cancelled


class OnAsyncio:
    """Starts coroutines as tasks of an asyncio loop.

    Called on the thread of libcoop's loop, with the function, its arguments, the context to run it in, and the node's
    end, which is told how the coroutine has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._told = False

    def __call__(self, *start: Any) -> None:
        self._waiting.append(start)
        if not self._told:
            # Those that come until the loop has heard of it are begun with the first.
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._begin_all)
            except RuntimeError:
                # It is closed. Whoever waits hears of it, for the ends of the nodes are let go of.
                self._told = False
                self._waiting.clear()

    def _begin_all(self) -> None:
        self._told = False
        while self._waiting:
            self._begin(*self._waiting.popleft())

    def _begin(
        self,
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        keywords: dict[str, Any] | None,
        context: Context,
        end: _libcoop.NodeEnd,
    ) -> None:
        try:
            coroutine = context.run(function, *args, **(keywords or {}))
            task = self._loop.create_task(coroutine, context=context)
        except Exception as error:
            end.raised(error)
            return
        task.add_done_callback(partial(_task_done, end))
        # Weakly: the task holds the node's end.
        end.ends_by(partial(_cancel_task, self._loop, weakref.ref(task)))


def _task_done(end: _libcoop.NodeEnd, task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        end.raised(Cancelled("the node's task was cancelled"))
    elif (error := task.exception()) is not None:
        end.raised(error)
    else:
        end.returned(task.result())


def _cancel_task(loop: asyncio.AbstractEventLoop, task: weakref.ref[asyncio.Task[Any]]) -> None:
    if (there := task()) is not None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(there.cancel)
