"""Port sets under load: a full buffer, a busy interpreter, threads and drops."""

from __future__ import annotations

import socket
import threading
from typing import Any

from libcoop import Batch, Port, PortContext, PortSet
from portkit import (
    DEADLINE,
    Batches,
    Echo,
    Gate,
    Run,
    Told,
    get,
)


def test_a_full_buffer_is_counted() -> None:
    handled = Told()

    def count(ctx: PortContext, batch: Batch) -> None:
        handled.put(len(batch))

    with (
        PortSet([Port("port", Batches, (count,))], buffer_bytes=1 << 16) as ports,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        gate = Gate()
        ports.send("port", gate)
        assert gate.began.wait(DEADLINE)
        offered = 200
        for number in range(1, offered + 1):
            peer.sendto(bytes(1000), ports.addresses["port"])
            # Paced by what has come, so that the kernel's buffer loses none.
            while (stats := ports.stats()["port"]).received + stats.dropped < number:
                pass
        assert stats.received * 1000 <= 1 << 16
        assert stats.dropped == offered - stats.received > 0
        gate.go.set()
        assert get(handled) == stats.received


def test_receiving_goes_on_while_the_interpreter_is_busy(tmp_path: Any, program: Any) -> None:
    """The receiving side needs no interpreter: all is received while one thread holds it."""
    program(
        """
        import ctypes, socket, sys, threading
        from libcoop import Handler, Port, PortSet

        class Count(Handler):
            total = 0
            done = threading.Event()
            def on_batch(self, ctx, batch):
                Count.total += len(batch)
                if Count.total == 2000:
                    Count.done.set()

        libc = ctypes.PyDLL(None)  # holds the interpreter while it calls
        with PortSet([Port("port", Count)]) as ports, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect(ports.addresses["port"])
            fd = peer.fileno()
            sys.setswitchinterval(3600)  # nobody is made to hand it over

            def wait_for(count):
                while ports.stats()["port"].received < count:
                    libc.usleep(50)

            for number in range(2000):
                wait_for(number - 50)  # so that the kernel's buffer loses none
                assert libc.send(fd, b"x" * 100, 100, 0) == 100
            wait_for(2000)
            assert Count.total == 0, "not one line of Python ran on another thread meanwhile"
            sys.setswitchinterval(0.005)
            assert Count.done.wait(60)
            after = ports.stats()["port"]
            assert (after.received, after.dropped) == (2000, 0), after
        """
    )


def test_python_threads_and_ports_and_drops_do_not_deadlock() -> None:
    """Sets are started, used and dropped by several threads that all want the interpreter."""

    def churn() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for _ in range(10):
                ports = PortSet([Port("a", Echo), Port("b", Run)])
                ports.start()
                for _ in range(20):
                    peer.sendto(b"x", ports.addresses["a"])
                    ports.send("b", lambda ctx: ctx.send("a", 1))
                del ports

    threads = [threading.Thread(target=churn, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a deadlock"
