"""The main script again, in another process: as `__coop_main__`, without what it keeps for `__main__`.

Functions and classes of a script are pickled by reference to `__main__`, as with multiprocessing. A worker runs the
script once more under the name `__coop_main__`, and has it as `__main__` too: so the references hold. A host that the
script makes then, since it does so outside of `if __name__ == "__main__":`, is refused in words; otherwise each worker
would start workers.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

from libcoop._errors import Failed

NAME = "__coop_main__"
NAMES = ("__main__", NAME, "__mp_main__")
"""What the main script is called: in the first process, in workers, and in those that multiprocessing spawns."""

Origin = tuple[str, str]
"""How the script can be run again: ("module", name), ("script", path), or ("archive", path), also of a directory."""

_running = False


def origin() -> Origin | None:
    """How this process's main script can be run again; `None` for a prompt, `-c` or standard input."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    # A directory or an archive that is run has a spec without a package: it is found by its path only.
    if spec is not None and spec.name not in NAMES:
        return ("module", spec.name)
    if path is None:
        return None
    path = os.path.abspath(path)
    if spec is None:
        return ("script", path) if os.path.isfile(path) else None
    return ("archive", os.path.dirname(path))


def run(how: Origin) -> None:
    """Run the script as `__coop_main__`, and have it as `__main__`.

    Raises what it raises.
    """
    global _running
    kind, where = how
    main = types.ModuleType(NAME)
    for name in NAMES:
        sys.modules[name] = main
    code = _script(main, where) if kind == "script" else _importable(main, kind, where)
    _running = True
    try:
        exec(code, main.__dict__)
    finally:
        _running = False


def refuse_unguarded(what: str) -> None:
    """Refuse `what`, which would begin all over again, while the main script is run in a worker."""
    if _running:
        script = getattr(sys.modules["__main__"], "__file__", "the main script")
        raise Failed(
            f"{what} in {script}, which is being run as {NAME} in the process of a service, to find its entry there: "
            f'put what starts services below `if __name__ == "__main__":`'
        )


def _script(main: types.ModuleType, path: str) -> types.CodeType:
    import importlib.machinery

    main.__file__ = path
    main.__package__ = None
    main.__loader__ = importlib.machinery.SourceFileLoader(NAME, path)
    with open(path, "rb") as script:
        return compile(script.read(), path, "exec", dont_inherit=True)


def _importable(main: types.ModuleType, kind: str, where: str) -> types.CodeType:
    """One that the interpreter finds as it finds modules."""
    import importlib.util
    import pkgutil

    if kind == "module":
        spec = importlib.util.find_spec(where)
    else:
        importer = pkgutil.get_importer(where)
        spec = None if importer is None else importer.find_spec("__main__")
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"the main script, {kind} {where!r}, is not to be found")
    main.__spec__ = spec
    main.__loader__ = spec.loader
    main.__file__ = spec.origin
    main.__package__ = spec.parent
    loader: Any = spec.loader
    code: types.CodeType = loader.get_code(spec.name)
    return code
