"""`logging` from a host's workers to its own process.

A worker's root logger has a handler that sends each record, with the path of its service, as JSON: what another process
has sent is never unpickled, for it may run as another user. The host's process handles the record as its own loggers
and handlers are set up.

- A record that finds no room for a second is dropped, and so are those behind it, without another wait, until there is
  room; how many is told with the next one that gets through.
- Records of one worker come in their order. None is cut short by the worker's end.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from libcoop import _libcoop

_PATIENCE = 1.0
"""Seconds that a record may wait for room."""
_LONGEST = 16 << 20
"""The longest record, in bytes of JSON. What is longer is cut."""
_CUT = 1 << 20
"""To how many characters."""

_logger = logging.getLogger("libcoop")
_formatter = logging.Formatter()


def channel() -> _libcoop.LogChannel:
    """For a host: workers inherit its `fileno()`; `close(patience)` when they have ended."""
    return _libcoop.LogChannel(_receive)


def not_handled(host: str, patience: float) -> None:
    """Says that the records of a host's workers are still on their way to a handler that does not return."""
    _logger.warning("host %s has ended, but its workers' log records are not handled after %g s", host, patience)


def levels() -> dict[str, int]:
    """The levels that loggers were given in this process, by name; the root's is "root"."""
    found = {"root": logging.root.level}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level != logging.NOTSET:
            found[name] = logger.level
    return found


def install(fd: int, path: str, name: str, levels: dict[str, int] | None = None) -> None:
    """For a worker: sends its records from now on, by the host's descriptor, which is copied.

    `path` is its service's, `name` its process's; `levels` are what `levels()` has answered in the host's process.
    """
    for logger, level in (levels or {}).items():
        logging.getLogger(logger).setLevel(level)
    logging.root.addHandler(_Sender(_libcoop.LogSender(fd), path, name))


class ServiceLogger(logging.Logger):
    """A run's own logger: what the logger of its service's name does, with the service's path in each record.

    It is none that `getLogger` knows, for children that come and go would leave one behind each.
    """

    def __init__(self, path: str, name: str) -> None:
        self._service = path
        names = ["libcoop", "service", *path.split("/")[:-1], name]
        self._named = logging.getLogger(".".join(names))
        super().__init__(self._named.name)
        self.parent = self._named

    def isEnabledFor(self, level: int) -> bool:
        return self._named.isEnabledFor(level)

    def setLevel(self, level: int | str) -> None:
        self._named.setLevel(level)

    def handle(self, record: logging.LogRecord) -> None:
        record.service = self._service
        super().handle(record)


class _Sender(logging.Handler):
    """Sends records to the host. Its lock keeps them in order."""

    def __init__(self, socket: _libcoop.LogSender, path: str, name: str) -> None:
        super().__init__()
        self._socket = socket
        self._marks = {"service": path, "processName": name}
        self._lost = 0
        self._is_full = False
        self._pid = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = _fields(record)
            if self._pid != os.getpid():
                # What was dropped before the fork is the parent's to tell.
                self._pid, self._lost = os.getpid(), 0
            fields |= self._marks
            if self._lost:
                fields["lost"] = self._lost
            sent = self._socket.send(_encoded(fields), 0.0 if self._is_full else _PATIENCE)
        except Exception:
            self.handleError(record)
            return
        self._is_full = not sent
        self._lost = 0 if sent else self._lost + 1

    def close(self) -> None:
        self.acquire()
        try:
            if self._lost and self._pid == os.getpid():
                lost, self._lost = self._lost, 0
                self._socket.send(_encoded({**self._marks, "lost": lost}), _PATIENCE)
        finally:
            self.release()
        super().close()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """A record's attributes, with its message and its exception as text."""
    fields = dict(record.__dict__)
    fields["msg"] = record.getMessage()
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = _formatter.formatException(record.exc_info)
    fields["args"] = fields["exc_info"] = None
    return fields


def _encoded(fields: dict[str, Any]) -> bytes:
    """As JSON; what JSON has no word for as its `repr`."""
    try:
        text = json.dumps(fields, default=_shown)
    except Exception:
        # A key that is no text, a circle, a number too long for decimal: found one by one.
        text = json.dumps({str(name): _plain(value) for name, value in fields.items()})
    if len(text) > _LONGEST:
        text = json.dumps({str(name): _cut(_plain(value)) for name, value in fields.items()})
    return text.encode()


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"


def _plain(value: Any) -> Any:
    try:
        json.dumps(value)
    except Exception:
        return _shown(value)
    return value


def _cut(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= _CUT:
        return value
    return f"{text[:_CUT]}... ({len(text) - _CUT} more characters were cut)"


def _receive(data: bytes) -> None:
    """Handles a record in the host's process."""
    try:
        fields = json.loads(data)
        lost = fields.pop("lost", 0)
        record = logging.makeLogRecord(fields) if "msg" in fields else None
        if record is not None:
            name, level = str(record.name), int(record.levelno)
        service = str(fields["service"])
    except Exception as error:
        _logger.warning("a log record of a service cannot be read: %s", error)
        return
    if lost:
        text = "%s: %s log records were lost, since they were not taken within %g s"
        _logger.warning(text, service, lost, _PATIENCE, extra={"service": service})
    if record is not None:
        logger = logging.getLogger(name)
        if logger.isEnabledFor(level):
            logger.handle(record)
