"""A Python service that is killed, until it runs again: libcoop beside multiprocessing's forkserver and spawn.

Each round kills the service's process and waits until its successor runs: libcoop restarts it by itself and is seen to
by its event of READY, which counts from the kill; with multiprocessing a loop here waits for the process's end, starts
another, and waits until that has sent a byte. What they run is imported beforehand, and this script, which
multiprocessing runs again in each process, imports little at its top. The program holds so many MB meanwhile, all of
them written to. Printed: medians in milliseconds, and median, least and greatest of the rounds' ratios to the
forkserver.

    .ci/setup && .ci/wheel && .venv/bin/python bench/python/restart.py [--rounds 30] [--megabytes 500]
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import restart_entries

DEADLINE = 60.0
PAUSE = 0.05
"""Seconds that a process has run before it is killed."""

Kill = Callable[[], float]
"""Kills it, and answers the seconds until its successor runs."""


@contextmanager
def coop() -> Iterator[Kill]:
    import libcoop

    kinds = [libcoop.EventKind.SPAWNED, libcoop.EventKind.READY]
    with libcoop.Host(intensity=None) as host, host.events("root/service", kinds=kinds) as events:
        host.add("service", restart_entries.serve, preload=["restart_entries"])
        host.start()

        def ready() -> tuple[int, float]:
            spawned, ready = events.next(DEADLINE), events.next(DEADLINE)
            assert isinstance(spawned, libcoop.ServiceEvent)
            assert isinstance(ready, libcoop.ServiceEvent)
            assert spawned.pid is not None
            return spawned.pid, ready.time.timestamp()

        pid, _ = ready()

        def kill() -> float:
            nonlocal pid
            began = time.time()
            os.kill(pid, signal.SIGKILL)
            pid, ended = ready()
            return ended - began

        yield kill


def peer(method: str) -> Callable[[], Any]:
    @contextmanager
    def run() -> Iterator[Kill]:
        context: Any = multiprocessing.get_context(method)

        def start() -> Any:
            ours, theirs = context.Pipe()
            process = context.Process(target=restart_entries.tell_and_wait, args=(theirs,))
            process.start()
            theirs.close()
            assert ours.poll(DEADLINE)
            ours.close()
            return process

        process = start()

        def kill() -> float:
            nonlocal process
            began = time.time()
            process.kill()
            process.join()
            process = start()
            return time.time() - began

        yield kill
        process.kill()
        process.join()

    return run


CONTENDERS: dict[str, Callable[[], Any]] = {
    "libcoop": coop,
    "forkserver": peer("forkserver"),
    "spawn": peer("spawn"),
}


def main() -> None:
    import argparse
    import logging
    import statistics

    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--megabytes", type=int, default=500)
    given = options.parse_args()
    logging.disable(logging.WARNING)
    multiprocessing.set_forkserver_preload(["restart_entries"])
    ballast = bytearray(os.urandom(1 << 20)) * given.megabytes
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with coop() as first, CONTENDERS["forkserver"]() as second, CONTENDERS["spawn"]() as third:
        contenders = dict(zip(CONTENDERS, (first, second, third), strict=True))
        for number in range(-1, given.rounds):
            for name in list(contenders) if number % 2 else list(reversed(contenders)):
                time.sleep(PAUSE)
                took = contenders[name]()
                if number >= 0:
                    times[name].append(took * 1e3)
    print(f"SIGKILL to running again, parent of {len(ballast) >> 20} MB, {given.rounds} rounds:")
    for name, taken in times.items():
        ratios = [mine / theirs for mine, theirs in zip(taken, times["forkserver"], strict=True)]
        print(
            f"  {name:10} p50 {statistics.median(taken):6.2f} ms, max {max(taken):6.2f}, "
            f"{statistics.median(ratios):5.2f} x forkserver ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
