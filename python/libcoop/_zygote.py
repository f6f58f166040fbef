"""The zygote: a small interpreter that makes the workers of process services by forking itself.

It imports once what every worker needs, and what services name as `preload`; so a worker begins within a few
milliseconds, however large the parent is. It has no thread beside its main thread, and runs nothing of the services: a
preload that starts threads is named, and left to the workers.

A request of the host is one message with descriptors; what becomes of it is told to the first of them. It is read by
the worker to be itself, which was forked before anybody asked for it: there is always one, so that a restart does not
wait for a fork. It stays in the zygote's process group until then, and ends with it. The workers are the host's
children, not the zygote's: it can end at any time, and they go on.
"""

from __future__ import annotations

import _socket
import contextlib
import gc
import importlib
import logging
import os
import select
import sys
import time
import traceback
from collections.abc import Sequence

from libcoop import _libcoop

REQUESTS = "COOP_ZYGOTE"
"""Names the descriptor of the socket that requests come from."""

_LEFT_OUT = "!"
"""Before the name of a preload that starts threads."""

_OPTIONAL = "?"
"""Before the name of a preload which the workers import themselves if that cannot be done here, and say why."""

_DESCRIPTORS = 253
"""The most that come with one message."""

_RESERVED = 64
"""Descriptors below are for services: a preload's own are above."""

_PAUSE = 0.1
"""Seconds until a worker to be that was ended by somebody has a successor."""

_LEAD = 0.01
"""Seconds that a worker has the CPUs for itself before the next one to be is forked, unless another request waits."""

_NOTHING, _WAITS, _CLOSED = range(3)

_executable: str | None = None


def set_executable(path: str | os.PathLike[str] | None) -> None:
    """Have the interpreters of process services be this one from now on; `None` is `sys.executable` again."""
    global _executable
    _executable = None if path is None else os.fspath(path)


def get_executable() -> str:
    """The interpreter that runs process services."""
    return _executable or sys.executable


def command(preload: Sequence[str] = (), *, optional: Sequence[str] = ()) -> list[str]:
    """The command line of a zygote that imports these modules first, with this interpreter's flags and path.

    Of one that cannot be imported nothing comes of any worker, unless it is among the `optional` ones.
    """
    # Imported here only: it costs what a program without processes need not pay.
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    begin = f"import sys; sys.path[:] = {sys.path!r}; from libcoop._zygote import main; main()"
    return [get_executable(), *flags, "-c", begin, *preload, *(_OPTIONAL + name for name in optional)]


def main() -> None:
    """The zygote itself; returns in a worker only, when its service has ended."""
    from libcoop import _worker

    requests = _socket.socket(fileno=int(os.environ.pop(REQUESTS)))
    os.set_inheritable(requests.fileno(), False)
    broken = _preload(sys.argv[1:], requests)
    if broken is not None:
        _refuse_next(requests, broken)
        while _state(requests) == _WAITS:
            _refuse_next(requests, broken)
        # So that the host makes another, which may find it mended.
        os._exit(1)
    _worker.prepare()
    host = os.getppid()
    gc.disable()
    gc.freeze()
    has_asyncio = False
    while True:
        taken, take = os.pipe()
        try:
            pid = _libcoop._fork_sibling()
        except Exception as error:
            os.close(taken)
            os.close(take)
            _refuse_next(requests, f"fork: {error}")
            continue
        if pid == 0:
            os.close(taken)
            break
        os.close(take)
        if not _await_taken(taken):
            if _state(requests) == _CLOSED:
                # Exit handlers of preloads are the workers' to run.
                os._exit(0)
            # Somebody has ended it.
            time.sleep(_PAUSE)
        elif select.select([requests], [], [], _LEAD)[0]:
            continue
        elif not has_asyncio:
            # Many workers need it; the first one did not wait for it.
            importlib.import_module("asyncio")
            gc.freeze()
            has_asyncio = True
    gc.enable()
    descriptors = _spare(requests, host)
    os.write(take, b"t")
    os.close(take)
    _worker.main(descriptors, host)


def _spare(requests: _socket.socket, host: int) -> list[int]:
    """The worker to be: it has been forked, and has done what it can, before it is asked for. Its request."""
    from libcoop import _worker

    # Not at the cost of the memory that it has in common with the zygote: only what every worker does.
    _worker.settle(host)
    while (descriptors := _next(requests)) is not None:
        if len(descriptors) >= _worker.LEAST:
            os.close(requests.detach())
            return descriptors
        for descriptor in descriptors:
            os.close(descriptor)
    os._exit(0)


def _await_taken(taken: int) -> bool:
    """Waits until the spare has a request, or has ended without one: false."""
    was_taken = bool(os.read(taken, 1))
    os.close(taken)
    return was_taken


def _next(requests: _socket.socket) -> list[int] | None:
    """The descriptors of the next request; `None` if the host has gone."""
    size = _socket.CMSG_SPACE(_DESCRIPTORS * 4)
    data, parts, _, _ = requests.recvmsg(16, size, _socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    found: list[int] = []
    for level, kind, part in parts:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            found += memoryview(part[: len(part) // 4 * 4]).cast("i").tolist()
    return found


def _state(requests: _socket.socket) -> int:
    """Whether another request has come."""
    try:
        return _WAITS if requests.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT) else _CLOSED
    except BlockingIOError:
        return _NOTHING


def _refuse_next(requests: _socket.socket, text: str) -> None:
    """Waits for a request, and tells the host why nothing comes of it."""
    from libcoop import _worker

    descriptors = _next(requests)
    if descriptors is None:
        os._exit(0)
    if descriptors:
        _worker.refuse(descriptors[0], text)
    for descriptor in descriptors:
        os.close(descriptor)


def _preload(names: list[str], requests: _socket.socket) -> str | None:
    """Imports them; answers what is wrong with one. Begins anew, without it, after one that starts threads."""
    # Room for the descriptors of services.
    low = [os.open(os.devnull, os.O_RDONLY)]
    with contextlib.suppress(OSError):
        while low[-1] < _RESERVED - 1:
            low.append(os.dup(low[0]))
    try:
        for given in names:
            if given.startswith(_LEFT_OUT):
                continue
            name = given.removeprefix(_OPTIONAL)
            try:
                importlib.import_module(name)
            except BaseException as error:
                if given == name:
                    traceback.print_exc()
                    return f"preload {name!r}: {type(error).__name__}: {error}"
            if threads := _libcoop._other_threads():
                logging.getLogger("libcoop").warning(
                    "libcoop: preload %r starts threads when it is imported (%s): each worker imports it by itself",
                    name,
                    ", ".join(threads),
                )
                _begin_anew([_LEFT_OUT + each if each == given else each for each in names], requests)
    finally:
        for number in low:
            os.close(number)
    return None


def _begin_anew(names: list[str], requests: _socket.socket) -> None:
    """The same program, with these arguments. Requests wait in the socket meanwhile."""
    os.set_inheritable(requests.fileno(), True)
    os.environ[REQUESTS] = str(requests.fileno())
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*sys.orig_argv[: len(sys.orig_argv) - len(names)], *names])
