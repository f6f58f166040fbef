"""Calls of redis under asyncio; imported where a loop of asyncio runs."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from libcoop import _libcoop

# The loop holds its inbox, as what it watches; closed, it lets go of it.
_inboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[_libcoop.RedisInbox]]
_inboxes = weakref.WeakKeyDictionary()


def inbox_of(loop: asyncio.AbstractEventLoop) -> _libcoop.RedisInbox:
    """Where replies for this loop go, which runs in this thread."""
    known = _inboxes.get(loop)
    inbox = known() if known is not None else None
    if inbox is None:
        inbox = _libcoop.RedisInbox()
        loop.add_reader(inbox.fileno(), inbox.take)
        _inboxes[loop] = weakref.ref(inbox)
    return inbox


class RedisFuture(asyncio.Future[Any]):
    """A call's reply: a future of the loop that runs where the call is made. Cancelled, it cancels the call."""

    _call: _libcoop.RedisCall | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        if not super().cancel(msg):
            return False
        if self._call is not None:
            self._call.cancel()
        return True
