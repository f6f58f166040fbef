"""The zygote, by its protocol: the workers that it makes are what was asked for, and it is nobody's fate."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
import workerkit
import zygotekit
from libcoop import _zygote
from zygotekit import Worker, Zygote


@pytest.fixture(scope="module")
def shared() -> Iterator[Zygote]:
    with zygotekit.zygote() as zygote:
        yield zygote


def seen(worker: Worker) -> dict[str, Any]:
    """What an entry tells by `workerkit.tell`."""
    status = worker.heard()
    while not status.startswith("STATUS="):
        assert status == "READY=1"
        status = worker.heard()
    found: dict[str, Any] = json.loads(status.removeprefix("STATUS="))
    return found


def test_a_worker_is_the_hosts_child_and_a_process_as_any(shared: Zygote) -> None:
    worker = shared.start(workerkit.look)
    assert worker.heard() == "READY=1"
    found = seen(worker)
    assert worker.wait() == 0
    assert (found["pid"], found["parent"], found["thread"]) == (worker.pid, os.getpid(), worker.pid)
    assert found["main"] is True
    assert found["others"] == 1
    assert found["group"] == worker.pid
    assert found["session"] == os.getsid(0)
    assert found["blocked"] == []
    assert found["comm"] == "worker"
    assert found["modules"] == []
    assert found["path"] == sys.path
    assert found["directory"] == str(Path.cwd())
    # Its own environment, with its own number.
    assert found["env"] == worker.env | {"COOP_SERVICE_PID": str(worker.pid)}
    # Each by itself, though made from one.
    other = seen(shared.start(workerkit.look, new_session=True))
    assert other["pid"] == other["session"] != worker.pid
    assert other["random"] != found["random"]


def test_a_worker_has_what_was_asked_for(shared: Zygote, tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    cpu = min(os.sched_getaffinity(0))
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 1
    worker = shared.start(
        workerkit.look,
        directory=str(tmp_path),
        umask=0o27,
        nice=nice,
        cpus=[cpu],
        limits=[[resource.RLIMIT_NOFILE, 200, hard]],
        env={"OWN": "ä=1\n2"},
        name="web 1 with a long name",
    )
    found = seen(worker)
    assert found["directory"] == str(tmp_path)
    assert (found["umask"], found["nice"], found["cpus"], found["limit"]) == (0o27, nice, [cpu], [200, hard])
    assert found["env"]["OWN"] == "ä=1\n2"
    assert found["comm"] == "web 1 with a lo"


def test_a_worker_is_another_user() -> None:
    # What it runs was imported before it was another, who may not be allowed to read it.
    with zygotekit.zygote("workerkit") as zygote:
        worker = zygote.ask(workerkit.look, uid=65534, gid=65533, groups=[65532])
        hello = worker.hello()
        if os.geteuid() == 0:
            worker.control.send(b"g")
            assert seen(worker)["user"] == [[65534] * 3, [65533] * 3, [65532]]
        else:
            assert hello == "error: give a worker the groups [65532]: Operation not permitted"


def test_descriptors_have_the_numbers_that_were_asked_for(shared: Zygote) -> None:
    ends = [os.pipe() for _ in range(2)]
    for number, (_, write) in enumerate(ends):
        os.write(write, f"pipe {number}".encode())
    # Numbers at which others stand: the requests' own, and one another's.
    for number in (3, 4, 40):
        worker = shared.start(workerkit.echo, number, fds={number: ends[0][0], 5: ends[1][0]})
        assert worker.heard() == "READY=1"
        assert seen(worker) == {"read": "pipe 0", "inheritable": True}
        assert worker.wait() == 0
        os.write(ends[0][1], b"pipe 0")
    before = set(seen(shared.start(workerkit.look))["fds"])
    found = set(seen(shared.start(workerkit.look, fds={50: ends[1][0], 9: ends[0][0], 8: ends[0][0]}))["fds"])
    # Of the zygote's own it has none.
    assert {50, 9, 8} <= found
    assert len(found) == len(before) + 3
    for end in ends:
        for descriptor in end:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"directory": "/no/such/place"}, "run a worker in '/no/such/place': No such file or directory"),
        (
            {"limits": [[resource.RLIMIT_NOFILE, 20, 10]]},
            f"limit resource {resource.RLIMIT_NOFILE} of a worker to 20 of 10: ",
        ),
        ({"cpus": [1000000]}, "give a worker the CPUs [1000000]: "),
        ({"nice": 1 << 40}, f"make a worker nice {1 << 40}: "),
    ],
)
def test_a_step_that_is_refused_is_told(shared: Zygote, settings: dict[str, Any], text: str) -> None:
    worker = shared.ask(workerkit.look, **settings)
    hello = worker.hello()
    assert hello.startswith(f"error: {text}"), hello
    assert worker.wait() == 1
    assert worker.said() == []
    assert seen(shared.start(workerkit.look))["parent"] == os.getpid()


def test_nothing_runs_before_the_word(shared: Zygote) -> None:
    worker = shared.ask(workerkit.look)
    assert worker.hello() == "hello"
    worker.control.close()
    assert worker.wait() == 1
    assert worker.said() == []


def test_requests_wait_for_their_turn(shared: Zygote) -> None:
    workers = [shared.ask(workerkit.look, name=f"worker-{number}") for number in range(20)]
    for worker in workers:
        worker.go()
    assert {seen(worker)["pid"] for worker in workers} == {worker.pid for worker in workers}
    assert [worker.wait() for worker in workers] == [0] * 20


def test_a_request_that_is_none_is_dropped(shared: Zygote) -> None:
    shared.requests.send(b"F")
    assert seen(shared.start(workerkit.look))["parent"] == os.getpid()


def test_a_zygote_ends_with_its_host() -> None:
    with zygotekit.zygote() as zygote:
        assert seen(zygote.start(workerkit.look))
        zygote.requests.close()
        assert zygote.process.wait(zygotekit.DEADLINE) == 0


def test_a_zygote_that_is_killed_takes_no_worker_with_it() -> None:
    with zygotekit.zygote() as zygote:
        worker = zygote.start(workerkit.wait)
        assert [worker.heard(), worker.heard()] == ["READY=1", "STATUS=waits"]
        zygote.process.kill()
        assert zygote.process.wait(zygotekit.DEADLINE) == -signal.SIGKILL
        # Its parent is there, so it is not killed; and it hears.
        os.kill(worker.pid, signal.SIGTERM)
        assert [worker.heard(), worker.heard()] == ["STOPPING=1", "STATUS=was asked"]
        assert worker.wait() == 0
        with zygotekit.zygote() as another:
            assert seen(another.start(workerkit.look))


def preload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    """A module of this source, for zygotes and workers to import."""
    name = "preloaded_by_" + tmp_path.name.replace("-", "_")
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_worker_to_be_that_is_killed_has_a_successor() -> None:
    with zygotekit.zygote() as zygote:
        assert seen(zygote.start(workerkit.look))
        for _ in range(2):
            # The one in the zygote's group; there is none for a moment after a request.
            while not (spares := zygote.spares()):
                pass
            for spare in spares:
                os.kill(spare, signal.SIGKILL)
            assert os.waitpid(spares[0], 0)[1] == signal.SIGKILL
            assert seen(zygote.start(workerkit.look))["parent"] == os.getpid()


def test_preloads_are_imported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "count").write_text("")
    name = preload(tmp_path, monkeypatch, f"open({str(tmp_path / 'count')!r}, 'a').write('x')\nkept = open(__file__)")
    with zygotekit.zygote("workerkit", name) as zygote:
        for _ in range(2):
            worker = zygote.start(workerkit.look, given={"preload": ["workerkit", name]})
            found = seen(worker)
            assert found["imported_by"] == zygote.process.pid
            assert worker.wait() == 0
            # What it keeps open stands where no service's descriptor does.
            assert [number for number in found["fds"] if number >= 64]
    assert (tmp_path / "count").read_text() == "x"


def test_a_preload_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = preload(tmp_path, monkeypatch, "raise LookupError('not today')")
    for wanted, text in [
        (name, f"error: preload {name!r}: LookupError: not today"),
        ("no_such_module", "error: preload 'no_such_module': ModuleNotFoundError: No module named 'no_such_module'"),
    ]:
        with zygotekit.zygote(wanted, stderr=subprocess.PIPE) as zygote:
            worker = zygote.ask(workerkit.look)
            # It may have ended with that one.
            with contextlib.suppress(BrokenPipeError):
                for _ in range(2):
                    zygote.ask(workerkit.look)
            assert worker.hello() == text
            # Another may find it mended.
            assert zygote.process.wait(zygotekit.DEADLINE) == 1


THREADS = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True, name="grpc-like").start()
import os
imported_by = os.getpid()
"""


def test_a_preload_that_starts_threads_is_left_to_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = preload(tmp_path, monkeypatch, THREADS)
    with zygotekit.zygote(name, "workerkit", stderr=subprocess.PIPE) as zygote:
        workers = [zygote.ask("workerkit:is_threaded", name, given={"preload": [name, "workerkit"]}) for _ in range(2)]
        for worker in workers:
            worker.go()
            assert seen(worker) == {"zygote": zygote.process.pid, "imported_by": worker.pid}
            assert worker.wait() == 0
        zygote.requests.close()
        _, said = zygote.process.communicate(timeout=zygotekit.DEADLINE)
    assert said.count("starts threads") == 1
    assert f"libcoop: preload '{name}' starts threads when it is imported (" in said
    assert said.rstrip().endswith("): each worker imports it by itself")


LATE = """
import signal, threading
signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=signal.pause).start())
"""


def test_no_worker_is_forked_beside_other_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = preload(tmp_path, monkeypatch, LATE)
    with zygotekit.zygote(name) as zygote:
        assert seen(zygote.start(workerkit.look))
        zygote.process.send_signal(signal.SIGUSR1)
        while len(os.listdir(f"/proc/{zygote.process.pid}/task")) == 1:
            pass
        # There may be one already; then there is no other.
        zygote.ask(workerkit.look).hello()
        assert zygote.ask(workerkit.look).hello().startswith("error: fork: this process has other threads: ")
        zygote.process.kill()


def test_the_interpreter_is_the_same() -> None:
    program = (
        "import zygotekit, json\n"
        "with zygotekit.zygote() as z:\n"
        "    worker = z.start('workerkit:look'); worker.heard(); print(worker.heard()[7:])"
    )
    flags = ["-O", "-X", "importtime", "-W", "error::UserWarning"]
    ran = subprocess.run(
        [sys.executable, *flags, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=zygotekit.DEADLINE,
        check=True,
    )
    assert json.loads(ran.stdout)["flags"] == [1, ["error::UserWarning"], {"importtime": True}]


def test_the_executable_can_be_another(tmp_path: Path) -> None:
    assert libcoop.get_executable() == sys.executable
    other = tmp_path / "python"
    other.symlink_to(Path(sys.executable).absolute())
    libcoop.set_executable(other)
    try:
        assert libcoop.get_executable() == str(other)
        assert _zygote.command(["a"])[0] == str(other)
    finally:
        libcoop.set_executable(None)
    assert libcoop.get_executable() == sys.executable
