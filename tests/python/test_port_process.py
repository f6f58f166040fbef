"""Ports in processes of their own: what their handlers are given, what outlives them, and what is refused."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from hostkit import until
from libcoop import Batch, EventKind, Handler, Mode, Port, PortContext, PortSet
from portkit import DEADLINE, Echo, Run, Tell, Told, bound_again, run_in
from portprocesskit import Blocks, Counts, Forward, Refuses

LONG = 60.0


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(LONG)
        yield peer


@pytest.fixture
def make() -> Iterator[Callable[..., PortSet]]:
    made: list[PortSet] = []

    def make(*ports: Port, start: bool = True, **options: Any) -> PortSet:
        # A machine that starves a worker is no matter of these tests.
        options.setdefault("liveness", None)
        ports_ = PortSet(ports, mode=Mode.PROCESS, **options)
        made.append(ports_)
        if start:
            ports_.start()
        return ports_

    yield make
    for ports in made:
        ports.stop(DEADLINE)


def ask(peer: socket.socket, address: Any, again: float = 5.0) -> tuple[int, int, int]:
    """Until there is an answer, each so many seconds: a worker that is ended may have had the question in hand."""
    peer.settimeout(again)
    deadline = time.monotonic() + LONG
    while True:
        peer.sendto(b"x", address)
        try:
            pid, run, count = peer.recv(100).split()
        except TimeoutError:
            assert time.monotonic() < deadline, "nobody answers"
        else:
            return int(pid), int(run), int(count)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ended(pid: int) -> None:
    """Waits until a process is gone."""
    until(lambda: not is_there(pid))


def test_each_port_has_a_process_that_ends_with_the_set(make: Any, peer: socket.socket) -> None:
    ports = make(Port("a", Counts), Port("b", Counts))
    seen = [ask(peer, address, LONG) for address in ports.addresses.values()]
    pids = {pid for pid, _, _ in seen}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert [rest for _, *rest in seen] == [[1, 1], [1, 1]]
    ports.stop(DEADLINE)
    assert not any(map(is_there, pids))
    for address in ports.addresses.values():
        bound_again(address)


def test_what_was_saved_and_counted_outlives_the_process(make: Any, peer: socket.socket) -> None:
    ports = make(Port("port", Counts))
    address = ports.addresses["port"]
    pid, run, count = ask(peer, address, LONG)
    for restarts in range(1, 4):
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        new, run, count = ask(peer, address, LONG)
        assert (new != pid, run, count) == (True, restarts + 1, restarts + 1)
        pid = new
    # What was sent may be counted a moment later, by a process that is killed before.
    stats = ports.stats()["port"]
    assert (stats.received, stats.restarts, stats.errors) == (4, 3, 0)


def test_the_process_is_ended_at_any_moment_and_the_socket_stays(make: Any, peer: socket.socket) -> None:
    """Nobody is ever told that nobody listens, and at most what was in hand is lost."""
    ports = make(Port("a", Counts), Port("b", Counts), Port("c", Counts))
    pids = {name: ask(peer, address)[0] for name, address in ports.addresses.items()}
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            for name in ports.addresses:
                # Of one that has not answered yet the number is not known.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pids[name], signal.SIGKILL)
                over.wait(0.2)

    answered = dict.fromkeys(ports.addresses, 0)
    killer = threading.Thread(target=kill)
    peer.connect(ports.addresses["a"])
    peer.close()
    peers = {}
    for name, address in ports.addresses.items():
        peers[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peers[name].connect(address)
        peers[name].settimeout(0.5)
    try:
        killer.start()
        until_ = time.monotonic() + 3
        while time.monotonic() < until_:
            for name, one in peers.items():
                try:
                    one.send(b"x")
                    pid, _, _ = one.recv(100).split()
                except TimeoutError:
                    continue  # it was in hand
                pids[name] = int(pid)
                answered[name] += 1
        over.set()
        killer.join()
        for name, one in peers.items():
            one.settimeout(5.0)
            deadline = time.monotonic() + LONG
            answer: list[bytes] = []
            # It was killed, and started again. An answer that came late may still be of the first run.
            while not answer or int(answer[2]) < answered[name] or int(answer[1]) == 1:
                assert time.monotonic() < deadline, f"the last answer is {answer}"
                one.send(b"x")
                with contextlib.suppress(TimeoutError):  # what was in hand at the last kill
                    answer = one.recv(100).split()
    finally:
        over.set()
        for one in peers.values():
            one.close()
    until(lambda: all(stats.restarts > 0 for stats in ports.stats().values()))


def test_one_that_is_stopped_by_a_signal_is_replaced_and_the_others_go_on(make: Any, peer: socket.socket) -> None:
    ports = make(Port("stopped", Counts), Port("other", Counts), liveness=1.0)
    pid, _, _ = ask(peer, ports.addresses["stopped"])
    os.kill(pid, signal.SIGSTOP)
    other, _, _ = ask(peer, ports.addresses["other"])
    until(lambda: not is_there(pid))
    new, run, _ = ask(peer, ports.addresses["stopped"])
    assert new != pid
    assert run > 1
    assert other != pid


def test_a_handler_that_raises_now_and_then_loses_only_that(make: Any, peer: socket.socket) -> None:
    ports = make(Port("port", Counts))
    for number in range(1, 3001):
        if number % 1000 == 0:
            peer.sendto(b"raise", ports.addresses["port"])
        else:
            assert ask(peer, ports.addresses["port"], LONG)[1:] == (1, number - number // 1000)
    until(lambda: ports.stats()["port"].errors == 3)
    assert ports.stats()["port"].restarts == 0


def test_a_handler_that_blocks_is_not_replaced_and_loses_nothing(make: Any, peer: socket.socket) -> None:
    told = Told()
    ports = make(Port("port", Blocks, (told,)), Port("other", Echo), liveness=5.0)
    ports.send("port", 7.0)
    assert told.get(LONG) == "blocks"
    for number in range(100):
        peer.sendto(number.to_bytes(1), ports.addresses["port"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
        another.settimeout(LONG)
        another.sendto(b"other", ports.addresses["other"])
        assert another.recv(10) == b"other"
    assert [peer.recv(10) for _ in range(100)] == [number.to_bytes(1) for number in range(100)]
    assert ports.stats()["port"].restarts == 0


def test_in_a_debugger_its_ports_are_of_the_program(make: Any, peer: socket.socket, monkeypatch: Any) -> None:
    monkeypatch.setenv("COOP_MODE", "SINGLE")
    ports = make(Port("port", Counts))
    assert ask(peer, ports.addresses["port"])[0] == os.getpid()


def test_events_tell_how_a_process_ended(make: Any, peer: socket.socket) -> None:
    ports = make(Port("port", Counts), name="set")
    assert ask(peer, ports.addresses["port"])[1] == 1
    with ports.events("set/port", kinds=EventKind.ENDED) as ended:
        peer.sendto(b"exit", ports.addresses["port"])
        event = ended.next(LONG)
        assert (event.path, event.kind) == ("set/port", EventKind.ENDED)
        assert "exited with 3" in str(event)
    assert ask(peer, ports.addresses["port"])[1] == 2
    here = PortSet([Port("port", Counts)])
    with here, pytest.raises(libcoop.Unsupported, match="only the ports of a set in mode PROCESS"):
        here.events()


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100, 64 << 10, 1_000_000])
def test_messages_of_any_size_arrive(make: Any, size: int) -> None:
    told = Told()

    class Sizes(Handler):
        def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
            told.put((sender, type(obj).__name__, len(obj), obj == bytes(obj[:1]) * len(obj)))

    ports = make(Port("a", Forward, ("b",)), Port("b", Sizes))
    for number in range(5):
        ports.send("a", bytes([number]) * size)
        assert told.get(LONG) == ("a", "bytes", size, True)
    ports.send("a", memoryview(b"ab" * 3)[1:4])
    assert told.get(LONG)[:3] == ("a", "bytes", 3)
    ports.send("b", bytearray(b"xx"))
    assert told.get(LONG) == ("", "bytearray", 2, True)


def test_a_full_ring_is_told_and_a_dead_receiver_blocks_nobody(make: Any) -> None:
    ports = make(Port("port", Blocks), message_bytes=1 << 16)
    ports.send("port", 3600)

    def fill() -> None:
        for _ in range(100):
            ports.send("port", bytes(10_000))

    with pytest.raises(libcoop.QueueFull, match=r"the ring is full \(65536 bytes\)"):
        fill()
    with pytest.raises(ValueError, match="a record of 70000 bytes does not fit into a ring of 65536: at most 65528"):
        ports.send("port", bytes(70_000))
    begin = time.monotonic()
    ports.stop(0.1)
    assert time.monotonic() - begin < LONG
    with pytest.raises(libcoop.Closed):
        ports.send("port", b"")


def test_what_is_sent_while_a_port_is_restarted_arrives(make: Any, peer: socket.socket) -> None:
    told = Told()

    class Pids(Tell):
        def on_batch(self, ctx: PortContext, batch: Batch) -> None:
            for _, address in batch:
                ctx.sendto(str(os.getpid()).encode(), address)

    ports = make(Port("port", Pids, (told,)))
    assert told.get(LONG) == ("start", "port")
    peer.sendto(b"", ports.addresses["port"])
    os.kill(int(peer.recv(10)), signal.SIGKILL)
    for number in range(100):
        ports.send("port", number)
    heard: list[Any] = []
    while not heard or heard[-1][-1] != 99:
        heard.append(told.get(LONG))
    assert ("start", "port") in heard
    # At most one was in hand.
    numbers = [obj for what, *_, obj in heard if what == "message"]
    assert len(numbers) >= 99
    assert numbers == sorted(numbers)


def test_a_handler_stops_its_whole_set(make: Any) -> None:
    told = Told()
    ports = make(Port("a", Run), Port("b", Tell, (told,)))
    assert told.get(LONG) == ("start", "b")
    run_in(ports, "a", lambda ctx: ctx.stop())
    ports.join(LONG)
    assert told.get(LONG) == ("stop", "b")


def test_a_native_handler_and_a_python_one_know_each_other(make: Any, peer: socket.socket, library: str) -> None:
    told = Told()

    class Talks(Tell):
        def on_batch(self, ctx: PortContext, batch: Batch) -> None:
            for data, _ in batch:
                ctx.send("native", data)

    ports = make(Port("native", f"{library}:echo_handler", [b"echo: "]), Port("python", Talks, (told,)))
    assert told.get(LONG) == ("start", "python")
    peer.sendto(b"hello", ports.addresses["native"])
    assert peer.recv(100) == b"echo: hello"
    peer.sendto(b"a message", ports.addresses["python"])
    assert told.get(LONG) == ("message", "native", b"a message")
    with pytest.raises(TypeError, match='port "native" has a native handler'):
        ports.send("native", 7)


# --- start and what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["__init__", "on_start"])
def test_a_handler_that_cannot_start_fails_the_start_in_its_own_words(make: Any, where: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    ports = make(Port("fine", Echo, bind=address), Port("bad", Refuses, (where,)), start=False)
    with pytest.raises(libcoop.Failed, match=r"port bad.*LookupError: not today"):
        ports.start()
    bound_again(address)


def test_what_cannot_go_to_a_process_is_refused_by_its_ports_name(make: Any, monkeypatch: Any) -> None:
    with pytest.raises(ValueError, match=r"port 'port': argument 1 of entry portkit:Echo cannot be given to a process"):
        make(Port("port", Echo, (threading.Lock(),)))
    with pytest.raises(ValueError, match=r"port 'port': .*no module 'no_such_module_here'"):
        make(Port("port", "no_such_module_here:X"))
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    class Local(Handler):
        pass

    with pytest.raises(ValueError, match=r"port 'port': entry .*Local.* define it in a module"):
        make(Port("port", Local))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"preload": "numpy"}, ValueError, "preload 'numpy': allowed is a list"),
        ({"name": "a/b"}, ValueError, "name 'a/b': allowed is a text without '/'"),
        ({"worker_init": "x"}, ValueError, "worker_init 'x': allowed is \"module:name\""),
        ({"ready_within": 0}, ValueError, "ready_within 0: allowed are seconds above 0"),
        ({"liveness": -1.0}, ValueError, "liveness -1.0: allowed are seconds above 0"),
        ({"message_bytes": 1000}, ValueError, "message_bytes 1000: allowed are powers of two"),
        ({"saved_bytes": 1 << 40}, ValueError, "saved_bytes 1099511627776 is too large"),
        ({"saved_bytes": -1}, ValueError, "saved_bytes .* is too large"),
        ({"supervisor": 7}, TypeError, "supervisor must be a libcoop.Supervisor of a host, not 7"),
        ({"output": "loud"}, ValueError, 'output "loud"'),
    ],
)
def test_wrong_options_are_refused_in_words(
    make: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        make(Port("port", Echo), **options)


def test_too_much_to_save_is_refused(make: Any) -> None:
    ports = make(Port("port", Run), saved_bytes=1000)
    run_in(ports, "port", lambda ctx: ctx.save(b"fits"))
    with pytest.raises(ValueError, match="are too many to be saved: at most saved_bytes, 1000"):
        run_in(ports, "port", lambda ctx: ctx.save(bytes(1000)))
    assert run_in(ports, "port", lambda ctx: ctx.saved) == b"fits"


def test_what_workers_write_and_log_comes_to_the_program(make: Any, caplog: Any, peer: socket.socket) -> None:
    lines = Told()

    def say(ctx: PortContext) -> None:
        import logging

        print("a line", flush=True)
        logging.getLogger("of_a_port").warning("a record of %s", ctx.name)

    ports = make(Port("port", Run), output=lines.put)
    run_in(ports, "port", say)
    line = lines.get(LONG)
    assert (line.service, line.text) == ("ports/port", "a line")
    ports.stop(DEADLINE)
    assert [record.getMessage() for record in caplog.records if record.name == "of_a_port"] == ["a record of port"]


def test_a_set_is_a_child_of_a_supervisor(peer: socket.socket) -> None:
    with libcoop.Host("tree") as host:
        host.start()
        ports = PortSet([Port("port", Counts)], mode=Mode.PROCESS, supervisor=host.root, name="client-1")
        with ports:
            pid, _, _ = ask(peer, ports.addresses["port"])
            assert [child.name for child in host.which_children()] == ["client-1"]
            with ports.events(kinds=EventKind.ENDED) as ended:
                os.kill(pid, signal.SIGKILL)
                event = ended.next(LONG)
                assert isinstance(event, libcoop.ServiceEvent)
                assert event.path == "tree/client-1/port"
            assert ask(peer, ports.addresses["port"])[1] == 2
        assert host.which_children() == []


def test_the_handlers_of_a_script_and_its_lambdas(program: Any) -> None:
    """A worker runs the script once more, but for what is below `__main__`."""
    program(
        """
        import os, socket
        from libcoop import Handler, Mode, Port, PortSet

        class Answers(Handler):
            def __init__(self, call):
                self.call = call
            def on_batch(self, ctx, batch):
                for data, address in batch:
                    ctx.sendto(str(self.call(int(bytes(data)))).encode(), address)

        def twice(number):
            return 2 * number

        if __name__ == "__main__":
            ports = [Port("a", Answers, (twice,)), Port("b", "__main__:Answers", (twice,))]
            with PortSet(ports, mode=Mode.PROCESS) as ports, socket.socket(type=socket.SOCK_DGRAM) as peer:
                peer.settimeout(60)
                for address in ports.addresses.values():
                    peer.sendto(b"21", address)
                    assert peer.recv(10) == b"42"
        """
    )


def test_a_script_that_starts_sets_unguarded_is_told(program: Any) -> None:
    ran = program(
        """
        from libcoop import Handler, Mode, Port, PortSet

        class Nothing(Handler):
            pass

        with PortSet([Port("port", Nothing)], mode=Mode.PROCESS, output="null"):
            raise AssertionError("it was started")
        """,
        status=1,
        stderr=None,
    )
    assert 'put what starts services below `if __name__ == "__main__":`' in ran.stderr
    assert "it was started" not in ran.stderr


# --- the program's end, and others' processes -------------------------------------------------------------------------


def test_no_process_stays_when_the_program_is_killed(tmp_path: Path, peer: socket.socket) -> None:
    import subprocess

    script = tmp_path / "killed.py"
    script.write_text(
        f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from libcoop import Mode, Port, PortSet
from portprocesskit import Counts
if __name__ == "__main__":
    with PortSet([Port("a", Counts), Port("b", Counts)], mode=Mode.PROCESS) as ports:
        print(*(number for _, number in ports.addresses.values()), flush=True)
        time.sleep(3600)
"""
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        numbers = [int(word) for word in parent.stdout.readline().split()]
        pids = [ask(peer, ("127.0.0.1", number))[0] for number in numbers]
        assert len(set(pids)) == 2
        parent.kill()
    until(lambda: not any(map(is_there, pids)))
    for number in numbers:
        until(lambda number=number: is_free(("127.0.0.1", number)))  # type: ignore[misc]


def is_free(address: tuple[str, int]) -> bool:
    try:
        bound_again(address)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("how", ["leaves", "exits", "raises"])
def test_an_interpreter_that_exits_ends_its_set(program: Any, how: str) -> None:
    ran = program(
        """
        import socket, sys
        from libcoop import Handler, Mode, Port, PortSet

        class Pid(Handler):
            def on_batch(self, ctx, batch):
                import os
                for _, address in batch:
                    ctx.sendto(str(os.getpid()).encode(), address)

        if __name__ == "__main__":
            ports = PortSet([Port("port", Pid)], mode=Mode.PROCESS)
            ports.start()
            with socket.socket(type=socket.SOCK_DGRAM) as peer:
                peer.settimeout(60)
                peer.sendto(b"", ports.addresses["port"])
                print(peer.recv(100).decode(), flush=True)
            if sys.argv[1] == "exits":
                sys.exit(3)
            if sys.argv[1] == "raises":
                raise LookupError
        """,
        how,
        status={"leaves": 0, "exits": 3, "raises": 1}[how],
        stderr=None,
    )
    until(lambda: not is_there(int(ran.stdout)))


def test_ctrl_c_ends_a_program_with_a_set(tmp_path: Path) -> None:
    import subprocess

    script = tmp_path / "interrupted.py"
    script.write_text(
        """
import time
from libcoop import Handler, Mode, Port, PortSet
class Says(Handler):
    def on_stop(self, ctx):
        print("stopped", flush=True)
if __name__ == "__main__":
    try:
        with PortSet([Port("port", Says)], mode=Mode.PROCESS, output="inherit"):
            print("ready", flush=True)
            time.sleep(3600)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    )
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        # The terminal's: to the whole group.
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.read().split() == ["stopped", "interrupted"]
        assert parent.wait(LONG) == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_programs_own_processes_beside_it(program: Any, method: str) -> None:
    program(
        """
        import multiprocessing, socket, sys, warnings
        import libcoop
        from libcoop import Handler, Mode, Port, PortSet

        # Of forks beside threads, which these tests are about.
        warnings.simplefilter("ignore", DeprecationWarning)

        class Echo(Handler):
            def on_batch(self, ctx, batch):
                for data, address in batch:
                    ctx.sendto(data, address)

        def echo(ports):
            with socket.socket(type=socket.SOCK_DGRAM) as peer:
                peer.settimeout(60)
                peer.sendto(b"hello", ports.addresses["port"])
                assert peer.recv(10) == b"hello"

        def child(number):
            with PortSet([Port("port", Echo)], mode=Mode.PROCESS) as ports:
                echo(ports)
            return 2 * number

        def forked(ports):
            try:
                ports.stats()
            except libcoop.Forked:
                return
            raise AssertionError("not refused")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            with PortSet([Port("port", Echo)], mode=Mode.PROCESS) as ports:
                echo(ports)
                if sys.argv[1] == "fork":
                    process = context.Process(target=forked, args=(ports,))
                    process.start()
                    process.join()
                    assert process.exitcode == 0
                with context.Pool(1) as pool:
                    assert pool.map(child, [1, 2]) == [2, 4]
                echo(ports)
        """,
        method,
    )


def test_a_program_without_standard_streams(program: Any) -> None:
    """What workers print goes nowhere then, and not into files that have got the numbers of these streams."""
    program(
        """
        import os, socket
        from libcoop import Handler, Mode, Port, PortSet

        class Prints(Handler):
            def on_batch(self, ctx, batch):
                print("line " * 1000, flush=True)
                for data, address in batch:
                    ctx.sendto(data, address)

        if __name__ == "__main__":
            for number in range(3):
                os.close(number)
            status = 1
            try:
                with PortSet([Port("port", Prints)], mode=Mode.PROCESS) as ports:
                    with socket.socket(type=socket.SOCK_DGRAM) as peer:
                        peer.settimeout(60)
                        for _ in range(3):
                            peer.sendto(b"hello", ports.addresses["port"])
                            peer.recv(10)
                stats = ports.stats()["port"]
                status = 0 if (stats.received, stats.received_bytes, stats.dropped) == (3, 15, 0) else 3
            finally:
                os._exit(status)
        """
    )
