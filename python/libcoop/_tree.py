"""What the supervisors of one host share: the host, the loop of asyncio for its services, and how verbs wait."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from libcoop import _libcoop
from libcoop._errors import Forked, Invalid, WouldDeadlock
from libcoop._interrupt import Interrupt

_PATIENCE = 5.0
"""Seconds that handlers and callbacks have for the last log records and events of a host that has ended."""

INSTEAD = "inside asyncio: `async with libcoop.Host() as host:`, and `await host.wait()`"


def running_loop() -> Any:
    """The loop of asyncio that this thread runs, if it runs one; does not import asyncio."""
    asyncio: Any = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def _is_of_the_program() -> bool:
    """Whether the calling thread was started in Python: one of the library's must not run its services besides."""
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    thread = active.get(threading.get_ident())
    return thread is not None and not isinstance(thread, threading._DummyThread)


class Tree:
    """Of one host."""

    def __init__(self, native: _libcoop.NativeHost, worker_init: str | None) -> None:
        self.native = native
        self.worker_init = worker_init
        self.loop: Any = None
        """The loop that ASYNC services run on: the one that an AsyncHost was entered on, or one of our own."""
        self.own_loop = False
        """The loop is our own: it runs while a thread of the program's waits for the host, or for a verb."""
        self.templates: dict[int, Callable[[tuple[Any, ...]], Any]] = {}
        """By the ids of their supervisors: what the template's children are given, of the arguments for one."""
        self.zygotes: dict[tuple[str, ...], _libcoop.NativeZygote] = {}
        """By what they preload."""
        self._made: dict[str, Any] = {}
        """What is made when it is first needed, once, whichever threads need it: the own loop, and the way of logs."""
        self.callbacks: list[_libcoop.Observer] = []
        """Those who call back: they have their time when the host has ended."""
        self._turn = _libcoop.Turn()
        """Whose turn it is to run our own loop."""
        self._thread = threading.get_ident()
        self._pid = os.getpid()

    def loop_for_services(self) -> Any:
        """The loop of asyncio that services run on; made here if nobody has brought one."""
        if self.loop is None:
            if running_loop() is not None:
                raise Invalid(f"Executor.ASYNC with a Host {INSTEAD}")
            import asyncio

            with Interrupt():
                made = asyncio.new_event_loop()
                # Another thread may be here at the same time: the first one's is everybody's.
                loop = self._made.setdefault("loop", made)
                if loop is not made:
                    made.close()
                self.own_loop = True
                self.loop = loop
        return self.loop

    def check_block(self) -> None:
        """Refuses to block the thread whose loop the host's services run on."""
        if self.loop is not None and running_loop() is self.loop:
            raise WouldDeadlock(f"the loop of asyncio that the host's services run on would be blocked; {INSTEAD}")

    def block(self, verb: Callable[[bool], Any]) -> Any:
        """Waits here for what a verb answers. Services on a loop of our own go on meanwhile."""
        self.check_block()
        if self._drives():
            return self._drive(verb(False))
        return verb(True)

    def wait_ended(self, timeout: float | None = None) -> tuple[int, int | None, str] | None:
        """Waits until the host has ended; None after `timeout` seconds."""
        self.check_block()
        ended = self._drive(self.native.ended(), timeout) if self._drives() else self.native.wait_ended(timeout)
        if ended is not None:
            self.finish()
        return ended

    def _drives(self) -> bool:
        return (
            self.own_loop
            and self._pid == os.getpid()
            and not self.loop.is_closed()
            and running_loop() is None
            and (self._thread == threading.get_ident() or _is_of_the_program())
        )

    def _drive(self, future: Any, timeout: float | None = None) -> Any:
        """Runs our own loop until the future is done, or waits while another thread does; None after `timeout`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        asked = self._turn.ask(timeout)
        future.add_done_callback(asked.forgo)
        with asked as mine:
            if mine:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                return self._run(self._answer, future, left)
        return future.result() if future.done() else None

    async def _answer(self, future: Any, timeout: float | None) -> Any:
        """What the future is done with; None after `timeout` seconds."""
        import asyncio

        wrapped = asyncio.wrap_future(future)
        # After Ctrl-C nobody asks for it.
        wrapped.add_done_callback(_heed)
        done, _ = await asyncio.wait([wrapped], timeout=timeout)
        return wrapped.result() if done else None

    def _run(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Runs our own loop until a coroutine of ours has ended, or is ended by Ctrl-C. By who has the turn."""
        with Interrupt() as interrupt:
            task = self.loop.create_task(function(*args))
            interrupt.tell(partial(self.loop.call_soon_threadsafe, task.cancel))
            task.add_done_callback(self._stop)
            try:
                # What a handler of another signal has raised may have left the order to stop of a run before.
                while not task.done():
                    self.loop.run_forever()
                return task.result()
            finally:
                # After what a handler has raised: it ends when the loop runs next.
                task.cancel()

    def _stop(self, _task: Any) -> None:
        self.loop.stop()

    def close(self) -> None:
        """Lets go of the host, which has ended or is ended here, and of a loop of our own."""
        self.native.close()
        self.finish()
        # In a forked child the loop is the parent's.
        if not self.own_loop or self._pid != os.getpid() or running_loop() is not None:
            return
        # Who ran it has seen the end, too.
        with self._turn.ask(_PATIENCE) as mine:
            if mine and not self.loop.is_closed():
                self.own_loop = False
                try:
                    self._run(_end, self.loop)
                finally:
                    self.loop.close()

    def log_channel(self) -> _libcoop.LogChannel:
        """Where workers send their log records to."""
        logs: _libcoop.LogChannel | None = self._made.get("logs")
        if logs is None:
            from libcoop import _logs

            # One that another thread was faster with ends here.
            logs = self._made.setdefault("logs", _logs.channel())
        return logs

    def has_to_finish(self) -> bool:
        """Whether there is something for `finish` to wait for."""
        return "logs" in self._made or bool(self.callbacks)

    def finish(self) -> None:
        """Of a host that has ended: waits, not for long, until its last log records and events have been handled."""
        with contextlib.suppress(Forked):
            # Its descriptors go with it.
            logs: _libcoop.LogChannel | None = self._made.pop("logs", None)
            if logs is not None and not logs.close(_PATIENCE):
                from libcoop._logs import not_handled

                not_handled(self.native.name, _PATIENCE)
            while self.callbacks:
                self.callbacks.pop()._finish(_PATIENCE)

    def zygote(self, preload: Iterable[str]) -> _libcoop.NativeZygote:
        """What makes the workers of services that preload the same; its process is made when the first one is."""
        from libcoop import _zygote

        names = tuple(dict.fromkeys(preload))
        made = self.zygotes.get(names)
        if made is None:
            made = self.zygotes.setdefault(names, _libcoop.NativeZygote(_zygote.command(names)))
        return made


def _heed(future: Any) -> None:
    if not future.cancelled():
        future.exception()


async def _end(loop: Any) -> None:
    """As `asyncio.run` does at its end: what services have left behind."""
    import asyncio

    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=1.0)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
