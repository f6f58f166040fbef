"""A process pool, the worker's side: the run of a zygote's worker is to make one call after the other.

The loop is native (`_libcoop.CallServer.serve`); here is what begins it, and what happens seldom.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import pickle
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

from libcoop import _libcoop, _main, _running
from libcoop._context import Context


def initializer(pickled: bytes) -> None:
    """Stands for the initializer of a pool, which is unpickled once the worker can tell what is wrong with it."""
    call, args, _ = pickle.loads(pickled)
    if call is not None:
        call(*args)


class _MainToBe(types.ModuleType):
    """Stands for the main script until something of it is asked for: then that is run, once, and takes its place."""

    def __init__(self, origin: _main.Origin) -> None:
        super().__init__("__main__")
        self.__dict__["_origin"] = origin

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module '__main__' has no attribute {name!r} yet")
        try:
            _main.run(self.__dict__["_origin"])
        except BaseException:
            _stand_for_main(self)
            raise
        return getattr(sys.modules["__main__"], name)


def _stand_for_main(module: types.ModuleType) -> None:
    for name in _main.NAMES:
        sys.modules[name] = module


def run(
    entry: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ctx: Context,
    built: Callable[[], object],
) -> None:
    """Make calls until the pool says that there will be none."""
    server = _libcoop.CallServer()
    ctx.on_stop(server.stop)
    if (authkey := kwargs["authkey"]) is not None:
        import multiprocessing.process

        multiprocessing.process.current_process().authkey = authkey
    origin = kwargs["main"]
    if origin is not None and sys.modules["__main__"].__name__ != _main.NAME:
        _stand_for_main(_MainToBe(origin))
    what = "initializer"
    try:
        for module in kwargs["preload"]:
            what = f"preload {module!r}"
            importlib.import_module(module)
        what = "initializer"
        entry(*args)
    except BaseException as error:
        # The logger and the words are those of concurrent.futures, so that whoever listens there hears of it.
        logging.getLogger("concurrent.futures").critical("Exception in %s:", what, exc_info=True)
        server.fail(f"the {what} of its workers raised {_running.explain(error)}")
        # All has been said.
        raise SystemExit(1) from None
    built()
    ctx.ready()
    server.serve()


def told(error: BaseException, note: str | None) -> tuple[str, str, bytes | None, str | None]:
    """An exception of a call, so that it can be made again in the other process, or told there in words."""
    if note is not None:
        error.add_note(note)
    summary = _running.explain(error)
    try:
        trace = "".join(traceback.format_exception(error))
    except BaseException:
        trace = summary + "\n"
    trace = trace.encode(errors="backslashreplace").decode()
    try:
        return summary, trace, pickle.dumps(error, 5), None
    except BaseException as refused:
        why = f"it cannot be pickled: {_running.explain(refused)}"
    with contextlib.suppress(BaseException):
        import cloudpickle  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return summary, trace, bytes(cloudpickle.dumps(error, 5)), None
    return summary, trace, None, why
