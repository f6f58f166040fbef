"""How a service is made of what `add` is given: what runs it, and what its supervisor is told of it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from libcoop import _libcoop, _options
from libcoop._enums import Executor, Restart
from libcoop._errors import Invalid

if TYPE_CHECKING:
    from libcoop._tree import Tree

Entry = Callable[..., Any] | str | list[str] | tuple[str, ...]


class ServiceOptions(TypedDict, total=False):
    """What `add` takes beside a service's id, entry and arguments."""

    executor: Executor
    restart: Restart
    shutdown: float | str
    significant: bool
    ready: str
    ready_within: float
    watchdog: float | None
    liveness: float | None
    backoff: _options.Backoff | None
    park: bool
    park_at_start: bool
    normal_exits: Iterable[int]
    kwargs: Mapping[str, Any] | None
    env: Mapping[str, str | None] | None
    cwd: str | os.PathLike[str] | None
    umask: int | None
    user: str | int | None
    group: str | int | None
    groups: Iterable[str | int] | None
    limits: Mapping[str, Any] | None
    nice: int | None
    cpus: Iterable[int] | None
    fds: Mapping[int, Any] | None
    listen: Mapping[str, Any] | None
    new_session: bool
    stop_signal: int | None
    output: str | Callable[[_options.Line], object]
    tail: int
    preload: Iterable[str]


_DEFAULTS: Mapping[str, Any] = {
    "executor": Executor.PROCESS,
    "restart": Restart.PERMANENT,
    "shutdown": 5.0,
    "significant": False,
    "ready": "now",
    "ready_within": 60.0,
    "watchdog": None,
    "liveness": None,
    "backoff": None,
    "park": False,
    "park_at_start": False,
    "kwargs": None,
    **_options.PROCESS,
}


def service(
    tree: Tree, id: object, entry: object, args: tuple[Any, ...], given: Mapping[str, Any]
) -> _libcoop.NativeService:
    """Checks what `add` was given, all of it, and makes a service of that. Raises Invalid, which names the service."""
    try:
        return _service(tree, _options.text("id", id), entry, args, given)
    except Invalid as error:
        said = str(error)
        if said.startswith("service "):
            raise
        raise Invalid(f"service {id!r}: {said}") from None


def _service(
    tree: Tree, id: str, entry: object, args: tuple[Any, ...], given: Mapping[str, Any]
) -> _libcoop.NativeService:
    unknown = [name for name in given if name not in _DEFAULTS]
    if unknown:
        raise TypeError(f"service {id!r}: {unknown[0]!r} is no option; allowed are {', '.join(_DEFAULTS)}")
    options = {**_DEFAULTS, **given}
    executor = _options.member("executor", Executor, options["executor"])
    ready = _options.ready(options["ready"], options["ready_within"])
    spec = (
        _options.restart(options["restart"]),
        _options.shutdown(options["shutdown"]),
        _options.flag("significant", options["significant"]),
        ready,
        _options.optional_seconds("watchdog", options["watchdog"]),
        _options.optional_seconds("liveness", options["liveness"]),
        _options.backoff(options["backoff"]),
        _options.flag("park", options["park"]),
        _options.flag("park_at_start", options["park_at_start"]),
        _options.statuses(options["normal_exits"]),
    )
    runs = _runner(tree, id, entry, args, executor, options, set(given))
    return _libcoop.NativeService(id, runs, *spec)


def _runner(
    tree: Tree,
    id: str,
    entry: object,
    args: tuple[Any, ...],
    executor: Executor,
    options: Mapping[str, Any],
    given: set[str],
) -> _libcoop.NativeExecutor:
    if isinstance(entry, (list, tuple)):
        return _program(id, entry, args, executor, options, given)
    # Here only: a host of programs does without.
    from libcoop import _entry

    kwargs = options["kwargs"] or {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise Invalid(f"kwargs {kwargs!r}: allowed is a dict of names and values")
    single = os.environ.get("COOP_MODE") == "SINGLE"
    if executor in (Executor.ASYNC, Executor.THREAD):
        unused = [name for name in _options.PROCESS if name in given]
        if unused:
            raise Invalid(f"{unused[0]} with Executor.{executor.name}: allowed with PROCESS and ASYNC_PROCESS")
    elif not single:
        return tree.forked(id, entry, args, kwargs, executor, options)
    found = _found(entry, _entry.describe(entry))  # type: ignore[arg-type]
    _check_run(found)
    if executor == Executor.ASYNC:
        return _on_asyncio(tree, found, args, kwargs)
    from libcoop._running import on_thread

    return _libcoop._on_thread(partial(on_thread, found, args, dict(kwargs)))


def _program(
    id: str, entry: Any, args: tuple[Any, ...], executor: Executor, options: Mapping[str, Any], given: set[str]
) -> _libcoop.NativeExecutor:
    if executor != Executor.PROCESS:
        raise Invalid(f"a list of words with Executor.{executor.name}: allowed is PROCESS")
    for name in ("kwargs", "preload"):
        if name in given:
            raise Invalid(f"{name} with a list of words: allowed with a class or a function")
    words = []
    for word in (*entry, *args):
        try:
            words.append(os.fsdecode(word))
        except TypeError:
            raise Invalid(f"word {word!r} of a program: allowed are str, bytes and paths") from None
    if not words:
        raise Invalid("a program of no words: allowed is a program and its arguments")
    return _options.command(words, options).process()


def _found(entry: Any, name: str) -> Callable[..., Any]:
    if not isinstance(entry, str):
        return entry  # type: ignore[no-any-return]
    from libcoop import _entry

    if not entry.partition(":")[2]:
        raise Invalid(f'entry {name}: allowed are a class, a function, "module:name" and a list of words')
    try:
        return _entry.find(entry)  # type: ignore[no-any-return]
    except Exception as error:
        raise Invalid(f"entry {name} cannot be imported: {type(error).__name__}: {error}") from error


def _check_run(entry: Callable[..., Any]) -> None:
    if isinstance(entry, type) and not callable(getattr(entry, "run", None)):
        raise Invalid(f"entry {entry.__module__}:{entry.__qualname__} has no method run(self, ctx)")


def _on_asyncio(
    tree: Tree, entry: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> _libcoop.NativeExecutor:
    called: Any = entry.run if isinstance(entry, type) else entry  # type: ignore[attr-defined]
    if not inspect.iscoroutinefunction(called):
        name = getattr(called, "__qualname__", repr(called))
        raise Invalid(f"{name} is a plain function: Executor.ASYNC takes `async def`, THREAD and PROCESS take both")
    from libcoop._asyncio_services import OnLoop

    return _libcoop._on_asyncio(OnLoop(tree.loop_for_services(), entry, args, dict(kwargs)))
