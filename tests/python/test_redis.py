"""Calls of redis from plain threads, from asyncio and from coroutines that libcoop drives, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import queue
import re
import signal
import socket
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE, Program
from libcoop import Dag, Mode, Port, PortSet, Redis, Runtime
from portkit import Make, Run
from portprocesskit import Visits
from rediskit import LONG, RedisServer, running, wait_for


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    with Redis(shared.url) as client:
        client.flushall()
    return shared


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    with Redis(server.url) as client:
        yield client


def test_a_plain_thread_waits_for_the_value(client: Redis) -> None:
    assert client.set("k", "v") is True
    assert client.get("k") == b"v"
    assert client.get("none") is None
    assert client.incr("n", 41) == 41
    assert client.hset("h", mapping={"a": 1, b"b": 2.5}) == 2
    assert client.hgetall("h") == {b"a": b"1", b"b": b"2.5"}
    assert client.execute_command("LPUSH", "l", "x", bytearray(b"y"), memoryview(b"z")) == 3
    assert client.lrange("l", 0, -1) == [b"z", b"y", b"x"]
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(client.get("k")))
    thread.start()
    thread.join(LONG)
    assert got == [b"v"]


def test_asyncio_awaits_it(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis(server.url) as client:
            assert await client.set("k", "v") is True
            values = await asyncio.gather(*(client.incr("n") for _ in range(1000)))
            assert values == list(range(1, 1001))
            future = client.get("k")
            assert isinstance(future, asyncio.Future)
            assert await asyncio.wait_for(future, LONG) == b"v"
            assert await future == b"v"
            with pytest.raises(libcoop.RedisWrongType):
                await client.hget("k", "f")
            with pytest.raises(TypeError, match="async for"):
                list(client.scan_iter())

    asyncio.run(main())


def test_several_loops_of_asyncio_share_a_client(client: Redis) -> None:
    async def count() -> list[int]:
        return list(await asyncio.gather(*(client.incr("n") for _ in range(200))))

    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.extend(asyncio.run(count()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(got) == list(range(1, 801))


def test_a_client_outlives_loops_of_asyncio(client: Redis) -> None:
    async def get() -> Any:
        return await client.incr("n")

    assert [asyncio.run(get()) for _ in range(3)] == [1, 2, 3]
    assert client.get("n") == b"3"


def test_a_loop_of_asyncio_that_ends_with_calls_in_flight_is_let_go(client: Redis) -> None:
    import weakref

    async def leave() -> weakref.ref[Any]:
        for _ in range(10):
            client.incr("n")
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(leave())
    wait_for("the calls end", lambda: client.get("n") == b"10")

    def is_gone() -> bool:
        gc.collect()
        return loop() is None

    client.ping()
    asyncio.run(ping(client))
    wait_for("the loop is gone", is_gone)


async def ping(client: Redis) -> None:
    assert await client.ping() is True


def test_a_cancelled_task_cancels_its_call_and_replies_stay_in_order(client: Redis) -> None:
    async def main() -> None:
        tasks = [asyncio.ensure_future(client.execute_command("ECHO", str(number))) for number in range(1000)]
        for task in tasks[::2]:
            assert task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for number, end in enumerate(ended):
            if number % 2:
                assert end == str(number).encode()
            else:
                assert isinstance(end, asyncio.CancelledError)

        async def caller() -> None:
            await client.own().blpop("never")

        waiting = asyncio.create_task(caller())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await client.echo("after") == b"after"

    asyncio.run(main())
    assert client.stats().cancelled + client.stats().answered >= 1000


def test_nodes_of_a_graph(server: RedisServer) -> None:
    with Runtime(2) as runtime:
        runtime.start()
        with contextlib.closing(Redis(server.url, loop=runtime)) as client:
            client.set("k", "1")
            dag = Dag()

            @dag.node
            async def fetch() -> bytes:
                return await client.get("k") or b""

            @dag.node
            async def refused() -> str:
                try:
                    await client.lpush("k", "v")
                except libcoop.RedisWrongType as error:
                    return error.code
                return ""

            @dag.node
            def waits(fetch: bytes) -> int:
                return client.incrby("k", int(fetch))

            outcome = dag.run(runtime).result(LONG)
            assert outcome["refused"] == "WRONGTYPE"
            assert outcome["waits"] == 2


def test_on_its_own_loop_a_call_cannot_wait_but_submit_can(
    server: RedisServer, running_loop: libcoop.EventLoop
) -> None:
    with Redis(server.url, loop=running_loop) as client:
        with pytest.raises(libcoop.WouldDeadlock):
            running_loop.post_and_wait(client.get, "k", timeout=LONG)
        future = running_loop.post_and_wait(client.submit, "SET", "k", "v", timeout=LONG)
        assert future.result(LONG) is True
        assert isinstance(client.submit("LPUSH", "k", 1).exception(LONG), libcoop.RedisWrongType)


def test_decoded(server: RedisServer) -> None:
    with Redis(server.url, decode_responses=True) as client:
        client.set("k", "täglich")
        assert client.get("k") == "täglich"
        assert client.keys() == ["k"]
        client.set("k", b"\xff")
        with pytest.raises(UnicodeDecodeError):
            client.get("k")


def test_pipelines_and_transactions(client: Redis) -> None:
    with client.pipeline() as pipe:
        assert pipe.set("k", 1).incr("k").get("k") is pipe
        assert len(pipe) == 3
        assert pipe.execute() == [True, 2, b"2"]
        assert pipe.execute() == []
        pipe.lpush("k", 1)
        pipe.get("k")
        with pytest.raises(libcoop.RedisWrongType) as raised:
            pipe.execute()
        assert raised.value.__notes__ == ["command 1 of 2 in a pipeline"]
        pipe.lpush("k", 1)
        pipe.get("k")
        refused, value = pipe.execute(raise_on_error=False)
        assert isinstance(refused, libcoop.RedisWrongType)
        assert value == b"2"
        pipe.execute_command("NONE").get("k")
        with pytest.raises(libcoop.RedisAborted):
            pipe.execute()
    assert client.pipeline(transaction=False).hset("h", "f", "v").hgetall("h").execute() == [1, {b"f": b"v"}]


def test_watched_keys(client: Redis) -> None:
    with client.pipeline() as pipe:
        assert pipe.watch("k") is True
        assert pipe.get("k") is None
        pipe.multi()
        pipe.set("k", "mine")
        assert pipe.execute() == [True]
        pipe.watch("k")
        client.set("k", "theirs")
        pipe.multi()
        pipe.set("k", "mine")
        with pytest.raises(libcoop.RedisWatchChanged):
            pipe.execute()
    assert client.get("k") == b"theirs"


def test_pipelines_in_asyncio(client: Redis) -> None:
    async def main() -> None:
        async with client.pipeline() as pipe:
            await pipe.watch("n")
            number = int(await pipe.get("n") or 0)
            pipe.multi()
            pipe.set("n", number + 1)
            assert await pipe.execute() == [True]
            assert await pipe.execute() == []

    asyncio.run(main())
    assert client.get("n") == b"1"


def test_scripts(client: Redis) -> None:
    script = client.register_script("return {KEYS[1], ARGV[1], 7}")
    for _ in range(2):
        assert script(keys=["k"], args=["v"]) == [b"k", b"v", 7]
        client.script_flush()
    assert client.script_load("return 1") == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
    assert client.script_exists(script.sha, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db") == [False, True]
    with pytest.raises(libcoop.RedisNoScript):
        client.evalsha(script.sha, 0)

    async def main() -> None:
        assert await script(["k"], ["v"]) == [b"k", b"v", 7]

    asyncio.run(main())


def test_scans(client: Redis) -> None:
    names = {f"k{number}".encode() for number in range(500)}
    client.mset(dict.fromkeys(names, 1))
    assert set(client.scan_iter("k*", count=50)) == names
    client.hset("h", mapping={"a": 1, "b": 2})
    client.zadd("z", {"m": 1.5})
    client.sadd("s", "x")
    assert dict(client.hscan_iter("h")) == {b"a": b"1", b"b": b"2"}
    assert list(client.zscan_iter("z")) == [(b"m", 1.5)]
    assert list(client.sscan_iter("s")) == [b"x"]

    async def main() -> None:
        assert {name async for name in client.scan_iter("k*", count=50)} == names

    asyncio.run(main())


def test_messages(client: Redis) -> None:
    with client.pubsub() as messages:
        messages.subscribe("news")
        messages.psubscribe("n*")
        assert messages.get_message() is None
        assert client.publish("news", "hello") == 2
        got = [messages.get_message(LONG), messages.get_message(LONG)]
        assert {"type": "message", "pattern": None, "channel": b"news", "data": b"hello"} in got
        assert {"type": "pmessage", "pattern": b"n*", "channel": b"news", "data": b"hello"} in got
        messages.punsubscribe()
        client.publish("news", "again")
        for message in messages:
            assert message["data"] == b"again"
            messages.close()


def test_messages_in_asyncio(client: Redis) -> None:
    async def main() -> None:
        async with client.pubsub() as messages:
            await messages.subscribe("news")
            assert await messages.get_message(0.01) is None
            assert await client.publish("news", 1) == 1
            assert await client.publish("news", 2) == 1
            got = []
            async for message in messages:
                got.append(message["data"])
                if len(got) == 2:
                    break
            assert got == [b"1", b"2"]
            with pytest.raises(TypeError, match="async for"):
                next(iter(messages))
            waits = asyncio.ensure_future(messages.get_message(None))
            await asyncio.sleep(0)
            messages.close()
            with pytest.raises(libcoop.Closed):
                await waits

    asyncio.run(main())


def test_ctrl_c_ends_a_wait(client: Redis) -> None:
    def interrupt() -> None:
        wait_for("it waits", lambda: bool(client.info("clients")["blocked_clients"] == 1))
        os.kill(os.getpid(), signal.SIGINT)

    with client.own() as mine:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            mine.blpop("never")
        thread.join(LONG)
    assert client.ping() is True


def test_what_a_forked_child_is_told(server: RedisServer, program: Program) -> None:
    program(
        """
        import os, sys, libcoop
        client = libcoop.Redis(sys.argv[1])
        assert client.ping()
        child = os.fork()
        if not child:
            try:
                client.ping()
            except libcoop.Forked:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert client.ping()
        client.close()
        """,
        server.url,
    )


def test_exit_with_calls_in_flight(server: RedisServer, program: Program) -> None:
    program(
        """
        import asyncio, sys, threading, libcoop
        client = libcoop.Redis(sys.argv[1])
        future = client.submit("BLPOP", "never", 0)
        async def leave():
            for _ in range(100):
                client.get("k")
        asyncio.run(leave())
        def waits():
            try:
                client.ping()
            except libcoop.Closed:
                pass
        threading.Thread(target=waits, daemon=True).start()
        """,
        server.url,
    )


def test_closing(server: RedisServer) -> None:
    client = Redis(server.url)
    future = client.submit("BLPOP", "never", 0)
    assert repr(client) == f"<libcoop.Redis at {server.path}>"
    client.close()
    client.close()
    assert client.closed
    assert repr(client) == f"<libcoop.Redis at {server.path}, closed>"
    with pytest.raises(libcoop.Closed):
        future.result(DEADLINE)
    with pytest.raises(libcoop.Closed):
        client.get("k")


def test_what_cannot_be_said(client: Redis) -> None:
    with pytest.raises(TypeError, match="must be bytes, str, int or float, not None"):
        client.execute_command("SET", "k", None)
    with pytest.raises(TypeError, match="not True"):
        client.set("k", True)
    with pytest.raises(libcoop.Invalid, match="no words"):
        client.execute_command()
    with pytest.raises(libcoop.Invalid, match="MULTI"):
        client.execute_command("MULTI")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client)
    with pytest.raises(ValueError, match="timeout must be at least 0"):
        client.execute_command("GET", "k", timeout=-1)


def test_a_number_is_its_digits_whatever_its_class_shows(client: Redis) -> None:
    class Real(float):
        def __repr__(self) -> str:
            return "Real()"

    class Whole(int):
        def __repr__(self) -> str:
            return "Whole()"

    client.mset({"f": Real(0.1), "i": Whole(1 << 70)})
    assert client.mget("f", "i") == [b"0.1", str(1 << 70).encode()]


def test_an_answer_that_looks_like_a_clusters(client: Redis) -> None:
    for line in ("MOVED x y", "ASK 1 host:²"):
        with pytest.raises(libcoop.RedisMoved, match=line) as raised:
            client.eval("return redis.error_reply(ARGV[1])", 0, line)
        assert raised.value.port == 0


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("localhost:6379", "no scheme"),
        ("redis://host:port", 'port "port"'),
        ("redis://host/x", 'database "x"'),
        ("redis://host?dbs=1", 'query parameter "dbs"'),
    ],
)
def test_urls_that_are_wrong(url: str, part: str) -> None:
    with pytest.raises(libcoop.Invalid, match=part):
        Redis(url)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"nonsense": 1}, TypeError, 'no option "nonsense"'),
        ({"port": 0}, ValueError, "port must be 1 to 65535, not 0"),
        ({"db": -1}, ValueError, "db must be 0 or more"),
        ({"protocol": 4}, ValueError, "protocol must be 2, 3 or None, not 4"),
        ({"timeout": "soon"}, TypeError, "timeout must be seconds or None, not 'soon'"),
        ({"connections": 65}, libcoop.Invalid, "allowed are 1 to 64"),
        ({"max_calls": 1 << 64}, ValueError, "max_calls must be 1 to .*, not 18446744073709551616"),
        ({"max_own": 0}, libcoop.Invalid, "redis max_own of 0: allowed are 1 to"),
        ({"max_own": -1}, ValueError, "max_own must be 1 to .*, not -1"),
        ({"max_own": None}, TypeError, "max_own must be a number, not None"),
        ({"max_calls": "many"}, TypeError, "max_calls must be a number, not 'many'"),
        ({"ssl_ca_certs": "x.pem"}, ValueError, "without ssl=True"),
        ({"ssl": True, "ssl_certfile": "x.pem"}, ValueError, "go together"),
        ({"ssl": True, "ssl_ca_certs": "/nonexistent.pem"}, OSError, "nonexistent.pem"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Redis(**options)


def test_options(server: RedisServer) -> None:
    with Redis(unix_socket_path=server.path, db=3, client_name="me", protocol=2, connections=2) as client:
        client.set("k", "v")
        assert client.client_getname() == "me"
        assert client.info("keyspace")["db3"]["keys"] == 1
        assert client.stats().connected == 2


def test_as_many_connections_of_ones_own_as_asked_for(server: RedisServer) -> None:
    with Redis(server.url, max_own=2) as client:
        first, second, third = client.pipeline(), client.pipeline(), client.pipeline()
        assert first.watch("k") is True
        assert second.watch("k") is True
        for refused in (lambda: third.watch("k"), client.own):
            with pytest.raises(libcoop.QueueFull, match=r"\(2 connections of one's own\)"):
                refused()
        # One that is reset ends, a moment later; one whose transaction is over is given back.
        second.multi()
        second.exists("k")
        assert second.execute() == [0]
        with client.own() as mine:
            assert mine.ping() is True
        assert third.watch("k") is True
        third.multi()
        third.incr("k")
        assert third.execute() == [1]
        first.multi()
        first.incr("k")
        with pytest.raises(libcoop.RedisWatchChanged):
            first.execute()


def test_as_many_watch_at_once_as_asked_for(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis(server.url, max_own=200) as client:
            pipes = [client.pipeline() for _ in range(201)]
            assert await asyncio.gather(*(pipe.watch("k") for pipe in pipes[:-1])) == [True] * 200
            with pytest.raises(libcoop.QueueFull, match="200 connections"):
                await pipes[-1].watch("k")

    asyncio.run(main())


def test_it_costs_an_import_nothing(program: Program) -> None:
    program(
        """
        import sys, libcoop
        assert not [name for name in sys.modules if name.startswith("libcoop._redis")], sys.modules
        libcoop.Redis
        assert "asyncio" not in sys.modules
        """
    )


@pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.THREAD], ids=lambda mode: mode.name)
def test_inside_a_handler_of_a_port(server: RedisServer, make: Make, client: Redis) -> None:
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ports = make(Port("port", Run))
    ports.send("port", lambda _ctx: told.put(client.incr("n")))
    ports.send("port", lambda _ctx: client.submit("INCR", "n").add_done_callback(lambda done: told.put(done.result())))
    assert [told.get(timeout=LONG) for _ in range(2)] == [1, 2]


def test_inside_handlers_of_ports_in_processes(server: RedisServer) -> None:
    ports = PortSet([Port("a", Visits, (server.url,)), Port("b", Visits, (server.url,))], mode=Mode.PROCESS)
    ports.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(LONG)
            said = []
            for address in [*ports.addresses.values()] * 2:
                peer.sendto(b"x", address)
                said.append([int(word) for word in peer.recv(100).split()])
        assert [visits for _, visits in said] == [1, 2, 3, 4]
        assert len({os.getpid(), *(pid for pid, _ in said)}) == 3
    finally:
        ports.stop(LONG)


def test_the_guide(server: RedisServer, program: Program) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "python-redis.md"
    first, gathers, types, pipeline, locks, messages = re.findall(
        r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    )
    head = "import asyncio\nimport libcoop\nfrom libcoop import Redis\n"
    made = f"{head}client = Redis({server.url!r})\n"
    counted = list(range(1, 1001))
    said = program(first.replace("redis://localhost/0", server.url)).stdout
    assert said == f"b'hello'\nb'hello'\n{counted}\n"
    filled = "client.rpush('follow:me', 'a', 'b')\nclient.hset('b', 'k', 'v')\n"
    assert (
        program(f"{made}{filled}{gathers}\nprint(asyncio.run(followed(client, 'me')))").stdout == "[{}, {b'k': b'v'}]\n"
    )
    both = f"print(plain({server.url!r}), asyncio.run(awaited({server.url!r})))"
    assert program(f"{head}{types}{both}").stdout == "hello [1001, 1002, 1003]\n"
    assert program(f"{made}{pipeline}").stdout == "[True, 2]\n"
    assert program(f"{made}{locks}job(client)\nprint(client.lock('job').locked())").stdout == "False\n"
    listens = f"async def main():\n{textwrap.indent(messages, '    ')}            break\n"
    publishes = f"""
import threading
def publish():
    other = Redis({server.url!r})
    while not other.publish("news", "x"):
        pass
threading.Thread(target=publish, daemon=True).start()
asyncio.run(main())
"""
    assert program(f"{made}{listens}{publishes}").stdout == "b'x'\n"
