"""What is made of several commands, by redis-py and by us on one server, waited for and awaited: locks, transactions
that are done again, bit fields."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import libcoop
import pytest
import redis
import redis.asyncio
from libcoop import Dag, Redis, Runtime
from rediskit import LONG, RedisServer, running, wait_for

Scenario = Callable[[Any], Coroutine[Any, Any, list[Any]]]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running() as server:
        yield server


async def value(called: Any) -> Any:
    return await called if inspect.isawaitable(called) else called


async def said(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each answers, with its type, or raises."""
    answers: list[Any] = []
    for call in calls:
        try:
            answer = await value(call())
            answers.append((type(answer), answer))
        except (redis.exceptions.LockError, libcoop.LockError) as error:
            answers.append((type(error).__name__, str(error), isinstance(error, ValueError)))
    return answers


def waited(client: Any, scenario: Scenario) -> list[Any]:
    """Nothing in it waits but calls that do so themselves."""
    with client:
        client.flushall()
        steps = scenario(client)
        with pytest.raises(StopIteration) as done:
            steps.send(None)
    answers: list[Any] = done.value.value
    return answers


def awaited(make: Callable[[], Any], scenario: Scenario) -> list[Any]:
    async def main() -> list[Any]:
        async with make() as client:
            await client.flushall()
            return await scenario(client)

    return asyncio.run(main())


async def locks(client: Any) -> list[Any]:
    lock, other = client.lock("l", timeout=10), client.lock("l", blocking=False)
    late, endless = client.lock("l", sleep=0.01, blocking_timeout=0.05), client.lock("e")

    async def left() -> bool:
        return 10 < int(await value(client.ttl("l"))) <= 15

    async def replaced() -> bool:
        return 15 < int(await value(client.ttl("l"))) <= 60

    async def again() -> bool:
        return 0 < int(await value(client.ttl("l"))) <= 10

    return await said(
        [
            lock.release,
            lambda: lock.extend(1),
            lock.reacquire,
            lock.locked,
            lock.owned,
            lock.acquire,
            lock.locked,
            lock.owned,
            other.owned,
            other.acquire,
            late.acquire,
            lambda: late.acquire(blocking=False),
            other.release,
            lambda: lock.extend(5),
            left,
            lambda: lock.extend(60, replace_ttl=True),
            replaced,
            lock.reacquire,
            again,
            lock.release,
            lock.release,
            other.locked,
            lambda: lock.acquire(token="mine"),
            lambda: client.get("l"),
            lambda: client.set("l", "another's"),
            lock.owned,
            lambda: lock.extend(5),
            lock.reacquire,
            lock.release,
            lock.release,
            lambda: client.get("l"),
            lambda: endless.acquire(token=b"bytes"),
            lambda: client.ttl("e"),
            endless.owned,
            lambda: endless.extend(5),
            endless.reacquire,
            lambda: client.delete("e"),
            endless.release,
        ]
    )


async def transactions(client: Any) -> list[Any]:
    await value(client.set("n", 5))
    runs: list[int] = []
    # Outside of the client's calls, which are in the middle of another's.
    is_awaited = inspect.isawaitable(ping := client.ping())
    await value(ping)

    async def disturb(pipe: Any) -> int:
        n = int(await value(pipe.get("n")))
        runs.append(n)
        if len(runs) < 3:
            await value(client.incr("n"))
        pipe.multi()
        pipe.set("n", n * 2)
        pipe.get("n")
        return n

    def plain(pipe: Any) -> int:
        steps = disturb(pipe)
        with pytest.raises(StopIteration) as done:
            steps.send(None)
        n: int = done.value.value
        return n

    func: Any = disturb if is_awaited else plain
    answers = await said(
        [
            lambda: client.transaction(func, "n"),
            lambda: client.transaction(func, "n", value_from_callable=True),
            lambda: client.transaction(lambda pipe: pipe.set("m", 1).get("m")),
            lambda: client.transaction(lambda _pipe: None, "n", "m"),
            lambda: client.get("n"),
        ]
    )
    runs.clear()
    return [*answers, *await said([lambda: client.transaction(func, "n", watch_delay=0.001)]), runs]


async def bits(client: Any) -> list[Any]:
    operations = client.bitfield("b")
    return await said(
        [
            lambda: operations.set("u8", 0, 255).get("u8", 0).incrby("u4", "#1", 1).execute(),
            lambda: operations.get("i8", 0).execute(),
            lambda: client.bitfield("b", "FAIL").set("u2", 0, 3).incrby("u2", 0, 1).execute(),
            lambda: client.bitfield("b").incrby("u2", 0, 9, overflow="sat").incrby("u2", 0, 1, "wrap").execute(),
            lambda: client.bitfield("b").overflow("SAT").incrby("i8", 0, -1000).command,
            lambda: client.bitfield("none").execute(),
        ]
    )


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize("scenario", [locks, transactions, bits])
def test_it_is_as_with_redis_py(server: RedisServer, scenario: Scenario, decodes: bool) -> None:
    their: dict[str, Any] = {"unix_socket_path": server.path, "decode_responses": decodes}
    ours = waited(Redis(server.url, decode_responses=decodes), scenario)
    assert ours == waited(redis.Redis(**their), scenario)
    ours = awaited(lambda: Redis(server.url, decode_responses=decodes), scenario)
    assert ours == awaited(lambda: redis.asyncio.Redis(**their), scenario)


def test_bits_in_a_pipeline(server: RedisServer) -> None:
    with Redis(server.url) as client, client.pipeline() as pipe:
        pipe.bitfield("p").set("u8", 0, 7).execute().bitfield("p").get("u8", 0).get("u4", 4).execute()
        assert pipe.execute() == [[0], [7, 7]]


def test_threads_take_turns(server: RedisServer) -> None:
    with Redis(server.url) as client:
        client.set("n", 0)
        lock = client.lock("turns", timeout=LONG, sleep=0.001)

        def work() -> None:
            for _ in range(25):
                with lock as held:
                    assert held is lock
                    client.set("n", int(client.get("n") or 0) + 1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert client.get("n") == b"100"
        assert lock.locked() is False


def test_tasks_take_turns(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis(server.url) as client:
            await client.set("n", 0)

            async def work() -> None:
                async with client.lock("turns", timeout=LONG, sleep=0.001):
                    n = int(await client.get("n") or 0)
                    await asyncio.sleep(0)
                    await client.set("n", n + 1)

            await asyncio.gather(*(work() for _ in range(50)))
            assert await client.get("n") == b"50"
            with pytest.raises(TypeError, match="async with"), client.lock("turns"):
                pass

    asyncio.run(main())


def test_a_lock_is_a_threads_or_whoever_has_it(server: RedisServer) -> None:
    def elsewhere(call: Callable[[], Any]) -> Any:
        told: list[Any] = []

        def run() -> None:
            try:
                told.append(call())
            except libcoop.LockError as error:
                told.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(LONG)
        return told[0]

    with Redis(server.url) as client:
        lock = client.lock("thread")
        assert lock.acquire() is True
        assert elsewhere(lock.owned) is False
        assert isinstance(elsewhere(lock.release), libcoop.LockError)
        assert lock.release() is None
        lock = client.lock("anyone", thread_local=False)
        assert elsewhere(lock.acquire) is True
        assert lock.owned() is True
        assert lock.release() is None


def test_ours_and_redis_pys_are_one_lock(server: RedisServer) -> None:
    with redis.Redis(unix_socket_path=server.path) as theirs, Redis(server.url) as ours:
        with theirs.lock("shared"):
            assert ours.lock("shared").acquire(blocking=False) is False
        with ours.lock("shared") as held:
            assert theirs.lock("shared").acquire(blocking=False) is False
            assert held.owned() is True
            with pytest.raises(libcoop.LockError, match="within the time"), ours.lock("shared", blocking=False):
                pass


def test_who_waits_is_given_it(server: RedisServer) -> None:
    with Redis(server.url) as client:
        lock, told = client.lock("wait"), []
        lock.acquire()
        thread = threading.Thread(target=lambda: told.append(client.lock("wait", sleep=0.001).acquire()))
        before = client.stats().calls
        thread.start()
        wait_for("it tries again", lambda: client.stats().calls > before + 2)
        assert told == []
        lock.release()
        thread.join(LONG)
        assert told == [True]


def test_one_that_was_lost_is_said_or_logged(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(server.url) as client:
        with pytest.raises(libcoop.LockNotOwnedError) as lost, client.lock("lost"):
            client.delete("lost")
        assert lost.value.lock_name == "lost"
        copy = pickle.loads(pickle.dumps(lost.value))
        assert (type(copy), str(copy), copy.lock_name) == (libcoop.LockNotOwnedError, str(lost.value), "lost")
        with caplog.at_level(logging.WARNING), client.lock("lost", raise_on_release_error=False):
            client.delete("lost")
        assert "no longer owned" in caplog.text


def test_a_class_of_ones_own(server: RedisServer) -> None:
    class Mine(libcoop.RedisLock):
        pass

    with Redis(server.url) as client:
        assert isinstance(client.lock("mine", lock_class=Mine), Mine)


def test_in_a_coroutine_that_libcoop_drives(server: RedisServer) -> None:
    with Runtime(2) as runtime, Redis(server.url) as client:
        runtime.start()
        client.set("n", 1)
        dag = Dag()
        assert client.lock("driven").acquire() is True

        @dag.node
        async def work() -> list[Any]:
            async def double(pipe: Any) -> None:
                n = int(await pipe.get("n"))
                pipe.multi()
                pipe.set("n", n * 2)

            lock = client.lock("driven", sleep=0.001, blocking_timeout=0.01)
            answers: list[Any] = [await lock.acquire(), await client.transaction(double, "n")]
            async with client.lock("free", timeout=LONG) as free:
                answers.append(await free.owned())
            return [*answers, await client.bitfield("driven bits").set("u8", 0, 1).execute()]

        outcome = dag.run(runtime).result(LONG)
        assert outcome["work"] == [False, [True], True, [0]]


def test_what_is_waited_for_cannot_await_something_else(server: RedisServer) -> None:
    async def sleeps(_pipe: Any) -> None:
        await asyncio.sleep(0)

    def waits(client: Redis) -> Awaitable[Any]:
        return client.transaction(sleeps)

    with Redis(server.url) as client, pytest.raises(TypeError, match="awaits something else"):
        waits(client)
