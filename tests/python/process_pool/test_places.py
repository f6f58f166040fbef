"""Pools where programs have them: in services, in handlers of ports, in nodes of graphs."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import Batch, Dag, Executor, Handler, Host, Mode, Port, PortContext, PortSet, ProcessPool, Runtime
from processpoolkit import DEADLINE, eventually, is_gone, pid
from processpoolplaces import Asks, Awaits, Computes


@pytest.mark.parametrize(
    ("service", "executor"),
    [
        (Computes, Executor.PROCESS),
        (Computes, Executor.THREAD),
        (Awaits, Executor.ASYNC_PROCESS),
    ],
    ids=lambda one: one.name if isinstance(one, Executor) else "",
)
def test_a_service_has_a_pool(service: Any, executor: Executor, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with Host() as host:
        host.add("computes", service, told, executor=executor)
        host.start()
        eventually(lambda: told.exists() and told.read_text().endswith("\n"))
        here, worker, result = map(int, told.read_text().split())
        assert result == 1024
        assert worker != here
        assert (here == os.getpid()) == (executor == Executor.THREAD)
    eventually(lambda: is_gone(worker))


def test_a_task_of_a_loop_has_a_pool(tmp_path: Path) -> None:
    told = tmp_path / "told"

    async def main() -> int:
        async with Host() as host:
            await host.add("awaits", Awaits, told, executor=Executor.ASYNC)
            await host.start()
            while not (told.exists() and told.read_text().endswith("\n")):
                await asyncio.sleep(0.001)
            here, worker, result = map(int, told.read_text().split())
            assert (here, result) == (os.getpid(), 1024)
            return worker

    assert is_gone(asyncio.run(main()))


@pytest.mark.parametrize("mode", [Mode.THREAD, Mode.PROCESS], ids=lambda mode: mode.name)
def test_a_handler_of_a_port_has_a_pool(mode: Mode, peer: socket.socket) -> None:
    with PortSet([Port("ASKS", Asks)], mode=mode) as ports:
        workers = set()
        for number in range(5):
            peer.sendto(str(number).encode(), ports.addresses["ASKS"])
            square, worker, here = map(int, peer.recv(100).split())
            assert square == number**2
            assert (here == os.getpid()) == (mode == Mode.THREAD)
            workers.add(worker)
        assert len(workers) == 1
    eventually(lambda: all(map(is_gone, workers)))


def test_a_port_answers_later_what_a_pool_has_answered(peer: socket.socket) -> None:
    """A handler that does not wait: the answer goes when it is there."""
    with ProcessPool(1) as pool:
        answers: queue.SimpleQueue[tuple[bytes, Any]] = queue.SimpleQueue()

        class Later(Handler):
            def on_batch(self, ctx: PortContext, batch: Batch) -> None:
                for data, sender in batch:
                    pool.submit(pow, int(data), 2).add_done_callback(
                        lambda one, to=sender: answers.put((str(one.result()).encode(), to))  # type: ignore[misc]
                    )

        with PortSet([Port("LATER", Later)], mode=Mode.THREAD) as ports:
            for number in range(5):
                peer.sendto(str(number).encode(), ports.addresses["LATER"])
            assert sorted(int(answers.get(timeout=DEADLINE)[0]) for _ in range(5)) == [0, 1, 4, 9, 16]


def test_nodes_of_a_graph_call_a_pool() -> None:
    runtime = Runtime(2)
    runtime.start()
    try:
        with ProcessPool(1) as pool:
            dag = Dag()
            dag.input("number")

            @dag.node
            async def worker(number: int) -> int:
                return await pool.run(pid)

            @dag.node
            def square(number: int) -> int:
                return pool.submit(pow, number, 2).result(DEADLINE)

            @dag.node
            async def cube(number: int) -> int:
                return await pool.submit(pow, number, 3)

            @dag.node
            def result(worker: int, square: int, cube: int) -> tuple[int, int, int]:
                return worker, square, cube

            outcome = dag.run(runtime, {"number": 3}).result(DEADLINE)
            found, *numbers = outcome["result"]
            assert numbers == [9, 27]
            assert found == pool.stats().workers[0]
    finally:
        runtime.stop()


def test_a_pool_of_threads_and_one_of_processes_call_each_other() -> None:
    with libcoop.Pool(2) as threads, ProcessPool(1) as processes:

        def square(number: int) -> int:
            return processes.submit(pow, number, 2).result(DEADLINE)

        asked = [threads.submit(square, number) for number in range(10)]
        assert [one.result(DEADLINE) for one in asked] == [number**2 for number in range(10)]
