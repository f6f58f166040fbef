"""wynd's upload test beside bare C loops on the same loopback: sendmmsg to recvmmsg, and the same with segmentation
offload at both ends (wynd_bare.c). Packets of 938 bytes; server and client, or sender and receiver, are a process each.

What counts is what arrived. The contestants take turns, in changing order. Printed: medians of packets per second, and
median, least and greatest of the rounds' ratios to each of the bare loops.

    .ci/setup bench && .ci/wheel && .venv/bin/python bench/python/wynd.py [--rounds 15] [--seconds 2] [--modes THREAD]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from libcoop.wynd.config import Parallel
from libcoop.wynd.demo import MODES, run_mode
from rounds import compiled, in_turns, ratios

SOURCE = Path(__file__).with_name("wynd_bare.c")
SEGMENTS = 64
DEADLINE = 120.0


def bare(program: Path, seconds: float, segments: int) -> float:
    """Packets per second that came."""
    receive = [str(program), "receive", str(seconds), str(int(segments > 1))]
    with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        port = receiver.stdout.readline().strip()
        send = [str(program), "send", str(seconds), str(segments), port]
        subprocess.run(send, check=True, timeout=DEADLINE)
        came = int(receiver.stdout.readline())
    return came / seconds


def wynd(mode: Parallel, seconds: float) -> float:
    """Packets per second of the result."""
    with tempfile.TemporaryDirectory(prefix="wynd-bench-") as folder:
        result = run_mode(mode, seconds, Path(folder)).result
    return float(result["packet_count"]) / float(result["duration"])


def table(rates: dict[str, list[float]]) -> str:
    """Medians, and ratios within each round."""
    lines = [f"{'':24}{'packets/s':>12}  ratio to sendmmsg        ratio to GSO"]
    for name, measured in rates.items():
        shown = [ratios(measured, rates[other]) for other in ("sendmmsg", "sendmmsg, GSO")]
        lines.append(f"{name:24}{statistics.median(measured):>12,.0f}  {shown[0]:24} {shown[1]}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--modes", nargs="*", type=Parallel, default=list(MODES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wynd-bare-") as folder:
        program = compiled(SOURCE, folder)
        contestants: dict[str, Callable[[], float]] = {
            "sendmmsg": partial(bare, program, given.seconds, 1),
            "sendmmsg, GSO": partial(bare, program, given.seconds, SEGMENTS),
        }
        for mode in given.modes:
            contestants[f"wynd {mode}"] = partial(wynd, mode, given.seconds)
        rates = in_turns(contestants, given.rounds)
    print(table(rates))


if __name__ == "__main__":
    main()
