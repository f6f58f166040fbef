"""What is made of several calls, written once: awaited where calls are awaited, and done at once where they are waited
for."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from libcoop._driving import driving

if TYPE_CHECKING:
    from libcoop import _libcoop
    from libcoop._redis_types import Answer

V = TypeVar("V")


def running_asyncio() -> Any:
    """The loop of asyncio that runs in this thread, or None."""
    events: Any = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()


def is_awaited() -> bool:
    """Whether a call that is made here is awaited."""
    return driving.now or running_asyncio() is not None


def both(steps: Coroutine[Any, Any, V]) -> Answer[V]:
    """The coroutine where calls are awaited, to be awaited; elsewhere what it returns. What it awaits are `value` and
    `pause`."""
    answer: Any = steps
    if is_awaited():
        return answer
    try:
        steps.send(None)
    except StopIteration as done:
        return done.value
    steps.close()
    raise TypeError("a coroutine that is waited for awaits something else than calls of redis")


async def value(called: Any) -> Any:
    """What a call has answered."""
    return await called if inspect.isawaitable(called) else called


async def pause(event_loop: _libcoop.EventLoop, seconds: float) -> None:
    """Lets others go on for so long."""
    if running_asyncio() is not None:
        import asyncio

        await asyncio.sleep(seconds)
    elif driving.now:
        await event_loop.sleep(seconds)
    else:
        time.sleep(seconds)
