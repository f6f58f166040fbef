"""What calls are given and answer: through shared memory, of any size, and what cannot be pickled."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import random
import weakref
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import ProcessPool
from processpoolkit import (
    DEADLINE,
    Gate,
    NoPickle,
    NoReturnTrip,
    echo,
    eventually,
    first_byte_and_length,
    from_cause,
    grown_by_reading,
    grown_by_writing,
    import_it,
    is_writable,
    no_pickle,
    no_return_trip,
    ones,
    own_memory,
    raise_opaque,
    raise_picky,
    shape_of_memory,
    total,
    until,
    write_first,
)

numpy = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as pool:
        yield pool


SIZES = [0, 1, 63, 64, 900, 1000, 1024, 1100, 4096, 65_535, 65_536, 65_537, 1 << 20, (5 << 20) + 3]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_of_any_size_go_there_and_back(pool: ProcessPool, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert pool.submit(echo, data).result(DEADLINE) == data
    assert pool.submit(echo, bytearray(data)).result(DEADLINE) == bytearray(data)
    text = data.hex()
    assert pool.submit(echo, text).result(DEADLINE) == text


@pytest.mark.parametrize("size", SIZES)
def test_arrays_of_any_size_go_there_and_back(pool: ProcessPool, size: int) -> None:
    array = numpy.frombuffer(random.Random(size).randbytes(size), dtype=numpy.uint8).copy()
    back = pool.submit(echo, array).result(DEADLINE)
    assert (back == array).all()
    assert back.flags.writeable
    back[:1] = 7


def test_several_buffers_of_one_call(pool: ProcessPool) -> None:
    arrays = [numpy.arange(count, dtype="f8") for count in (3, 100_000, 0, 1, 70_000)]
    back = pool.submit(echo, *arrays, numpy.asfortranarray(numpy.ones((100, 200)))).result(DEADLINE)
    assert all((one == other).all() for one, other in zip(back, arrays, strict=False))
    assert back[-1].flags.f_contiguous
    assert all(array.ctypes.data % array.itemsize == 0 for array in back)


def test_arrays_that_do_not_lie_in_one_piece(pool: ProcessPool) -> None:
    every_other = numpy.arange(100_000)[::2]
    assert (pool.submit(echo, every_other).result(DEADLINE) == every_other).all()


def test_a_call_may_write_to_what_it_is_given_and_nobody_else_sees_it(pool: ProcessPool) -> None:
    array = numpy.ones(1_000_000)
    assert pool.submit(is_writable, array).result(DEADLINE)
    for _ in range(3):
        assert pool.submit(write_first, array).result(DEADLINE) == (-1, 999_999)
    assert array[0] == 1


def test_an_array_that_is_only_read_is_not_copied_there(pool: ProcessPool) -> None:
    large = 32 << 20
    array = numpy.ones(large // 8)
    # What is imported for the first time, and what malloc takes once, is not a copy.
    pool.submit(grown_by_reading, array).result(DEADLINE)
    before = pool.submit(own_memory).result(DEADLINE)
    read, more = pool.submit(grown_by_reading, array).result(DEADLINE)
    assert read == array.size
    assert more < large // 8
    assert pool.submit(own_memory).result(DEADLINE) - before < large // 8
    # It is seen where there is one, and it is gone with the call.
    written, more = pool.submit(grown_by_writing, array).result(DEADLINE)
    assert written == 2 * array.size
    assert more >= large
    assert pool.submit(own_memory).result(DEADLINE) - before < large // 8
    assert array[0] == 1


def test_what_is_read_only_is_so_there(pool: ProcessPool) -> None:
    array = numpy.ones(1_000_000)
    array.flags.writeable = False
    assert not pool.submit(is_writable, array).result(DEADLINE)
    # Bytes that need no copy there.
    data = bytes(1 << 20)
    assert pool.submit(shape_of_memory, pickle.PickleBuffer(data)).result(DEADLINE) == ("memoryview", True, 1 << 20)
    assert pool.submit(first_byte_and_length, pickle.PickleBuffer(b"\7" * (1 << 20))).result(DEADLINE) == (7, 1 << 20)


def test_what_is_given_is_as_it_was_when_it_was_submitted(pool: ProcessPool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    held = pool.submit(until, gate.path)
    gate.begun()
    array, words = numpy.ones(100_000), ["as", "it", "was"]
    calls = [pool.submit(total, array), pool.submit(echo, words)]
    array[:] = 2
    words.clear()
    gate.open()
    assert [one.result(DEADLINE) for one in calls] == [100_000, ["as", "it", "was"]]
    held.result(DEADLINE)


def test_results_stay_as_they_are_while_somebody_looks_at_them(pool: ProcessPool) -> None:
    kept = [pool.submit(numpy.full, 50_000, number).result(DEADLINE) for number in range(20)]
    for _ in range(20):
        pool.submit(ones, 50_000).result(DEADLINE)
    assert [(one == number).all() for number, one in enumerate(kept)] == [True] * 20


def test_memory_is_used_again_when_the_last_view_has_gone() -> None:
    def open_files(process: int | str = "self") -> int:
        return len(os.listdir(f"/proc/{process}/fd"))

    with ProcessPool(1) as pool:
        array = numpy.ones(1 << 17)
        worker = pool.submit(os.getpid).result(DEADLINE)
        for _ in range(20):
            pool.submit(echo, array).result(DEADLINE)
        before = open_files(), open_files(worker)
        for _ in range(200):
            pool.submit(echo, array).result(DEADLINE)
        assert open_files() <= before[0] + 4
        assert open_files(worker) <= before[1] + 4


def test_a_result_that_was_let_go_of_is_gone(pool: ProcessPool) -> None:
    array = pool.submit(ones, 100_000).result(DEADLINE)
    gone = weakref.ref(array)
    del array
    # The thread that has ended the future may not have let go of it yet.
    eventually(lambda: gc.collect() >= 0 and gone() is None)


# --- what cannot be pickled -------------------------------------------------------------------------------------------


def test_an_argument_that_is_not_pickled_fails_its_call_alone(pool: ProcessPool) -> None:
    fine = pool.submit(abs, -1)
    bad = pool.submit(echo, NoPickle())
    with pytest.raises(RuntimeError, match="not me"):
        bad.result(DEADLINE)
    assert fine.result(DEADLINE) == 1
    assert pool.submit(abs, -2).result(DEADLINE) == 2


def test_an_argument_that_is_not_made_again_there_fails_its_call_alone(pool: ProcessPool) -> None:
    with pytest.raises(LookupError, match="nobody wants it there") as raised:
        pool.submit(echo, NoReturnTrip("there")).result(DEADLINE)
    assert "unpickled" in "".join(raised.value.__notes__)
    assert pool.submit(abs, -2).result(DEADLINE) == 2


def test_a_result_that_is_not_pickled_fails_its_call_alone(pool: ProcessPool) -> None:
    with pytest.raises(RuntimeError, match="not me") as raised:
        pool.submit(no_pickle).result(DEADLINE)
    assert "result" in "".join(raised.value.__notes__)
    assert pool.submit(abs, -2).result(DEADLINE) == 2


def test_a_result_that_is_not_made_again_here_fails_its_call_alone(pool: ProcessPool) -> None:
    with pytest.raises(LookupError, match="nobody wants it back") as raised:
        pool.submit(no_return_trip).result(DEADLINE)
    assert "result" in "".join(raised.value.__notes__)
    assert pool.submit(abs, -2).result(DEADLINE) == 2


def test_exceptions_that_do_not_travel_are_told_in_words(pool: ProcessPool) -> None:
    with pytest.raises(libcoop.Failed, match="Opaque: of glass") as raised:
        pool.submit(raise_opaque).result(DEADLINE)
    assert "in raise_opaque" in str(raised.value.__cause__)
    with pytest.raises(libcoop.Failed, match="Picky: this and that"):
        pool.submit(raise_picky).result(DEADLINE)
    assert pool.submit(abs, -2).result(DEADLINE) == 2


def test_the_cause_of_an_exception_is_in_its_traceback(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match="of a cause") as raised:
        pool.submit(from_cause).result(DEADLINE)
    assert "KeyError: 'that'" in str(raised.value.__cause__)


def test_a_module_that_the_worker_does_not_find(pool: ProcessPool, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "only_here_and_now.py").write_text("def call(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("only_here_and_now")
    with pytest.raises(ModuleNotFoundError, match="only_here_and_now"):
        pool.submit(module.call).result(DEADLINE)
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        pool.submit(import_it, "nowhere_to_be_found").result(DEADLINE)
    assert pool.submit(abs, -2).result(DEADLINE) == 2


# --- by value ---------------------------------------------------------------------------------------------------------


def test_lambdas_and_closures_go_where_cloudpickle_is(pool: ProcessPool) -> None:
    pytest.importorskip("cloudpickle")
    base = 40
    assert pool.submit(lambda more: base + more, 2).result(DEADLINE) == 42
    assert list(pool.map(lambda number: number * base, range(5))) == [0, 40, 80, 120, 160]
    assert pool.submit(lambda: lambda: base).result(DEADLINE)() == 40


def test_without_cloudpickle_they_are_refused_in_words(pool: ProcessPool, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    error = pool.submit(lambda: 1).exception(DEADLINE)
    assert isinstance(error, pickle.PicklingError | AttributeError)
    assert "cloudpickle" in "".join(error.__notes__)


def test_an_object_that_cannot_go_by_value_either(pool: ProcessPool) -> None:
    pytest.importorskip("cloudpickle")
    import threading

    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        pool.submit(lambda: lock).result(DEADLINE)


# --- many -------------------------------------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_very_many_calls_wait_with_bounded_memory(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with ProcessPool(2) as pool:
        held = [pool.submit(until, gate.path) for _ in range(2)]
        before = resident()
        calls = [pool.submit(abs, -number) for number in range(100_000)]
        assert resident() - before < 200 << 20
        gate.open()
        assert sum(one.result(DEADLINE) for one in calls) == sum(range(100_000))
        assert [one.result(DEADLINE) for one in held] == [None, None]


def test_a_worker_that_has_no_memory_left_says_so_and_goes_on() -> None:
    with ProcessPool(1, limits={"as": 2 << 30}) as pool:
        worker = pool.submit(os.getpid).result(DEADLINE)
        with pytest.raises(MemoryError):
            pool.submit(bytearray, 4 << 30).result(DEADLINE)
        assert pool.submit(os.getpid).result(DEADLINE) == worker


def test_many_large_calls_wait_with_bounded_memory(tmp_path: Path) -> None:
    array = numpy.ones(1 << 17)
    gate = Gate(tmp_path)
    with ProcessPool(1) as pool:
        held = pool.submit(until, gate.path)
        gate.begun()
        calls = [pool.submit(total, array) for _ in range(100)]
        gate.open()
        assert [one.result(DEADLINE) for one in calls] == [1 << 17] * 100
        held.result(DEADLINE)


def memory_of_blocks() -> int:
    """Bytes that this process has taken for calls."""
    taken = 0
    for descriptor in os.listdir("/proc/self/fd"):
        # Other threads open and close some meanwhile.
        with contextlib.suppress(FileNotFoundError):
            path = f"/proc/self/fd/{descriptor}"
            if os.readlink(path).startswith("/memfd:coop-block"):
                taken += os.stat(path).st_blocks * 512
    return taken


def test_memory_that_is_shared_for_calls_is_bounded(tmp_path: Path) -> None:
    array = numpy.ones(1 << 20)
    gate = Gate(tmp_path)
    before = memory_of_blocks()
    with ProcessPool(1) as pool:
        held = pool.submit(until, gate.path)
        gate.begun()
        calls = [pool.submit(total, array) for _ in range(40)]
        most = 256 << 20
        assert array.nbytes * len(calls) > most
        # They are there, and the others wait elsewhere.
        assert most // 2 < memory_of_blocks() - before <= most
        gate.open()
        for call in futures.as_completed(calls, DEADLINE):
            assert call.result() == array.size
            assert memory_of_blocks() - before <= most
        held.result(DEADLINE)
        # What is kept for more of them.
        pool.submit(total, array).result(DEADLINE)
        eventually(lambda: memory_of_blocks() - before <= 64 << 20)


def test_no_more_wait_than_there_is_room_for(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with ProcessPool(1, capacity=3) as pool:
        held = pool.submit(until, gate.path)
        gate.begun()
        waiting = [pool.submit(abs, -number) for number in range(3)]
        with pytest.raises(libcoop.QueueFull):
            pool.submit(abs, -1)
        gate.open()
        assert [one.result(DEADLINE) for one in waiting] == [0, 1, 2]
        eventually(lambda: pool.stats().queued == 0)
        assert pool.submit(abs, -1).result(DEADLINE) == 1
        held.result(DEADLINE)
