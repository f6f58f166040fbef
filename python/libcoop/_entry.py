"""What a service's process is given to run: made ready in the parent, found again in the worker.

Whatever the worker could not be given is refused here, in the parent, when the service is added, by its name:

- A class or a function goes by reference to its module, and so do those in arguments; those of the main script make
  the worker run the script again (`_main.py`). What has no such place (a lambda, a nested function, what was typed at
  a prompt) goes by value, by cloudpickle if that is installed.
- "module:qualname" is imported in the worker only; if the parent has the module already, the name is looked for
  there.
- Instances are refused: a service is built in its worker, again for each run.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from libcoop import _logs, _main
from libcoop._errors import Invalid

_PROTOCOL = 5
BY_ENVIRONMENT = -1
"""In the place of the descriptor for log records: `COOP_LOG` names it."""

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class Payload(NamedTuple):
    """All that a worker is told of its service; of plain types only, to be read before anything is imported."""

    call: bytes
    """(entry, args, kwargs), pickled."""
    name: str
    main: _main.Origin | None
    """The main script, if it is referred to."""
    path: list[str]
    argv: list[str]
    worker_init: str | None
    preload: list[str]
    log: tuple[int, dict[str, int]] | None
    """The descriptor that log records go to, and the levels of loggers."""
    runner: str | None
    """What runs the entry, as "module:name", in the place of `_running.run_entry`."""


def prepare(
    entry: Callable[..., Any] | str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    worker_init: str | None = None,
    preload: Sequence[str] = (),
    log: int | None = None,
    runner: str | None = None,
) -> bytes:
    """What the worker is to run, as bytes for `load`; `log` is its descriptor for log records.

    Raises `Invalid`, which names the entry and what is wrong with it, for what cannot be given to another process.
    """
    name = describe(entry)
    called = (entry, tuple(args), dict(kwargs or {}))
    call, needs_main, modules = _pickled(name, called)
    if worker_init is None:
        _check_modules(name, modules)
    if isinstance(entry, str):
        needs_main |= _check_name(f"entry {entry!r}", entry, look=worker_init is None)
    if worker_init is not None:
        needs_main |= _check_name(f"worker_init {worker_init!r}", worker_init, look=True)
    for module in preload:
        if not _is_name(module):
            raise Invalid(f"preload {module!r} of entry {name}: allowed is the name of a module")
    origin = _main.origin() if needs_main else None
    if needs_main and origin is None:
        raise Invalid(f"entry {name}: its process cannot import from __main__, which is no script here")
    logs = None if log is None else (log, _logs.levels())
    return pickle.dumps(
        tuple(Payload(call, name, origin, sys.path.copy(), _argv(), worker_init, list(preload), logs, runner)),
        _PROTOCOL,
    )


def read(payload: bytes) -> Payload:
    """What `prepare` has made, in the worker."""
    return Payload(*pickle.loads(payload))


def load(payload: Payload) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The entry and its arguments, in the worker: `worker_init` first, then the main script, if it is referred to.

    Raises whatever importing them raises.
    """
    sys.path[:] = payload.path
    sys.argv = payload.argv
    init = payload.worker_init
    init_first = init is not None and init.partition(":")[0] not in _main.NAMES
    if init is not None and init_first:
        find(init)()
    if payload.main is not None:
        _main.run(payload.main)
    if init is not None and not init_first:
        find(init)()
    for module in payload.preload:
        importlib.import_module(module)
    entry, args, kwargs = pickle.loads(payload.call)
    if isinstance(entry, str):
        entry = find(entry)
    return entry, args, kwargs


def find(name: str) -> Any:
    """What "module:qualname" names."""
    module, _, qualname = name.partition(":")
    return _look(name, importlib.import_module(module), qualname)


def describe(entry: Callable[..., Any] | str) -> str:
    """The entry as errors name it.

    Raises `Invalid` for what is none.
    """
    if isinstance(entry, str):
        return repr(entry)
    if isinstance(entry, type) or (isinstance(entry, _FUNCTIONS) and not _is_bound_to_instance(entry)):
        return f"{entry.__module__}:{entry.__qualname__}"
    of = type(entry)
    raise Invalid(
        f'entry {_shown(entry)} must be a class, a function, "module:qualname" or a list of words, not an instance '
        f"of {of.__module__}:{of.__qualname__}: each run of a service builds its own"
    )


def _is_bound_to_instance(entry: Any) -> bool:
    bound = getattr(entry, "__self__", None)
    return not (bound is None or isinstance(bound, type | types.ModuleType))


def _shown(value: object) -> str:
    """Its repr, which may be anybody's code."""
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _argv() -> list[str]:
    return [str(word) for word in getattr(sys, "argv", [])]


def _is_name(name: object) -> bool:
    """Whether it is names joined by dots."""
    return isinstance(name, str) and all(part.isidentifier() for part in name.split("."))


def _check_name(what: str, name: object, *, look: bool) -> bool:
    """Whether it is of the main script."""
    module, _, qualname = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not _is_name(module) or not _is_name(qualname):
        raise Invalid(f'{what}: allowed is "module:qualname"')
    loaded = sys.modules.get(module)
    if loaded is not None:
        try:
            _look(str(name), loaded, qualname)
        except AttributeError as error:
            raise Invalid(f"{what}: {error}") from None
    elif look:
        _find_module(what, module)
    return module in _main.NAMES


def _find_module(what: str, module: str) -> None:
    """Looks for the module, or for the package it is in, and imports nothing."""
    package = module.partition(".")[0]
    if package in sys.modules:
        return
    try:
        found = importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise Invalid(f"{what}: no module {package!r} is in sys.path")


def _check_modules(name: str, modules: Iterable[str]) -> None:
    """Refuses what is of a module that was loaded from a file past the search for modules: no worker finds it."""
    for module in sorted(modules):
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None and not _is_found(module):
            raise Invalid(
                f"entry {name} cannot be given to a process: it, or an argument, is of the module {module!r}, loaded "
                f"from {file}, which cannot be imported by that name: allowed are modules that sys.path leads to"
            )


def _is_found(module: str) -> bool:
    """Whether importing it anew would find it. Imports nothing."""
    path: list[str] | None = None
    before = ""
    for part in module.split("."):
        try:
            spec = _found_spec(before + part, path)
        except Exception:
            # Somebody's finder, of which nothing is known.
            return True
        if spec is None:
            return False
        before += part + "."
        # A package may have added to it when it was imported.
        of_package = getattr(sys.modules.get(before[:-1]), "__path__", ())
        path = [*(spec.submodule_search_locations or ()), *of_package]
    return True


def _found_spec(name: str, path: list[str] | None) -> Any:
    return next(filter(None, (finder.find_spec(name, path) for finder in sys.meta_path)), None)


def _look(name: str, module: types.ModuleType, qualname: str) -> Any:
    found: Any = module
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise AttributeError(f"module {module.__name__!r} has no {qualname!r}") from None
    if not callable(found):
        raise AttributeError(f"{name!r} is {_shown(found)}, which is neither a class nor a function")
    return found


class _Pickler(pickle.Pickler):
    """Sees whether anything refers to the main script, and to which other modules."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, _PROTOCOL)
        self.needs_main = False
        self.modules: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        module = getattr(obj, "__module__", None)
        if module in _main.NAMES:
            self.needs_main = True
        elif isinstance(module, str) and isinstance(obj, type | types.FunctionType):
            self.modules.add(module)
        return NotImplemented


def _dumps(value: object) -> tuple[bytes, bool, set[str]]:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump(value)
    return buffer.getvalue(), pickler.needs_main, pickler.modules


def _pickled(name: str, called: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> tuple[bytes, bool, set[str]]:
    """The call, whether it refers to the main script, and the other modules that it refers to."""
    # Pickling runs code of whoever wrote the classes: it may raise anything.
    why: Exception | None = None
    try:
        data, needs_main, modules = _dumps(called)
        if not needs_main or _main.origin() is not None:
            return data, needs_main, modules
    except Exception as error:
        why = error
    try:
        import cloudpickle  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise _refusal(name, called, _dumps, why, " (or install cloudpickle)") from why
    try:
        return bytes(cloudpickle.dumps(called, _PROTOCOL)), False, set()
    except Exception as error:
        raise _refusal(name, called, cloudpickle.dumps, error, "") from error


def _refusal(
    name: str,
    called: tuple[Any, tuple[Any, ...], dict[str, Any]],
    dumps: Callable[[object], object],
    why: Exception | None,
    other: str,
) -> Invalid:
    """What of the call it is that cannot be given."""
    if why is None:
        return Invalid(
            f"entry {name} cannot be given to a process: it, or an argument, is defined in __main__, "
            f"which is no script here: define it in a module{other}"
        )
    entry, args, kwargs = called
    parts = [(f"argument {at} of entry {name}", arg) for at, arg in enumerate(args, 1)]
    parts += [(f"argument {key!r} of entry {name}", arg) for key, arg in kwargs.items()]
    for what, part in [(f"entry {name}", entry), *parts]:
        try:
            dumps(part)
        except Exception as error:
            text = f"{type(error).__name__}: {_said(error)}"
            advice = f": define it in a module{other}" if part is entry else ""
            return Invalid(f"{what} cannot be given to a process: {text}{advice}")
    return Invalid(f"entry {name} cannot be given to a process: {type(why).__name__}: {_said(why)}")


def _said(error: BaseException) -> str:
    """What it says; its `__str__` may be anybody's code."""
    try:
        return str(error)
    except Exception:
        return "(its text cannot be made)"
