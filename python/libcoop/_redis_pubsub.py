"""Messages of channels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Self

from libcoop import _libcoop
from libcoop._errors import Closed
from libcoop._future import Future
from libcoop._redis_keys import Word
from libcoop._redis_pipeline import answered

if TYPE_CHECKING:
    from libcoop._redis_types import Answer

Message = dict[str, Any]
"""`type` ("message", "pmessage", "smessage"), `pattern`, `channel` and `data`, as redis-py has it."""


class PubSub:
    """Messages on a connection of their own, which after a loss subscribes again by itself.

    Its calls are awaited or waited for as those of the client. It is iterated by `for` or by `async for`, until it is
    closed. What redis-py calls subscribe messages does not come: `subscribe` ends when the server has confirmed it.
    """

    def __init__(self, native: _libcoop.NativeSubscriber) -> None:
        self._native = native
        self._names: dict[str, set[bytes]] = {}

    def _say(self, kind: str, subscribes: bool, names: tuple[Word, ...]) -> Any:
        known = self._names.setdefault(kind, set())
        given = set(self._native.words(names))
        if subscribes:
            known |= given
        else:
            given = given or set(known)
            known -= given
            if not given:
                return answered(None)
        return self._native.say(kind, subscribes, tuple(sorted(given)))

    def subscribe(self, *channels: Word) -> Answer[None]:
        """Subscribes to channels: None, when the server has confirmed it."""
        return self._say("channel", True, channels)

    def psubscribe(self, *patterns: Word) -> Answer[None]:
        """Subscribes to all channels whose names fit."""
        return self._say("pattern", True, patterns)

    def ssubscribe(self, *channels: Word) -> Answer[None]:
        """Subscribes to channels of a shard."""
        return self._say("shard", True, channels)

    def unsubscribe(self, *channels: Word) -> Answer[None]:
        """Ends subscriptions; without a name, all of them."""
        return self._say("channel", False, channels)

    def punsubscribe(self, *patterns: Word) -> Answer[None]:
        """Ends subscriptions to patterns; without one, all of them."""
        return self._say("pattern", False, patterns)

    def sunsubscribe(self, *channels: Word) -> Answer[None]:
        """Ends subscriptions to channels of a shard; without a name, all of them."""
        return self._say("shard", False, channels)

    def get_message(self, timeout: float | None = 0.0) -> Answer[Message | None]:
        """The next message, or None after `timeout` seconds; None waits for ever."""
        got = self._native.next(timeout)
        message: Any = self._later(got) if isinstance(got, Future) else _message(got)
        return message

    def _later(self, got: Future[Any]) -> Coroutine[Any, Any, Message | None]:
        async def later() -> Message | None:
            try:
                return _message(await got)
            except BaseException:
                # Cancelled when it had come: it is the next one's.
                if not got.cancel() and got.exception() is None and (parts := got.result()) is not None:
                    self._native.put_back(parts[0], parts[1:])
                raise

        return later()

    def listen(self) -> Self:
        """Itself, to be iterated."""
        return self

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                got = self._native.next(None)
            except Closed:
                return
            if isinstance(got, Future):
                got.cancel()
                raise TypeError("messages of redis are iterated by `async for` where calls are awaited")
            message: Any = _message(got)
            yield message

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            try:
                message: Any = await self.get_message(None)
            except Closed:
                return
            yield message

    @property
    def lost(self) -> int:
        """How many messages were lost because nobody took them."""
        return self._native.lost

    def close(self) -> None:
        """Ends it; who waits for a message is told Closed. Again is fine."""
        self._native.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = sum(map(len, self._names.values()))
        return f"<libcoop redis messages of {names} subscriptions>"


def _message(parts: Any) -> Message | None:
    return None if parts is None else dict(zip(("type", "pattern", "channel", "data"), parts, strict=True))
