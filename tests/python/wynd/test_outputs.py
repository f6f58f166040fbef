"""--json, --report, --plot, what is shown while it runs, and the exit status."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libcoop.wynd.cli import parse_args
from libcoop.wynd.display import Live, make_display, rate_text
from libcoop.wynd.events import Direction, Progress, Trial
from libcoop.wynd.plot import draw
from libcoop.wynd.series import Rate, Series
from rich.console import Console

QUICK = ("--bwup", "--duration", "0.6", "--ack-time", "100")
DOCS = Path(__file__).parents[3] / "docs" / "wynd.md"
UP = Direction.UPLOAD


def documented(heading: str) -> set[str]:
    """The keys that the first table below a heading of docs/wynd.md lists."""
    part = DOCS.read_text(encoding="utf-8").split(f"\n### {heading}\n")[1].split("\n#")[0]
    return {key for row in re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}


def test_json_is_one_object_and_the_report_is_the_same(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    server = serve()
    client = run(server.target, *QUICK, "--json")
    assert client.wait() == 0
    (line,) = client.out.lines
    contents = json.loads(line)
    assert contents == client.report
    assert client.err.lines == []
    assert (contents["role"], contents["error"], contents["interrupted"]) == ("client", None, False)
    assert set(contents) == documented("Of a client")
    assert set(contents["tests"][0]) == documented("A test") - {"client"}
    assert set(contents["latency_ms"]["CONTROL"]) == documented("Latency")
    assert server.interrupt() == 0
    assert set(server.report) == documented("Of a server")
    assert set(server.test) == documented("A test") - {"duration", "started"}
    histogram = contents["latency_ms"]["CONTROL"]["histogram"]
    assert sum(count for _, count in histogram) == contents["latency_ms"]["CONTROL"]["samples"]


def test_json_of_a_server(run: Callable[..., Any], free_range: Callable[[int], str]) -> None:
    server = run("--server", "127.0.0.1:0", "--port-ranges", free_range(3), "--json")
    server.err.wait_for(r"^Server started on 127\.0\.0\.1:\d+$")
    assert server.interrupt() == 0
    (line,) = server.out.lines
    assert json.loads(line)["role"] == "server"


def test_json_of_a_failure(run: Callable[..., Any]) -> None:
    client = run("nosuch.invalid:1", "--bwup", "--json")
    assert client.wait() == 1
    assert json.loads(client.out.lines[0])["error"] == client.err.lines[0]
    assert json.loads(client.out.lines[0])["tests"][0]["result"] is None


def test_plot(serve: Callable[..., Any], run: Callable[..., Any], tmp_path: Path) -> None:
    server = serve("--plot", str(tmp_path / "server.svg"))
    client = run(server.target, *QUICK, "--heartbeat-rate", "50", "--plot", str(tmp_path / "client.png"))
    assert client.wait() == 0, client.err.lines
    assert server.interrupt() == 0
    assert (tmp_path / "server.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "client.png").read_bytes().startswith(b"\x89PNG")


def test_plot_of_nothing(tmp_path: Path) -> None:
    assert draw(Series(), str(tmp_path / "nothing.svg"), "nothing") is None
    assert (tmp_path / "nothing.svg").stat().st_size > 1000
    trouble = draw(Series(), str(tmp_path / "no" / "folder.png"), "nothing")
    assert trouble is not None
    assert trouble.endswith("No such file or directory")


def test_what_cannot_be_plotted_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, part in (("a.pdf", "ends in .png or .svg"), ("a", "ends in .png or .svg")):
        with pytest.raises(SystemExit) as leaving:
            parse_args(["--plot", path])
        assert leaving.value.code == 2
        assert part in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    with pytest.raises(SystemExit) as leaving:
        parse_args(["--plot", "a.png"])
    assert leaving.value.code == 2
    assert "pip install 'libcoop[plot]'" in capsys.readouterr().err


def test_matplotlib_is_loaded_only_to_plot() -> None:
    code = "import sys, libcoop.wynd.client, libcoop.wynd.server; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_plain_lines_while_a_test_runs(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    server = serve()
    client = run(server.target, "--bwdown", "--duration", "2.5", "--ack-time", "30000")
    assert client.wait() == 0
    client.out.wait_for(r"^Download, \d+\.\d s: \d+\.\d\d Mbps, \d+ packets/s, \d+\.\d\d % lost$")
    assert server.interrupt() == 0
    assert not [line for line in server.out.lines if "packets/s" in line]


def read_all(descriptor: int) -> str:
    """What a terminal was shown until its process ended."""
    shown = b""
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:  # the other side has ended
            return shown.decode(errors="replace")
        if not data:
            return shown.decode(errors="replace")
        shown += data


def test_live_on_a_terminal(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    server = serve()
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "libcoop.wynd",
        server.target,
        *QUICK,
        "--duration",
        "3",
        "--heartbeat-rate",
        "50",
    ]
    client = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read_all(ours))
    os.close(ours)
    _, error = client.communicate(timeout=60)
    assert (client.returncode, error) == (0, "")
    assert "packets/s" in shown
    assert "latency, ms" in shown
    assert re.search(r"Retransmitted Packets: \d+", shown)
    assert server.interrupt() == 0


def test_what_is_live_is_gone_at_the_end() -> None:
    file = io.StringIO()
    live = Live(Console(file=file, force_terminal=True, width=100))
    live.started(3, Trial(UP, 7, 2.0))
    live._drawn = 0.0
    live.progress(3, UP, Rate(0.1, 5e6, 700.0, 0.25))
    live.latency("CONTROL", 1.25)
    live._drawn = 0.0
    live.latency("CONTROL", 1.5)
    live.line("a line [of] its own")
    live.ended(3, UP)
    live.close()
    shown = file.getvalue()
    for part in ("client 3, upload", "5.00 Mbps, 700 packets/s, 25.00 % lost", "1.500", "a line [of] its own"):
        assert part in shown
    assert rate_text(Rate(0, 0, 0, 0)) == "0.00 Mbps, 0 packets/s, 0.00 % lost"


def test_no_display_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert not isinstance(make_display(False, server=False, latencies=True), Live)
    quiet = make_display(True, server=False, latencies=True)
    quiet.line("for people")
    quiet.latency("CONTROL", 1.0)
    assert capsys.readouterr() == ("", "for people\n")


def test_series() -> None:
    series = Series()
    at = time.monotonic()
    assert series.progress(0, Progress(UP, at, 0, 0, 0, receiving=True)) is None
    rate = series.progress(0, Progress(UP, at + 1, 300, 30_000, 100, receiving=True))
    assert rate is not None
    assert (rate.bits_per_second, rate.packets_per_second, rate.loss) == (240_000, 300, 0.25)
    rate = series.progress(0, Progress(UP, at + 2, 400, 40_000, 90, receiving=True))  # late ones came
    assert rate is not None
    assert rate.loss == 0
    assert series.unfinished() == ["Upload so far: 400 packets received, 90 lost, 0.16 Mbps"]
    assert series.progress(0, Progress(UP, at + 3, 5, 500, 0, receiving=True)) is None  # the next test
    series.ended(0, UP)
    assert series.unfinished() == []
    for number in range(10_000):
        series.progress(1, Progress(UP, at + 10 + number, number * 10, number * 1000, 0, receiving=False))
        series.latency("CONTROL", 5.0 if number == 77 else 1.0)
    assert 1000 < len(series.rates[UP]) <= 2048
    assert series.rates[UP][-100].bits_per_second == pytest.approx(8000)
    assert 1000 < len(series.latencies["CONTROL"]) <= 2048
    assert max(latency for _, latency in series.latencies["CONTROL"]) == 5.0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--version"], 0), (["--duration", "0"], 2), (["nosuch.invalid:1"], 1), (["--server", "nosuch.invalid:1"], 2)],
)
def test_exit_status(run: Callable[..., Any], arguments: list[str], status: int) -> None:
    assert run(*arguments).wait() == status


def test_interrupted_is_130(serve: Callable[..., Any], run: Callable[..., Any]) -> None:
    server = serve("--test-verbose")
    client = run(server.target, "--json")
    server.err.wait_for(r"client 1: latency CONTROL")
    assert client.interrupt() == 130
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert json.loads(client.out.lines[-1])["interrupted"] is True
