"""Graphs of Python functions: how they are told, what nodes are given, and what comes of a run."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import json
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import libcoop
import pytest
from conftest import DEADLINE
from libcoop import Dag, DagRun, NodeState, Pool, Runtime


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(2) as runtime:
        runtime.start()
        yield runtime


def run(dag: Dag, on: Runtime | Pool, inputs: dict[str, Any] | None = None, **options: Any) -> libcoop.DagOutcome:
    return dag.run(on, inputs, **options).result(DEADLINE)


class Thing:
    """Something that can be referred to weakly."""


def test_parameters_name_what_is_read(runtime: Runtime) -> None:
    dag = Dag()
    dag.input("first", "second")

    @dag.node
    def both(first: int, second: int, third: int = 3) -> tuple[int, ...]:
        return first, second, third

    @dag.node(name="renamed")
    def by_keyword(both: tuple[int, ...], *, first: int, **others: object) -> tuple[object, ...]:
        return *both, first, others

    assert both(1, 2) == (1, 2, 3)
    outcome = run(dag, runtime, {"first": 1, "second": 2})
    assert outcome["renamed"] == (1, 2, 3, 1, {})
    assert outcome.results == {"renamed": (1, 2, 3, 1, {})}
    assert outcome.errors == {}
    assert outcome.error is None
    assert outcome.state("both") is NodeState.DONE
    assert dag.names == ("first", "second", "both", "renamed")
    assert len(dag) == 4


def test_nodes_may_be_named_before_they_are_there(runtime: Runtime) -> None:
    dag = Dag()
    dag.node(lambda early: early + 1, name="late")
    dag.node(lambda: 1, name="early")
    assert run(dag, runtime)["late"] == 2


def test_reads_are_given_by_position(runtime: Runtime) -> None:
    dag = Dag()
    for number in range(100):
        dag.node(functools.partial(int, number), name=f"number/{number}", reads=[])
    dag.node(lambda *numbers: sum(numbers), name="sum", reads=[f"number/{number}" for number in range(100)])
    dag.node(max, reads=["number/3", "number/7"])
    assert run(dag, runtime).results == {"sum": 4950, "max": 7} | {}


def test_after_orders_and_reads_nothing(runtime: Runtime) -> None:
    dag = Dag()
    seen: list[str] = []
    dag.node(lambda: seen.append("last"), name="last", after=["middle"])
    dag.node(lambda: seen.append("middle"), name="middle")
    dag.node(lambda: seen.append("first"), name="first")
    dag.after("middle", "first")
    run(dag, runtime)
    assert seen == ["first", "middle", "last"]


def test_results_are_handed_on_by_reference(runtime: Runtime) -> None:
    dag = Dag()
    thing = Thing()
    dag.input("given")
    dag.node(lambda given: given, name="same")
    dag.node(lambda same, given: (same, given), name="both")
    same, given = run(dag, runtime, {"given": thing})["both"]
    assert same is thing
    assert given is thing


def test_a_result_is_gone_after_its_last_reader(runtime: Runtime) -> None:
    dag = Dag()
    made: list[weakref.ref[Thing]] = []
    gone: list[bool] = []

    @dag.node
    def thing() -> Thing:
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    @dag.node
    def reader(thing: Thing) -> int:
        return 1

    @dag.node
    async def other_reader(thing: Thing) -> int:
        return 2

    @dag.node
    def later(reader: int, other_reader: int) -> None:
        gone.append(made[0]() is None)

    @dag.node(after=["thing"], keep=True)
    def kept() -> Thing:
        return Thing()

    outcome = run(dag, runtime)
    assert gone == [True]
    assert isinstance(outcome["kept"], Thing)
    assert outcome["kept"] is outcome["kept"]
    with pytest.raises(KeyError, match="its result is not kept"):
        outcome["thing"]
    there = weakref.ref(outcome["kept"])
    del outcome
    gc.collect()
    assert there() is None


def test_keep_has_a_result_that_is_read(runtime: Runtime) -> None:
    dag = Dag()
    dag.node(lambda: [1], name="made", keep=True)
    dag.node(lambda made: made, name="reader")
    outcome = run(dag, runtime)
    assert outcome["made"] is outcome["reader"]


def test_none_is_a_result(runtime: Runtime) -> None:
    dag = Dag()
    dag.input("given")
    dag.node(lambda given: given, name="nothing")
    dag.node(lambda nothing: [nothing], name="list")
    assert run(dag, runtime, {"given": None})["list"] == [None]


def test_skipped_nodes_skip_what_depends_on_them(runtime: Runtime) -> None:
    dag = Dag()
    dag.input("wanted")
    dag.node(lambda wanted: 1 if wanted else libcoop.SKIP, name="perhaps")

    @dag.node
    async def also(perhaps: int) -> int:
        return perhaps

    dag.node(lambda also, perhaps: (also, perhaps), name="end", even_if_skipped=True)
    assert run(dag, runtime, {"wanted": True})["end"] == (1, 1)
    outcome = run(dag, runtime, {"wanted": False})
    assert outcome["end"] == (libcoop.SKIP, libcoop.SKIP)
    assert outcome.state("also") is NodeState.SKIPPED
    with pytest.raises(KeyError, match="SKIPPED"):
        outcome["perhaps"]
    assert repr(libcoop.SKIP) == "libcoop.SKIP"


@pytest.mark.parametrize("waits", [False, True])
def test_a_node_is_tried_again(runtime: Runtime, waits: bool) -> None:
    tries: list[int] = []

    def attempt(given: int) -> int:
        tries.append(given)
        if len(tries) < 4:
            raise ValueError(len(tries))
        return given

    async def waiting(given: int) -> int:
        return attempt(given)

    dag = Dag()
    dag.input("given")
    dag.node(waiting if waits else attempt, name="again", retry=3, backoff=0.001)
    assert run(dag, runtime, {"given": 5})["again"] == 5
    assert tries == [5, 5, 5, 5]


def test_priorities_and_cpus_are_those_of_the_pool() -> None:
    with Pool(1, pin=True) as pool:
        [cpu] = pool.worker_cpus
        assert cpu is not None
        dag = Dag()
        seen: list[str] = []
        dag.node(lambda: None, name="first")
        dag.node(lambda first: seen.append("low"), name="low", priority=libcoop.Priority.LOW)
        dag.node(lambda first: seen.append("high"), name="high", priority=libcoop.Priority.HIGH, cpus={cpu})
        run(dag, pool)
        assert sorted(seen) == ["high", "low"]
        wrong = Dag()
        wrong.node(lambda: None, name="nowhere", cpus=[1023])
        with pytest.raises(libcoop.Affinity):
            wrong.run(pool)


def test_context_variables_are_those_of_run(runtime: Runtime) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    dag = Dag()

    @dag.node
    def first() -> str:
        before = variable.get()
        variable.set("changed")
        return before

    @dag.node
    async def second(first: str) -> tuple[str, str]:
        return first, variable.get()

    for value in ("one", "two"):
        variable.set(value)
        assert run(dag, runtime)["second"] == (value, value)
        assert variable.get() == value


def test_a_node_knows_its_run(runtime: Runtime) -> None:
    dag = Dag()
    dag.node(DagRun.current, name="plain")

    @dag.node
    async def waits() -> DagRun | None:
        return DagRun.current()

    started = dag.run(runtime)
    outcome = started.result(DEADLINE)
    assert outcome["plain"] is started
    assert outcome["waits"] is started
    assert started.dag is dag
    assert DagRun.current() is None


def test_runs_go_on_at_once(runtime: Runtime) -> None:
    dag = Dag()
    dag.input("number")

    @dag.node
    async def slow(number: int) -> int:
        await runtime.event_loop.sleep(0.01)
        return number

    dag.node(lambda slow: slow * 2, name="double")
    found: dict[int, int] = {}

    def start(first: int) -> None:
        runs = {number: dag.run(runtime, {"number": number}) for number in range(first, first + 50)}
        found.update({number: one.result(DEADLINE)["double"] for number, one in runs.items()})

    threads = [threading.Thread(target=start, args=(first,)) for first in (0, 50, 100, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert found == {number: number * 2 for number in range(200)}


def test_a_graph_of_another_graph(runtime: Runtime) -> None:
    inner = Dag()
    inner.input("number")
    inner.node(lambda number: number + 1, name="more")
    inner.node(lambda more: more * 10, name="much")
    outer = Dag()
    outer.node(lambda: 4, name="four")
    outer.insert("left", inner, {"number": "four"})
    outer.insert("right", inner, {"number": "left/much"})
    outer.node(lambda left, right: (left, right), name="both", reads=["left/more", "right/much"])
    assert inner.built
    assert "right/much" in outer.names
    del inner
    gc.collect()
    assert run(outer, runtime)["both"] == (5, 510)


def test_a_graph_of_no_nodes(runtime: Runtime) -> None:
    assert run(Dag(), runtime).results == {}


def test_a_graph_that_its_functions_refer_to_is_collected() -> None:
    def make() -> weakref.ref[Thing]:
        dag, thing = Dag(), Thing()

        @dag.node
        def node() -> object:
            return dag, thing

        dag.build()
        return weakref.ref(thing)

    made = make()
    gc.collect()
    assert made() is None


def test_a_traced_run_shows_its_nodes(runtime: Runtime) -> None:
    dag = Dag()
    dag.node(lambda: 1, name="first")

    @dag.node
    async def call(first: int) -> int:
        await runtime.event_loop.sleep(0.001)
        return first

    started = dag.run(runtime, trace=True)
    started.result(DEADLINE)
    events = json.loads(started.trace())["traceEvents"]
    assert {(event["name"], event["ph"]) for event in events} == {("first", "X"), ("call", "b"), ("call", "e")}
    assert "us, waited" in started.dot()
    assert 'label="call", shape=ellipse' in dag.dot()
    stats = dag.stats()
    assert list(stats) == ["first", "call"]
    assert (stats["call"].count, stats["call"].failures) == (1, 0)
    assert stats["call"].ran.min == stats["call"].ran.max >= 0.001
    untraced = dag.run(runtime)
    untraced.result(DEADLINE)
    with pytest.raises(libcoop.Invalid, match="trace=True"):
        untraced.trace()


def test_it_says_what_it_is(runtime: Runtime) -> None:
    dag, go = Dag(), threading.Event()
    dag.node(lambda: go.wait(DEADLINE), name="wait")
    assert repr(dag) == "<libcoop.Dag of 1 nodes, not built>"
    started = dag.run(runtime)
    assert repr(dag) == "<libcoop.Dag of 1 nodes, built>"
    assert repr(started) == "<libcoop.DagRun of 1 nodes, running>"
    go.set()
    assert repr(started.result(DEADLINE)) == "<libcoop.DagOutcome, ended well: 1 results, 0 errors>"
    assert repr(started) == "<libcoop.DagRun of 1 nodes, ended well>"


def test_a_pool_and_a_loop_beside_it(running_loop: libcoop.EventLoop) -> None:
    dag = Dag()

    @dag.node
    async def call() -> int:
        await running_loop.sleep(0.001)
        return 3

    with Pool(1) as pool:
        assert run(dag, pool, event_loop=running_loop)["call"] == 3
        with pytest.raises(libcoop.Invalid, match="an event loop is needed"):
            dag.run(pool)


def test_a_run_is_a_future(runtime: Runtime) -> None:
    dag = Dag()
    dag.node(lambda: 1, name="one")
    told = threading.Event()
    started = dag.run(runtime)
    started.add_done_callback(lambda _: told.set())
    assert told.wait(DEADLINE)
    assert started.done()
    assert started.exception() is None

    async def main() -> int:
        outcome = await dag.run(runtime)
        one: int = outcome["one"]
        return one

    assert asyncio.run(main()) == 1
