"""A program that a user might write, with the types that a checker is to find in it; it is run, too, with a server's
URL."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, assert_type

from libcoop import Redis


def anywhere(client: Redis, number: str) -> bytes | None:
    """A client whose calls may be awaited or waited for: here nothing is said against a value."""
    count: int = client.incr(number) + 1
    for name in client.keys("user-*"):
        assert name.startswith(b"user-")
    if client.get("user-k") == b"v":
        assert count > 1
    return client.get("user-k")


async def awaited(client: Redis, texts: Redis[str]) -> None:
    """And here the value that comes is known."""
    assert_type(await client.set("user-k", "v"), bool | bytes | None)
    assert_type(await client.get("user-k"), bytes | None)
    assert_type(await texts.get("user-k"), str | None)
    assert_type(await client.hgetall("user-h"), dict[bytes, bytes])
    calls = [client.lrange(name, 0, -1) for name in ("user-1", "user-2")]
    assert_type([await call for call in calls], list[list[bytes]])
    client.incr("user-n").cancel()


async def async_with(url: str) -> None:
    async with Redis(url) as client:
        assert_type(client.get("user-k"), "asyncio.Future[bytes | None]")
        assert_type(await asyncio.gather(*(client.incr("user-n") for _ in range(3))), list[int])
        async with client.pipeline() as pipe:
            pipe.set("user-p", 1).incr("user-p")
            assert_type(await pipe.execute(), list[Any])
            await pipe.watch("user-p")
            pipe.multi()
        async with client.own() as mine:
            assert_type(await mine.blpop("user-l", 0.01), tuple[bytes, bytes] | None)
        async for name in client.scan_iter("user-*"):
            assert_type(name, bytes)
        async with client.pubsub() as messages:
            await messages.subscribe("user-news")
            assert_type(await messages.get_message(), dict[str, Any] | None)
        assert (await client.register_script("return 1")()) == 1


def plain_with(url: str) -> None:
    with Redis(url, decode_responses=True) as client:
        assert_type(client.get("user-k"), str | None)
        assert_type(client.zadd("user-z", {"a": 1.5}), int | float | None)
        assert_type(client.zscore("user-z", "a"), float | None)
        assert_type(client.smembers("user-s"), set[str])
        assert_type(dict(client.hscan_iter("user-h")), dict[str, str])
        with client.own() as mine:
            assert_type(mine.lpop("user-l"), str | list[str] | None)
        with client.pipeline() as pipe:
            values: list[Any] = pipe.get("user-k").incr("user-n").execute()
            assert len(values) == 2


def main(url: str) -> None:
    client, texts = Redis(url), Redis(url, decode_responses=True)
    assert anywhere(client, "user-n") is None
    asyncio.run(awaited(client, texts))
    asyncio.run(async_with(url))
    plain_with(url)
    client.close()
    texts.close()


if __name__ == "__main__":
    main(sys.argv[1])
