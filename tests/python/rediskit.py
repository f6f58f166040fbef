"""A redis server of a test's own, at a Unix socket in a temporary directory."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

LONG = 60.0
"""Seconds after which what was waited for will not come."""


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    """Asks until it holds."""
    until = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.002)


def free_port() -> int:
    """One that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """It writes nothing anywhere but in its folder, which goes with it. `args` are redis-server's. It listens at a Unix
    socket, and if that is asked for at a port."""

    def __init__(self, *args: str, port: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="coop-redis-"))
        self._args = args
        self._has_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def path(self) -> str:
        return str(self._folder / "redis.sock")

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def _given(self) -> list[str]:
        return ["--port", str(self.port)]

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0

    def _is_decided(self) -> bool:
        return self._listens() or (self._process is not None and self._process.poll() is not None)

    def start(self) -> None:
        """Starts it, also again, and waits until it listens. Of a port that somebody else has taken it says so by its
        end, and another is taken."""
        ended = True
        while ended:
            self.port = free_port() if self._has_port else 0
            given = ["--save", "", "--appendonly", "no", "--unixsocket", self.path, *self._given(), *self._args]
            process = subprocess.Popen(
                ["redis-server", *given], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            self._process = process
            wait_for("the server listens or has ended", self._is_decided)
            ended = process.poll() is not None
            assert self._has_port or not ended, "redis-server has ended: .ci/setup installs it"

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once; again is fine."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class TlsServer(RedisServer):
    """It has a certificate for "localhost", which `ca.crt` of that folder has signed; `asks` is whether it wants its
    clients to have one."""

    def __init__(self, made: Path, asks: str = "no") -> None:
        certificate = ["--tls-cert-file", str(made / "server.crt"), "--tls-key-file", str(made / "server.key")]
        authority = ["--tls-ca-cert-file", str(made / "ca.crt"), "--tls-auth-clients", asks]
        super().__init__("--bind", "127.0.0.1", *certificate, *authority, port=True)

    def _given(self) -> list[str]:
        return ["--port", "0", "--tls-port", str(self.port)]


@contextlib.contextmanager
def running(*args: str) -> Iterator[RedisServer]:
    with RedisServer(*args) as server:
        yield server
