"""What is shown while a client or a server runs: live on a terminal, plain lines elsewhere, nothing with --json.

Guarantees: nothing is drawn but when something has come, so that an idle process sleeps; at most ten times a second;
what was live is gone when it ends, and what is printed afterwards stands as if it had never been there.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from .events import Direction, Trial
from .heartbeat import Histogram
from .series import Rate

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_LINE_EVERY = 1.0  # seconds, between plain lines about one test
_DRAW_EVERY = 0.1  # seconds


def rate_text(rate: Rate) -> str:
    """Figures of a moment."""
    return (
        f"{rate.bits_per_second / 1e6:.2f} Mbps, {rate.packets_per_second:.0f} packets/s, {100 * rate.loss:.2f} % lost"
    )


class Display:
    """How a run is shown; this one shows nothing but lines. `client` is 0 at a client."""

    def line(self, text: str) -> None:
        """A line of its own."""
        print(text, flush=True)

    def started(self, client: int, trial: Trial) -> None:
        """A test began."""

    def progress(self, client: int, direction: Direction, rate: Rate) -> None:
        """It goes on."""

    def ended(self, client: int, direction: Direction) -> None:
        """It has its result."""

    def latency(self, port: str, milliseconds: float) -> None:
        """A heartbeat came back."""

    def close(self) -> None:
        """The run is over."""


class Quiet(Display):
    """For --json: standard output belongs to the object."""

    def line(self, text: str) -> None:
        """To stderr."""
        print(text, file=sys.stderr, flush=True)


class Plain(Display):
    """Lines. A server's say nothing of its clients: it may have many, and has a summary."""

    def __init__(self, server: bool, latencies: bool) -> None:
        self._server = server
        self._latencies = latencies
        self._began: dict[Direction, float] = {}
        self._next: dict[Direction, float] = {}

    def started(self, client: int, trial: Trial) -> None:
        """From when on times are told."""
        self._began[trial.direction] = time.monotonic()
        self._next[trial.direction] = self._began[trial.direction] + _LINE_EVERY

    def progress(self, client: int, direction: Direction, rate: Rate) -> None:
        """Once a second."""
        now = time.monotonic()
        if not self._server and now >= self._next.get(direction, now):
            self._next[direction] = now + _LINE_EVERY
            elapsed = now - self._began.get(direction, now)
            self.line(f"{direction.capitalize()}, {elapsed:.1f} s: {rate_text(rate)}")

    def latency(self, port: str, milliseconds: float) -> None:
        """Each sample, unless a test runs."""
        if self._latencies:
            self.line(f"Latency {port}: {milliseconds:.3f} ms")


class Live(Display):
    """Tests with a bar each, latencies as a table."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live as RichLive

        self._tests: dict[tuple[int, Direction], tuple[float, float, Rate | None]] = {}
        self._latency: dict[str, tuple[float, Histogram]] = {}
        self._drawn = 0.0
        self._live = RichLive(console=console, auto_refresh=False, transient=True, redirect_stderr=True)
        self._live.start()

    def line(self, text: str) -> None:
        """Above what is live."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, client: int, trial: Trial) -> None:
        """A bar more."""
        self._tests[client, trial.direction] = time.monotonic(), trial.duration, None
        self._draw()

    def progress(self, client: int, direction: Direction, rate: Rate) -> None:
        """Its bar grows."""
        if (client, direction) in self._tests:
            began, duration, _ = self._tests[client, direction]
            self._tests[client, direction] = began, duration, rate
            self._draw()

    def ended(self, client: int, direction: Direction) -> None:
        """A bar less."""
        self._tests.pop((client, direction), None)
        self._draw()

    def latency(self, port: str, milliseconds: float) -> None:
        """A row of the table."""
        _, histogram = self._latency.setdefault(port, (0.0, Histogram()))
        histogram.add(milliseconds)
        self._latency[port] = milliseconds, histogram
        self._draw()

    def close(self) -> None:
        """Take it away."""
        self._live.stop()

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= _DRAW_EVERY:
            self._drawn = now
            self._live.update(self._renderable(now), refresh=True)

    def _renderable(self, now: float) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        tests = Table.grid(padding=(0, 1))
        for (client, direction), (began, duration, rate) in self._tests.items():
            done = min(now - began, duration)
            who = f"client {client}, {direction}" if client else str(direction)
            bar = ProgressBar(total=duration, completed=done, width=24)
            tests.add_row(who, bar, f"{done:.1f}/{duration:g} s", rate_text(rate) if rate is not None else "")
        if not self._latency:
            return tests
        table = Table("latency, ms", "last", "p50", "p99", "max", "samples")
        for port, (last, histogram) in sorted(self._latency.items()):
            figures = histogram.summary()
            assert figures is not None
            shown = (last, figures.p50, figures.p99, figures.highest)
            table.add_row(port, *(f"{value:.3f}" for value in shown), str(figures.samples))
        return Group(tests, table)


def make_display(quiet: bool, server: bool, latencies: bool) -> Display:
    """What fits the output."""
    if quiet:
        return Quiet()
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        if console.is_terminal and not console.is_dumb_terminal:
            return Live(console)
    return Plain(server, latencies)
