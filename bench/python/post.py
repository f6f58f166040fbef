"""Posts onto a loop from another thread: libcoop's EventLoop.post beside uvloop's and asyncio's call_soon_threadsafe.

Each round posts the same number of calls of an empty function from the main thread to a loop on a thread of its own,
and ends when the last has run; the loops take turns, in changing order. Printed: medians of posts per second, and
median, least and greatest of the rounds' ratios to uvloop.

    .ci/setup bench && .ci/wheel && .venv/bin/python bench/python/post.py [--rounds 15] [--posts 300000]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import libcoop
import uvloop

Post = Callable[..., object]
DEADLINE = 120.0


@contextmanager
def coop() -> Iterator[Post]:
    with libcoop.EventLoop() as loop:
        loop.start()
        yield loop.post


@contextmanager
def running(loop: asyncio.AbstractEventLoop) -> Iterator[Post]:
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop.call_soon_threadsafe
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


LOOPS: dict[str, Callable[[], Any]] = {
    "libcoop": coop,
    "uvloop": lambda: running(uvloop.new_event_loop()),
    "asyncio": lambda: running(asyncio.new_event_loop()),
}


def nothing() -> None:
    pass


def takes(_: object) -> None:
    pass


def without_arguments(post: Post, posts: int) -> None:
    for _ in range(posts):
        post(nothing)


def with_one(post: Post, posts: int) -> None:
    for number in range(posts):
        post(takes, number)


def measure(make: Callable[[], Any], fill: Callable[[Post, int], None], posts: int) -> float:
    """Posts per second."""
    ran = threading.Event()
    with make() as post:
        post(ran.set)
        if not ran.wait(DEADLINE):
            raise TimeoutError("the loop did not start")
        ran.clear()
        began = time.perf_counter()
        fill(post, posts)
        post(ran.set)
        if not ran.wait(DEADLINE):
            raise TimeoutError("the posts did not run")
        return posts / (time.perf_counter() - began)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--posts", type=int, default=300_000)
    given = options.parse_args()
    for name, fill in (("no argument", without_arguments), ("one argument", with_one)):
        rates: dict[str, list[float]] = {loop: [] for loop in LOOPS}
        for number in range(-1, given.rounds):
            order = list(LOOPS) if number % 2 else list(reversed(LOOPS))
            for loop in order:
                # asyncio is an order of magnitude behind: a tenth of the posts is enough.
                posts = given.posts // 10 if loop == "asyncio" else given.posts
                rate = measure(LOOPS[loop], fill, posts)
                if number >= 0:
                    rates[loop].append(rate)
        print(f"post from another thread, {name}, {given.rounds} rounds:")
        for loop in LOOPS:
            ratios = [mine / theirs for mine, theirs in zip(rates[loop], rates["uvloop"], strict=True)]
            print(
                f"  {loop:8} {statistics.median(rates[loop]) / 1e6:6.2f} M/s, "
                f"{statistics.median(ratios):5.2f} x uvloop ({min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
