"""Coroutines of a graph on the thread of a libcoop loop: a driver that knows futures and nothing else."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any

from libcoop import _libcoop
from libcoop._driving import driving
from libcoop._errors import Closed


class OnLoop:
    """Starts coroutines on the thread of a libcoop loop, where it is called, as `OnAsyncio`."""

    def __init__(self, event_loop: _libcoop.EventLoop) -> None:
        self._event_loop = event_loop

    def __call__(
        self,
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        keywords: dict[str, Any] | None,
        context: Context,
        end: _libcoop.NodeEnd,
    ) -> None:
        coroutine = context.run(function, *args, **(keywords or {}))
        driver = _Driver(self._event_loop, coroutine, context, end)
        end.ends_by(partial(_close, weakref.ref(driver)))
        driver.step()


def _close(driver: weakref.ref[_Driver]) -> None:
    if (there := driver()) is not None:
        there.close()


class _Driver:
    """Runs a coroutine on a loop's thread: until it awaits a future, and on when that is done."""

    def __init__(
        self,
        event_loop: _libcoop.EventLoop,
        coroutine: Coroutine[Any, Any, Any],
        context: Context,
        end: _libcoop.NodeEnd,
    ) -> None:
        self._event_loop = event_loop
        self._coroutine = coroutine
        self._context = context
        self._end: _libcoop.NodeEnd | None = end
        self._awaited: Any = None

    def step(self) -> None:
        if self._end is None:
            return
        resume: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                with driving:
                    awaited = self._context.run(resume)
            except StopIteration as ended:
                self._take_end().returned(ended.value)
                return
            except BaseException as error:
                self._take_end().raised(error)
                return
            if hasattr(awaited, "add_done_callback"):
                break
            words = f"on a libcoop loop a coroutine awaits libcoop's futures, not {awaited!r}"
            resume = partial(self._coroutine.throw, TypeError(words))
        self._awaited = awaited
        awaited.add_done_callback(self._go_on)

    def _go_on(self, _done: object) -> None:
        with contextlib.suppress(Closed):  # the run has ended with that
            self._event_loop.post(self.step)

    def _take_end(self) -> _libcoop.NodeEnd:
        end, self._end, self._awaited = self._end, None, None
        assert end is not None
        return end

    def close(self) -> None:
        """Ends the coroutine where it is, and cancels what it waits for."""
        if self._end is None:
            return
        awaited = self._awaited
        self._take_end()
        with contextlib.suppress(ValueError):  # it runs
            self._coroutine.close()
        if awaited is not None:
            awaited.cancel()
