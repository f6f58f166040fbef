"""What is kept of results, how exceptions look, and what is told of a pool that cannot begin."""

from __future__ import annotations

import gc
import logging
import sys
import traceback
import weakref
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import process
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from libcoop import ProcessPool
from processpoolkit import DEADLINE, Weighs, broken_initializer, eventually, plain, shout


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(2) as pool:
        yield pool


def gone(reference: weakref.ref[Any]) -> bool:
    gc.collect()
    return reference() is None


@pytest.mark.parametrize("chunksize", [1, 4])
def test_map_keeps_nothing_of_what_it_has_given(pool: ProcessPool, chunksize: int) -> None:
    count = 0
    for one in pool.map(plain, range(10), chunksize=chunksize):
        reference = weakref.ref(one)
        del one
        # The thread that has ended the future may not have let go of it yet.
        eventually(lambda: gone(reference))  # noqa: B023
        count += 1
    assert count == 10


def test_as_completed_keeps_nothing_of_what_it_has_given(pool: ProcessPool) -> None:
    calls = [pool.submit(plain, number) for number in range(5)]
    for one in futures.as_completed([calls.pop() for _ in range(5)], DEADLINE):
        reference = weakref.ref(one)
        del one
        eventually(lambda: gone(reference))  # noqa: B023


def test_a_method_lets_go_of_its_object(pool: ProcessPool, tmp_path: Path) -> None:
    object_ = Weighs(tmp_path / "gone")
    reference = weakref.ref(object_)
    future = pool.submit(object_.__class__.__del__, object_)
    del object_
    eventually(lambda: gone(reference))
    assert future.result(DEADLINE) is None


def test_the_traceback_is_where_programs_look_for_it(pool: ProcessPool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError) as raised:
        pool.submit(shout, KeyError("it")).result(DEADLINE)
    cause = raised.value.__cause__
    assert type(cause) is process._RemoteTraceback
    assert "raise error" in cause.tb
    sys.excepthook(type(raised.value), raised.value, raised.value.__traceback__)
    assert "in shout" in capsys.readouterr().err


def test_an_exception_is_the_same_object_for_all_who_ask(pool: ProcessPool) -> None:
    future = pool.submit(shout, KeyError("it"))
    first = future.exception(DEADLINE)
    assert first is future.exception(DEADLINE)
    assert "".join(traceback.format_exception(first)).count("in shout") == 1


def test_the_end_that_cancels_waits_for_what_runs() -> None:
    pool = ProcessPool(2)
    calls = [pool.submit(plain, number) for number in range(200)]
    calls[0].result(DEADLINE)
    pool.shutdown(cancel_futures=True)
    assert all(one.done() for one in calls)
    assert all(one.cancelled() or one.exception() is None for one in calls)


# --- what cannot begin ------------------------------------------------------------------------------------------------


def test_why_an_initializer_failed_is_logged_as_concurrent_futures_does(caplog: pytest.LogCaptureFixture) -> None:
    why = "the initializer of its workers raised LookupError: not today"
    with ProcessPool(1, broken_initializer) as pool, pytest.raises(BrokenProcessPool, match=why):
        pool.submit(abs, -1).result(DEADLINE)
    record = next(one for one in caplog.records if one.name == "concurrent.futures")
    assert (record.levelno, record.getMessage()) == (logging.CRITICAL, "Exception in initializer:")
    assert "in broken_initializer" in (record.exc_text or "")


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("nowhere_to_be_found", None, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("broken_to_import", "raise ValueError('I am broken')", "ValueError: I am broken"),
        ("leaves_at_import", "import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_preload_that_cannot_be_imported(
    name: str,
    source: str | None,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if source is not None:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    with ProcessPool(1, preload=["json", name]) as pool:
        for _ in range(2):
            with pytest.raises(BrokenProcessPool) as broken:
                pool.submit(abs, -1).result(DEADLINE)
            assert str(broken.value) == f"the preload {name!r} of its workers raised {why}"
    assert {one.getMessage() for one in caplog.records if one.exc_text} == {f"Exception in preload {name!r}:"}


def test_a_preload_that_starts_threads_is_left_to_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        import os, threading, time
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        HERE = os.getpid()
        def imported_by(): return HERE, os.getpid()
    """
    import textwrap

    (tmp_path / "starts_threads.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("starts_threads")
    with ProcessPool(1, preload=["starts_threads"]) as pool:
        by, worker = pool.submit(module.imported_by).result(DEADLINE)
    assert by == worker
