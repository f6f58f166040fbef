"""What the tests have processes call, which must find it in a module of their own, and what they are held up with."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent import futures
from pathlib import Path
from typing import Any, NoReturn

DEADLINE = 60.0
"""Seconds after which what was waited for will not come."""


def echo(*args: Any) -> Any:
    return args[0] if len(args) == 1 else args


def keywords(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def pid(*_: Any) -> int:
    return os.getpid()


def until(path: Path, value: Any = None) -> Any:
    """Begins, which the file `path` with `.begun` behind its name says, and returns once `path` is there."""
    path.with_name(path.name + ".begun").write_text(str(os.getpid()))
    limit = time.monotonic() + DEADLINE
    while not path.exists():
        assert time.monotonic() < limit
        time.sleep(0.001)
    return value


class Gate:
    """Calls of `until` that wait for each other's tests: made in the parent, for calls in processes."""

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.path = folder / name

    def open(self) -> None:
        self.path.touch()

    def begun(self) -> int:
        """Waits until a call waits at it: the process of that."""
        return eventually(self.who)  # type: ignore[no-any-return]

    def who(self) -> int | None:
        """The process whose call waits at it, or has."""
        path = self.path.with_name(self.path.name + ".begun")
        return int(path.read_text() or 0) if path.exists() else None


def eventually(look: Any) -> Any:
    """What `look` answers, once that is true."""
    limit = time.monotonic() + DEADLINE
    while not (found := look()):
        assert time.monotonic() < limit, "what was waited for has not come"
        time.sleep(0.001)
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended: one that its parent has not looked after yet has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def kill_self(number: int = signal.SIGKILL) -> NoReturn:
    os.kill(os.getpid(), number)
    time.sleep(DEADLINE)
    raise AssertionError("a signal that ends has not")


def once(folder: Path, number: int) -> int:
    """Fails the second time."""
    os.close(os.open(folder / str(number), os.O_CREAT | os.O_EXCL))
    return os.getpid()


def note(path: Path, what: str) -> None:
    with path.open("a") as notes:
        notes.write(what + "\n")


def leave(status: int, *_: Any) -> NoReturn:
    os._exit(status)


def say_and_leave(text: str, status: int) -> NoReturn:
    print(text, file=sys.stderr, flush=True)
    os._exit(status)


def shout(error: BaseException) -> NoReturn:
    raise error


def from_cause() -> Any:
    try:
        return echo({"this": 1}["that"])
    except KeyError as error:
        raise ValueError("of a cause") from error


class Picky(Exception):
    """Is pickled, but not made again from that."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


def raise_picky() -> NoReturn:
    raise Picky("this", "that")


class Opaque(Exception):
    def __reduce__(self) -> NoReturn:
        raise TypeError("an opaque exception is not pickled")


def raise_cancelled() -> NoReturn:
    raise futures.CancelledError("by itself")


def raise_opaque() -> NoReturn:
    raise Opaque("of glass")


class NoPickle:
    def __reduce__(self) -> NoReturn:
        raise RuntimeError("not me")


def no_pickle() -> NoPickle:
    return NoPickle()


class NoReturnTrip:
    """Pickled by one side, and refused by the other."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __reduce__(self) -> Any:
        return (refused, (self.where,))


def refused(where: str) -> NoReturn:
    raise LookupError(f"nobody wants it {where}")


def no_return_trip() -> NoReturnTrip:
    return NoReturnTrip("back")


STATE: list[Any] = []


def initialize(*values: Any) -> None:
    STATE.extend(values)


def state() -> list[Any]:
    return STATE


def broken_initializer() -> NoReturn:
    raise LookupError("not today")


def import_it(name: str) -> str:
    import importlib

    return importlib.import_module(name).__name__


class Weighs:
    """Says in a file of each process that it was let go of."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __del__(self) -> None:
        Path(f"{self.path}.{os.getpid()}").touch()


def nested(value: int) -> int:
    from libcoop import ProcessPool

    with ProcessPool(1) as pool:
        return pool.submit(abs, value).result(DEADLINE)


def hold_in_a_pool(path: Path) -> Any:
    from libcoop import ProcessPool

    with ProcessPool(1) as pool:
        return pool.submit(until, path).result(DEADLINE)


class DiesWhen:
    """Kills the process that has it when it is pickled, unpickled or dropped, unless that is `home`."""

    def __init__(self, when: str, home: int) -> None:
        self.when = when
        self.home = home

    def die(self, when: str) -> None:
        if when == self.when and os.getpid() != self.home:
            kill_self()

    def __reduce__(self) -> Any:
        self.die("pickled")
        return (died_unpickled if self.when == "unpickled" else DiesWhen, (self.when, self.home))

    def __del__(self) -> None:
        self.die("dropped")


def died_unpickled(when: str, home: int) -> None:
    DiesWhen(when, home).die("unpickled")


class DyingError(Exception):
    def __init__(self, home: int) -> None:
        super().__init__(home)
        self.dies = DiesWhen("pickled", home)


def raise_one_that_dies(home: int) -> NoReturn:
    raise DyingError(home)


def dies_at_exit(value: Any) -> Any:
    import atexit

    atexit.register(kill_self)
    return value


def die_once(path: Path) -> None:
    if not path.exists():
        path.touch()
        kill_self()


def abort(words: str) -> NoReturn:
    print(words, file=sys.stderr, flush=True)
    os.abort()


def total(array: Any) -> Any:
    return array.sum()


def is_writable(array: Any) -> bool:
    return bool(array.flags.writeable)


def write_first(array: Any) -> Any:
    array[0] = -1
    return array[0], array[1:].sum()


def own_memory() -> int:
    """Bytes that only this process has: what it has copied, too."""
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()]
    return sum(int(line[1]) << 10 for line in lines if line[0] in {"Private_Dirty:", "Private_Clean:"})


def grown_by_reading(array: Any) -> tuple[Any, int]:
    """The total of all, and how much more memory of its own this process has while it has that array."""
    before = own_memory()
    return array.sum(), own_memory() - before


def grown_by_writing(array: Any) -> tuple[Any, int]:
    before = own_memory()
    array += 1
    return array.sum(), own_memory() - before


def ones(count: int) -> Any:
    import numpy

    return numpy.ones(count)


def shape_of_memory(view: Any) -> tuple[str, bool, int]:
    return type(view).__name__, memoryview(view).readonly, memoryview(view).nbytes


def first_byte_and_length(data: Any) -> tuple[int, int]:
    return data[0], len(data)


def affinity() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def log(text: str) -> None:
    import logging

    logging.getLogger("of.a.call").warning(text)


class Plain:
    """What can be referred to weakly."""


def plain(_: Any) -> Plain:
    return Plain()
