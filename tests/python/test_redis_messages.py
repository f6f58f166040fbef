"""Messages of channels, on a real server: who stops waiting leaves nothing behind, and takes nothing with him."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from libcoop import Redis
from rediskit import LONG, RedisServer, running, wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis[Any]]:
    with Redis(server.url) as client:
        yield client


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_looking_for_a_message_leaves_nothing_behind(client: Redis[Any]) -> None:
    with client.pubsub() as messages:
        messages.subscribe("quiet")
        assert messages.get_message(0.001) is None
        before = descriptors()
        for _ in range(100):
            assert messages.get_message() is None
        # What a test before this one has let go of may be closed meanwhile.
        assert descriptors() <= before


def test_a_message_is_not_lost_with_who_waits_for_it(client: Redis[Any]) -> None:
    count = 500

    async def main() -> None:
        async with client.pubsub() as messages:
            await messages.subscribe("news")

            async def publish() -> None:
                for number in range(count):
                    await client.publish("news", number)

            publishing = asyncio.ensure_future(publish())
            got: list[int] = []
            while len(got) < count:
                waiting = asyncio.ensure_future(messages.get_message(LONG if publishing.done() else None))
                # The message comes before this, at the same time, or after it.
                for _ in range(len(got) % 4):
                    await asyncio.sleep(0)
                await asyncio.wait([waiting], timeout=0.0001 * (len(got) % 3))
                if not publishing.done():
                    waiting.cancel()
                try:
                    message = await waiting
                except asyncio.CancelledError:
                    continue
                assert message is not None, f"only {len(got)} have come"
                got.append(int(message["data"]))
            await publishing
            assert got == list(range(count))
            assert messages.lost == 0

    asyncio.run(main())


@pytest.mark.parametrize("decode_responses", [False, True])
def test_what_is_given_back_is_what_it_was(server: RedisServer, decode_responses: bool) -> None:
    async def main() -> None:
        async with Redis(server.url, decode_responses=decode_responses) as client, client.pubsub() as messages:
            await messages.subscribe("a")
            await messages.psubscribe("b*")
            await messages.ssubscribe("s")
            await client.publish("a", "é")
            await client.publish("b1", "2")
            await client.spublish("s", "3")
            got: list[Any] = []
            while len(got) < 3:
                native = messages._native.next(LONG)
                while not native.done():
                    await asyncio.sleep(0.001)
                waiting = asyncio.ensure_future(messages._later(native))
                await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                got.append(await messages.get_message(LONG))
            told = [(one["type"], one["pattern"], one["channel"], one["data"]) for one in got]
            wanted = [("message", None, "a", "é"), ("pmessage", "b*", "b1", "2"), ("smessage", None, "s", "3")]
            if not decode_responses:
                wanted = [(kind, *(w and w.encode() for w in words)) for kind, *words in wanted]  # type: ignore[misc]
            assert told == wanted

    asyncio.run(main())


def test_names_are_words(client: Redis[Any]) -> None:
    with client.pubsub() as messages:
        messages.subscribe(5, "text", b"bytes", 1.5)
        assert sorted(client.pubsub_channels()) == [b"1.5", b"5", b"bytes", b"text"]
        messages.unsubscribe(5, "bytes")
        assert sorted(client.pubsub_channels()) == [b"1.5", b"text"]
        with pytest.raises(TypeError, match="must be bytes, str, int or float, not None"):
            messages.subscribe(None)  # type: ignore[arg-type]
        messages.unsubscribe()
        assert client.pubsub_channels() == []


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_server_that_is_gone_without_a_word_is_noticed(protocol: int) -> None:
    with (
        running() as server,
        Redis(server.url, protocol=protocol, stalled_after=0.2) as client,
        Redis(server.url) as other,
        client.pubsub() as messages,
    ):
        messages.subscribe("news")

        def comes() -> bool:
            other.publish("news", "again")
            return messages.get_message(0.02) is not None

        wait_for("a message comes", comes)
        server.signal(signal.SIGSTOP)
        before = client.stats().disconnects
        wait_for("it is noticed", lambda: client.stats().disconnects > before)
        server.signal(signal.SIGCONT)
        while messages.get_message() is not None:
            pass
        wait_for("a message comes again", comes)


def test_messages_that_nobody_takes_are_bounded_in_bytes(server: RedisServer, client: Redis[Any]) -> None:
    with Redis(server.url, max_queued_bytes=1000) as small, small.pubsub() as messages:
        messages.subscribe("news")
        for number in range(10):
            client.publish("news", f"{number}".ljust(396))
        wait_for("all have come, but for the last two", lambda: messages.lost == 8)
        got: list[Any] = [messages.get_message(LONG) for _ in range(2)]
        assert [message["data"][:1] for message in got] == [b"8", b"9"]
