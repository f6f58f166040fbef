"""What goes wrong with a redis server, and what a caller in Python is told of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import Redis
from rediskit import LONG, RedisServer, running, wait_for


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@contextlib.contextmanager
def answering(tmp_path: Path, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes connections and does this with each; its URL."""
    path = str(tmp_path / "fake.sock")
    ends: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    end, _ = listener.accept()
                except OSError:
                    return
                ends.append(end)
                with contextlib.suppress(OSError):
                    answer(end)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"unix://{path}?protocol=2"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            thread.join(LONG)
            for end in ends:
                end.close()


def test_kill_and_restart_with_a_thousand_calls_in_flight(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis(server.url, patience=LONG) as client:
            await client.ping()
            server.signal(signal.SIGSTOP)
            calls = [client.execute_command("ECHO", number) for number in range(1000)]
            server.kill()
            later = [client.execute_command("ECHO", number) for number in range(1000)]
            server.start()
            async with asyncio.timeout(LONG):
                ended = await asyncio.gather(*calls, *later, return_exceptions=True)
            for number, end in enumerate(ended):
                assert end == str(number % 1000).encode() or isinstance(end, libcoop.Os), end
            assert await client.ping() is True
            assert client.stats().connects == 2

    asyncio.run(main())


def test_a_stalled_server(server: RedisServer) -> None:
    with Redis(server.url) as client:
        client.ping()
        server.signal(signal.SIGSTOP)
        with pytest.raises(libcoop.Timeout):
            client.execute_command("GET", "k", timeout=0.05)
        with pytest.raises(TimeoutError):
            client.execute_command("GET", "k", timeout=0.05)
        server.signal(signal.SIGCONT)
        assert client.echo("mine") == b"mine"
        assert client.stats().timed_out == 2


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with Redis(f"unix://{tmp_path}/none.sock", patience=0.05) as client, pytest.raises(OSError, match=r"none\.sock"):
        client.ping()


@pytest.mark.parametrize(
    ("bytes_", "error", "words"),
    [
        (b"$10\r\nhalf", libcoop.Os, "closed the connection"),
        (b"nonsense\r\n", libcoop.Failed, "no reply of redis"),
        (b"$536870912\r\n", libcoop.Failed, "536870912"),
    ],
    ids=["half", "garbage", "bulk"],
)
def test_replies_that_are_none(tmp_path: Path, bytes_: bytes, error: type[Exception], words: str) -> None:
    def answer(end: socket.socket) -> None:
        end.recv(4096)
        end.sendall(bytes_)
        end.shutdown(socket.SHUT_RDWR)

    with answering(tmp_path, answer) as url, Redis(url) as client, pytest.raises(error, match=words):
        client.get("k")


def test_a_bounded_queue(tmp_path: Path) -> None:
    def nothing(end: socket.socket) -> None:
        pass

    async def main(url: str) -> None:
        async with Redis(url, max_calls=9000) as client:
            calls = [client.get("k") for _ in range(10_000)]
            for call in calls[9000:]:
                with pytest.raises(libcoop.QueueFull):
                    await call
            for call in calls[:4500]:
                call.cancel()
            client.close()
            ended = await asyncio.gather(*calls[:9000], return_exceptions=True)
            assert Counter(map(type, ended)) == {asyncio.CancelledError: 4500, libcoop.Closed: 4500}

    with answering(tmp_path, nothing) as url:
        asyncio.run(main(url))


def test_half_of_ten_thousand_are_cancelled_and_the_others_have_their_own_replies(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis(server.url, max_calls=9000) as client:
            await client.ping()
            server.signal(signal.SIGSTOP)
            tasks = [asyncio.ensure_future(client.echo(str(number))) for number in range(10_000)]
            for task in tasks[9000:]:
                with pytest.raises(libcoop.QueueFull):
                    await task
            for task in tasks[:9000:2]:
                assert task.cancel()
            server.signal(signal.SIGCONT)
            async with asyncio.timeout(LONG):
                ended: list[Any] = await asyncio.gather(*tasks[:9000], return_exceptions=True)
            for number, end in enumerate(ended):
                if number % 2:
                    assert end == str(number).encode()
                else:
                    assert isinstance(end, asyncio.CancelledError)
            assert await client.echo("after") == b"after"
            stats = client.stats()
            assert (stats.refused, stats.cancelled, stats.answered) == (1000, 4500, 4502)

    asyncio.run(main())


def test_kill_with_threads_that_wait_and_futures_of_a_thousand_calls(server: RedisServer) -> None:
    with Redis(server.url, patience=LONG) as client:
        client.ping()
        server.signal(signal.SIGSTOP)
        futures = [client.submit("ECHO", number) for number in range(1000)]
        ended: list[Any] = []

        def waits(number: int) -> None:
            try:
                ended.append((number, client.echo(number)))
            except libcoop.Os as error:
                ended.append((number, error))

        threads = [threading.Thread(target=waits, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        wait_for("all are made", lambda: client.stats().calls == 1021)
        server.kill()
        server.start()
        for thread in threads:
            thread.join(LONG)
        assert sorted(number for number, _ in ended) == list(range(20))
        for number, end in ended:
            assert end == str(number).encode() or isinstance(end, libcoop.Os)
        for number, future in enumerate(futures):
            error = future.exception(LONG)
            assert isinstance(error, libcoop.Os) or future.result() == str(number).encode()
        assert client.ping() is True


@pytest.mark.parametrize("close", ["stop", "close"])
def test_a_loop_that_ends_with_calls_in_flight(server: RedisServer, close: str) -> None:
    with libcoop.EventLoop() as loop:
        loop.start()
        client = Redis(server.url, loop=loop)
        futures = [client.submit("BLPOP", "never", 0) for _ in range(100)]
        caught: list[BaseException] = []

        def waits() -> None:
            try:
                client.get("k")
            except libcoop.Closed as error:
                caught.append(error)

        thread = threading.Thread(target=waits)
        thread.start()
        wait_for("all are made", lambda: client.stats().calls == 101)
        getattr(loop, close)()
        thread.join(LONG)
        assert len(caught) == 1
        for future in futures:
            assert isinstance(future.exception(LONG), libcoop.Closed)
        with pytest.raises(libcoop.Closed):
            client.get("k")
        client.close()


def test_what_the_server_refuses(server: RedisServer) -> None:
    with Redis(server.url) as client:
        client.set("k", "v")
        with pytest.raises(libcoop.RedisWrongType, match="WRONGTYPE Operation") as raised:
            client.lpush("k", "v")
        assert raised.value.code == "WRONGTYPE"
        assert isinstance(raised.value, TypeError)
        with pytest.raises(libcoop.RedisError, match="unknown command") as unknown:
            client.execute_command("NONSENSE")
        assert unknown.value.code == "ERR"
        client.config_set("maxmemory", 1)
        with pytest.raises(libcoop.RedisOutOfMemory) as full:
            client.set("k", "v")
        assert isinstance(full.value, MemoryError)
        assert client.stats().server_errors == 3


def test_moved(tmp_path: Path) -> None:
    def answer(end: socket.socket) -> None:
        end.recv(4096)
        end.sendall(b"-MOVED 3999 127.0.0.1:6381\r\n")

    with answering(tmp_path, answer) as url, Redis(url) as client, pytest.raises(libcoop.RedisMoved) as raised:
        client.get("k")
    assert (raised.value.code, raised.value.slot, raised.value.host, raised.value.port) == (
        "MOVED",
        3999,
        "127.0.0.1",
        6381,
    )


def test_passwords() -> None:
    with running("--requirepass", "secret") as server:
        with Redis(server.url, password="secret") as client:
            assert client.ping() is True
            client.execute_command("ACL SETUSER", "ann", "on", ">hers", "~*", "+get", "+ping")
        with Redis(server.url, username="ann", password="hers") as client:
            assert client.ping() is True
            with pytest.raises(libcoop.RedisAuth) as raised:
                client.set("k", "v")
            assert raised.value.code == "NOPERM"
            assert isinstance(raised.value, PermissionError)
        with Redis(server.url, password="wrong") as client, pytest.raises(libcoop.RedisAuth, match="WRONGPASS"):
            client.ping()
        with Redis(server.url) as client, pytest.raises(libcoop.RedisAuth, match="NOAUTH"):
            client.get("k")


def test_subscriptions_are_said_again(server: RedisServer) -> None:
    with Redis(server.url, patience=LONG) as client, client.pubsub() as messages:
        messages.subscribe("news")
        server.kill()
        server.start()
        wait_for("it has subscribed again", lambda: bool(client.publish("news", "back")))
        message: Any = messages.get_message(LONG)
        assert message["data"] == b"back"


def test_messages_that_nobody_takes(server: RedisServer) -> None:
    with Redis(server.url) as client, client.pubsub(most=2) as messages:
        messages.subscribe("news")
        for number in range(5):
            client.publish("news", number)
        wait_for("three are lost", lambda: messages.lost == 3)
        assert [messages.get_message(LONG)["data"] for _ in range(2)] == [b"3", b"4"]
