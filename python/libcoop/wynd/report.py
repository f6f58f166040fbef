"""Figures of a whole run: gathered from the ports' summaries, printed as text or written as JSON (--report).

Guarantees: nothing stands here that was not measured; a port without samples has no latency line.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from .events import PortSummary
from .heartbeat import Latency
from .packet import Result


class Figures:
    """Sums over ports; latencies in milliseconds for each port name."""

    def __init__(self) -> None:
        self.accepted = 0
        self.test_dropped = 0
        self.dropped: Counter[str] = Counter()
        self.latency: dict[str, Latency] = {}

    def add(self, port: str, summary: PortSummary) -> None:
        """What a port handed in when it stopped."""
        self.accepted += summary.accepted
        self.test_dropped += summary.test_dropped
        self.dropped.update(summary.dropped)
        if summary.latency_count:
            latency = self.latency.setdefault(port, Latency())
            latency.merge(summary.samples, summary.latency_count, summary.latency_highest)

    def lines(self) -> list[str]:
        """For people."""
        lines = []
        for port, latency in sorted(self.latency.items()):
            figures = latency.summary()
            if figures is not None:
                lines.append(
                    f"Latency {port}: p50 {figures.p50:.3f} ms, p99 {figures.p99:.3f} ms, "
                    f"max {figures.highest:.3f} ms, {figures.samples} samples"
                )
        lines.append(f"Packets taken: {self.accepted}")
        lines.append(f"Packets dropped: {sum(self.dropped.values())}")
        lines += [f"  {reason}: {count}" for reason, count in sorted(self.dropped.items())]
        return lines

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        summaries = {port: latency.summary() for port, latency in self.latency.items()}
        return {
            "accepted": self.accepted,
            "dropped": dict(self.dropped),
            "test_dropped": self.test_dropped,
            "latency_ms": {port: figures._asdict() for port, figures in summaries.items() if figures is not None},
        }


def result_lines(result: Result) -> list[str]:
    """The result of an upload test as the protocol page has it; Mbps is 10^6 bits per second."""
    return [
        f"Duration: {result.duration:.2f} seconds",
        f"Packets Received: {result.packet_count}",
        f"Bytes Received: {result.bytes_received}",
        f"Bandwidth: {result.bandwidth_bps:.2f} bps ({result.bandwidth_bps / 1e6:.2f} Mbps)",
        f"Retransmitted Packets: {result.retransmit_count}",
    ]


def write_report(path: str, contents: dict[str, Any]) -> str | None:
    """Write `contents` to `path`; a line about what went wrong, or None."""
    try:
        Path(path).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        return f"--report {path}: {error.strerror or error}"
    return None
