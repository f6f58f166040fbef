"""Programs as people write them: with calls of their own, that end in the middle, that fork, that nest."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from libcoop import ProcessPool
from processkit import until_asleep
from processpoolkit import DEADLINE, eventually, nested


def test_functions_and_classes_of_a_script(program: Program) -> None:
    ran = program(
        """
        from dataclasses import dataclass
        from libcoop import ProcessPool

        print("the script is run as", __name__, flush=True)

        @dataclass
        class Point:
            x: int
            y: int

        class Wrong(Exception):
            pass

        def double(point):
            return Point(point.x * 2, point.y * 2)

        def wrong():
            raise Wrong("as asked")

        if __name__ == "__main__":
            with ProcessPool(1) as pool:
                assert pool.submit(abs, -1).result() == 1
                found = pool.submit(double, Point(1, 2)).result()
                assert type(found) is Point and found == Point(2, 4), found
                try:
                    pool.submit(wrong).result()
                except Wrong as error:
                    print(repr(error))
        """
    )
    assert ran.stdout.splitlines() == [
        "the script is run as __main__",
        "the script is run as __coop_main__",
        "Wrong('as asked')",
    ]


def test_a_script_without_a_guard_is_told_so(program: Program) -> None:
    ran = program(
        """
        from libcoop import ProcessPool
        def call():
            return 1
        with ProcessPool(1) as pool:
            print(pool.submit(call).exception())
        """
    )
    assert 'below `if __name__ == "__main__":`' in ran.stdout


def test_what_was_typed_at_a_prompt_goes_by_value() -> None:
    pytest.importorskip("cloudpickle")
    source = """
    from libcoop import ProcessPool
    def call(base):
        return base + offset
    offset = 1
    with ProcessPool(1) as pool:
        print(pool.submit(call, 41).result())
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (ran.stdout, ran.stderr) == ("42\n", "")


def test_exit_runs_what_was_submitted(program: Program, tmp_path: Path) -> None:
    program(
        """
        import sys, time
        from pathlib import Path
        from libcoop import ProcessPool

        def call(number):
            time.sleep(0.05)
            Path(sys.path[0], f"ran-{number}").touch()

        if __name__ == "__main__":
            pool = ProcessPool(2)
            for number in range(5):
                pool.submit(call, number)
        """
    )
    assert len(list(tmp_path.glob("ran-*"))) == 5


def test_exit_refuses_more(program: Program) -> None:
    ran = program(
        """
        import atexit, time
        from libcoop import ProcessPool

        def late():
            try:
                pool.submit(abs, -1)
            except RuntimeError as error:
                print(error)

        if __name__ == "__main__":
            pool = ProcessPool(1)
            atexit.register(late)
            pool.submit(time.sleep, 0.01)
        """
    )
    assert ran.stdout == "cannot schedule new futures after interpreter shutdown\n"


def test_ctrl_c_ends_a_wait_and_the_program(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent(
            """
            import signal, sys, time
            signal.signal(signal.SIGINT, signal.default_int_handler)
            from libcoop import ProcessPool

            def hold():
                print("begun", flush=True)
                time.sleep(600)

            if __name__ == "__main__":
                pool = ProcessPool(1)
                future = pool.submit(hold)
                try:
                    future.result()
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
                    assert pool.kill(future)
            """
        )
    )
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            # The worker may be in its call before the program waits for that.
            until_asleep(child.pid)
            child.send_signal(signal.SIGINT)
            assert child.stdout.read() == "interrupted\n"
            assert child.wait(DEADLINE) == 0
        finally:
            child.kill()


def of_session(session: int) -> set[int]:
    """The processes of a session that have not ended."""
    found = set()
    for process in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            if int(stat[3]) == session and stat[0] not in "ZX":
                found.add(int(process))
    return found


def test_nothing_is_left_of_a_program_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from pathlib import Path
            from libcoop import ProcessPool

            def hold():
                Path(sys.path[0], f"worker-{os.getpid()}").touch()
                time.sleep(600)

            def hold_in_a_pool():
                with ProcessPool(1) as pool:
                    pool.submit(hold).result()

            if __name__ == "__main__":
                pool = ProcessPool(2)
                calls = [pool.submit(hold), pool.submit(hold_in_a_pool)]
                queued = [pool.submit(abs, -1) for _ in range(1000)]
                time.sleep(600)
            """
        )
    )
    with subprocess.Popen([sys.executable, path], start_new_session=True) as child:
        try:
            eventually(lambda: len(list(tmp_path.glob("worker-*"))) == 2)
            # Itself, two zygotes, each with a worker to be, and three workers.
            assert len(of_session(child.pid)) >= 6
        finally:
            child.kill()
    eventually(lambda: not of_session(child.pid))


def test_a_fork_is_no_second_parent(program: Program) -> None:
    ran = program(
        """
        import os
        import libcoop
        from libcoop import ProcessPool

        def call():
            return os.getppid()

        if __name__ == "__main__":
            with ProcessPool(1) as pool:
                pool.submit(abs, -1).result()
                future = pool.submit(abs, -7)
                child = os.fork()
                if child == 0:
                    for refused in (lambda: pool.submit(abs, -1), lambda: pool.stats()):
                        try:
                            refused()
                        except libcoop.Forked as error:
                            print("refused", flush=True)
                    with ProcessPool(1) as own:
                        assert own.submit(call).result() == os.getpid()
                    del pool, future
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
                assert pool.submit(call).result() == os.getpid()
                assert future.result() == 7
        """
    )
    assert ran.stdout == "refused\nrefused\n"


def test_a_result_stays_as_it_is_in_a_fork(program: Program) -> None:
    pytest.importorskip("numpy")
    program(
        """
        import os
        import numpy
        from libcoop import ProcessPool

        if __name__ == "__main__":
            with ProcessPool(1) as pool:
                array = pool.submit(numpy.full, 100_000, 7).result()
                go, tell = os.pipe()
                child = os.fork()
                if child == 0:
                    os.read(go, 1)
                    os._exit(0 if (array == 7).all() else 1)
                del array
                for number in range(10):
                    pool.submit(numpy.full, 100_000, number).result()
                os.write(tell, b"!")
                assert os.waitpid(child, 0)[1] == 0
        """
    )


def test_a_worker_that_could_not_be_started_is_started_later(program: Program) -> None:
    program(
        """
        import os
        import resource
        import sys
        import time
        from pathlib import Path
        from libcoop import ProcessPool

        def meet(name, count):
            here = Path(sys.path[0])
            (here / f"{name}-{os.getpid()}").touch()
            until = time.monotonic() + 60
            while len(list(here.glob(f"{name}-*"))) < count:
                assert time.monotonic() < until
                time.sleep(0.001)

        if __name__ == "__main__":
            with ProcessPool(3) as pool:
                pool.submit(meet, "one", 1).result()
                limits = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), limits[1]))
                calls = [pool.submit(abs, -number) for number in range(100)]
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                assert [one.result() for one in calls] == list(range(100))
                for call in [pool.submit(meet, "three", 3) for _ in range(3)]:
                    call.result()
        """
    )


def test_pools_nest() -> None:
    with ProcessPool(2) as pool:
        assert list(pool.map(nested, [-1, -2])) == [1, 2]


def test_proxies_of_managers_work_in_calls(program: Program) -> None:
    ran = program(
        """
        import multiprocessing
        from libcoop import ProcessPool

        def call(event, queue):
            queue.put("from a worker")
            event.set()

        if __name__ == "__main__":
            with multiprocessing.Manager() as manager, ProcessPool(1) as pool:
                event, queue = manager.Event(), manager.Queue()
                pool.submit(call, event, queue).result()
                print(event.is_set(), queue.get())
        """
    )
    assert ran.stdout == "True from a worker\n"


def test_prints_of_calls_come_out_as_they_are(program: Program) -> None:
    ran = program(
        """
        import sys
        from libcoop import ProcessPool

        def call():
            print("said")
            print("complained", file=sys.stderr)

        if __name__ == "__main__":
            with ProcessPool(1) as pool:
                pool.submit(call).result()
        """,
        stderr="complained\n",
    )
    assert ran.stdout == "said\n"


def test_modules_are_imported_beforehand(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import os\nWHERE = os.getpid()\ndef where(): return WHERE, os.getpid()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("slow_to_import")
    with ProcessPool(1, preload=["slow_to_import"]) as pool:
        where, here = pool.submit(module.where).result(DEADLINE)
    # In the process that workers are forked from.
    assert os.getpid() not in (where, here)
    assert where != here


def test_what_dies_in_a_call_is_told_by_its_future_alone(program: Program) -> None:
    ran = program(
        """
        import os, time
        from libcoop import ProcessPool, Timeout, WorkerDied

        if __name__ == "__main__":
            with ProcessPool(1) as pool:
                for _ in range(3):
                    assert isinstance(pool.submit(os._exit, 3).exception(), WorkerDied)
                pool.submit(abs, -1).result()
                assert isinstance(pool.at(deadline=0.1).submit(time.sleep, 600).exception(), Timeout)
                print("told")
        """
    )
    assert ran.stdout == "told\n"


def test_a_worker_that_dies_without_a_call_is_told_of_once(program: Program) -> None:
    ran = program(
        """
        import os, signal, time
        from libcoop import ProcessPool

        if __name__ == "__main__":
            with ProcessPool(1) as pool:
                worker = pool.submit(os.getpid).result()
                os.kill(worker, signal.SIGKILL)
                while worker in pool.stats().workers:
                    time.sleep(0.01)
                assert pool.submit(os.getpid).result() != worker
        """,
        stderr=None,
    )
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert "SIGKILL, while it had no call" in ran.stderr


def test_a_preload_that_fails_is_told_soon_and_once(program: Program) -> None:
    ran = program(
        """
        from concurrent.futures.process import BrokenProcessPool
        from libcoop import ProcessPool

        if __name__ == "__main__":
            with ProcessPool(2, preload=["no_such_module_anywhere"]) as pool:
                for call in [pool.submit(abs, -1) for _ in range(3)]:
                    error = call.exception()
                    assert isinstance(error, BrokenProcessPool)
                    assert "No module named 'no_such_module_anywhere'" in str(error)
        """,
        stderr=None,
    )
    assert "run 1" not in ran.stderr, ran.stderr
