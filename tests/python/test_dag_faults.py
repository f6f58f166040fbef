"""Graphs that are none, and runs that do not end well: each ends once, and says why."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import traceback
from collections.abc import Generator, Iterator
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE
from hostkit import until
from libcoop import Dag, DagRun, EventLoop, NodeState, Pool, Runtime
from processkit import PRELUDE


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime(2) as runtime:
        runtime.start()
        yield runtime


def test_a_cycle_is_named() -> None:
    dag = Dag()
    dag.node(lambda c: c, name="a")
    dag.node(lambda a: a, name="b")
    dag.node(lambda b: b, name="c")
    with pytest.raises(
        libcoop.Invalid, match=r"the graph has a cycle: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)"
    ):
        dag.build()
    with pytest.raises(libcoop.Invalid, match="cycle"):
        dag.node(lambda: 1, name="more")


def test_a_node_that_reads_itself() -> None:
    dag = Dag()

    @dag.node
    def own(own: int) -> int:
        return own

    with pytest.raises(libcoop.Invalid, match='node "own" depends on itself'):
        dag.build()


def test_a_name_that_is_taken() -> None:
    dag = Dag()
    dag.input("name")
    with pytest.raises(libcoop.Exists, match='node "name"'):
        dag.node(lambda: 1, name="name")
    with pytest.raises(libcoop.Exists, match='node "name"'):
        dag.input("name")
    assert dag.build().names == ("name",)


def test_a_parameter_that_is_no_node() -> None:
    dag = Dag()
    dag.node(lambda nobody: nobody, name="node")
    with pytest.raises(libcoop.Invalid, match='node "node" depends on "nobody", and there is no node of this name'):
        dag.build()


def test_an_edge_that_is_there_twice() -> None:
    dag = Dag()
    dag.node(lambda: 1, name="a")
    dag.node(lambda a: a, name="b", after=["a"])
    with pytest.raises(libcoop.Invalid, match='"b" depends on "a" twice'):
        dag.build()


def test_a_built_graph_does_not_change() -> None:
    dag = Dag()
    dag.build()
    for change in (
        lambda: dag.node(lambda: 1, name="late"),
        lambda: dag.input("late"),
        lambda: dag.after("a", "b"),
        lambda: dag.insert("late", Dag()),
    ):
        with pytest.raises(libcoop.Invalid, match="the graph is built, and does not change any more"):
            change()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": ""}, libcoop.Invalid, "must not be empty"),
        ({"name": 3}, TypeError, "a node's name must be a str, not 3"),
        ({"reads": "name"}, TypeError, "reads must be a list of names"),
        ({"after": "name"}, TypeError, "after must be a list of names"),
        ({"after": [print]}, TypeError, "a node's name must be a str"),
        ({"priority": 7}, libcoop.Invalid, "priority 7"),
        ({"retry": -1}, libcoop.Invalid, "retry must be 0 to 4294967295, not -1"),
        ({"retry": 1 << 32}, libcoop.Invalid, "retry must be 0 to 4294967295"),
        ({"retry": 0.5}, TypeError, "retry must be an int"),
        ({"backoff": -1}, ValueError, "backoff must be at least 0 seconds"),
        ({"deadline": float("nan")}, ValueError, "deadline must be at least 0 seconds"),
        ({"deadline": 10**400}, libcoop.Invalid, "deadline must be a number of seconds"),
        ({"deadline": "1"}, TypeError, "deadline must be a number of seconds"),
        ({"cpus": [-1]}, libcoop.Invalid, "CPU -1 is out of range"),
    ],
)
def test_options_that_are_out_of_range(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Dag().node(lambda: 1, **({"name": "node"} | options))


def test_what_is_no_function() -> None:
    with pytest.raises(TypeError, match="a node is a function, not 3"):
        Dag().node(3)  # type: ignore[call-overload]

    async def waits() -> None: ...

    with pytest.raises(libcoop.Invalid, match="it takes no CPU set"):
        Dag().node(waits, cpus=[0])


def test_inputs_are_those_that_there_are(runtime: Runtime) -> None:
    dag = Dag()
    dag.input("number")
    dag.node(lambda number: number, name="node")
    wrong = [({}, r'"number" is not given'), ({"number": 1, "other": 2}, r'"other": the graph has none')]
    for inputs, words in wrong:
        with pytest.raises(libcoop.Invalid, match=words):
            dag.run(runtime, inputs)
    with pytest.raises(libcoop.Invalid, match='"node": the graph has none'):
        dag.run(runtime, {"number": 1, "node": 2})
    with pytest.raises(TypeError, match=r"a graph runs on a libcoop.Runtime or a libcoop.Pool, not 3"):
        dag.run(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("in_asyncio", [False, True])
def test_an_exception_keeps_its_type_and_traceback_and_names_its_node(
    runtime: Runtime, waits: bool, in_asyncio: bool
) -> None:
    dag = Dag()

    def fails() -> None:
        raise LookupError("mine")  # the user's line

    async def fails_waiting() -> None:
        fails()

    dag.node(fails_waiting if waits else fails, name="fails")
    dag.node(lambda fails: fails, name="dependent")
    dag.node(lambda: 1, name="other")

    async def run_it() -> None:
        await dag.run(runtime)

    with pytest.raises(LookupError, match="mine") as raised:
        asyncio.run(run_it()) if in_asyncio else dag.run(runtime).result(DEADLINE)
    shown = "".join(traceback.format_exception(raised.value))
    assert 'raise LookupError("mine")  # the user\'s line' in shown
    assert shown.endswith("LookupError: mine\nnode 'fails'\n")
    outcome = dag.run(runtime).outcome(DEADLINE)
    assert set(outcome.errors) == {"fails"}
    assert outcome.error is outcome.errors["fails"]
    assert outcome["other"] == 1
    assert outcome.state("dependent") is NodeState.CANCELLED
    with pytest.raises(LookupError):
        outcome["fails"]
    with pytest.raises(KeyError, match="'dependent' has no result: it is CANCELLED"):
        outcome["dependent"]
    with pytest.raises(libcoop.Invalid, match='no node "nobody"'):
        outcome["nobody"]


def test_fail_fast_ends_the_run_at_once(runtime: Runtime) -> None:
    dag, never = Dag(), libcoop.Future[None]()

    @dag.node
    async def waits() -> None:
        await never

    @dag.node
    def fails() -> None:
        raise ValueError("at once")

    run = dag.run(runtime, fail_fast=True)
    with pytest.raises(ValueError, match="at once"):
        run.result(DEADLINE)
    # If it had begun, the loop has yet to cancel it.
    until(lambda: run.outcome().state("waits") is NodeState.CANCELLED)


class Waiter:
    """A node that would wait for ever, and what became of it."""

    def __init__(self, dag: Dag, runtime: Runtime, **options: Any) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

        async def waits() -> None:
            self.began.set()
            try:
                if asyncio._get_running_loop() is None:
                    await runtime.event_loop.sleep(1e6)
                else:
                    await asyncio.sleep(1e6)
            finally:
                self.ended.set()

        dag.node(waits, **options)

    def has_ended(self) -> bool:
        """Waits until it has; False if it had not begun."""
        if self.began.is_set():
            assert self.ended.wait(DEADLINE)
        return self.ended.is_set()


@pytest.mark.parametrize("in_asyncio", [False, True])
def test_a_node_that_never_ends_has_its_deadline(runtime: Runtime, in_asyncio: bool) -> None:
    # On a busy machine it may not begin in time: then it has longer.
    for deadline, told in ((0.02, "20ms"), (1.0, "1s"), (30.0, "30s")):
        dag = Dag()
        waiter = Waiter(dag, runtime, deadline=deadline)

        async def main(dag: Dag = dag, waiter: Waiter = waiter) -> None:
            try:
                await dag.run(runtime)
            finally:
                await asyncio.to_thread(waiter.has_ended)

        with pytest.raises(libcoop.Timeout, match=f"it has not ended within {told}") as raised:
            asyncio.run(main()) if in_asyncio else dag.run(runtime).result(DEADLINE)
        assert raised.value.__notes__ == ["node 'waits'"]
        if waiter.has_ended():
            return
    raise AssertionError("it has never begun in time")


def test_a_function_that_never_ends_has_its_deadline(runtime: Runtime) -> None:
    dag, go = Dag(), threading.Event()
    dag.node(lambda: go.wait(DEADLINE), name="stuck", deadline=0.02)
    with pytest.raises(libcoop.Timeout):
        dag.run(runtime).result(DEADLINE)
    go.set()


@pytest.mark.parametrize("in_asyncio", [False, True])
def test_a_run_has_its_deadline(runtime: Runtime, in_asyncio: bool) -> None:
    for deadline, told in ((0.02, "20ms"), (1.0, "1s"), (30.0, "30s")):
        dag = Dag()
        waiter = Waiter(dag, runtime)

        async def main(dag: Dag = dag, waiter: Waiter = waiter, deadline: float = deadline) -> None:
            try:
                await dag.run(runtime, deadline=deadline)
            finally:
                await asyncio.to_thread(waiter.has_ended)

        with pytest.raises(libcoop.Timeout, match=f"the run has not ended within {told}"):
            asyncio.run(main()) if in_asyncio else dag.run(runtime, deadline=deadline).result(DEADLINE)
        if waiter.has_ended():
            return
    raise AssertionError("it has never begun in time")


def test_a_run_is_cancelled(runtime: Runtime) -> None:
    dag = Dag()
    waiter = Waiter(dag, runtime)
    run = dag.run(runtime)
    assert waiter.began.wait(DEADLINE)
    assert run.cancel()
    assert run.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        run.result(DEADLINE)
    assert waiter.ended.wait(DEADLINE)
    assert isinstance(run.outcome(DEADLINE).error, libcoop.Cancelled)
    assert repr(run) == "<libcoop.DagRun of 1 nodes, cancelled>"


def test_cancelling_the_task_that_awaits_it_cancels_a_run(runtime: Runtime) -> None:
    dag = Dag()
    waiter = Waiter(dag, runtime)

    async def main() -> DagRun:
        run = dag.run(runtime)

        async def awaits() -> None:
            await run

        task = asyncio.create_task(awaits())
        await asyncio.to_thread(waiter.began.wait, DEADLINE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(waiter.ended.wait, DEADLINE)
        return run

    assert isinstance(asyncio.run(main()).outcome(DEADLINE).error, libcoop.Cancelled)
    assert waiter.ended.is_set()


def test_a_node_cancels_its_own_run(runtime: Runtime) -> None:
    dag = Dag()

    @dag.node
    def cancels() -> bool:
        run = DagRun.current()
        assert run is not None
        return run.cancel()

    dag.node(lambda cancels: cancels, name="next")
    outcome = dag.run(runtime).outcome(DEADLINE)
    assert isinstance(outcome.error, libcoop.Cancelled)
    assert outcome.results == {}


def test_a_node_does_not_wait_for_its_own_run(runtime: Runtime) -> None:
    dag = Dag()

    @dag.node
    def waits() -> None:
        run = DagRun.current()
        assert run is not None
        run.result()

    @dag.node
    async def waits_too() -> None:
        run = DagRun.current()
        assert run is not None
        run.outcome()

    outcome = dag.run(runtime).outcome(DEADLINE)
    assert {type(error) for error in outcome.errors.values()} == {libcoop.WouldDeadlock}
    assert len(outcome.errors) == 2


def test_what_a_loop_does_not_know_is_not_awaited_there(runtime: Runtime) -> None:
    class Odd:
        def __await__(self) -> Generator[str, None, None]:
            yield "odd"

    dag = Dag()

    @dag.node
    async def odd() -> None:
        await Odd()

    with pytest.raises(TypeError, match="a coroutine awaits libcoop's futures, not 'odd'"):
        dag.run(runtime).result(DEADLINE)


def test_a_hundred_thousand_nodes(runtime: Runtime) -> None:
    dag = Dag()
    dag.input("number")
    count = 100_000
    for number in range(count // 2):
        dag.node(_more, name=f"wide/{number}", reads=["number"])
    before = "number"
    for number in range(count // 2):
        dag.node(_more, name=(name := f"deep/{number}"), reads=[before])
        before = name
    outcome = dag.run(runtime, {"number": 1}).result(DEADLINE)
    assert outcome[before] == count // 2 + 1
    assert len(outcome.results) == count // 2 + 1
    assert set(outcome.results.values()) == {2, count // 2 + 1}


def _more(number: int) -> int:
    return number + 1


def test_a_pool_that_is_shut_down_runs_what_has_begun() -> None:
    dag, go = Dag(), threading.Event()
    dag.node(lambda: go.wait(DEADLINE), name="first")
    dag.node(lambda first: 1, name="second")
    pool = Pool(1)
    run = dag.run(pool)
    pool.shutdown(wait=False)
    with pytest.raises(libcoop.Closed):
        dag.run(pool)
    go.set()
    assert run.result(DEADLINE)["second"] == 1


def test_a_pool_that_discards_what_is_queued_ends_its_runs() -> None:
    dag, began, go = Dag(), threading.Event(), threading.Event()

    @dag.node
    def stuck() -> None:
        began.set()
        go.wait(DEADLINE)

    # What is of another priority goes by the pool's queue, which takes nothing any more.
    dag.node(lambda stuck: 1, name="next", priority=libcoop.Priority.HIGH)
    pool = Pool(1)
    runs = [dag.run(pool) for _ in range(3)]
    told: list[object] = []
    for run in runs:
        run.add_done_callback(told.append)
    assert began.wait(DEADLINE)
    pool.shutdown(wait=False, cancel_futures=True)
    go.set()
    for run in runs:
        assert isinstance(run.outcome(DEADLINE).error, libcoop.Closed)
    pool.shutdown()
    assert sorted(map(id, told)) == sorted(map(id, runs))


def test_a_runtime_that_is_closed_ends_its_runs() -> None:
    runtime = Runtime(1)
    runtime.start()
    dag = Dag()
    waiter = Waiter(dag, runtime)
    runs = [dag.run(runtime) for _ in range(10)]
    assert waiter.began.wait(DEADLINE)
    told: list[object] = []
    for run in runs:
        run.add_done_callback(told.append)
    runtime.close()
    for run in runs:
        assert isinstance(run.exception(DEADLINE), libcoop.Closed)
    assert sorted(map(id, told)) == sorted(map(id, runs))
    assert waiter.ended.wait(DEADLINE)
    with pytest.raises(libcoop.Closed):
        dag.run(runtime)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_loop_that_ends_ends_its_runs(how: str) -> None:
    event_loop = EventLoop()
    event_loop.start()
    dag, began = Dag(), threading.Event()

    @dag.node
    async def waits() -> None:
        began.set()
        await event_loop.sleep(1e6)

    with Pool(1) as pool:
        run = dag.run(pool, event_loop=event_loop)
        assert began.wait(DEADLINE)
        getattr(event_loop, how)()
        with pytest.raises(libcoop.Closed):
            run.result(DEADLINE)


def test_an_asyncio_loop_that_ends_ends_its_nodes(runtime: Runtime) -> None:
    dag = Dag()
    waiter = Waiter(dag, runtime)

    async def main() -> DagRun:
        run = dag.run(runtime)
        await asyncio.to_thread(waiter.began.wait, DEADLINE)
        return run

    error = asyncio.run(main()).exception(DEADLINE)
    assert isinstance(error, libcoop.Cancelled)
    assert error.__notes__ == ["node 'waits'"]


EXITS = {
    "coroutines that wait": "async def node(): await runtime.event_loop.sleep(1e6)",
    "coroutines that begin anew": "async def node():\n    while True: await runtime.event_loop.sleep(0.0001)",
    "functions": "def node(): time.sleep(0.01)",
}


@pytest.mark.parametrize("name", EXITS)
def test_the_interpreter_exits_with_runs_in_flight(program: Any, name: str) -> None:
    ran = program(
        f"""{PRELUDE}
runtime = Runtime(2); runtime.start()
dag = libcoop.Dag()
{EXITS[name]}
dag.node(node)
dag.node(lambda node: None, name="next")
def told(run):
    os.write(1, type(run.exception()).__name__.encode() + b"\\n")
for _ in range(3):
    dag.run(runtime).add_done_callback(told)
os.write(1, b"at the end\\n")
"""
    )
    assert sorted(ran.stdout.split("\n")) == sorted(
        ["", "at the end", *[{"functions": "NoneType"}.get(name, "Closed")] * 3]
    )


def test_ctrl_c_ends_the_wait_and_not_the_run(program: Any) -> None:
    ran = program(
        f"""{PRELUDE}
runtime = Runtime(2); runtime.start()
dag, go = libcoop.Dag(), threading.Event()
@dag.node
def node():
    go.wait(30)
    return "result"
run = dag.run(runtime)
interrupt_soon()
try:
    run.result()
except KeyboardInterrupt:
    print("interrupted", flush=True)
go.set()
print(run.result(30)["node"], flush=True)
"""
    )
    assert ran.stdout == "interrupted\nresult\n"


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_an_exception_that_is_none_of_a_program_ends_its_run(runtime: Runtime, exception: type[BaseException]) -> None:
    dag = Dag()

    @dag.node
    def plain() -> None:
        raise exception

    @dag.node
    async def waits() -> None:
        raise exception

    outcome = dag.run(runtime).outcome(DEADLINE)
    assert {type(error) for error in outcome.errors.values()} == {exception}
    assert len(outcome.errors) == 2


def test_a_run_of_the_parent_is_refused_in_a_child(program: Any) -> None:
    ran = program(
        f"""{PRELUDE}
runtime = Runtime(1); runtime.start()
dag = libcoop.Dag()
async def node(): await runtime.event_loop.sleep(1e6)
dag.node(node)
run = dag.run(runtime)
time.sleep(0.05)
child = os.fork()
if child == 0:
    for call in (lambda: dag.run(runtime), lambda: run.result()):
        try:
            call()
        except libcoop.Forked as error:
            print(type(error).__name__, flush=True)
    os._exit(0)
os.waitpid(child, 0)
run.cancel()
"""
    )
    assert ran.stdout == "Forked\nForked\n"
