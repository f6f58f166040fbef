"""A graph on a real redis: who asks, whom they follow, what those have, all at once, and the rest on CPUs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from libcoop import Dag, Redis, Runtime
from rediskit import LONG, RedisServer, running

VIEWERS = 100
FOLLOWED = 100


def fill(server: RedisServer) -> None:
    with Redis(server.url) as client, client.pipeline(transaction=False) as pipe:
        for viewer in range(VIEWERS):
            pipe.set(f"viewer:{viewer}", json.dumps({"id": viewer}))
            pipe.rpush(f"follow:{viewer}", *(f"user:{(viewer + step) % 200}" for step in range(FOLLOWED)))
        for user in range(200):
            pipe.hset(f"user:{user}", mapping={"id": user, "score": user * 7 % 101})
        pipe.execute()


def graph(client: Redis) -> Dag:
    dag = Dag()
    dag.input("number")

    @dag.node
    async def viewer(number: int) -> dict[str, int]:
        found: dict[str, int] = json.loads(await client.get(f"viewer:{number}") or b"")
        return found

    @dag.node
    async def follow(viewer: dict[str, int]) -> list[dict[bytes, bytes]]:
        names = await client.lrange(f"follow:{viewer['id']}", 0, -1)
        # All are sent before the first is awaited.
        calls = [client.hgetall(name) for name in names]
        return [await call for call in calls]

    @dag.node
    def scores(follow: list[dict[bytes, bytes]]) -> list[tuple[int, int]]:
        return sorted(((int(user[b"score"]), int(user[b"id"])) for user in follow), reverse=True)

    @dag.node
    def best(scores: list[tuple[int, int]]) -> list[int]:
        return [user for _, user in scores[:10]]

    return dag


def expected(viewer: int) -> list[int]:
    users = [(viewer + step) % 200 for step in range(FOLLOWED)]
    return [user for _, user in sorted(((user * 7 % 101, user) for user in users), reverse=True)[:10]]


def test_on_the_loop_of_a_runtime() -> None:
    with running() as server, Runtime(2) as runtime:
        fill(server)
        runtime.start()
        with Redis(server.url, loop=runtime) as client:
            dag = graph(client)
            runs = [dag.run(runtime, {"number": viewer}) for viewer in range(VIEWERS)]
            for viewer, run in enumerate(runs):
                assert run.result(LONG)["best"] == expected(viewer)
            stats = client.stats()
            assert stats.connects == 1
            assert stats.answered == VIEWERS * (2 + FOLLOWED)
            assert stats.writes < stats.calls


def test_under_asyncio() -> None:
    async def main(server: RedisServer) -> list[Any]:
        with Runtime(2) as runtime:
            runtime.start()
            async with Redis(server.url, loop=runtime) as client:
                dag = graph(client)
                return await asyncio.gather(*(dag.run(runtime, {"number": viewer}) for viewer in range(VIEWERS)))

    with running() as server:
        fill(server)
        outcomes = asyncio.run(main(server))
    assert [outcome["best"] for outcome in outcomes] == [expected(viewer) for viewer in range(VIEWERS)]
