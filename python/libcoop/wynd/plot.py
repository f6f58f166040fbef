"""--plot: rate, loss and latency over time, drawn by matplotlib (an extra of the package, loaded only here)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from .series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
NEEDS = "--plot needs matplotlib, which is not installed: pip install 'libcoop[plot]'"


def trouble_with(path: str) -> str | None:
    """Why nothing could be drawn to `path`, known before a test runs; None if nothing is in the way."""
    if Path(path).suffix.lower() not in SUFFIXES:
        return f"--plot {path}: allowed is a file that ends in {' or '.join(SUFFIXES)}"
    if importlib.util.find_spec("matplotlib") is None:
        return NEEDS
    return None


def draw(series: Series, path: str, title: str) -> str | None:
    """Draw to `path`; a line about what went wrong, or None."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no state, no window
    except ImportError:
        return NEEDS
    figure = Figure(figsize=(9, 7.5), layout="constrained")
    rate, loss, latency = figure.subplots(3, 1, sharex=True)
    for direction, track in series.rates.items():
        times = [point.at for point in track]
        rate.plot(times, [point.bits_per_second / 1e6 for point in track], label=str(direction))
        loss.plot(times, [100 * point.loss for point in track], label=str(direction))
    for port, samples in sorted(series.latencies.items()):
        latency.plot(*zip(*samples, strict=True), marker=".", markersize=3, linewidth=0.8, label=port)
    _label(rate, "Mbps")
    _label(loss, "lost, %")
    _label(latency, "latency, ms")
    latency.set_xlabel("seconds")
    rate.set_title(title)
    try:
        figure.savefig(path)
    except OSError as error:
        return f"--plot {path}: {error.strerror or error}"
    return None


def _label(axes: Axes, what: str) -> None:
    axes.set_ylabel(what)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="upper right")
    else:
        axes.text(0.5, 0.5, "nothing measured", transform=axes.transAxes, ha="center", va="center")
