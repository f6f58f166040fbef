"""Pipelines and transactions: commands that are kept, and sent in one piece."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from libcoop import _libcoop
from libcoop._driving import driving
from libcoop._errors import Invalid
from libcoop._redis_collections import Hashes, Lists, Sets
from libcoop._redis_keys import Keys, Strings, Word
from libcoop._redis_server import Scripts, Server
from libcoop._redis_sorted import Geo, SortedSets
from libcoop._redis_streams import Streams

if TYPE_CHECKING:
    from libcoop._redis import Redis
    from libcoop._redis_types import Answer


def answered(value: Any) -> Any:
    """A value that needs no call, as a call would answer it here."""
    asyncio: Any = sys.modules.get("asyncio.events")
    if asyncio is not None and (loop := asyncio._get_running_loop()) is not None:
        future = loop.create_future()
        future.set_result(value)
        return future
    if driving.now:
        from libcoop._future import Future

        done: Future[Any] = Future()
        done.set_result(value)
        return done
    return value


class Pipeline(
    Strings[Any],
    Keys[Any],
    Hashes[Any],
    Lists[Any],
    Sets[Any],
    SortedSets[Any],
    Streams[Any],
    Geo[Any],
    Scripts[Any],
    Server[Any],
):
    """Commands, each of which answers the pipeline; `execute` sends them in one piece and answers a list of what they
    answer.

    As a transaction none of another client's comes in between. `watch` before it takes a connection of its own: from
    then until `multi` calls are made at once, and `execute` raises RedisWatchChanged if a watched key has changed. A
    pipeline is one thread's or one task's.
    """

    def __init__(self, client: Redis[Any], transaction: bool) -> None:
        self._client = client
        self._transaction = transaction
        self._commands: list[tuple[Word, ...]] = []
        self._own: _libcoop.NativeRedis | None = None
        self._calls_at_once = False

    def execute_command(self, *args: Word, timeout: float | None = None) -> Any:
        """Keeps a command, and answers the pipeline; between `watch` and `multi` it makes the call."""
        if self._calls_at_once and self._own is not None:
            return self._own.execute_command(*args, timeout=timeout)
        if timeout is not None:
            raise TypeError("a command in a pipeline has no timeout of its own")
        self._commands.append(args)
        return self

    def watch(self, *names: Word) -> Answer[bool]:
        """Has `execute` refuse if one of these keys changes until then; True. Raises QueueFull if all connections of
        one's own (`max_own`) are somebody's."""
        if self._commands:
            raise Invalid("watch comes before the commands of a pipeline")
        if self._own is None:
            self._own = self._client._own()
        self._calls_at_once = True
        return self._own.execute_command("WATCH", *names)

    def unwatch(self) -> Answer[bool]:
        """Forgets what was watched; True."""
        if self._own is None:
            return answered(True)
        self._calls_at_once = False
        return self._own.execute_command("UNWATCH")

    def multi(self) -> None:
        """From now on commands are kept, after `watch`."""
        if self._commands:
            raise Invalid("multi comes before the commands of a pipeline")
        self._calls_at_once = False

    def execute(self, raise_on_error: bool = True) -> Answer[list[Any]]:
        """What the commands answer: list. The first error is raised, or all stand in the list."""
        commands, self._commands = self._commands, []
        own, self._own, self._calls_at_once = self._own, None, False
        try:
            if not commands:
                return answered([])
            if own is None:
                return self._client._many(commands, self._transaction, raise_on_error)
            return own._many(commands, True, raise_on_error)
        finally:
            if own is not None:
                own._give_back()

    def reset(self) -> None:
        """Forgets its commands, and what was watched."""
        self._commands = []
        self._calls_at_once = False
        own, self._own = self._own, None
        if own is not None:
            own._give_back()

    def __len__(self) -> int:
        return len(self._commands)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.reset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.reset()

    def __repr__(self) -> str:
        return f"<libcoop redis pipeline of {len(self._commands)} commands>"


if TYPE_CHECKING:

    class Kept(Pipeline, Any):  # type: ignore[misc]
        """What a command answers: the pipeline, or between `watch` and `multi` what the call would."""
