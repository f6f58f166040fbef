"""The pipeline of docs/python-dag.md: a hundred requests of a hundred calls each, all at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from conftest import DEADLINE
from libcoop import Dag, DagRun, Priority, Runtime

FOLLOWED = 100
REQUESTS = 100
Post = tuple[int, int]


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(2) as runtime:
        runtime.start()
        yield runtime


def pipeline(sleep: Callable[[float], Any], most: list[int], followed: int = FOLLOWED) -> Dag:
    """`most` is told how many calls were in flight at the most."""
    dag, now, lock = Dag(), [0], threading.Lock()
    dag.input("user")

    async def call(answer: Any) -> Any:
        """A call of another machine: it takes its time, and no thread waits for it."""
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        await sleep(0.001)
        with lock:
            now[0] -= 1
        return answer

    @dag.node(retry=2, deadline=DEADLINE)
    async def viewer(user: int) -> Any:
        return await call(user)

    @dag.node(retry=2, deadline=DEADLINE)
    async def follow(viewer: int) -> Any:
        return await call([viewer * 1000 + number for number in range(followed)])

    def posts_of(which: int) -> Callable[[list[int]], Coroutine[Any, Any, Any]]:
        async def posts(follow: list[int]) -> Any:
            return await call((follow[which], 0))

        return posts

    for which in range(followed):
        dag.node(posts_of(which), name=f"posts/{which}", retry=2, deadline=DEADLINE)

    @dag.node(reads=[f"posts/{which}" for which in range(followed)])
    def vm(*posts: Post) -> list[Post]:
        return [(author, author * 7919 % 1009) for author, _ in posts]

    @dag.node(priority=Priority.HIGH)
    def filter(vm: list[Post]) -> list[Post]:
        return [post for post in vm if post[1] % 2 == 0]

    @dag.node(priority=Priority.HIGH)
    def sort(filter: list[Post]) -> list[Post]:
        return sorted(filter, key=lambda post: post[1], reverse=True)

    @dag.node(priority=Priority.HIGH)
    def result(user: int, sort: list[Post]) -> tuple[int, list[Post]]:
        return user, sort

    return dag.build()


def expected(user: int) -> tuple[int, list[Post]]:
    authors = range(user * 1000, user * 1000 + FOLLOWED)
    posts = [(author, author * 7919 % 1009) for author in authors]
    return user, sorted((post for post in posts if post[1] % 2 == 0), key=lambda post: post[1], reverse=True)


def test_a_hundred_requests_on_libcoops_loop(runtime: Runtime) -> None:
    most = [0]
    dag = pipeline(runtime.event_loop.sleep, most)
    runs = [dag.run(runtime, {"user": user}, deadline=DEADLINE) for user in range(REQUESTS)]
    assert [run.result(DEADLINE)["result"] for run in runs] == [expected(user) for user in range(REQUESTS)]
    assert most[0] > 1


def test_a_hundred_requests_in_asyncio(runtime: Runtime) -> None:
    most = [0]
    dag = pipeline(asyncio.sleep, most)

    async def request(user: int) -> object:
        outcome = await dag.run(runtime, {"user": user}, deadline=DEADLINE)
        return outcome["result"]

    async def main() -> list[object]:
        return await asyncio.gather(*[request(user) for user in range(REQUESTS)])

    assert asyncio.run(main()) == [expected(user) for user in range(REQUESTS)]
    assert most[0] > 1


def test_its_trace_shows_what_ran_where(runtime: Runtime) -> None:
    dag = pipeline(runtime.event_loop.sleep, [0], 6)
    run: DagRun = dag.run(runtime, {"user": 1}, trace=True)
    run.result(DEADLINE)
    events = json.loads(run.trace())["traceEvents"]
    computed = {event["name"] for event in events if event["cat"] == "cpu"}
    assert computed == {"vm", "filter", "sort", "result"}
    waited = {event["name"] for event in events if event["cat"] == "io"}
    assert waited == {"viewer", "follow", *(f"posts/{which}" for which in range(6))}
    assert run.dot().count(" -> ") == dag.dot().count(" -> ") == 18
