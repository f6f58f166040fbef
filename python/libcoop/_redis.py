"""`libcoop.Redis`: calls of redis, awaited where something else can run meanwhile, waited for where nothing can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, TypeVar, cast, overload

from libcoop import _libcoop
from libcoop._redis_both import both, pause, value
from libcoop._redis_collections import Hashes, Lists, Sets
from libcoop._redis_errors import RedisWatchChanged
from libcoop._redis_keys import Keys, Strings, Word
from libcoop._redis_lock import RedisLock
from libcoop._redis_pipeline import Pipeline
from libcoop._redis_pubsub import PubSub
from libcoop._redis_server import Scripts, Server
from libcoop._redis_sorted import Geo, SortedSets
from libcoop._redis_streams import Streams
from libcoop._redis_types import Text

if TYPE_CHECKING:
    from typing import Unpack

    from libcoop._redis_types import Answer, Awaits, Options, Waits

Item = TypeVar("Item")


class RedisStats(NamedTuple):
    """Figures of a client since it was made. Every call that was accepted is, when it has ended, one of `answered`,
    `timed_out`, `cancelled` and `lost`. `queued`, `in_flight` and `connected` are of now."""

    calls: int
    refused: int
    answered: int
    server_errors: int
    timed_out: int
    cancelled: int
    lost: int
    pushes: int
    connects: int
    connect_failures: int
    disconnects: int
    writes: int
    reads: int
    bytes_out: int
    bytes_in: int
    queued: int
    in_flight: int
    connected: int


class Script:
    """A Lua script, called by its digest, and by its source if the server does not know that."""

    def __init__(self, client: Redis[Any], source: bytes | str) -> None:
        self._client = client
        self.script = source
        self._native = _libcoop.RedisSource(source)

    @property
    def sha(self) -> str:
        """Its SHA-1 digest in hex."""
        return self._native.sha

    def __call__(self, keys: Any = (), args: Any = (), client: Redis[Any] | Pipeline | None = None) -> Any:
        """What the script returns."""
        where = client or self._client
        if isinstance(where, Pipeline):
            keys = tuple(keys)
            return where.eval(self.script, len(keys), *keys, *args)
        return where._script(self._native, tuple(keys), tuple(args))


class Scan(Generic[Item]):
    """What a scan finds, page by page: `for` where a call is waited for, `async for` where it is awaited."""

    def __init__(self, step: Callable[[int], Any], items: Callable[[Any], Iterable[Item]]) -> None:
        self._step = step
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        cursor = -1
        while cursor != 0:
            page = self._step(max(cursor, 0))
            if not isinstance(page, tuple):
                page.cancel()
                raise TypeError("a scan of redis is iterated by `async for` where calls are awaited")
            cursor, found = page
            yield from self._items(found)

    async def __aiter__(self) -> AsyncIterator[Item]:
        cursor = -1
        while cursor != 0:
            cursor, found = await self._step(max(cursor, 0))
            for item in self._items(found):
                yield item


def _as_it_is(found: Any) -> Any:
    return found


class _All(
    Strings[Text],
    Keys[Text],
    Hashes[Text],
    Lists[Text],
    Sets[Text],
    SortedSets[Text],
    Streams[Text],
    Geo[Text],
    Scripts[Text],
    Server[Text],
):
    """All commands by name."""


class RedisConnection(_All[Text]):
    """A connection of one's own, from `Redis.own`: for commands that wait for long, and those that change what a
    connection does. It is given back by `close`, and by `with` or `async with`."""

    def __init__(self, native: _libcoop.NativeRedis) -> None:
        self._native = native

    def execute_command(self, *args: Word, timeout: float | None = None) -> Any:
        """As `Redis.execute_command`."""
        return self._native.execute_command(*args, timeout=timeout)

    def close(self) -> None:
        """Gives it back; again is fine."""
        self._native._give_back()

    def __enter__(self) -> WaitedConnection[Text]:
        return cast("WaitedConnection[Text]", self)

    def __exit__(self, *_exc: object) -> None:
        self.close()

    async def __aenter__(self) -> AwaitedConnection[Text]:
        return cast("AwaitedConnection[Text]", self)

    async def __aexit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<libcoop.RedisConnection to {self._native.server}{', closed' if self._native.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection to redis cannot be pickled: it is one of this process")


class Redis(_libcoop.NativeRedis, _All[Text]):
    """A client of a redis server, for any thread: all calls share one connection, whose replies one thread reads.

    A call is awaited, or waited for, by where it is made:

    - in a thread in which an asyncio loop runs, it answers a future of that loop: `await client.get("k")`
    - in a coroutine that a libcoop loop drives (a coroutine node of a Dag), it answers a `libcoop.Future`, to be
      awaited
    - anywhere else it waits, without the interpreter, and answers the value: `client.get("k")`; Ctrl-C ends the wait in
      the main thread

    The command is sent with others of its moment, whether its future is awaited or not; a future that is cancelled
    cancels the call. A call on the thread of the client's own loop, where nothing drives it, raises WouldDeadlock;
    `submit` answers a `libcoop.Future` anywhere.

    `url` is "redis://[user][:password@]host[:port][/db]", the same with "rediss" for TLS, or
    "unix://[user][:password@]/path[?db=0]". What keywords say comes before what it says: `host`, `port`,
    `unix_socket_path`, `username`, `password`, `db`, `client_name`, `protocol` (2, 3, None for the newest),
    `connections` (1 to 64), `connect_timeout` (3 s), `timeout` of a call (None), `patience`: how long a call waits for
    a connection (5 s), `stalled_after` (30 s), `max_calls` (100000), `max_queued_bytes` and `max_reply_bytes` (64 MiB),
    `max_own` of `own` and of pipelines that watch (128), `ssl`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`,
    `ssl_server_name`. Times are seconds.

    `loop` is an EventLoop or a Runtime; without one, the client has a loop and a thread of its own until it is closed.
    With `decode_responses` bytes are answered as str. Raises Invalid, ValueError, TypeError, Os, Closed, Forked.

    Calls raise RedisError for what the server refuses, Timeout, QueueFull, Os for a connection that was lost, Closed,
    Forked.
    """

    _home: _libcoop.EventLoop | None
    _event_loop: _libcoop.EventLoop

    @overload
    def __new__(
        cls,
        url: str | None = None,
        *,
        loop: _libcoop.EventLoop | _libcoop.Runtime | None = None,
        decode_responses: Literal[False] = False,
        **options: Unpack[Options],
    ) -> Redis[bytes]: ...
    @overload
    def __new__(
        cls,
        url: str | None = None,
        *,
        loop: _libcoop.EventLoop | _libcoop.Runtime | None = None,
        decode_responses: Literal[True],
        **options: Unpack[Options],
    ) -> Redis[str]: ...
    @overload
    def __new__(
        cls,
        url: str | None = None,
        *,
        loop: _libcoop.EventLoop | _libcoop.Runtime | None = None,
        decode_responses: bool,
        **options: Unpack[Options],
    ) -> Redis[Any]: ...
    def __new__(
        cls,
        url: str | None = None,
        *,
        loop: _libcoop.EventLoop | _libcoop.Runtime | None = None,
        decode_responses: bool = False,
        **options: Any,
    ) -> Any:
        home = None
        if isinstance(loop, _libcoop.Runtime):
            loop = loop.event_loop
        if loop is None:
            loop = home = _libcoop.EventLoop(name="coop-redis")
        try:
            self = super().__new__(cls, loop, url, decode_responses, options)
            if home is not None:
                home.start()
        except BaseException:
            if home is not None:
                home.close()
            raise
        self._home = home
        self._event_loop = loop
        return self

    @overload
    @classmethod
    def from_url(
        cls, url: str, *, decode_responses: Literal[False] = False, **options: Unpack[Options]
    ) -> Redis[bytes]: ...
    @overload
    @classmethod
    def from_url(cls, url: str, *, decode_responses: Literal[True], **options: Unpack[Options]) -> Redis[str]: ...
    @classmethod
    def from_url(cls, url: str, **options: Any) -> Any:
        """As the class itself."""
        return cls(url, **options)

    def close(self) -> None:
        """Ends it, and its loop if that is its own: calls that have not ended raise Closed. Any number of times, from
        any thread."""
        self._close()
        if self._home is not None:
            self._home.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> WaitedRedis[Text]:
        return cast("WaitedRedis[Text]", self)

    def __exit__(self, *_exc: object) -> None:
        self.close()

    async def __aenter__(self) -> AwaitedRedis[Text]:
        return cast("AwaitedRedis[Text]", self)

    async def __aexit__(self, *_exc: object) -> None:
        self.close()

    def own(self) -> RedisConnection[Text]:
        """A connection of one's own, for commands that wait for long (`blpop`) or change what a connection does
        (SELECT, CLIENT REPLY). Raises QueueFull if `max_own` of them are somebody's."""
        return RedisConnection(self._own())

    def pipeline(self, transaction: bool = True) -> Pipeline:
        """Commands that are sent in one piece, as a transaction or not."""
        return Pipeline(self, transaction)

    def transaction(
        self,
        func: Callable[[Pipeline], Any],
        *watches: Word,
        value_from_callable: bool = False,
        watch_delay: float | None = None,
    ) -> Answer[Any]:
        """Calls `func` with a pipeline that watches these keys and executes it: what `execute` answers, or with
        `value_from_callable` what `func` has. If a watched key has changed meanwhile all of it is done again, after
        `watch_delay` seconds. `func` reads, then calls `multi`, then says what is to be done; where calls are awaited
        it may be `async`. Raises what the pipeline does."""

        async def steps() -> Any:
            pipe = self.pipeline()
            try:
                while True:
                    try:
                        if watches:
                            await value(pipe.watch(*watches))
                        said = await value(func(pipe))
                        done = await value(pipe.execute())
                        return said if value_from_callable else done
                    except RedisWatchChanged:
                        if watch_delay is not None and watch_delay > 0:
                            await pause(self._event_loop, watch_delay)
            finally:
                pipe.reset()

        return both(steps())

    def lock(
        self,
        name: Word,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        lock_class: type[RedisLock] | None = None,
        thread_local: bool = True,
        raise_on_release_error: bool = True,
    ) -> RedisLock:
        """A lock over all clients of the server; see RedisLock. It is not acquired yet."""
        return (lock_class or RedisLock)(
            self, name, timeout, sleep, blocking, blocking_timeout, thread_local, raise_on_release_error
        )

    def pubsub(self, *, most: int = 10_000) -> PubSub:
        """Messages, on a connection of their own: up to `most` and `max_queued_bytes` wait to be taken, then the oldest
        are lost."""
        return PubSub(self._subscriber(most))

    def register_script(self, script: bytes | str) -> Script:
        """A script to be called."""
        return Script(self, script)

    def scan_iter(self, match: Word | None = None, count: int | None = None, _type: str | None = None) -> Scan[Text]:
        """The names of all keys."""
        return Scan(lambda cursor: self.scan(cursor, match, count, _type), _as_it_is)

    def hscan_iter(self, name: Word, match: Word | None = None, count: int | None = None) -> Scan[tuple[Text, Text]]:
        """A hash's fields: (name, value)."""
        return Scan(lambda cursor: self.hscan(name, cursor, match, count), lambda found: found.items())

    def sscan_iter(self, name: Word, match: Word | None = None, count: int | None = None) -> Scan[Text]:
        """A set's members."""
        return Scan(lambda cursor: self.sscan(name, cursor, match, count), _as_it_is)

    def zscan_iter(self, name: Word, match: Word | None = None, count: int | None = None) -> Scan[tuple[Text, float]]:
        """A sorted set's members: (member, score)."""
        return Scan(lambda cursor: self.zscan(name, cursor, match, count), _as_it_is)

    def stats(self) -> RedisStats:
        """What it has done so far."""
        return RedisStats(**self._stats())

    def __repr__(self) -> str:
        return f"<libcoop.Redis at {self.server}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Redis client cannot be pickled: it is connections of this process; pass on its URL")


if TYPE_CHECKING:

    class WaitedConnection(Waits, RedisConnection[Text]):
        """What `with` binds."""

    class AwaitedConnection(Awaits, RedisConnection[Text]):
        """What `async with` binds."""

    class WaitedRedis(Waits, Redis[Text]):
        """What `with` binds."""

        def own(self) -> WaitedConnection[Text]: ...

    class AwaitedRedis(Awaits, Redis[Text]):
        """What `async with` binds."""

        def own(self) -> AwaitedConnection[Text]: ...
