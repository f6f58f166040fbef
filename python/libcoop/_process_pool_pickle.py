"""Calls and results that pickle refuses: by value, by cloudpickle, where that is installed."""

from __future__ import annotations

import pickle
from typing import Any, Protocol

from libcoop import _entry, _main

PROTOCOL = 5


class _Sink(Protocol):
    def write(self, data: Any, /) -> None: ...

    def buffer(self, buffer: pickle.PickleBuffer, /) -> bool: ...


def by_value(value: object, sink: _Sink, refused: BaseException) -> None:
    """Pickles `value`, which pickle has `refused`, into an empty sink. Raises why that cannot be."""
    try:
        import cloudpickle  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        refused.add_note("What has no name in a module goes to another process where cloudpickle is installed.")
        raise refused from None
    cloudpickle.CloudPickler(sink, PROTOCOL, sink.buffer).dump(value)


def refers_to_main(value: object) -> bool:
    """Whether anything of `value` is of a main script that a worker cannot run."""
    if _main.origin() is not None:
        return False
    _, needs_main, _ = _entry._dumps(value)
    return needs_main


def no_main() -> BaseException:
    return pickle.PicklingError("what is defined in __main__, which is no script here, has no name in another process")
