"""How an entry is run: the same in a thread of the host's process and in a worker.

A class is made with its arguments and its `run(ctx)` is called; any other callable is called as `entry(ctx, *args)`.
What answers a coroutine is run by a loop of asyncio of its own. A coroutine is cancelled when it is asked to stop,
unless it has asked for `ctx.stopping`: then it ends by itself.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from libcoop import _libcoop, _threads
from libcoop._context import Context
from libcoop._errors import Invalid


def build(
    entry: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], ctx: Context
) -> Callable[[], Any]:
    """What is called for one run of an entry, made but not called yet."""
    if not isinstance(entry, type):
        return partial(entry, ctx, *args, **kwargs)
    made = entry(*args, **kwargs)
    run = getattr(made, "run", None)
    if not callable(run):
        raise Invalid(f"service {ctx.path!r}: {entry.__qualname__} has no method run(self, ctx)")
    return partial(run, ctx)


def run_entry(
    entry: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    ctx: Context,
    built: Callable[[], object] | None = None,
) -> None:
    """Runs an entry to its end, in this thread. `built` is called when it was made, just before it begins.

    A coroutine that was cancelled since it was asked to stop has ended well; everything else that an entry raises is
    raised here.
    """
    try:
        begin = build(entry, args, kwargs, ctx)
        if built is not None:
            built()
        answer = begin()
        if hasattr(answer, "__await__"):
            _run_coroutine(answer, ctx)
    finally:
        ctx._native._forget_callbacks()


async def _awaited(answer: Any) -> None:
    await answer


def _run_coroutine(answer: Any, ctx: Context) -> None:
    import asyncio

    # Not its `run`, which would take SIGINT in a worker's main thread: that is heard already, as an order to stop.
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(_awaited(answer), name=ctx.name)
        cancel_on_stop(ctx, loop, task)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            if not ctx.is_stopping():
                raise


def cancel_on_stop(ctx: Context, loop: Any, task: Any, lost: Callable[[], object] | None = None) -> None:
    """Has a task cancelled when its run is asked to stop, unless it looks out for that itself.

    `lost` is called if its loop is closed by then.
    """

    def cancel() -> None:
        if ctx._stopping is None:
            task.cancel()

    def on_stop() -> None:
        try:
            loop.call_soon_threadsafe(cancel)
        except RuntimeError:
            if lost is not None:
                lost()

    ctx.on_stop(on_stop)


def on_thread(
    entry: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], native: _libcoop.ServiceContext
) -> str | None:
    """One run in a thread of the host's process; answers why it failed, if it did."""
    _threads.begin(native.name)
    try:
        run_entry(entry, args + tuple(native.args or ()), kwargs, Context(native))
    except SystemExit as exit:
        return None if exit.code in (None, 0) else describe(exit)
    except BaseException as error:
        return describe(error)
    return None


def describe(error: BaseException) -> str:
    """An exception as the end of a run: a line of its type and message, and its traceback below."""
    head = explain(error)
    trace = "".join(traceback.format_exception(error)).rstrip()
    return f"{head}\n{_sayable(trace)}"


def explain(error: BaseException) -> str:
    """`TypeName: message`, in one line, whatever its `__str__` does."""
    name = type(error).__qualname__
    try:
        text = " ".join(str(error).split("\n"))
    except BaseException as broken:
        text = f"<its text cannot be made: {type(broken).__name__}>"
    return _sayable(f"{name}: {text}" if text else name)


def _sayable(text: str) -> str:
    """Text that UTF-8 has bytes for: what stands for a byte of a file's name, say, is shown as its escape."""
    return text.encode(errors="backslashreplace").decode()
