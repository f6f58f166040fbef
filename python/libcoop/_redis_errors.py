"""What a redis server refuses, as exceptions: each has the server's line as its text and the first word of that as
`code`."""

from __future__ import annotations

from libcoop._errors import Error


class RedisError(Error):
    """The server refused a command: `code` is the first word of what it said, such as "ERR"."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, str(self))


class RedisWrongType(RedisError, TypeError):
    """The key holds another type than the command is for (WRONGTYPE)."""


class RedisOutOfMemory(RedisError, MemoryError):
    """The server has no memory for the command (OOM)."""


class RedisAuth(RedisError, PermissionError):
    """The password is wrong or missing, or the user may not do this (WRONGPASS, NOAUTH, NOPERM)."""

    def __str__(self) -> str:
        return str(self.args[0])


class RedisReadOnly(RedisError):
    """The server is a replica, which does not write (READONLY)."""


class RedisBusy(RedisError):
    """The server is starting, or runs a script that takes long (LOADING, BUSY, TRYAGAIN, MASTERDOWN)."""


class RedisNoScript(RedisError):
    """The server does not know a script of this digest (NOSCRIPT)."""


class RedisAborted(RedisError):
    """A transaction was refused as a whole, for one of its commands was (EXECABORT)."""


class RedisWatchChanged(RedisError):
    """A watched key has changed, and nothing of the transaction was done."""


class RedisMoved(RedisError):
    """Another server of the cluster has the key (MOVED, ASK): its `slot`, `host` and `port`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        _, slot, address = [*text.split(" "), "", ""][:3]
        host, _, port = address.rpartition(":")
        # Whatever else it may be, an answer that is none of a cluster's is no reason for another error.
        self.slot = int(slot) if slot.isdecimal() else 0
        self.host = host
        self.port = int(port) if port.isdecimal() else 0


class LockError(Error, ValueError):
    """A lock was not acquired in time, or is released or extended by who has not acquired it: its name is
    `lock_name`."""

    def __init__(self, message: str = "", lock_name: object = None) -> None:
        super().__init__(message)
        self.lock_name = lock_name

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.lock_name)


class LockNotOwnedError(LockError):
    """A lock has become another's, or nobody's: its time was over."""


_CLASSES = {
    "ASK": RedisMoved,
    "BUSY": RedisBusy,
    "EXECABORT": RedisAborted,
    "LOADING": RedisBusy,
    "MASTERDOWN": RedisBusy,
    "MOVED": RedisMoved,
    "NOAUTH": RedisAuth,
    "NOPERM": RedisAuth,
    "NOSCRIPT": RedisNoScript,
    "OOM": RedisOutOfMemory,
    "READONLY": RedisReadOnly,
    "TRYAGAIN": RedisBusy,
    "WRONGPASS": RedisAuth,
    "WRONGTYPE": RedisWrongType,
}


def of_server(code: str, text: str) -> RedisError:
    """The exception for a line of the server's."""
    return _CLASSES.get(code, RedisError)(code, text)
