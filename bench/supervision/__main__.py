"""libcoop's host and its peers: how soon a killed service runs again, what 100 idle ones cost, what memory 10 take.

    .ci/setup bench && .ci/library && .venv/bin/python bench/supervision [--rounds 31] [--quick] [--only libcoop,runit]

restart   A service, a small static C program that says when it began, is killed by SIGKILL: ms until the next one
          begins. All supervisors run side by side and take turns, in changing order; each service has run for more
          than a second before it is killed, for runit waits with one that has not. Median, greatest, and the median
          (least..greatest) of the ratios to the first contestant within each round. gunicorn has no programs as
          services: its are workers that it forks, which say so without an exec.
idle      Side by side with 100 services each, for windows of some seconds: wakeups of the supervisor (context
          switches of all its threads, asked for or not, and of all its processes if it has more than one) and its
          share of one CPU, medians of the windows.
memory    With 10 services that sleep: PSS and RSS of the supervisor's processes, without the services'.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from contextlib import ExitStack

from contestants import CONTESTANTS, HERE, Contestant
from running import Running, adopt_orphans, now

ROOT = HERE.parent.parent
BUILT = ROOT / "target/bench/supervision"
# How long a service runs before it is killed: more than the second that runsv wants.
SETTLED = 1.2


def build(contestants: list[Contestant]) -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    library = ROOT / "target/release"
    linked = [f"-I{ROOT}/include", f"-L{library}", f"-Wl,-rpath,{library}", "-lcoop"]
    flags = {"child": ["-static"], "bare": [], "libcoop": linked}
    for name in {"child", *(c.name for c in contestants)} & flags.keys():
        source, program = str(HERE / f"{name}.c"), str(BUILT / name)
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", source, *flags[name], "-o", program], check=True)


def started(stack: ExitStack, contestants: list[Contestant], count: int) -> list[Running]:
    return [stack.enter_context(Running(contestant, BUILT, count)) for contestant in contestants]


def restarts(contestants: list[Contestant], rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    with ExitStack() as stack:
        running = started(stack, contestants, 1)
        began = {one.name: now() for one in running}
        for number in range(-1, rounds):
            shift = number % len(running)
            for one in running[shift:] + running[:shift]:
                time.sleep(max(0.0, SETTLED - (now() - began[one.name]) / 1e9))
                ms = one.killed_to_running() / 1e6
                began[one.name] = now()
                # The first round finds caches cold.
                if number >= 0:
                    taken[one.name].append(ms)
    return taken


def idle(contestants: list[Contestant], windows: int, seconds: float) -> dict[str, tuple[float, float]]:
    measured: dict[str, list[tuple[float, float]]] = {contestant.name: [] for contestant in contestants}
    with ExitStack() as stack:
        running = started(stack, contestants, 100)
        time.sleep(min(seconds, 5))
        for _ in range(windows):
            before = {one.name: (now(), one.used()) for one in running}
            time.sleep(seconds)
            for one in running:
                at, used = before[one.name]
                after, window = one.used(), (now() - at) / 1e9
                cpu = (after.cpu_ns - used.cpu_ns) / 1e9 / window * 100
                measured[one.name].append(((after.wakeups - used.wakeups) / window, cpu))
    return {
        name: (statistics.median(w for w, _ in of), statistics.median(cpu for _, cpu in of))
        for name, of in measured.items()
    }


def memory(contestants: list[Contestant]) -> dict[str, tuple[int, int]]:
    with ExitStack() as stack:
        running = started(stack, contestants, 10)
        time.sleep(2)
        return {one.name: one.memory() for one in running}


def table(contestants: list[Contestant], rounds: int, windows: int, seconds: float) -> None:
    taken = restarts(contestants, rounds)
    cost = idle(contestants, windows, seconds)
    held = memory(contestants)
    first = contestants[0].name
    print(f"restart: {rounds} rounds; idle: {windows} windows of {seconds:g} s; ratios to {first}, above 1 it is ahead")
    heads = ["", "restart p50 ms", "max ms", "ratio", "idle wakeups/s", "CPU %", "PSS MiB", "RSS MiB"]
    rows = [heads]
    for contestant in contestants:
        name = contestant.name
        ratios = [theirs / mine for mine, theirs in zip(taken[first], taken[name], strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        wakeups, cpu = cost[name]
        pss, rss = held[name]
        rows.append([name, f"{statistics.median(taken[name]):.2f}", f"{max(taken[name]):.2f}", ratio])
        rows[-1] += [f"{wakeups:.2f}", f"{cpu:.3f}", f"{pss / 1024:.1f}", f"{rss / 1024:.1f}"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        print(
            "  ".join(cell.ljust(w) if cell is row[0] else cell.rjust(w) for cell, w in zip(row, widths, strict=True))
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=31, help="kills per contestant (31)")
    options.add_argument("--windows", type=int, default=5, help="windows of idleness (5)")
    options.add_argument("--seconds", type=float, default=10.0, help="length of a window (10)")
    options.add_argument("--quick", action="store_true", help="3 rounds, 1 window of 3 s: to see that it works")
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    options.add_argument("--only", metavar="NAME,...", help=f"these contestants: {names}")
    given = options.parse_args()
    if given.quick:
        given.rounds, given.windows, given.seconds = 3, 1, 3.0
    if given.rounds < 1 or given.windows < 1 or given.seconds <= 0:
        options.error("--rounds, --windows and --seconds are at least 1")
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    wanted = given.only.split(",") if given.only else list(known)
    if unknown := [name for name in wanted if name not in known]:
        options.error(f"no contestant is named {unknown[0]!r}; there are {names}")
    contestants = [known[name] for name in wanted]
    for contestant in contestants:
        if reason := contestant.missing():
            options.error(reason)
    build(contestants)
    adopt_orphans()
    table(contestants, given.rounds, given.windows, given.seconds)


if __name__ == "__main__":
    main()
