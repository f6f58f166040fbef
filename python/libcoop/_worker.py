"""A worker, from the fork of the zygote to its end.

It tells the host that it is there, becomes the process that was asked for (group, limits, user, descriptors,
environment), and waits for the host's word: only then anything of the user's is run, so the host knows of each worker.
A step that the system refuses is told instead. The end explains itself: an exception is told in one line, with its
traceback in the report, which is also where a fault leaves the stacks of all threads.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import fcntl
import json
import os
import resource
import signal
import sys
import threading
import time
from typing import Any, NoReturn

from libcoop import _entry, _libcoop, _logs, _running
from libcoop._context import Context
from libcoop._errors import Error

LEAST = 4
"""The descriptors that each request has: control, request, payload, report."""

_REPORT = 60_000
"""The longest traceback that is kept, in bytes."""

_PATIENCE = 5.0
"""Seconds that threads which are no daemons may go on when the run has failed."""


def refuse(control: int, text: str) -> None:
    """Tell the host why there is no worker."""
    with contextlib.suppress(OSError):
        os.write(control, f"error: {text}".encode(errors="replace")[:4096])


def prepare() -> None:
    """What is the same in every worker, done in the zygote."""
    for stream in (sys.stdout, sys.stderr):
        # So that captured output comes when it is written.
        if stream is not None:
            stream.flush()
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # What a service forks is not the worker.
    os.register_at_fork(after_in_child=faulthandler.disable)


def settle(host: int) -> None:
    """What can be done before a worker is asked for: it ends with its parent, and has memory for what all do."""
    _die_with(host)
    json.loads(json.dumps(dict(os.environ)))
    _entry.read(_entry.prepare("os:getpid"))
    # What makes the environment anew writes to these pages.
    for name, value in os.environ.items():
        os.environ[name] = value


def main(descriptors: list[int], host: int) -> NoReturn:
    """Be the worker that these descriptors ask for; `host` is the parent that it must have. Ends by SystemExit."""
    control = descriptors[0]
    try:
        os.write(control, b"here")
        request = json.loads(_contents(descriptors[1]))
        payload = _entry.read(_contents(descriptors[2]))
        control, report = _place(descriptors, request["fds"])
        _become(request, host)
        _surround(request)
        faulthandler.enable(report)
    except BaseException as error:
        refuse(control, str(error) if isinstance(error, _Refused) else _running.explain(error))
        os._exit(1)
    try:
        os.write(control, b"hello")
        told = os.read(control, 1)
    except OSError:
        told = b""
    if told != b"g":
        os._exit(1)
    os.close(control)
    raise SystemExit(_run(payload, request, report))


def _contents(descriptor: int) -> bytes:
    """All of a file; its position, which others share, stays where it is."""
    length = os.fstat(descriptor).st_size
    data = os.pread(descriptor, length, 0)
    while len(data) < length and (more := os.pread(descriptor, length - len(data), len(data))):
        data += more
    return data


class _Refused(Exception):
    """A step that the system has refused."""


@contextlib.contextmanager
def _step(what: str) -> Any:
    try:
        yield
    except (OSError, ValueError, OverflowError) as error:
        raise _Refused(f"{what}: {getattr(error, 'strerror', None) or error}") from error


def _place(descriptors: list[int], wanted: list[tuple[int, int]]) -> tuple[int, int]:
    """Gives each descriptor its number, and closes what else came with the request. The new control and report."""
    above = max([2, *(number for _, number in wanted)]) + 1
    with _step(f"give a worker descriptors up to {above}"):
        # Out of the way first, so that none is overwritten before it has its place.
        moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, above) for each in descriptors]
    for each in descriptors:
        os.close(each)
    for index, number in wanted:
        with _step(f"give a worker descriptor {number}"):
            os.dup2(moved[index], number)
    control, report = moved[0], moved[3]
    for each in moved:
        if each not in (control, report):
            os.close(each)
    return control, report


def _become(request: dict[str, Any], host: int) -> None:
    """In this order: what needs privileges comes before they are given up, and the look at the parent last."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with _step("make a group for a worker"):
        if request["new_session"]:
            os.setsid()
        else:
            os.setpgid(0, 0)
    if (cpus := request["cpus"]) is not None:
        with _step(f"give a worker the CPUs {cpus}"):
            os.sched_setaffinity(0, cpus)
    for number, *limit in request["limits"]:
        soft, hard = (resource.RLIM_INFINITY if each is None else each for each in limit)
        with _step(f"limit resource {number} of a worker to {soft} of {hard}"):
            resource.setrlimit(number, (soft, hard))
    if (nice := request["nice"]) is not None:
        with _step(f"make a worker nice {nice}"):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
    if (umask := request["umask"]) is not None:
        os.umask(umask)
    if (directory := request["directory"]) is not None:
        with _step(f"run a worker in {directory!r}"):
            os.chdir(directory)
    if (groups := request["groups"]) is not None:
        with _step(f"give a worker the groups {groups}"):
            os.setgroups(groups)
    if (gid := request["gid"]) is not None:
        with _step(f"run a worker as group {gid}"):
            os.setresgid(gid, gid, gid)
    if (uid := request["uid"]) is not None:
        with _step(f"run a worker as user {uid}"):
            os.setresuid(uid, uid, uid)
    # A change of identity has taken it away.
    _die_with(host)


def _die_with(host: int) -> None:
    _libcoop._die_with_parent()
    if os.getppid() != host:
        os._exit(1)


def _surround(request: dict[str, Any]) -> None:
    """The environment, the time zone of it, and the name."""
    zone = os.environ.get("TZ")
    env = request["env"] | dict.fromkeys(request["pid_env"], str(os.getpid()))
    # Most of it is the zygote's own.
    for name in [name for name in os.environ if name not in env]:
        del os.environ[name]
    for name, value in env.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    if os.environ.get("TZ") != zone:
        time.tzset()
    name = request["path"].rpartition("/")[2]
    # What the system shows of it. Nothing depends on it.
    with contextlib.suppress(OSError):
        comm = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
        os.write(comm, name.encode(errors="replace")[:15])
        os.close(comm)


def _run(payload: _entry.Payload, request: dict[str, Any], report: int) -> Any:
    """The status to exit with."""
    pid = os.getpid()
    try:
        signals = {signal.SIGTERM, signal.SIGINT, request["stop_signal"]}
        native = _libcoop._begin_run(sorted(signals))
        if native is None:
            raise RuntimeError("the environment says nothing of the run")
        context = Context(native)
        if payload.log is not None:
            log, levels = payload.log
            if log == _entry.BY_ENVIRONMENT:
                log = int(os.environ.pop("COOP_LOG"))
            _logs.install(log, native.path, native.path.rpartition("/")[2], levels)
            os.close(log)
        entry, args, kwargs = _entry.load(payload)
        run = _running.run_entry if payload.runner is None else _entry.find(payload.runner)
        run(entry, args + tuple(native.args or ()), kwargs, context, built=_libcoop._run_begun)
    except SystemExit as end:
        if os.getpid() == pid:
            if not isinstance(end.code, int | None):
                _libcoop._run_failed(_running.explain(end))
            if end.code:
                _bound_threads(end.code if isinstance(end.code, int) else 1, report)
        return end.code
    except BaseException as error:
        if os.getpid() != pid:
            raise
        _explain(error, report)
        _bound_threads(1, report)
        return 1
    return 0


def _bound_threads(status: int, report: int) -> None:
    """Ends the process of a run that has failed also if threads of it go on: nobody would start it again.

    They have a while. If it is over, their stacks are added to the report. Exit handlers come after them, and are not
    cut short.
    """
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        are_over = threading.Event()

        def end() -> None:
            if not are_over.wait(_PATIENCE):
                with contextlib.suppress(OSError):
                    os.write(report, b"\nthreads that are no daemons go on:\n")
                    faulthandler.dump_traceback(report)
                os._exit(status & 255)

        # The first that is run, since it is the last that was registered.
        atexit.register(are_over.set)
        threading.Thread(target=end, name="coop-end", daemon=True).start()


def _explain(error: BaseException, report: int) -> None:
    """Tells an exception to the host."""
    import traceback

    # It begins where the service does, unless it is of the library alone.
    own, inner = os.path.dirname(__file__), error.__traceback__
    while inner is not None and os.path.dirname(inner.tb_frame.f_code.co_filename) == own:
        inner = inner.tb_next
    if inner is not None:
        error = error.with_traceback(inner)
    if isinstance(error, MemoryError):
        # What the frames hold is what there is no room beside.
        traceback.clear_frames(error.__traceback__)
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    if len(text) > _REPORT:
        text = text[: _REPORT // 2] + b"\n...\n" + text[-_REPORT // 2 :]
    with contextlib.suppress(OSError):
        os.write(report, text)
    # There is nobody to tell it to if that is what went wrong.
    with contextlib.suppress(Error):
        _libcoop._run_failed(_running.explain(error))
