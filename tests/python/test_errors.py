"""The errors of the four surfaces are the same ones: Rust's table, Python's exceptions, C's numbers."""

from __future__ import annotations

import os
import pickle
import re
import socket
from concurrent.futures import CancelledError
from pathlib import Path

import libcoop
import pytest
from libcoop import _libcoop

HEADER = Path(__file__).resolve().parents[2] / "include" / "coop.h"
NAMES = [name for name, _, _ in _libcoop.ERRORS]

BUILT_IN: dict[str, type[Exception] | None] = {
    "Invalid": ValueError,
    "Null": ValueError,
    "Stale": None,
    "Closed": RuntimeError,
    "QueueFull": None,
    "Timeout": TimeoutError,
    "Affinity": ValueError,
    "WouldDeadlock": RuntimeError,
    "Forked": RuntimeError,
    "Unsupported": RuntimeError,
    "Panic": RuntimeError,
    "Os": OSError,
    "Exists": ValueError,
    "Failed": RuntimeError,
    "Cancelled": CancelledError,
    "WouldBlock": BlockingIOError,
    "Resolve": OSError,
}


def test_every_error_of_the_core_is_an_exception_and_no_other_is() -> None:
    exported = {name: getattr(libcoop, name) for name in libcoop.__all__}
    exceptions = {
        name
        for name, value in exported.items()
        if isinstance(value, type)
        and issubclass(value, libcoop.Error)
        and value is not libcoop.Error
        # What a redis server says is none of the core's, nor the end of a process that ran a call, nor a lock's.
        and not issubclass(value, libcoop.RedisError | libcoop.WorkerDied | libcoop.LockError)
    }
    assert exceptions == set(NAMES) == set(BUILT_IN)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_what_fits_it(name: str) -> None:
    exception = getattr(libcoop, name)
    built_in = BUILT_IN[name]
    assert exception.__bases__ == ((libcoop.Error,) if built_in is None else (libcoop.Error, built_in))
    assert exception.__doc__
    assert exception.__name__ == name
    assert str(exception("words")) == "words"


def test_the_numbers_are_those_of_the_header() -> None:
    found = dict(re.findall(r"^#define COOP_E_([A-Z_]+) (-\d+)$", HEADER.read_text(), re.MULTILINE))
    assert {name: int(number) for name, number in found.items()} == {c: number for _, c, number in _libcoop.ERRORS}


def test_the_names_in_c_are_the_names_in_capitals() -> None:
    for name, in_c, _ in _libcoop.ERRORS:
        assert re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() == in_c


def test_numbers_are_unique_and_negative() -> None:
    numbers = [number for _, _, number in _libcoop.ERRORS]
    assert numbers == sorted(set(numbers), reverse=True)
    assert max(numbers) < 0


def test_an_os_error_has_the_systems_number_and_says_what_was_tried() -> None:
    with libcoop.EventLoop() as loop, socket.socket() as closed:
        number = closed.fileno()
        closed.close()
        with pytest.raises(OSError, match="Bad file descriptor") as raised:
            loop.watch(number, libcoop.READ, print)
    assert isinstance(raised.value, libcoop.Os)
    assert raised.value.errno == 9
    assert raised.value.strerror == f"watch fd {number}: {os.strerror(9)}"
    assert str(raised.value) == f"[Errno 9] watch fd {number}: Bad file descriptor"


def test_exceptions_survive_pickling() -> None:
    for name in NAMES:
        error = getattr(libcoop, name)("words")
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.args) == (type(error), error.args)


def test_the_package_exports_what_it_has() -> None:
    assert sorted(libcoop.__all__) == sorted(set(libcoop.__all__))
    for name in libcoop.__all__:
        assert getattr(libcoop, name) is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", libcoop.__version__)


def test_help_says_something_about_everything() -> None:
    for name in _libcoop.__all__:
        value = getattr(_libcoop, name)
        if not isinstance(value, type):
            continue
        assert value.__doc__, name
        # The counts of PortStats stand in the text of the class.
        for attribute, member in vars(value).items():
            if not attribute.startswith("_") and value is not libcoop.PortStats:
                assert (member.__doc__ or "").strip(), f"{name}.{attribute}"
