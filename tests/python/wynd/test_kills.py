"""Process mode: ports whose processes are killed, or stand still, in the middle of a test and of everything else."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libcoop.wynd.packet import Kind, Packet, encode, parse

PROCESS = ("--port-parallelability", "PROCESS", "--connection-parallelibility", "PROCESS")
ACK_TIME = {"--bwup": "500", "--bwdown": "30000"}
"""Milliseconds. A client goes on acknowledging an upload's result for so long; a download's is told until it is."""
WAIT = 60.0
ANSWERED_WITHIN = float(os.environ.get("COOP_ANSWERED_WITHIN", "inf"))
"""Seconds within which each port has to answer a heartbeat while it is killed again and again: for a machine that does
nothing else."""


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process's sockets; none if it has ended."""
    found = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            found.update(re.findall(r"^socket:\[(\d+)\]$", os.readlink(entry)))
    except OSError:
        return found
    return found


def worker_of(parent: int, port: int) -> int | None:
    """The child that serves the UDP port bound there; None while there is none."""
    table = Path("/proc/net/udp").read_text().splitlines()[1:]
    inodes = {row.split()[9] for row in table if row.split()[1].endswith(f":{port:04X}")}
    for task in Path(f"/proc/{parent}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:  # a thread that has ended
            continue
        for child in children:
            if sockets_of(int(child)) & inodes:
                return int(child)
    return None


def some_worker(parent: int, port: int) -> int:
    """The child that serves the port, once there is one."""
    deadline = time.monotonic() + WAIT
    while (worker := worker_of(parent, port)) is None:
        assert time.monotonic() < deadline, f"nobody serves port {port}"
        time.sleep(0.005)
    return worker


def kill_worker(parent: int, port: int, how: signal.Signals = signal.SIGKILL) -> int:
    """Once there is one; its process id."""
    while True:
        worker = some_worker(parent, port)
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile, and the next one is coming
            os.kill(worker, how)
            return worker


def ports_of(client: Any) -> list[int]:
    return [int(port) for port in re.findall(r"\d+", client.out.wait_for(r"^Ports: .*")[0])]


@pytest.mark.parametrize("kind", ["--bwup", "--bwdown"])
def test_each_port_is_killed_every_200_ms(serve: Callable[..., Any], run: Callable[..., Any], kind: str) -> None:
    """Through a whole test: it ends with a result, the figures of both sides agree, and add up; heartbeats are answered
    all the time."""
    seconds = 10.0 if kind == "--bwup" else 4.0
    server = serve(*PROCESS, "--test-verbose")
    often = ("--ack-time", ACK_TIME[kind], "--heartbeat-rate", "50")
    client = run(server.target, kind, "--duration", str(seconds), *often, *PROCESS)
    ports = ports_of(client)
    server.err.wait_for(r"client 1: (up|down)load test of ")
    ends, killed = time.monotonic() + seconds - 0.5, 0
    for port in itertools.cycle(ports):
        if time.monotonic() >= ends:
            break
        kill_worker(server.process.pid, port)
        killed += 1
        time.sleep(0.2)
    assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0
    assert killed >= 3
    result, sent = client.test["result"], client.test["sent"]
    assert result == server.test["result"]
    assert 0 < result["packet_count"] <= sent["packets_sent"]
    assert result["bytes_received"] == result["packet_count"] * 938
    assert seconds <= result["duration"] < seconds + WAIT
    # What the ports counted was not lost with them.
    taken = server.report if kind == "--bwup" else client.report
    assert taken["accepted"] >= result["packet_count"]
    assert set(server.report["latency_ms"]) == {"CONTROL", "UPLOAD", "DOWNLOAD"}
    for port, samples in client.report["series"]["latency"].items():
        # Each is a heartbeat that was answered, to a client that sends one every 50 ms.
        times = [at for at, _ in samples]
        silence = max(late - early for early, late in itertools.pairwise(times))
        print(f"{port}: {len(times)} heartbeats answered, the longest silence {silence:.3f} s")
        assert silence <= ANSWERED_WITHIN


def test_heartbeats_are_answered_through_kills(serve: Callable[..., Any], peer: Callable[..., Any]) -> None:
    """By the port's next process, to the same peer with the same key."""
    server = serve(*PROCESS)
    client = peer(server.address)
    client.join()
    for turn in range(2):
        for port in range(3):
            kill_worker(server.process.pid, client.ports[port])
            began = time.time() + 0.001
            while time.time() < began + WAIT:
                client.packet(port, Kind.HEARTBEAT_0, client.key, timestamp=time.time())
                if not select.select([client.socks[port]], [], [], 0.05)[0]:
                    continue
                packet = parse(client.socks[port].recv(2048))
                assert isinstance(packet, Packet)
                if packet.body.client_timestamp > began:  # type: ignore[union-attr]
                    break
            else:
                raise AssertionError(f"port {port} is silent in turn {turn}")
    other = peer(server.address, "127.0.0.2")  # a pinned port stays with its peer
    other.ports, other.key = client.ports, client.key
    other.send(0, encode(Kind.HEARTBEAT_0, client.key, 0, 0, {"timestamp": 1.0}))
    client.heartbeat(0)
    assert server.interrupt() == 0
    assert server.report["dropped"] == {"from another address": 1}


def test_the_main_port_is_killed(serve: Callable[..., Any], peer: Callable[..., Any]) -> None:
    """Its next process knows who has which ports, and how many there may be."""
    server = serve(*PROCESS, "--max-clients-per-address", "2")
    client = peer(server.address)
    answer = client.connect()
    kill_worker(server.process.pid, server.port)
    assert client.connect() == answer
    for port in range(3):
        client.heartbeat(port)
    second, third = peer(server.address), peer(server.address)
    second.connect()
    kill_worker(server.process.pid, server.port)
    second.connect()
    third.main.sendto(b"CONNECT", server.address)
    second.connect()
    assert select.select([third.main], [], [], 0)[0] == []
    assert server.interrupt() == 0
    assert server.report["clients"] == 2


def test_a_port_that_stands_still_is_replaced(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    """The others go on, and so does the test."""
    server = serve(*PROCESS, "--test-verbose")
    client = run(server.target, "--bwup", "--duration", "4", "--ack-time", "200", *PROCESS)
    upload = ports_of(client)[1]
    server.err.wait_for(r"client 1: upload test of 4")
    stopped = kill_worker(server.process.pid, upload, signal.SIGSTOP)
    deadline = time.monotonic() + WAIT
    while worker_of(server.process.pid, upload) in (stopped, None):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0
    assert client.test["result"]["packet_count"] > 0


def test_a_server_that_is_killed_leaves_no_process(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    server = serve(*PROCESS)
    client = run(server.target, "--heartbeat-rate", "20", "--client-timeout", "3")
    client.out.wait_for(r"^Latency UPLOAD")
    left = [some_worker(server.process.pid, port) for port in (server.port, *ports_of(client))]
    server.process.kill()
    server.process.wait(WAIT)
    deadline = time.monotonic() + WAIT
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert client.wait() == 1


def test_several_clients_at_once_are_each_served_by_processes_of_their_own(
    serve: Callable[..., Any], run: Callable[..., Any]
) -> None:
    """Uploads and downloads beside one another, while one of the workers is killed: each side has a result for each."""
    server = serve(*PROCESS, "--test-verbose")
    quick = ("--duration", "1.2", "--adjustment-delay", "200")
    kinds = ("--bwup", "--bwdown", "--bwup")
    clients = [run(server.target, kind, "--ack-time", ACK_TIME[kind], *quick) for kind in kinds]
    ports = [ports_of(client) for client in clients]
    assert len({port for three in ports for port in three}) == 9
    kill_worker(server.process.pid, ports[0][0])
    for client in clients:
        assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0
    results = [client.test["result"] for client in clients]
    assert all(result["packet_count"] > 0 for result in results)
    told = [test["result"] for test in server.report["tests"]]
    assert sorted(told, key=str) == sorted(results, key=str)
    directions = sorted(test["direction"] for test in server.report["tests"])
    assert server.report["clients"] >= 3
    assert directions == ["download", "upload", "upload"]
