"""`python -m libcoop.wynd.demo`: the main job on loopback, in each mode, and one table of what was measured.

Guarantees: server and client are real processes on free ports; each figure comes from their --report files, CPU time
from the kernel (wait4). The exit status is 1, with a line that says why, if a mode moved nothing or a process failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from .config import Parallel
from .ports import PORTS

MODES = tuple(Parallel)
_HOST = "127.0.0.1"
_PORTS = "40000-59999"  # the server takes those that are free when the client comes
_PACE = ("--heartbeat-rate", "20")  # ms: so that percentiles stand on more than one sample


class DemoError(Exception):
    """The message is one line, complete."""


@dataclass(frozen=True)
class Outcome:
    """One mode's figures. CPU is user and system time, in seconds."""

    mode: Parallel
    server: dict[str, Any]
    client: dict[str, Any]
    server_cpu: float
    client_cpu: float

    @property
    def result(self) -> dict[str, Any]:
        """What the server counted, as the client had it."""
        result: dict[str, Any] = self._test["result"]
        return result

    @property
    def _test(self) -> dict[str, Any]:
        (test,) = self.client["tests"]
        assert isinstance(test, dict)
        return test

    @property
    def lost(self) -> int:
        """Packets that were sent and not counted by the server before its test ended."""
        return int(self._test["sent"]["packets_sent"]) - int(self.result["packet_count"])

    def figures(self) -> dict[str, str]:
        """The mode's column in the table."""
        result, sent = self.result, self._test["sent"]["packets_sent"]
        latency = self.client["latency_ms"]
        shown = {
            f"{port} p50 / p99, ms": f"{latency[port]['p50']:.2f} / {latency[port]['p99']:.2f}"
            if port in latency
            else "no sample"
            for port in PORTS
        }
        return shown | {
            "packets/s": f"{result['packet_count'] / result['duration']:,.0f}",
            "Mbit/s": f"{result['bandwidth_bps'] / 1e6:,.1f}",
            "lost": f"{100 * self.lost / max(sent, 1):.2f} %",
            "CPU of the server, s": f"{self.server_cpu:.2f}",
            "CPU of the client, s": f"{self.client_cpu:.2f}",
        }


def _start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "libcoop.wynd", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _end(process: subprocess.Popen[str]) -> tuple[int, float]:
    """Wait for a process; its status and its CPU seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
    return process.returncode, usage.ru_utime + usage.ru_stime


def _started(output: IO[str]) -> int:
    """The port of a server, once it serves."""
    said = []
    for line in output:
        said.append(line.strip())
        if found := re.match(r"Server started on .*:(\d+)$", said[-1]):
            return int(found[1])
    raise DemoError(f"the server did not start: {' '.join(said) or 'it said nothing'}")


def _report(path: Path, who: str, status: int, output: str) -> dict[str, Any]:
    if status != 0:
        raise DemoError(f"the {who} ended with status {status}: {' '.join(output.split())}")
    contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return contents


def run_mode(mode: Parallel, seconds: float, folder: Path) -> Outcome:
    """One upload test with both sides in `mode`; their reports go to `folder`."""
    config = folder / "config"
    config.write_text(f"port_parallelability={mode}\nconnection_parallelibility={mode}\n", encoding="utf-8")
    reports = folder / "server.json", folder / "client.json"
    common = ["--config", str(config), "--report"]
    server = _start(["--server", f"{_HOST}:0", "--port-ranges", _PORTS, *common, str(reports[0])])
    client: subprocess.Popen[str] | None = None
    try:
        assert server.stdout is not None
        target = f"{_HOST}:{_started(server.stdout)}"
        test = ["--bwup", "--duration", str(seconds), "--ack-time", "200"]
        client = _start([target, *test, *_PACE, *common, str(reports[1])])
        assert client.stdout is not None
        client_said = client.stdout.read()
        client_status, client_cpu = _end(client)
        server.send_signal(signal.SIGINT)
        server_said = server.stdout.read()
        server_status, server_cpu = _end(server)
    finally:
        for process in (server, client):
            if process is not None:
                if process.returncode is None:
                    process.kill()
                    process.wait()
                if process.stdout is not None:
                    process.stdout.close()
    return Outcome(
        mode,
        _report(reports[0], "server", server_status, server_said),
        _report(reports[1], "client", client_status, client_said),
        server_cpu,
        client_cpu,
    )


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m libcoop.wynd.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each upload test (default 3)")
    seconds = parser.parse_args(arguments).seconds
    outcomes: list[Outcome] = []
    for mode in MODES:
        try:
            with tempfile.TemporaryDirectory(prefix="wynd-demo-") as folder:
                outcome = run_mode(mode, seconds, Path(folder))
            if not outcome.result["packet_count"]:
                raise DemoError("nothing was moved")
            outcomes.append(outcome)
        except DemoError as error:
            print(f"{mode}: {error}", file=sys.stderr)
    if outcomes:
        Console().print(_table(seconds, outcomes))
    return 0 if len(outcomes) == len(MODES) else 1


def _table(seconds: float, outcomes: list[Outcome]) -> Table:
    """A column for each mode, so that it fits a narrow terminal."""
    table = Table(title=f"wynd on loopback: upload of {seconds:g} s, server and client a process each")
    table.add_column("mode of both sides")
    columns = [outcome.figures() for outcome in outcomes]
    for outcome in outcomes:
        table.add_column(outcome.mode.value, justify="right")
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
