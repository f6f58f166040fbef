"""Workers of ports that take over from others."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from hostkit import until
from libcoop import EventLoop, Handler, Mode, Port, PortContext, PortSet
from portreloadkit import Keeps

LONG = 60.0


@contextlib.contextmanager
def served(how: Path, **options: Any) -> Iterator[PortSet]:
    how.write_text("ok")
    options.setdefault("liveness", None)
    with PortSet([Port("WEB", Keeps, (str(how),), listen=("127.0.0.1", 0))], mode=Mode.PROCESS, **options) as ports:
        yield ports


class Client:
    """A connection, which is asked by lines."""

    def __init__(self, ports: PortSet) -> None:
        self.socket = socket.create_connection(ports.addresses["WEB"], LONG)
        self.answers = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.close()
        self.socket.close()

    def ask(self, text: str) -> str:
        self.socket.sendall(text.encode() + b"\n")
        answer = self.answers.readline()
        assert answer.endswith(b"\n"), answer
        return answer.decode().rstrip("\n")

    def is_closed(self) -> bool:
        return self.answers.read() == b""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_no_connection_is_refused_or_reset_through_reloads(tmp_path: Path) -> None:
    with served(tmp_path / "how") as ports, contextlib.ExitStack() as open_ones:
        over, errors = threading.Event(), []

        def come() -> None:
            try:
                while not over.is_set():
                    with Client(ports) as client:
                        assert client.ask("anew") == "anew"
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=come) for _ in range(2)]
        for thread in threads:
            thread.start()
        stay: list[Client] = []
        for run in range(4):
            if run:
                ports.reload("WEB", deadline=None)
            stay.append(open_ones.enter_context(Client(ports)))
            # It is accepted before the next reload: a connection that waits in the system is the successor's.
            assert stay[-1].ask("here") == "here"
        over.set()
        for thread in threads:
            thread.join()
        assert not errors
        # Each is served by the worker that accepted it, and each of those by the one that came after it.
        assert [client.ask("run") for client in stay] == ["1", "2", "3", "4"]
        assert len({client.ask("pid") for client in stay}) == 4
        stats = ports.stats()["WEB"]
        assert (stats.restarts, stats.errors) == (3, 0)


def test_the_new_worker_finds_what_the_old_one_saved_at_last(tmp_path: Path) -> None:
    with served(tmp_path / "how") as ports, Client(ports) as old:
        assert old.ask("add") == "1"
        assert old.ask("add") == "2"
        ports.reload()
        assert "taken over" in old.ask("save")
        with Client(ports) as new:
            assert new.ask("add") == "3"
            assert new.ask("save") == "saved"


def test_a_worker_that_cannot_start_leaves_the_old_one(tmp_path: Path) -> None:
    how = tmp_path / "how"
    with served(how) as ports, Client(ports) as client:
        pid = client.ask("pid")
        how.write_text("no luck")
        with pytest.raises(libcoop.Failed, match="no luck"):
            ports.reload("WEB")
        ports.send("WEB", {"a": "message"})
        until(lambda: client.ask("heard") == "{'a': 'message'}")
        assert client.ask("save") == "saved"
        with Client(ports) as other:
            assert other.ask("pid") == pid


def test_what_is_open_at_the_deadline_is_closed(tmp_path: Path) -> None:
    with served(tmp_path / "how") as ports, Client(ports) as client:
        pid = int(client.ask("pid"))
        ports.reload(deadline=0.05)
        assert client.is_closed()
        until(lambda: gone(pid))
        with pytest.raises(ValueError, match="deadline"):
            ports.reload(deadline=-1)


def test_an_old_worker_that_is_killed_leaves_the_new_one(tmp_path: Path) -> None:
    with served(tmp_path / "how") as ports, Client(ports) as old:
        ports.reload()
        with Client(ports) as new:
            os.kill(int(old.ask("pid")), signal.SIGKILL)
            with contextlib.suppress(ConnectionResetError):
                assert old.is_closed()
            assert new.ask("run") == "2"


def test_modules_are_imported_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "versionedport.py"
    text = """
from libcoop import Handler

class Versioned(Handler):
    def on_connect(self, ctx, connection):
        ctx.write(connection, b"VERSION\\n")
        ctx.close(connection)
"""
    module.write_text(text.replace("VERSION", "one"))
    # The same second, and the same length: no stale bytecode.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    port = Port("WEB", "versionedport:Versioned", listen=("127.0.0.1", 0))

    def version(ports: PortSet) -> bytes:
        with Client(ports) as client:
            return client.answers.readline()

    with PortSet([port], mode=Mode.PROCESS, preload=["versionedport"]) as ports:
        assert version(ports) == b"one\n"
        module.write_text(text.replace("VERSION", "two"))
        ports.reload()
        assert version(ports) == b"two\n"
    sys.modules.pop("versionedport", None)


@pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.THREAD])
def test_only_processes_are_reloaded(mode: Mode) -> None:
    class Nothing(Handler):
        def on_hand_over(self, ctx: PortContext) -> None:
            raise AssertionError

    with EventLoop() as loop:
        loop.start()
        options: Any = {"loop": loop} if mode == Mode.SINGLE else {}
        ports = PortSet([Port("A", Nothing)], mode=mode, **options)
        with pytest.raises(ValueError, match="not been started"):
            ports.reload()
        with ports, pytest.raises(libcoop.Unsupported, match=mode.name):
            ports.reload("A")
        with pytest.raises((libcoop.Unsupported, libcoop.Closed)):
            ports.reload()
