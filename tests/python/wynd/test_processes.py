"""Server and client as real processes on loopback."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libcoop.wynd import joining
from libcoop.wynd.__main__ import main

WAIT = 60.0
# Longer than any of the processes may stand still between two packets: a server counts from the request on.
QUICK = ("--bwup", "--duration", "1.2", "--ack-time", "150")
RESULT = [
    r"^Duration: (\d+\.\d\d) seconds$",
    r"^Packets Received: (\d+)$",
    r"^Bytes Received: (\d+)$",
    r"^Bandwidth: (\d+\.\d\d) bps \((\d+\.\d\d) Mbps\)$",
    r"^Retransmitted Packets: (\d+)$",
]


def check_upload(server: Any, client: Any, packet_bytes: int) -> None:
    """An upload test that has ended: what both sides say fits together, and something was moved."""
    status = client.wait()
    assert status == 0, client.err.lines
    assert server.interrupt() == 0
    found = [client.out.wait_for(pattern) for pattern in RESULT]
    result, sent = client.test["result"], client.test["sent"]
    assert int(found[1][1]) == result["packet_count"] > 0
    assert int(found[2][1]) == result["bytes_received"] == result["packet_count"] * packet_bytes
    assert result["bandwidth_bps"] == pytest.approx(result["bytes_received"] * 8 / result["duration"])
    assert float(found[3][2]) == pytest.approx(result["bandwidth_bps"] / 1e6, abs=0.01)
    assert result["duration"] >= 1.2
    assert result["packet_count"] <= sent["packets_sent"]
    assert server.report["clients"] == 1
    assert server.test == {"client": 1, "direction": "upload", "sent": None, "result": result}
    for side in (server, client):
        assert set(side.report["latency_ms"]) == {"CONTROL", "UPLOAD", "DOWNLOAD"}
        for figures in side.report["latency_ms"].values():
            assert 0 <= figures["p50"] <= figures["p99"] <= figures["highest"]
    assert any(line.startswith("Packets taken: ") for line in server.out.lines)


def test_upload(serve: Callable[..., Any], run: Callable[..., Any], mode: str, other: str) -> None:
    """Both sides in different modes; with both in the same, see the tests of the bad line."""
    server = serve("--port-parallelability", mode, "--connection-parallelibility", mode)
    client = run(server.target, *QUICK, "--port-parallelability", other)
    check_upload(server, client, 938)
    assert client.test["sent"]["withheld"] == 0


@pytest.mark.parametrize("mode", ["THREAD"])
def test_upload_over_a_bad_line(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    flags = ("--port-parallelability", mode, "--test-drop-rate", "0.1")
    server = serve(*flags)
    # Reports every 20 ms, five of them kept: what is lost goes out again within the second.
    fast = (
        "--adjustment-delay",
        "100",
        "--flow-control-rate",
        "5",
        "--bw-packet-length",
        "100",
        "--heartbeat-rate",
        "50",
    )
    client = run(server.target, *QUICK, *flags, *fast)
    check_upload(server, client, 138)
    sent = client.test["sent"]
    assert 0 < sent["withheld"] < sent["packets_sent"]
    assert server.report["test_dropped"] >= 0


def test_a_slow_client(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    server = serve()
    client = run(server.target, *QUICK, "--max-send-time", "200", "--send-sleep", "1000", "--test-delay", "1")
    check_upload(server, client, 938)


def test_heartbeats_until_ctrl_c(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve("--port-parallelability", mode)
    client = run(server.target, "--heartbeat-rate", "20", "--port-parallelability", mode)
    for port in ("CONTROL", "UPLOAD", "DOWNLOAD"):
        client.out.wait_for(rf"^Latency {port}: \d+\.\d+ ms$")
    assert client.interrupt() == 130
    for port in ("CONTROL", "UPLOAD", "DOWNLOAD"):
        client.out.wait_for(rf"^Latency {port}: p50 ")
    assert server.interrupt() == 0
    server.out.wait_for(r"^Clients served: 1$")
    server.out.wait_for(r"^Latency CONTROL: p50 ")


@pytest.mark.parametrize("mode", ["SINGLE", "PROCESS"])
def test_ctrl_c_in_the_middle_of_a_test(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve("--port-parallelability", mode, "--test-verbose")
    client = run(server.target, "--bwup", "--duration", "60", "--port-parallelability", mode)
    client.out.wait_for(r"^Upload, \d+\.\d s: .* Mbps, \d+ packets/s, \d+\.\d\d % lost$")
    assert server.interrupt() == 0
    assert client.interrupt() == 130
    client.out.wait_for(r"^Upload so far: \d+ packets sent, \d+ lost, \d+\.\d\d Mbps$")
    server.out.wait_for(r"^Client 1, upload so far: \d+ packets received, ")


@pytest.mark.parametrize("mode", ["PROCESS"])
def test_a_client_that_vanishes_is_freed(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve("--port-parallelability", mode, "--silence-timeout", "3", "--test-verbose")
    client = run(server.target, "--bwup", "--duration", "60")
    ports = re.findall(r"\d+", client.out.wait_for(r"^Ports: .*")[0])
    server.err.wait_for(r"client 1: upload test of 60")
    client.kill()
    server.err.wait_for(r"client 1: freed after 3.0 s of silence")
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", int(port)))
    # And the server goes on.
    assert run(server.target, *QUICK).wait() == 0
    assert server.interrupt() == 0


@pytest.mark.parametrize("mode", ["THREAD"])
def test_a_server_that_vanishes_ends_the_client(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve("--test-verbose")
    client = run(server.target, "--bwup", "--duration", "60", "--client-timeout", "3", "--port-parallelability", mode)
    server.err.wait_for(r"client 1: upload test of 60")
    server.kill()
    assert client.wait() == 1
    assert client.err.lines == [f"the server {server.target} has been silent for 3 s"]


def test_a_process_that_stood_still_goes_on(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    """What came in meanwhile is read before anyone is called silent: one pair's server stands still, the other's
    client."""
    servers = serve("--silence-timeout", "5", "--test-verbose"), serve("--test-verbose")
    often = "--heartbeat-rate", "100"
    clients = run(servers[0].target, *often), run(servers[1].target, *often, "--client-timeout", "5")
    for client in clients:
        client.out.wait_for(r"^Latency UPLOAD")
    for side in (servers[0], clients[1]):
        side.process.send_signal(signal.SIGSTOP)
    time.sleep(7.0)
    seen = [len(client.out.lines) for client in clients]
    for side in (servers[0], clients[1]):
        side.process.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + WAIT
    for client, before in zip(clients, seen, strict=True):
        while len(client.out.lines) < before + 30 and client.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert client.interrupt() == 130
    for server in servers:
        assert server.interrupt() == 0
        assert not [line for line in server.err.lines if "freed" in line]


def wakeups(process: subprocess.Popen[str]) -> int:
    """How often its threads went to sleep."""
    pattern, sum_ = r"^voluntary_ctxt_switches:\s*(\d+)", 0
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            sum_ += int(re.findall(pattern, (task / "status").read_text(), re.MULTILINE)[0])
    return sum_


@pytest.mark.parametrize("mode", ["SINGLE", "THREAD"])  # in process mode the watchdogs beat
def test_an_idle_process_sleeps(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    """Between heartbeats neither side wakes up."""
    server = serve("--port-parallelability", mode)
    client = run(server.target, "--heartbeat-rate", "60000", "--port-parallelability", mode)
    client.out.wait_for(r"^Latency UPLOAD")
    client.out.wait_for(r"^Latency DOWNLOAD")
    deadline, before, after = time.monotonic() + WAIT, [-1], [0]
    while after != before:  # what the start has left to do comes first
        assert time.monotonic() < deadline, (before, after)
        before = [wakeups(side.process) for side in (server, client)]
        time.sleep(1.2)
        after = [wakeups(side.process) for side in (server, client)]
    assert client.interrupt() == 130
    assert server.interrupt() == 0


def test_no_server(
    free_range: Callable[[int], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(joining, "INTERVAL", 0.02)
    port = free_range(1).split("-")[0]
    assert main([f"127.0.0.1:{port}", "--bwup"]) == 1
    assert f"no answer from 127.0.0.1:{port} to 5 CONNECT" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["SINGLE", "PROCESS"])
def test_main_port_in_use(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve()
    second = run("--server", server.target, "--connection-parallelibility", mode)
    assert second.wait() == 2
    (line,) = second.err.lines
    assert server.target in line
    assert server.interrupt() == 0


def test_a_server_at_a_name_that_is_none(run: Callable[..., Any]) -> None:
    server = run("--server", "nosuch.invalid:0")
    assert server.wait() == 2
    (line,) = server.err.lines
    assert "nosuch.invalid:0" in line


@pytest.mark.parametrize("output", [">&-", ">/dev/full"])
def test_an_output_that_cannot_be_written(serve: Callable[..., Any], output: str) -> None:
    """No traceback; the exit status says that what was measured could not be told."""
    server = serve()
    inner = f'exec "$0" -m libcoop.wynd "$@" {output}'
    command = ["sh", "-c", inner, sys.executable, server.target, *QUICK]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    if output == ">&-":  # nobody wants to know
        assert (ended.returncode, ended.stderr) == (0, "")
    else:
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
    assert server.interrupt() == 0


@pytest.mark.parametrize("mode", ["PROCESS"])
def test_ctrl_c_many_times_is_ctrl_c_once(serve: Callable[..., Any], run: Callable[..., Any], mode: str) -> None:
    server = serve("--port-parallelability", mode)
    client = run(server.target, "--heartbeat-rate", "20", "--port-parallelability", mode)
    client.out.wait_for(r"^Latency ")
    for side, status in ((client, 130), (server, 0)):
        side.process.send_signal(signal.SIGINT)
        side.out.wait_for(r"^Packets taken")  # it is ending
        while side.process.poll() is None:
            side.process.send_signal(signal.SIGINT)
        assert side.wait() == status


def test_ranges_without_three_ports(run: Callable[..., Any]) -> None:
    server = run("--server", "127.0.0.1:0", "--port-ranges", "7000-7001")
    assert server.wait() == 2
    (line,) = server.err.lines
    assert "port_ranges=7000-7001" in line


def test_terminated_server_prints_its_summary(serve: Callable[..., Any]) -> None:
    server = serve()
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    server.out.wait_for(r"^Clients served: 0$")
