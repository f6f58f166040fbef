"""`libcoop.Dag`: graphs of Python functions. Plain ones run in a pool, coroutine functions wait on a loop."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import InvalidStateError
from typing import Any, Final, TypedDict, TypeVar, Unpack, overload

from libcoop import _libcoop
from libcoop._cancelled import Cancelled
from libcoop._dag_loop import OnLoop
from libcoop._dag_outcome import DagOutcome, NodeStats, Spread
from libcoop._enums import Priority
from libcoop._errors import Invalid, WouldDeadlock
from libcoop._future import Future
from libcoop._pool import Pool, _count, _cpus
from libcoop._runtime import Runtime

F = TypeVar("F", bound=Callable[..., Any])

_current: contextvars.ContextVar[DagRun] = contextvars.ContextVar("libcoop.DagRun.current")


class _Options(TypedDict, total=False):
    name: str | None
    reads: Iterable[str] | None
    after: Iterable[str]
    priority: int
    cpus: Iterable[int] | None
    retry: int
    backoff: float
    deadline: float | None
    even_if_skipped: bool
    keep: bool


class DagRun(Future[DagOutcome]):
    """A run of a graph: a future of its outcome, to be awaited in asyncio, or waited for with `result(timeout)`.

    Both raise what the run ended with: the first exception of a node, Timeout, Closed, or Cancelled. `outcome` answers
    what there is also then. Letting go of it lets the run go on.
    """

    def __init__(self, dag: Dag) -> None:
        super().__init__()
        self._dag = dag
        self._handle = _libcoop.RunHandle()
        self._outcome: Future[DagOutcome] = Future()

    @staticmethod
    def current() -> DagRun | None:
        """The run whose node the caller is in: a node may cancel its own run."""
        return _current.get(None)

    @property
    def dag(self) -> Dag:
        """The graph that is run."""
        return self._dag

    def outcome(self, timeout: float | None = None) -> DagOutcome:
        """Waits until the run has ended, however it does, and answers what has come of it. Raises TimeoutError."""
        self._check_wait(self._outcome.done(), timeout)
        return self._outcome.result(timeout)

    def result(self, timeout: float | None = None) -> DagOutcome:
        """Waits until the run has ended, and answers what has come of it, or raises what it ended with.

        Raises TimeoutError, which changes nothing, and WouldDeadlock to one of its own nodes, to the only worker of its
        pool, and to the thread of the loop that it needs. The interpreter is free meanwhile; Ctrl-C ends the wait.
        """
        self._check_wait(self.done(), timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `result`, but answers the exception, or None if the run ended well."""
        self._check_wait(self.done(), timeout)
        return super().exception(timeout)

    def _check_wait(self, done: bool, timeout: float | None) -> None:
        if done or timeout == 0:
            return
        if _current.get(None) is self:
            raise WouldDeadlock("a node cannot wait for its own run")
        self._handle.check_wait()

    def trace(self) -> str:
        """When each node ran, as JSON for chrome://tracing and Perfetto. Of a run with `trace=True` that has ended."""
        return self._handle.chrome()

    def dot(self) -> str:
        """As a graph for Graphviz (`dot -Tsvg`) with how long each node ran. Otherwise as `trace`."""
        return self._handle.dot()

    def _on_cancel(self) -> None:
        self.set_running_or_notify_cancel()
        self._handle.cancel()

    def _end(self, results: dict[str, Any], errors: dict[str, BaseException], error: BaseException | None) -> None:
        outcome = DagOutcome(self._handle, results, errors, error)
        self._outcome.set_result(outcome)
        with contextlib.suppress(InvalidStateError):  # it was cancelled
            if error is None:
                self.set_result(outcome)
            else:
                self.set_exception(error)

    def __repr__(self) -> str:
        if not self._outcome.done():
            how = "running"
        elif (error := self._outcome.result().error) is None:
            how = "ended well"
        else:
            how = "cancelled" if isinstance(error, Cancelled) else f"ended with {type(error).__name__}"
        return f"<libcoop.DagRun of {len(self._dag)} nodes, {how}>"


class Dag(_libcoop.Dag):
    """A graph of functions, each of which begins when all that it needs is there.

    Plain functions are called by the workers of a pool; coroutine functions wait on a loop, any number at once. The
    names of a function's parameters say what it reads: the results of the nodes and inputs of these names. Parameters
    with defaults are left alone.

        dag = Dag()
        dag.input("user")

        @dag.node
        async def viewer(user): ...

        @dag.node(priority=Priority.HIGH)
        def score(viewer): ...

        outcome = await dag.run(runtime, {"user": 7})  # or dag.run(runtime, {"user": 7}).result(timeout)
        outcome["score"]

    It is built by `build`, or by its first run, and does not change any more. It runs any number of times at once, from
    any thread.
    """

    def __init__(self) -> None:
        self._names: list[str] = []

    def input(self, *names: str) -> None:
        """Adds inputs: each run is given their values. Raises Exists for a name that is taken, Invalid once built."""
        for name in names:
            self._add_input(_name(name))
            self._names.append(name)

    @overload
    def node(self, function: F, /, **options: Unpack[_Options]) -> F: ...

    @overload
    def node(self, /, **options: Unpack[_Options]) -> Callable[[F], F]: ...

    def node(self, function: F | None = None, /, **options: Unpack[_Options]) -> F | Callable[[F], F]:
        """Adds a function as a node, and answers the function: `@dag.node` or `@dag.node(...)`.

        `name` defaults to the function's. `reads` names the nodes whose results are its positional arguments; by
        default its parameters do. `after` names nodes that must have ended before, and whose results it does not read.
        All of them may be nodes to come.

        `priority` and `cpus` say how urgent a plain function is and on which CPUs of a pinned pool it may run. It is
        tried `retry` times more when it raises, after `backoff` seconds, and then twice as long each time. `deadline`
        in seconds is for the node with all its attempts: then it has failed with Timeout. A node that returns
        `libcoop.SKIP` is skipped, and so is what depends on it, unless that says `even_if_skipped`: then it is given
        SKIP for that result. `keep` has its result in the outcome although other nodes read it.

        Raises Exists for a name that is taken, Invalid for what is out of range and once the graph is built, TypeError.
        """
        if function is None:
            return lambda function: self._add_node(function, **options)
        return self._add_node(function, **options)

    def _add_node(
        self,
        function: F,
        *,
        name: str | None = None,
        reads: Iterable[str] | None = None,
        after: Iterable[str] = (),
        priority: int = Priority.NORMAL,
        cpus: Iterable[int] | None = None,
        retry: int = 0,
        backoff: float = 0.0,
        deadline: float | None = None,
        even_if_skipped: bool = False,
        keep: bool = False,
    ) -> F:
        if not callable(function):
            raise TypeError(f"a node is a function, not {function!r}")
        own = getattr(function, "__name__", None) if name is None else name
        if own is None:
            raise TypeError(f"{function!r} has no name of its own: name=...")
        keywords: list[str] = []
        if reads is None:
            reads, keywords = _parameters(function, own)
        retries = _count("retry", retry)
        if not 0 <= retries < 1 << 32:
            raise Invalid(f"retry must be 0 to {(1 << 32) - 1}, not {retry}")
        allowed = None if cpus is None else list(_cpus(cpus) or ())
        self._add(
            _name(own),
            function,
            _waits(function),
            _names("reads", reads) + keywords,
            keywords,
            _names("after", after),
            _count("priority", priority),
            allowed,
            retries,
            _seconds("backoff", backoff),
            None if deadline is None else _seconds("deadline", deadline),
            bool(even_if_skipped),
            bool(keep),
        )
        self._names.append(own)
        return function

    def after(self, later: str, *earlier: str) -> None:
        """`later` begins when `earlier` have ended, and does not read their results; all are names."""
        for name in earlier:
            super()._after(later, name)

    def insert(self, prefix: str, other: Dag, inputs: Mapping[str, str] | None = None) -> None:
        """Adds all nodes of another graph, which is built by that, their names behind `prefix` and a "/".

        Its inputs become nodes of this graph: `inputs` names one for each of them. Raises Invalid, Exists; nothing was
        added then.
        """
        self._insert(_name(prefix), other, list((inputs or {}).items()))
        given = set(inputs or ())
        self._names.extend(f"{prefix}/{name}" for name in other._names if name not in given)

    def build(self) -> Dag:
        """Checks the graph, which does not change any more; answers itself. Again is fine.

        Raises Invalid for a cycle, which is named, for a node that depends on one that is not there, or twice on the
        same one.
        """
        self._build()
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all nodes and inputs, in the order of being added."""
        return tuple(self._names)

    def run(
        self,
        on: Runtime | Pool,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        event_loop: _libcoop.EventLoop | None = None,
        deadline: float | None = None,
        fail_fast: bool = False,
        trace: bool = False,
    ) -> DagRun:
        """Starts a run, and answers a `DagRun`: `await dag.run(...)`, or `dag.run(...).result(timeout)`.

        `on` is a Runtime, or a Pool; then coroutine functions, deadlines and waits before retries need an `event_loop`
        beside it. It has to be running. `inputs` has a value for each input. Nodes see the context variables of now.

        Started in a running asyncio loop, coroutine functions are tasks of that loop. Otherwise they run on the thread
        of libcoop's loop, where they may await libcoop's futures, and nothing else.

        `deadline` in seconds ends the run with Timeout. When a node fails, what depends on it is cancelled and the rest
        runs, or, with `fail_fast`, the run ends at once. `trace` keeps when each node ran.

        Raises Invalid for inputs that are missing or unknown, and for a graph that is none; Closed, QueueFull,
        Affinity, Forked, TypeError.
        """
        if isinstance(on, Runtime):
            pool: Pool = on.pool
            event_loop = on.event_loop if event_loop is None else event_loop
        elif isinstance(on, Pool):
            pool = on
        else:
            raise TypeError(f"a graph runs on a libcoop.Runtime or a libcoop.Pool, not {on!r}")
        if event_loop is not None and not isinstance(event_loop, _libcoop.EventLoop):
            raise TypeError(f"event_loop must be a libcoop.EventLoop or None, not {event_loop!r}")
        run = DagRun(self)
        context = contextvars.copy_context()
        context.run(_current.set, run)
        self._start(
            run._handle,
            run._end,
            pool,
            event_loop,
            [(_name(name), value) for name, value in (inputs or {}).items()],
            context,
            _starter(event_loop),
            (self, on, pool, event_loop),
            None if deadline is None else _seconds("deadline", deadline),
            bool(fail_fast),
            bool(trace),
        )
        return run

    def stats(self) -> dict[str, NodeStats]:
        """What each node took in all runs with `trace=True` that have ended, by name."""
        return {
            name: NodeStats(name, count, failures, Spread(*waited), Spread(*ran))
            for name, count, failures, waited, ran in self._stats()
        }

    def __repr__(self) -> str:
        return f"<libcoop.Dag of {len(self)} nodes, {'built' if self.built else 'not built'}>"


def _starter(event_loop: _libcoop.EventLoop | None) -> Callable[..., None] | None:
    """Who starts coroutines of a run that is started here and now."""
    if event_loop is None:
        return None
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None and (running := asyncio._get_running_loop()) is not None:
        from libcoop._dag_asyncio import OnAsyncio

        return OnAsyncio(running)
    return OnLoop(event_loop)


def _waits(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _parameters(function: Callable[..., Any], name: str) -> tuple[list[str], list[str]]:
    """What a function reads by the names of its parameters: positional ones, and those by keyword."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise Invalid(f"node {name!r}: the parameters of {function!r} are not known: reads=[...]") from None
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    places: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_place = [parameter.name for parameter in needed if parameter.kind in places]
    return by_place, [parameter.name for parameter in needed if parameter.kind == inspect.Parameter.KEYWORD_ONLY]


def _name(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"a node's name must be a str, not {given!r}")
    return given


def _names(what: str, given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise TypeError(f"{what} must be a list of names, not the str {given!r}")
    return [_name(name) for name in given]


def _seconds(name: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {given!r}")
    try:
        return float(given)
    except OverflowError:
        raise Invalid(f"{name} must be a number of seconds that a float can hold") from None
