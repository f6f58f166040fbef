"""What is said of supervisors and services: types and words are checked here, each error names the value and what is
allowed; what goes together the core checks."""

from __future__ import annotations

import enum
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from libcoop import _libcoop
from libcoop._enums import AutoShutdown, Growth, Restart, Strategy
from libcoop._errors import Invalid

E = TypeVar("E", bound=enum.IntEnum)

_LONGEST = 1e300
"""Seconds that stand for ever where the core takes no infinity."""


def member(what: str, kind: type[E], given: Any) -> E:
    """A member of an enumeration, given as itself or as its number."""
    try:
        if not isinstance(given, (bool, str)):
            return kind(given)
    except ValueError:
        pass
    allowed = ", ".join(f"{kind.__name__}.{one.name}" for one in kind)
    raise Invalid(f"{what} {_shown(given)}: allowed are {allowed}")


def _shown(given: object) -> str:
    return str(given) if isinstance(given, enum.Enum) else repr(given)


def number(what: str, given: object, least: int, most: int) -> int:
    """A whole number within bounds."""
    try:
        if isinstance(given, bool):
            raise TypeError
        value = operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        value = None
    if value is None or not least <= value <= most:
        raise Invalid(f"{what} {_shown(given)}: allowed are whole numbers from {least} to {most}")
    return value


def seconds(what: str, given: object, *, zero: bool = True) -> float:
    """A time that is not negative; infinity is as long as there is."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise Invalid(f"{what} {_shown(given)}: allowed are seconds, as a number")
    try:
        value = float(given)
    except OverflowError:
        value = math.inf
    if math.isnan(value) or value < 0 or (value == 0 and not zero):
        raise Invalid(f"{what} {given!r}: allowed are seconds {'from' if zero else 'above'} 0")
    return min(value, _LONGEST)


def flag(what: str, given: object) -> bool:
    """True or False."""
    if not isinstance(given, bool):
        raise Invalid(f"{what} {_shown(given)}: allowed are True and False")
    return given


def text(what: str, given: object) -> str:
    """A str that can be told to a system: half a surrogate pair cannot."""
    if not isinstance(given, str):
        raise Invalid(f"{what} {_shown(given)}: allowed is a str")
    if not given.isascii():
        try:
            given.encode()
        except UnicodeEncodeError as error:
            raise Invalid(f"{what} {given!r}: allowed is what UTF-8 has: {error.reason}") from None
    return given


def named(what: str, given: object) -> str:
    """ "module:name" of something."""
    if isinstance(given, str) and all(text(what, given).partition(":")):
        return given
    raise Invalid(f'{what} {_shown(given)}: allowed is "module:name"')


def shutdown(given: object) -> float:
    """How long it may take to stop, as the core is told: -1 is not to be asked."""
    if given == "kill":
        return -1.0
    if given == "infinity" or given == math.inf:
        return math.inf
    if isinstance(given, str):
        raise Invalid(f'shutdown {given!r}: allowed are seconds, "kill" and "infinity"')
    return seconds("shutdown", given)


class Backoff(NamedTuple):
    """How restarts are delayed: `delay` seconds before the first, then as `growth` says, up to `cap` seconds
    (a minute, or `delay` if that is longer).

    Each delay is shortened by a random part of itself, up to the share `jitter`. After `calm` seconds without an end
    the first delay holds again.
    """

    delay: float
    growth: Growth = Growth.FIXED
    cap: float | None = None
    jitter: float = 0.0
    calm: float = 60.0


def backoff(given: object) -> tuple[float, int, float, float, float] | None:
    if given is None:
        return None
    if not isinstance(given, Backoff):
        raise Invalid(f"backoff {given!r}: allowed are libcoop.Backoff(delay, ...) and None")
    delay = seconds("backoff delay", given.delay)
    return (
        delay,
        member("backoff growth", Growth, given.growth),
        max(delay, 60.0) if given.cap is None else seconds("backoff cap", given.cap),
        seconds("backoff jitter", given.jitter),
        seconds("backoff calm", given.calm),
    )


def flags(
    strategy: object, intensity: object, period: object, auto_shutdown: object
) -> tuple[int, int | None, float, int]:
    """What a supervisor is, as the core is told."""
    return (
        member("strategy", Strategy, strategy),
        None if intensity is None else number("intensity", intensity, 0, (1 << 32) - 1),
        seconds("period", period, zero=False),
        member("auto_shutdown", AutoShutdown, auto_shutdown),
    )


def ready(given: object, within: object) -> float | None:
    """How long it may take to say that it is ready; None if it need not."""
    limit = seconds("ready_within", within, zero=False)
    if given == "now":
        return None
    if given == "notify":
        return limit
    raise Invalid(f'ready {_shown(given)}: allowed are "now" and "notify"')


def optional_seconds(what: str, given: object) -> float | None:
    return None if given is None else seconds(what, given, zero=False)


def statuses(given: Iterable[int]) -> list[int]:
    try:
        found = list(given)
    except TypeError:
        raise Invalid(f"normal_exits {given!r}: allowed is a list of statuses from 0 to 255") from None
    return [number("normal exit status", one, 0, 255) for one in found]


def restart(given: object) -> int:
    return member("restart", Restart, given)


PROCESS: Mapping[str, object] = {
    "env": None,
    "cwd": None,
    "umask": None,
    "user": None,
    "group": None,
    "groups": None,
    "limits": None,
    "nice": None,
    "cpus": None,
    "fds": None,
    "listen": None,
    "new_session": False,
    "stop_signal": None,
    "output": "prefix",
    "tail": 20,
    "preload": (),
    "normal_exits": (),
}
"""What only a process has a use for, with what it is unless told."""


def command(argv: list[str], given: Mapping[str, Any]) -> _libcoop.NativeCommand:
    """A process of these words and options; those that are None are left out."""
    options: dict[str, Any] = {}
    for name, read in _READ.items():
        if given.get(name) is not None:
            options[_NAMES.get(name, name)] = read(given[name])
    return _libcoop.NativeCommand(argv, options)


def _path(what: str) -> Callable[[Any], str]:
    def read(given: Any) -> str:
        try:
            return os.fsdecode(given)
        except TypeError:
            raise Invalid(f"{what} {given!r}: allowed is a path") from None

    return read


def _environment(given: Any) -> list[tuple[str, str | None]]:
    if not isinstance(given, Mapping):
        raise Invalid(f"env {given!r}: allowed is a dict of names and values; None takes a name out")
    return [
        (text("env name", name), None if value is None else text(f"env {name!r}", value))
        for name, value in given.items()
    ]


def _user(given: Any) -> int:
    if isinstance(given, str):
        import pwd

        try:
            return pwd.getpwnam(given).pw_uid
        except KeyError:
            raise Invalid(f"user {given!r}: there is no such user") from None
    return number("user", given, 0, (1 << 32) - 2)


def _group(given: Any) -> int:
    if isinstance(given, str):
        import grp

        try:
            return grp.getgrnam(given).gr_gid
        except KeyError:
            raise Invalid(f"group {given!r}: there is no such group") from None
    return number("group", given, 0, (1 << 32) - 2)


def _limits(given: Any) -> list[tuple[str, int | None, int | None]]:
    if not isinstance(given, Mapping):
        raise Invalid(f"limits {given!r}: allowed is a dict like {{'nofile': (256, 1024)}}")
    found = []
    for name, limit in given.items():
        pair = limit if isinstance(limit, tuple) else (limit, limit)
        if len(pair) != 2:
            raise Invalid(f"limit {name!r} {limit!r}: allowed are a number, None, and (soft, hard)")
        soft, hard = (None if one is None else number(f"limit {name!r}", one, 0, (1 << 64) - 2) for one in pair)
        found.append((text("limit", name), soft, hard))
    return found


def _number_or_file(what: str, given: Any) -> int:
    fileno = getattr(given, "fileno", None)
    return number(what, fileno() if callable(fileno) else given, 0, (1 << 31) - 1)


def _fds(given: Any) -> list[tuple[int, int]]:
    if not isinstance(given, Mapping):
        raise Invalid(f"fds {given!r}: allowed is a dict of the child's numbers and this process's descriptors")
    return [(number("fds", own, 0, (1 << 31) - 1), _number_or_file(f"fds {own}", fd)) for own, fd in given.items()]


def _listen(given: Any) -> list[tuple[str, int]]:
    if not isinstance(given, Mapping):
        raise Invalid(f"listen {given!r}: allowed is a dict of names and sockets")
    return [(text("listen", name), _number_or_file(f"listen {name!r}", fd)) for name, fd in given.items()]


def _numbers(what: str, most: int) -> Callable[[Any], list[int]]:
    def read(given: Any) -> list[int]:
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise Invalid(f"{what} {given!r}: allowed is a list of numbers")
        return [number(what, one, 0, most) for one in given]

    return read


def _groups(given: Any) -> list[int]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise Invalid(f"groups {given!r}: allowed is a list of names and numbers")
    return [_group(one) for one in given]


def _output(given: Any) -> Any:
    if not callable(given):
        return given if isinstance(given, str) else repr(given)

    def tell(*line: Any) -> None:
        given(Line(*line))

    return tell


class Line(NamedTuple):
    """A line that a process wrote."""

    time: float
    """When it was read, in seconds since the epoch."""
    service: str
    """The service's path."""
    pid: int
    stream: str
    """"stdout" or "stderr"."""
    text: str
    """Without its newline."""
    goes_on: bool
    """It was cut here: the next line of this stream goes on with it."""
    dropped: int
    """So many lines were dropped here, which the text says too; 0 for a line of the process's."""


_NAMES = {"user": "uid", "group": "gid"}
_READ: dict[str, Callable[[Any], Any]] = {
    "env": _environment,
    "cwd": _path("cwd"),
    "umask": lambda given: number("umask", given, 0, 0o777),
    "user": _user,
    "group": _group,
    "groups": _groups,
    "limits": _limits,
    "nice": lambda given: number("nice", given, -20, 19),
    "cpus": _numbers("cpus", (1 << 31) - 1),
    "fds": _fds,
    "listen": _listen,
    "new_session": lambda given: flag("new_session", given),
    "stop_signal": lambda given: number("stop_signal", given, 1, 64),
    "output": _output,
    "tail": lambda given: number("tail", given, 0, 10_000),
}
