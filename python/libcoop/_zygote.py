"""The zygote: a small interpreter that makes the workers of process services by forking itself.

It imports once what every worker needs, and what services name as `preload`; so a worker begins within a few
milliseconds, however large the parent is. It has no thread beside its main thread, and runs nothing of the services: a
preload that starts threads is named, and left to the workers.

A request of the host is one message with descriptors; what becomes of it is told to the first of them. The workers are
the host's children, not the zygote's: it can end at any time, and they go on.
"""

from __future__ import annotations

import _socket
import contextlib
import gc
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from libcoop import _libcoop

REQUESTS = "COOP_ZYGOTE"
"""Names the descriptor of the socket that requests come from."""

_LEFT_OUT = "!"
"""Before the name of a preload that starts threads."""

_DESCRIPTORS = 253
"""The most that come with one message."""

_RESERVED = 64
"""Descriptors below are for services: a preload's own are above."""

_executable: str | None = None


def set_executable(path: str | os.PathLike[str] | None) -> None:
    """Have the interpreters of process services be this one from now on; `None` is `sys.executable` again."""
    global _executable
    _executable = None if path is None else os.fspath(path)


def get_executable() -> str:
    """The interpreter that runs process services."""
    return _executable or sys.executable


def command(preload: Sequence[str] = ()) -> list[str]:
    """The command line of a zygote that imports these modules first, with this interpreter's flags and path."""
    # Imported here only: it costs what a program without processes need not pay.
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    begin = f"import sys; sys.path[:] = {sys.path!r}; from libcoop._zygote import main; main()"
    return [get_executable(), *flags, "-c", begin, *preload]


def main() -> None:
    """The zygote itself; returns in a worker only, when its service has ended."""
    from libcoop import _worker

    requests = _socket.socket(fileno=int(os.environ.pop(REQUESTS)))
    os.set_inheritable(requests.fileno(), False)
    broken = _preload(sys.argv[1:], requests)
    _worker.prepare()
    host = os.getppid()
    gc.disable()
    gc.freeze()
    has_asyncio = False
    while True:
        descriptors = _next(requests)
        if descriptors is None:
            # Exit handlers of preloads are the workers' to run.
            os._exit(0)
        if len(descriptors) >= _worker.LEAST and _make(descriptors, broken) == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
        if broken and not _waits(requests):
            # So that the host makes another, which may find it mended.
            os._exit(1)
        if not has_asyncio and not _waits(requests):
            # Many workers need it; the first one did not wait for it.
            importlib.import_module("asyncio")
            gc.freeze()
            has_asyncio = True
    os.close(requests.detach())
    gc.enable()
    _worker.main(descriptors, host)


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


def _waits(requests: _socket.socket) -> bool:
    """Whether another request has come."""
    try:
        return bool(requests.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def _make(descriptors: list[int], broken: str | None) -> int:
    """0 in the worker; in the zygote anything else. Tells the host if there is none."""
    from libcoop import _worker

    try:
        if broken is None:
            return _libcoop._fork_sibling()
        text = broken
    except Exception as error:
        text = f"fork: {error}"
    _worker.refuse(descriptors[0], text)
    return -1


def _preload(names: list[str], requests: _socket.socket) -> str | None:
    """Imports them; answers what is wrong with one. Begins anew, without it, after one that starts threads."""
    # Room for the descriptors of services.
    low = [os.open(os.devnull, os.O_RDONLY)]
    with contextlib.suppress(OSError):
        while low[-1] < _RESERVED - 1:
            low.append(os.dup(low[0]))
    try:
        for name in names:
            if name.startswith(_LEFT_OUT):
                continue
            try:
                importlib.import_module(name)
            except BaseException as error:
                traceback.print_exc()
                return f"preload {name!r}: {type(error).__name__}: {error}"
            if threads := _libcoop._other_threads():
                logging.getLogger("libcoop").warning(
                    "libcoop: preload %r starts threads when it is imported (%s): each worker imports it by itself",
                    name,
                    ", ".join(threads),
                )
                _begin_anew([_LEFT_OUT + each if each == name else each for each in names], requests)
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
