"""What a pool is asked wrongly: errors that name the value, and what was allowed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import libcoop
import pytest
from libcoop import ProcessPool
from processpoolkit import DEADLINE, initialize


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as pool:
        yield pool


MADE: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_workers": 1.5}, TypeError, "max_workers must be an int or None, not 1.5"),
    ({"max_workers": True}, TypeError, "max_workers must be an int or None, not True"),
    ({"max_workers": 0}, ValueError, "max_workers must be greater than 0, not 0"),
    ({"max_workers": 1025}, ValueError, "max_workers must be at most 1024, not 1025"),
    ({"initializer": 3}, TypeError, "initializer must be a callable, not 3"),
    ({"initargs": 3}, TypeError, "initargs must be a tuple of arguments, not 3"),
    ({"initargs": None}, TypeError, "initargs must be a tuple of arguments, not None"),
    ({"max_tasks_per_child": "x"}, TypeError, "max_tasks_per_child must be an int or None, not 'x'"),
    ({"max_tasks_per_child": -1}, ValueError, "max_tasks_per_child must be greater than 0, not -1"),
    ({"max_tasks_per_child": 1 << 70}, ValueError, f"max_tasks_per_child must be at most {sys.maxsize}, not {1 << 70}"),
    ({"preload": "json"}, ValueError, "preload 'json': allowed is a list of modules' names"),
    ({"preload": b"json"}, ValueError, "preload b'json': allowed is a list of modules' names"),
    ({"preload": None}, ValueError, "preload None: allowed is a list of modules' names"),
    ({"preload": [3]}, ValueError, "preload 3: allowed is the name of a module"),
    ({"preload": ["a b"]}, ValueError, "preload 'a b': allowed is the name of a module"),
    ({"preload": [""]}, ValueError, "preload '': allowed is the name of a module"),
    ({"pin": "yes"}, ValueError, "pin 'yes': allowed are True and False"),
    ({"capacity": -1}, ValueError, "capacity must be 0, which is no limit, to"),
    ({"capacity": 1.0}, TypeError, "capacity must be an int, not 1.0"),
    ({"output": "loud"}, ValueError, 'output "loud": allowed are "prefix", "json", "inherit", "null" and a function'),
    ({"limits": {"zz": 1}}, ValueError, 'limit of "zz": allowed are as,'),
    ({"env": {"a": 3}}, ValueError, "env 'a' 3: allowed is a str"),
    ({"name": "a/b"}, ValueError, "name 'a/b': allowed is a text without '/'"),
]


@pytest.mark.parametrize(("given", "kind", "words"), MADE, ids=lambda one: str(one)[:30])
def test_a_pool_that_cannot_be_made(given: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        ProcessPool(**given)


ASKED: dict[str, tuple[Callable[[ProcessPool], object], type[Exception], str]] = {
    "chunksize 0": (lambda pool: pool.map(abs, [1], chunksize=0), ValueError, "chunksize must be at least 1, not 0"),
    "chunksize text": (
        lambda pool: pool.map(abs, [1], chunksize="x"),  # type: ignore[arg-type]
        TypeError,
        "chunksize must be an int, not 'x'",
    ),
    "chunksize 1.5": (
        lambda pool: pool.map(abs, [1], chunksize=1.5),  # type: ignore[arg-type]
        TypeError,
        "chunksize must be an int, not 1.5",
    ),
    "buffersize 0": (
        lambda pool: pool.map(abs, [1], buffersize=0),
        ValueError,
        "buffersize must be None or at least 1, not 0",
    ),
    "timeout text": (
        lambda pool: pool.map(abs, [1], timeout="x"),  # type: ignore[arg-type]
        TypeError,
        "timeout must be a number of seconds or None, not 'x'",
    ),
    "timeout nan": (
        lambda pool: pool.map(abs, [1], timeout=float("nan")),
        TypeError,
        "timeout must be a number of seconds or None, not nan",
    ),
    "map of a number": (lambda pool: pool.map(3, [1]), TypeError, "fn must be callable, not 3"),  # type: ignore[arg-type]
    "submit None": (lambda pool: pool.submit(None), TypeError, "fn must be callable, not None"),  # type: ignore[arg-type]
    "kill a number": (lambda pool: pool.kill(3), TypeError, "kill() takes what submit has returned, not 3"),  # type: ignore[arg-type]
    "kill another's": (
        lambda pool: pool.kill(futures.Future()),  # type: ignore[arg-type]
        TypeError,
        "kill() takes what submit has returned, not <Future at",
    ),
    "priority": (lambda pool: pool.at(priority=7), ValueError, "priority must be one of [-1, 0, 1]"),
    "cpus": (lambda pool: pool.at(cpus=["0"]), TypeError, "a CPU must be an int, not '0'"),  # type: ignore[list-item]
    "deadline": (
        lambda pool: pool.at(deadline=-0.5),
        ValueError,
        "deadline must be at least 0 seconds, or None, not -0.5",
    ),
    "events": (lambda pool: pool.events("nope"), ValueError, "a path begins with the name of its host's root"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_cannot_be_asked(pool: ProcessPool, asked: str) -> None:
    ask, kind, words = ASKED[asked]
    with pytest.raises(kind, match=re.escape(words)):
        ask(pool)
    assert pool.submit(abs, -1).result(DEADLINE) == 1


def test_extremes_that_are_allowed(pool: ProcessPool) -> None:
    assert list(pool.map(abs, range(5), chunksize=1 << 70)) == list(range(5))
    assert list(pool.map(abs, range(5), buffersize=1 << 70, timeout=float("inf"))) == list(range(5))
    assert list(pool.map(abs, range(5), timeout=1e300)) == list(range(5))
    forever = pool.at(deadline=float("inf"))
    assert forever.submit(abs, -1).result(DEADLINE) == 1
    assert "deadline" not in repr(forever)
    with ProcessPool(1, initialize, [1], max_tasks_per_child=sys.maxsize, capacity=sys.maxsize) as most:  # type: ignore[arg-type]
        assert most.submit(abs, -1).result(DEADLINE) == 1


def test_what_multiprocessing_shares_by_inheritance_only_is_refused_in_words() -> None:
    import multiprocessing

    for shared in (multiprocessing.Lock(), multiprocessing.get_context("spawn").Queue()):
        with pytest.raises(libcoop.Invalid, match=r"initializer .* its initargs: argument 1 .*inheritance"):
            ProcessPool(1, initialize, (shared,))
