"""How calls of a process pool fail: exceptions as they travel from a worker, and workers that died.

`concurrent.futures.process` is imported here, since programs know its BrokenProcessPool; so this module is imported
when one of its exceptions is asked for, or raised, and not before.
"""

from __future__ import annotations

import signal as _signal
from concurrent.futures.process import BrokenProcessPool, _RemoteTraceback
from typing import Any

from libcoop._errors import Error, Failed


class WorkerDied(Error, BrokenProcessPool):
    """The process that ran the call has ended, and another one has taken its place: no other call is concerned.

    `exitcode` is as multiprocessing has it: the status, or the negative number of the signal, which is `signal` too;
    None if it is not known. `tail` are the last lines that the process wrote to its standard error, and `details` is
    what a fault left behind: the stacks of its threads.
    """

    def __init__(
        self,
        cause: str,
        pid: int | None = None,
        exitcode: int | None = None,
        tail: tuple[str, ...] = (),
        details: str | None = None,
    ) -> None:
        super().__init__(cause, pid, exitcode, tail, details)
        self.cause = cause
        self.pid = pid
        self.exitcode = exitcode
        self.signal = None if exitcode is None or exitcode >= 0 else _signal_of(-exitcode)
        self.tail = tail
        self.details = details

    def __str__(self) -> str:
        who = "the worker of this call" if self.pid is None else f"worker {self.pid}, which ran this call,"
        text = f"{who} {self.cause}"
        if self.signal == _signal.SIGKILL:
            text += ", which the kernel sends, too, when memory has run out"
        if self.tail:
            text += "; it last wrote: " + " | ".join(self.tail[-3:])
        return text


def _signal_of(number: int) -> int:
    try:
        return _signal.Signals(number)
    except ValueError:
        return number


def made_again(told: tuple[str, str, bytes | None, str | None]) -> BaseException:
    """The exception of a call, of what `_process_pool_worker.told` has made of it."""
    summary, trace, pickled, note = told
    import pickle

    why = note
    error: Any = None
    if pickled is not None:
        try:
            error = pickle.loads(pickled)
        except BaseException as broken:
            why = f"it cannot be unpickled here: {_explained(broken)}"
        else:
            if not isinstance(error, BaseException):
                why = "what it is pickled as is no exception"
                error = None
    if error is None:
        error = Failed(f"the call raised {summary} ({why})")
    # What programs that know ProcessPoolExecutor look for.
    error.__cause__ = _RemoteTraceback(f'\n"""\n{trace}"""')  # type: ignore[arg-type]
    return error  # type: ignore[no-any-return]


def not_made_again(error: BaseException) -> BaseException:
    """What a result has raised that was to be unpickled."""
    error.add_note("This was raised when the result of a call was unpickled.")
    return error


def _explained(error: BaseException) -> str:
    from libcoop._running import explain

    return explain(error)


def broken(why: str) -> BrokenProcessPool:
    """What the calls of a pool are told whose workers cannot begin."""
    return BrokenProcessPool(why)


def ended_with_its_pool() -> WorkerDied:
    """What a call is told that ran when its pool was ended by `kill_workers`."""
    return WorkerDied("was ended by kill_workers()")


def died(cause: str, pid: int | None, exitcode: int | None, tail: list[str], details: str | None) -> WorkerDied:
    return WorkerDied(cause, pid, exitcode, tuple(tail), details)
