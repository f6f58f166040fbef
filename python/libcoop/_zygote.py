"""The zygote: a small interpreter that makes the workers of process services by forking itself.

It imports once what every worker needs, and what services name as `preload`; so a worker begins within a few
milliseconds, however large the parent is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_executable: str | None = None


def set_executable(path: str | os.PathLike[str] | None) -> None:
    """Have zygotes that are made from now on run this interpreter; `None` is `sys.executable` again."""
    global _executable
    _executable = None if path is None else os.fspath(path)


def get_executable() -> str:
    """The interpreter that zygotes run."""
    return _executable or sys.executable


def command(preload: Sequence[str] = ()) -> list[str]:
    """The command line of a zygote that imports these modules first, with this interpreter's flags and path."""
    # Imported here only: it costs what a program without processes need not pay.
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    begin = f"import sys; sys.path[:] = {sys.path!r}; from libcoop._zygote import main; main()"
    return [get_executable(), *flags, "-c", begin, *preload]
