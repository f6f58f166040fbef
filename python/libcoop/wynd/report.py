"""Figures of a whole run: gathered from the ports' summaries, printed as text, written as JSON or drawn.

Guarantees: nothing stands here that was not measured; a port without samples has no latency line. What --json prints
and --report writes is one object, described in docs/wynd.md.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .events import Direction, PortSummary
from .heartbeat import Histogram
from .plot import draw
from .series import Series


@dataclass(frozen=True)
class Outputs:
    """Where the figures go, beside standard output: files of --report and --plot; --json instead of text."""

    report: str | None = None
    plot: str | None = None
    json: bool = False


class Figures:
    """Sums over ports; latencies in milliseconds for each port name."""

    def __init__(self) -> None:
        self.accepted = 0
        self.test_dropped = 0
        self.dropped: Counter[str] = Counter()
        self.latency: dict[str, Histogram] = {}
        self.series = Series()

    def add(self, port: str, summary: PortSummary) -> None:
        """What a port handed in when it stopped."""
        self.accepted += summary.accepted
        self.test_dropped += summary.test_dropped
        self.dropped.update(summary.dropped)
        if summary.latency.count:
            self.latency.setdefault(port, Histogram()).merge(summary.latency)

    def lines(self) -> list[str]:
        """For people."""
        lines = self.series.unfinished()
        for port, histogram in sorted(self.latency.items()):
            figures = histogram.summary()
            if figures is not None:
                lines.append(
                    f"Latency {port}: p50 {figures.p50:.3f} ms, p90 {figures.p90:.3f} ms, p99 {figures.p99:.3f} ms, "
                    f"p99.9 {figures.p999:.3f} ms, max {figures.highest:.3f} ms, {figures.samples} samples"
                )
        lines.append(f"Packets taken: {self.accepted}")
        lines.append(f"Packets dropped: {sum(self.dropped.values())}")
        lines += [f"  {reason}: {count}" for reason, count in sorted(self.dropped.items())]
        return lines

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        latency = {}
        for port, histogram in self.latency.items():
            figures = histogram.summary()
            if figures is not None:
                latency[port] = figures._asdict() | {"histogram": histogram.buckets()}
        return {
            "accepted": self.accepted,
            "dropped": dict(self.dropped),
            "test_dropped": self.test_dropped,
            "latency_ms": latency,
            "series": self.series.as_json(),
        }


def result_lines(direction: Direction, result: Mapping[str, Any]) -> list[str]:
    """The result of a test as the protocol page has it; Mbps is 10^6 bits per second."""
    heading = ["Download test:"] if direction is Direction.DOWNLOAD else []
    return [
        *heading,
        f"Duration: {result['duration']:.2f} seconds",
        f"Packets Received: {result['packet_count']}",
        f"Bytes Received: {result['bytes_received']}",
        f"Bandwidth: {result['bandwidth_bps']:.2f} bps ({result['bandwidth_bps'] / 1e6:.2f} Mbps)",
        f"Retransmitted Packets: {result['retransmit_count']}",
    ]


def write_outputs(outputs: Outputs, contents: dict[str, Any], series: Series, title: str) -> bool:
    """Write what was asked for; False, with a line on stderr each, if some of it could not be."""
    text = json.dumps(contents)
    if outputs.json:
        print(text, flush=True)
    troubles: list[str | None] = []
    if outputs.report is not None:
        try:
            Path(outputs.report).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            troubles.append(f"--report {outputs.report}: {error.strerror or error}")
    if outputs.plot is not None:
        troubles.append(draw(series, outputs.plot, title))
    for trouble in filter(None, troubles):
        print(trouble, file=sys.stderr)
    return not any(troubles)
