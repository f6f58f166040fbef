"""`lock`: one at a time, over all clients of a server. What a lock is to the server is redis-py's: either can hold it
against the other.

A lock is a key whose value is its holder's token, set if it was not there. It is released, extended and reacquired by
scripts that look at the token first, so that nobody ends what has become another's.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

from libcoop._redis_both import both, is_awaited, pause, value
from libcoop._redis_errors import LockError, LockNotOwnedError

if TYPE_CHECKING:
    from libcoop._redis import Redis
    from libcoop._redis_keys import Word
    from libcoop._redis_types import Answer

_log = logging.getLogger("libcoop.redis")

_RELEASE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('del', KEYS[1])
return 1
"""
_EXTEND = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
local left = redis.call('pttl', KEYS[1])
if left < 0 then return 0 end
if ARGV[3] == '1' then left = 0 end
redis.call('pexpire', KEYS[1], ARGV[2] + left)
return 1
"""
_REACQUIRE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('pexpire', KEYS[1], ARGV[2])
return 1
"""


class RedisLock:
    """A lock that clients of a server share, in any process on any machine; from `Redis.lock`.

    `timeout` is how many seconds it is held at the most, None for ever; `sleep` the seconds between two attempts;
    `blocking` whether `acquire` waits, and `blocking_timeout` for how many seconds, None for ever. With `thread_local`
    who has acquired it is a thread, and another one's release raises LockError; without, whoever has this object.
    `with` and `async with` acquire and release it; with `raise_on_release_error` False, that it has become another's
    meanwhile is only logged. Where calls are awaited, its methods answer coroutines.
    """

    def __init__(
        self,
        redis: Redis[Any],
        name: Word,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        thread_local: bool = True,
        raise_on_release_error: bool = True,
    ) -> None:
        self.redis = redis
        self.name = name
        self.timeout = timeout
        self.sleep = sleep
        self.blocking = blocking
        self.blocking_timeout = blocking_timeout
        self.thread_local = bool(thread_local)
        self.raise_on_release_error = raise_on_release_error
        self.local: Any = threading.local() if self.thread_local else SimpleNamespace()

    @property
    def _token(self) -> bytes | None:
        token: bytes | None = getattr(self.local, "token", None)
        return token

    def acquire(
        self,
        sleep: float | None = None,
        blocking: bool | None = None,
        blocking_timeout: float | None = None,
        token: bytes | str | None = None,
    ) -> Answer[bool]:
        """True when it is held; False if it is another's, and `blocking` is False or `blocking_timeout` is over.
        Arguments come before those of the lock; `token` is its value, and one of its own without."""
        sleep = self.sleep if sleep is None else sleep
        blocking = self.blocking if blocking is None else blocking
        limit = self.blocking_timeout if blocking_timeout is None else blocking_timeout
        wanted = uuid.uuid4().hex.encode() if token is None else _bytes(token)
        # One that is not there is for ever, as one of 0.
        ms = int(self.timeout * 1000) if self.timeout else None

        async def steps() -> bool:
            until = None if limit is None else time.monotonic() + limit
            while not await value(self.redis.set(self.name, wanted, nx=True, px=ms)):
                if not blocking or (until is not None and time.monotonic() + sleep > until):
                    return False
                await pause(self.redis._event_loop, sleep)
            self.local.token = wanted
            return True

        return both(steps())

    def locked(self) -> Answer[bool]:
        """Whether anybody holds it."""

        async def steps() -> bool:
            return await value(self.redis.get(self.name)) is not None

        return both(steps())

    def owned(self) -> Answer[bool]:
        """Whether this one holds it."""

        async def steps() -> bool:
            stored = await value(self.redis.get(self.name))
            return self._token is not None and stored is not None and _bytes(stored) == self._token

        return both(steps())

    def release(self) -> Answer[None]:
        """Ends it. Raises LockError if it was not acquired, LockNotOwnedError if it is another's or nobody's."""

        async def steps() -> None:
            token = self._held("release a lock that's not owned or is already unlocked.")
            self.local.token = None
            await self._ask(_RELEASE, "release", token)

        return both(steps())

    def extend(self, additional_time: float, replace_ttl: bool = False) -> Answer[bool]:
        """Adds seconds to the time that is left, or puts them in its place: True. Raises LockError for one that was not
        acquired or has no timeout, LockNotOwnedError."""

        async def steps() -> bool:
            token = self._timed("extend")
            return await self._ask(_EXTEND, "extend", token, int(additional_time * 1000), "1" if replace_ttl else "0")

        return both(steps())

    def reacquire(self) -> Answer[bool]:
        """Has its timeout begin again: True. Raises as `extend`."""

        async def steps() -> bool:
            token = self._timed("reacquire")
            return await self._ask(_REACQUIRE, "reacquire", token, int((self.timeout or 0) * 1000))

        return both(steps())

    def _held(self, what: str) -> bytes:
        token = self._token
        if token is None:
            raise LockError(f"Cannot {what}", lock_name=self.name)
        return token

    def _timed(self, verb: str) -> bytes:
        token = self._held(f"{verb} an unlocked lock")
        if self.timeout is None:
            raise LockError(f"Cannot {verb} a lock with no timeout", lock_name=self.name)
        return token

    async def _ask(self, script: str, verb: str, *args: Word) -> bool:
        if not await value(self.redis.register_script(script)(keys=[self.name], args=args)):
            raise LockNotOwnedError(f"Cannot {verb} a lock that's no longer owned", lock_name=self.name)
        return True

    def _entered(self, acquired: bool) -> Self:
        if not acquired:
            raise LockError("Unable to acquire lock within the time specified", lock_name=self.name)
        return self

    def __enter__(self) -> Self:
        if is_awaited():
            raise TypeError("a lock of redis is acquired by `async with` where calls are awaited")
        return self._entered(self.acquire())

    def __exit__(self, *_exc: object) -> None:
        try:
            self.release()
        except LockError as error:
            self._not_released(error)

    async def __aenter__(self) -> Self:
        return self._entered(await value(self.acquire()))

    async def __aexit__(self, *_exc: object) -> None:
        try:
            await value(self.release())
        except LockError as error:
            self._not_released(error)

    def _not_released(self, error: LockError) -> None:
        if self.raise_on_release_error:
            raise error
        _log.warning("at the end of `with`: %s", error)

    def __repr__(self) -> str:
        return f"<libcoop redis lock {self.name!r}>"


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
