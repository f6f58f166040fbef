"""The host's side of the zygote's protocol, without a host: what it asks for, and what becomes of that."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from libcoop import _entry, _zygote

DEADLINE = 60
"""Seconds after which what was waited for will not come."""


def _memfd(data: bytes = b"") -> int:
    descriptor = os.memfd_create("zygotekit")
    os.write(descriptor, data)
    return descriptor


def _wait_readable(what: Any) -> None:
    readable, _, _ = select.select([what], [], [], DEADLINE)
    assert readable, "nothing came"


class Worker:
    """A run that was asked for."""

    def __init__(self, name: str, zygote: int) -> None:
        self.zygote = zygote
        self.control, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("")
        address = self.notify.getsockname()
        self.env = {
            **os.environ,
            "NOTIFY_SOCKET": "@" + address[1:].decode(),
            "COOP_SERVICE": name,
            "COOP_SERVICE_RUN": json.dumps({"name": name, "id": 7, "path": f"root/{name}", "run": 1}),
        }
        self.report = _memfd()
        self.pid = 0
        self.reaped = False

    def hello(self) -> str:
        """What it says when it is what was asked for, or cannot be; its process is known then."""
        self.theirs.close()
        while (word := self._word()) == "here":
            assert self.pid
        return word

    def _word(self) -> str:
        _wait_readable(self.control)
        data, parts, _, _ = self.control.recvmsg(8192, socket.CMSG_SPACE(12))
        for level, kind, part in parts:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                sender = struct.unpack("iii", part)[0]
                self.pid = 0 if sender == self.zygote else sender
        return data.decode()

    def go(self) -> None:
        assert self.hello() == "hello"
        self.control.send(b"g")

    def heard(self) -> str:
        """The next notification."""
        _wait_readable(self.notify)
        return self.notify.recv(8192).decode().strip()

    def wait(self) -> int:
        """Its exit status; negative for a signal."""
        pidfd = os.pidfd_open(self.pid)
        try:
            _wait_readable(pidfd)
        finally:
            os.close(pidfd)
        _, status = os.waitpid(self.pid, 0)
        self.reaped = True
        return os.waitstatus_to_exitcode(status)

    def said(self) -> list[str]:
        """The notifications that came and were not heard."""
        all_of_them = []
        self.notify.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                all_of_them.append(self.notify.recv(8192).decode().strip())
        self.notify.setblocking(True)
        return all_of_them

    def reported(self) -> str:
        return os.pread(self.report, 1 << 20, 0).decode()

    def close(self) -> None:
        if self.pid and not self.reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        self.control.close()
        self.theirs.close()
        self.notify.close()
        os.close(self.report)


class Zygote:
    """One zygote, and the workers that it made."""

    def __init__(self, *preload: str, env: Mapping[str, str] | None = None, stderr: int | None = None) -> None:
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                _zygote.command(preload),
                env={**os.environ, **(env or {}), "COOP_ZYGOTE": str(number)},
                pass_fds=[number],
                process_group=0,
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                text=True,
            )
        self.workers: list[Worker] = []

    def ask(
        self,
        entry: Any,
        *args: Any,
        name: str = "worker",
        run: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        fds: Mapping[int, int] | None = None,
        given: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Worker:
        """Asks for a run of this entry; `settings` are the request's own, `given` is for `prepare`."""
        worker = Worker(name, self.process.pid)
        self.workers.append(worker)
        if run:
            worker.env["COOP_SERVICE_RUN"] = json.dumps(json.loads(worker.env["COOP_SERVICE_RUN"]) | dict(run))
        descriptors = list((fds or {}).values())
        request = {
            "env": worker.env | dict(env or {}),
            "pid_env": ["COOP_SERVICE_PID"],
            "directory": None,
            "umask": None,
            "uid": None,
            "gid": None,
            "groups": None,
            "limits": [],
            "nice": None,
            "cpus": None,
            "new_session": False,
            "fds": [[4 + at, number] for at, number in enumerate(fds or {})],
            "path": f"root/{name}",
            "stop_signal": 15,
            **settings,
        }
        files = [_memfd(json.dumps(request).encode()), _memfd(_entry.prepare(entry, args, **(given or {})))]
        socket.send_fds(self.requests, [b"F"], [worker.theirs.fileno(), *files, worker.report, *descriptors])
        for file in files:
            os.close(file)
        return worker

    def start(self, entry: Any, *args: Any, **settings: Any) -> Worker:
        """Asks for a run, and lets it begin."""
        worker = self.ask(entry, *args, **settings)
        worker.go()
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.requests.close()
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
            self._reap_group()
            if self.process.stderr is not None:
                self.process.stderr.close()

    def spares(self) -> list[int]:
        """Workers to be."""
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
                pid = int(name)
                if os.getpgid(pid) == self.process.pid != pid:
                    found.append(pid)
        return found

    def _reap_group(self) -> None:
        """Ends the worker to be, as the host does when it sees the zygote's end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.process.pid, 0)


@contextlib.contextmanager
def zygote(*preload: str, **options: Any) -> Iterator[Zygote]:
    made = Zygote(*preload, **options)
    try:
        yield made
    finally:
        made.close()
