"""How a service is made of what `add` is given: what runs it, and what its supervisor is told of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypedDict

from libcoop import _libcoop, _options
from libcoop._enums import Executor, Restart
from libcoop._errors import Invalid

if TYPE_CHECKING:
    from libcoop._tree import Tree

LIVENESS = 30.0
"""Seconds within which the library beats for an ASYNC_PROCESS, unless told otherwise."""

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


def _is_single() -> bool:
    """What would be processes are threads, for debuggers."""
    return os.environ.get("COOP_MODE") == "SINGLE"


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
    except UnicodeEncodeError as error:
        # Of a path, a word or a user, where they are handed to the system.
        raise Invalid(f"service {id!r}: {error.object!r}: allowed is what UTF-8 has: {error.reason}") from None


def _service(
    tree: Tree, id: str, entry: object, args: tuple[Any, ...], given: Mapping[str, Any]
) -> _libcoop.NativeService:
    unknown = [name for name in given if name not in _DEFAULTS]
    if unknown:
        raise TypeError(f"service {id!r}: {unknown[0]!r} is no option; allowed are {', '.join(_DEFAULTS)}")
    options = {**_DEFAULTS, **given}
    executor = _options.member("executor", Executor, options["executor"])
    ready = _options.ready(options["ready"], options["ready_within"])
    liveness = _options.optional_seconds("liveness", options["liveness"])
    if liveness is None and executor == Executor.ASYNC_PROCESS and not _is_single():
        liveness = LIVENESS
    spec = (
        _options.restart(options["restart"]),
        _options.shutdown(options["shutdown"]),
        _options.flag("significant", options["significant"]),
        ready,
        _options.optional_seconds("watchdog", options["watchdog"]),
        liveness,
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
    if executor in (Executor.ASYNC, Executor.THREAD):
        unused = [name for name in _options.PROCESS if name in given]
        if unused:
            raise Invalid(f"{unused[0]} with Executor.{executor.name}: allowed with PROCESS and ASYNC_PROCESS")
    elif not _is_single():
        return _forked(tree, entry, args, kwargs, executor, options)
    found = _found(entry, _entry.describe(entry))  # type: ignore[arg-type]
    _check_run(found)
    if executor == Executor.ASYNC:
        return _on_asyncio(tree, found, args, kwargs)
    from libcoop._running import on_thread

    return _libcoop._on_thread(partial(on_thread, found, args, dict(kwargs)))


def _forked(
    tree: Tree,
    entry: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    executor: Executor,
    options: Mapping[str, Any],
) -> _libcoop.NativeExecutor:
    preload = _preload(options["preload"])
    log = _log_number(options)
    payload = _payload(tree, entry, args, kwargs, preload, log)
    # Checked before what is the library's is added.
    _options.command(["worker"], options)
    command = _options.command(["worker"], {**options, "fds": {**(options["fds"] or {}), log: tree.log_channel()}})
    return command.forked(tree.zygote(preload), payload, executor == Executor.ASYNC_PROCESS)


def _log_number(options: Mapping[str, Any]) -> int:
    """The number that a worker has the host's socket for log records by: the first that nobody else wants."""
    taken, listen = options.get("fds") or (), options.get("listen") or ()
    return next(number for number in count(3 + len(listen)) if number not in taken)


def _payload(
    tree: Tree, entry: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], preload: list[str], log: int
) -> bytes:
    from libcoop import _entry

    _entry.describe(entry)
    _check_run(entry)
    return _entry.prepare(entry, args, kwargs, worker_init=tree.worker_init, preload=preload, log=log)


def _preload(given: Any) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise Invalid(f"preload {given!r}: allowed is a list of modules' names")
    return [_options.text("preload", name) for name in given]


def children(
    tree: Tree, entry: Any, args: tuple[Any, ...], given: Mapping[str, Any]
) -> Callable[[tuple[Any, ...]], Any]:
    """What a template's child is given, of the arguments for one."""
    if isinstance(entry, (list, tuple)):
        return lambda more: [_options.text("argument", arg) for arg in more]
    executor = given.get("executor", Executor.PROCESS)
    if executor in (Executor.ASYNC, Executor.THREAD) or _is_single():
        return lambda more: more
    kwargs, preload, log = given.get("kwargs") or {}, _preload(given.get("preload", ())), _log_number(given)
    return lambda more: _payload(tree, entry, args + more, kwargs, preload, log)


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
    import inspect

    called: Any = entry.run if isinstance(entry, type) else entry  # type: ignore[attr-defined]
    if not inspect.iscoroutinefunction(called):
        name = getattr(called, "__qualname__", repr(called))
        raise Invalid(f"{name} is a plain function: Executor.ASYNC takes `async def`, THREAD and PROCESS take both")
    from libcoop._asyncio_services import OnLoop

    return _libcoop._on_asyncio(OnLoop(tree.loop_for_services(), entry, args, dict(kwargs)))
