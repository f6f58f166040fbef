"""The program's own processes beside its ports: they have nothing to do with the set, whichever way they are made.

A child that is forked has every descriptor of its parent: it must not keep the addresses of a set that has ended.
"""

from __future__ import annotations

from typing import Any

import pytest

PROGRAM = """
    import multiprocessing, socket, sys, time
    import libcoop
    from libcoop import EventLoop, Handler, Mode, Port, PortSet

    LONG = 60.0

    class Echo(Handler):
        def on_batch(self, ctx, batch):
            for data, address in batch:
                ctx.sendto(data, address)

        def on_data(self, ctx, connection, data):
            ctx.write(connection, data)

    def ask(address):
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.settimeout(LONG)
            peer.sendto(b"x", address)
            return peer.recv(10)

    def ask_stream(address):
        with socket.create_connection(address, LONG) as peer:
            peer.sendall(b"y")
            return peer.recv(10)

    def work(number, address):
        return number, ask(address)

    def hold(pipe):
        pipe.send("there")
        pipe.recv()

    def is_told(pipe):
        for call in (ports.stats, ports.stop, lambda: ports.send("UDP", b"")):
            try:
                call()
            except libcoop.Forked:
                continue
            pipe.send("not told")
        del globals()["ports"]
        pipe.send("told")

    def own(pipe):
        with PortSet([Port("OWN", Echo)], mode=Mode.PROCESS) as ports:
            pipe.send(ask(ports.addresses["OWN"]))

    def bound_again(address, kind):
        deadline = time.monotonic() + LONG
        while True:
            with socket.socket(type=kind) as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
                try:
                    again.bind(address)
                    if kind == socket.SOCK_STREAM:
                        again.listen()
                    return
                except OSError:
                    # A process on its way to its program has it for a moment.
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.01)

    def answer_of(function):
        here, there = context.Pipe()
        child = context.Process(target=function, args=(there,))
        child.start()
        answer = here.recv()
        return answer, here, child

    if __name__ == "__main__":
        context, mode = multiprocessing.get_context(sys.argv[1]), Mode[sys.argv[2]]
        loop = EventLoop()
        loop.start()
        both = [Port("UDP", Echo), Port("TCP", Echo, listen=("127.0.0.1", 0))]
        options = {"loop": loop} if mode is Mode.SINGLE else {"liveness": None} if mode is Mode.PROCESS else {}
        ports = PortSet(both, mode=mode, **options)
        ports.start()
        addresses = ports.addresses
        with context.Pool(2) as pool:
            done = pool.starmap(work, [(number, addresses["UDP"]) for number in range(8)])
        assert done == [(number, b"x") for number in range(8)], done
        if sys.argv[1] == "fork":
            told, _, child = answer_of(is_told)
            assert told == "told", told
            child.join()
        if mode is Mode.PROCESS:
            answer, _, child = answer_of(own)
            assert answer == b"x"
            child.join()
        assert ask(addresses["UDP"]) == b"x"
        assert ask_stream(addresses["TCP"]) == b"y"
        assert [stats.restarts for stats in ports.stats().values()] == [0, 0]
        answer, pipe, child = answer_of(hold)
        ports.stop(LONG)
        bound_again(addresses["UDP"], socket.SOCK_DGRAM)
        bound_again(addresses["TCP"], socket.SOCK_STREAM)
        assert child.is_alive()
        pipe.send(None)
        child.join()
        assert child.exitcode == 0
        loop.close()
"""


@pytest.mark.parametrize("mode", ["SINGLE", "THREAD", "PROCESS"])
def test_forked_processes_beside_a_set(program: Any, mode: str) -> None:
    program(PROGRAM, "fork", mode, stderr=None)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_of_other_kinds_beside_a_set_of_processes(program: Any, method: str) -> None:
    program(PROGRAM, method, "PROCESS", stderr=None)
