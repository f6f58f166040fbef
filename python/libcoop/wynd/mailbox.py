"""How events get from the ports of a set to the main thread, whichever process a port runs in.

Guarantees: events of one port arrive in order, each once, on the thread that runs the loop; `put` never waits; `drain`
delivers what came after the loop had stopped. What a port in a process of its own puts while the main thread does not
read (a stopped process) is kept up to `_KEPT` events, then lost, oldest first.

An `Outlet` is a name that pickles. In the process of its mailbox it finds the mailbox itself; in any other it connects
to the mailbox's socket. That socket has a name in the abstract namespace, so that no file is left behind by whatever
ends the process, and it takes nothing from another user: what comes is unpickled.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import libcoop

from .events import Event

if TYPE_CHECKING:
    from libcoop import EventLoop, Watch

_KEPT = 4096
_MOST_BYTES = 1 << 18  # of an event
_TURN_EVENTS = 256  # taken from one connection before the loop looks at something else
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

_boxes: dict[tuple[int, str], Mailbox] = {}  # by process too: a forked child has a copy that nobody empties


class Outlet:
    """A port's end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sock: socket.socket | None = None
        self._waiting: deque[bytes] = deque(maxlen=_KEPT)

    def __reduce__(self) -> tuple[type[Outlet], tuple[str]]:
        return Outlet, (self._name,)

    def put(self, event: Event) -> None:
        """From any thread in the mailbox's process, from one in another."""
        box = _boxes.get((os.getpid(), self._name))
        if box is not None:
            box.put(event)
            return
        self._waiting.append(pickle.dumps(event, pickle.HIGHEST_PROTOCOL))
        with contextlib.suppress(OSError):  # full, or nobody there: it waits for the next
            if self._sock is None:
                self._sock = _connected(self._name)
            while self._waiting:
                self._sock.send(self._waiting[0])
                self._waiting.popleft()

    def flush(self, timeout: float) -> None:
        """Put what still waits, for at most so many seconds."""
        if self._sock is not None:
            self._sock.settimeout(timeout)
            with contextlib.suppress(OSError):
                while self._waiting:
                    self._sock.send(self._waiting[0])
                    self._waiting.popleft()
            self._sock.setblocking(False)

    def close(self, timeout: float) -> None:
        """At a port's end: `flush`, then nothing more."""
        self.flush(timeout)
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _connected(name: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect("\0" + name)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


class Mailbox:
    """Many put, the loop's thread delivers; one post stands for all that wait in this process."""

    def __init__(self, loop: EventLoop, deliver: Callable[[Event], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._events: deque[Event] = deque()
        self._posted = False
        self._name = f"libcoop-wynd-{os.getpid()}-{secrets.token_hex(8)}"
        self._listener: socket.socket | None = None
        self._watches: dict[socket.socket, Watch] = {}
        _boxes[os.getpid(), self._name] = self

    @property
    def outlet(self) -> Outlet:
        """One for each port."""
        return Outlet(self._name)

    def listen(self) -> None:
        """Take events from other processes too."""
        if self._listener is None:
            listener = self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind("\0" + self._name)
            listener.listen(1024)
            listener.setblocking(False)
            self._watches[listener] = self._loop.watch(listener, libcoop.READ, lambda _: self._accept())

    def put(self, event: Event) -> None:
        """From any thread of this process."""
        self._events.append(event)
        self._post()

    def _post(self) -> None:
        # The flag is cleared before the queue is emptied, so an event whose post was saved is always still seen.
        if not self._posted:
            self._posted = True
            with contextlib.suppress(libcoop.Error):  # the loop has stopped: drain() delivers
                self._loop.post(self._turn)

    def _turn(self) -> None:
        """What waits now and no more: threads that put all the time must not keep the loop from its timers."""
        self._posted = False
        for _ in range(len(self._events)):
            self._deliver(self._events.popleft())
        if self._events:
            self._post()

    def _accept(self) -> list[socket.socket]:
        """Those that have connected."""
        accepted: list[socket.socket] = []
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                if _CREDENTIALS.unpack(credentials)[1] != os.getuid():
                    sock.close()
                    continue
                sock.setblocking(False)
                accepted.append(sock)
                with contextlib.suppress(libcoop.Closed):  # drain() reads it
                    self._watches[sock] = self._loop.watch(sock, libcoop.READ, partial(self._ready, sock))
        return accepted

    def _ready(self, sock: socket.socket, events: int) -> None:
        self._read(sock)

    def _read(self, sock: socket.socket) -> bool:
        """Deliver what one connection has; whether there may be more."""
        for _ in range(_TURN_EVENTS):
            try:
                data = sock.recv(_MOST_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self._forget(sock)
                return False
            self._deliver(pickle.loads(data))
        return True

    def drain(self) -> None:
        """Deliver all that waits, once the loop has stopped and the ports have ended."""
        while self._events:
            self._deliver(self._events.popleft())
        if self._listener is not None:
            left = [*self._accept(), *self._watches]
            left.remove(self._listener)
            for sock in dict.fromkeys(left):
                while self._read(sock):
                    pass

    def close(self) -> None:
        """After `drain`."""
        _boxes.pop((os.getpid(), self._name), None)
        for sock in list(self._watches):
            self._forget(sock)
        self._listener = None

    def _forget(self, sock: socket.socket) -> None:
        watch = self._watches.pop(sock, None)
        if watch is not None:
            with contextlib.suppress(libcoop.Error):  # it ended with the loop
                watch.cancel()
        sock.close()
