"""What a service's process is given: what can be, and by what name the rest is refused."""

from __future__ import annotations

import functools
import importlib.util
import pickle
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import entrykit
import libcoop
import pytest
from conftest import Program
from entrykit import Reluctant, Speechless, Web, tick
from libcoop import _entry
from libcoop._entry import prepare


def back(entry: Any, *args: Any, **options: Any) -> Any:
    """What the worker finds."""
    payload = _entry.read(prepare(entry, args, **options))
    assert payload.main is None
    path, argv = sys.path.copy(), sys.argv
    try:
        return _entry.load(payload)
    finally:
        sys.path[:], sys.argv = path, argv


@pytest.fixture
def no_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


@pytest.mark.parametrize("entry", [Web, Web.Inner, tick, time.sleep, Web.make])
def test_what_is_in_a_module_goes_by_reference(entry: Any) -> None:
    assert back(entry, 1, "two", kwargs={"x": [3]}) == (entry, (1, "two"), {"x": [3]})


def test_a_name_is_imported_in_the_worker() -> None:
    assert back("entrykit:Web.Inner") == (Web.Inner, (), {})
    assert "json.tool" not in sys.modules
    prepare("json.tool:main")
    assert "json.tool" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "json",
        "json:",
        ":loads",
        "json.:loads",
        "json:loads()",
        "a b:c",
        "json:loads:x",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(libcoop.Invalid, match='allowed is "module:qualname"') as refused:
        prepare(name)
    assert repr(name) in str(refused.value)


def test_a_name_that_is_not_there_is_refused_as_far_as_can_be_seen() -> None:
    with pytest.raises(
        libcoop.Invalid,
        match=r"^entry 'no_such_package\.web:Web': no module 'no_such_package' is in sys.path$",
    ):
        prepare("no_such_package.web:Web")
    with pytest.raises(
        libcoop.Invalid,
        match=r"^entry 'entrykit:Web\.Outer': module 'entrykit' has no 'Web\.Outer'$",
    ):
        prepare("entrykit:Web.Outer")
    with pytest.raises(libcoop.Invalid, match="which is neither a class nor a function"):
        prepare("os:sep")
    # One that runs first in the worker may make it importable.
    prepare("no_such_package.web:Web", worker_init="os:getpid")


@pytest.mark.parametrize(
    "entry",
    [Web(1), functools.partial(tick, every=2.0), Web(1).run, 7, None, ["redis-server"]],
)
def test_instances_are_refused(entry: Any) -> None:
    with pytest.raises(
        libcoop.Invalid,
        match=r"not an instance of .*: each run of a service builds its own",
    ) as refused:
        prepare(entry)
    assert repr(entry) in str(refused.value)
    with pytest.raises(libcoop.Invalid, match="must be a class"):
        prepare(Speechless())  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_cloudpickle")
def test_what_has_no_place_is_refused_by_name() -> None:
    def nested(ctx: Any) -> None: ...

    for entry, name in [(nested, "nested"), (lambda ctx: None, "<lambda>")]:
        with pytest.raises(libcoop.Invalid, match=r"define it in a module \(or install cloudpickle\)$") as refused:
            prepare(entry)
        qualname = f"test_what_has_no_place_is_refused_by_name.<locals>.{name}"
        assert str(refused.value).startswith(f"entry {__name__}:{qualname} cannot be given to a process: ")


def test_a_module_that_no_search_finds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tests are imported by pytest's `--import-mode=importlib`."""
    file = tmp_path / "unfound.py"
    file.write_text("def serve(ctx): ...\nclass Value: ...\n")
    for name in ("coop_unfound", "entrykit.unfound"):
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        with pytest.raises(libcoop.Invalid) as refused:
            prepare(module.serve)
        assert str(refused.value) == (
            f"entry {name}:serve cannot be given to a process: it, or an argument, is of the module {name!r}, loaded "
            f"from {file}, which cannot be imported by that name: allowed are modules that sys.path leads to"
        )
        with pytest.raises(libcoop.Invalid, match=rf"entry entrykit:tick cannot .* is of the module {name!r}"):
            prepare(tick, [module.Value()])
        # The init may make it known.
        prepare(module.serve, worker_init="entrykit:tick")
    monkeypatch.setitem(sys.modules, "coop_made", types.ModuleType("coop_made"))
    sys.modules["coop_made"].serve = module.serve  # type: ignore[attr-defined]
    module.serve.__module__ = "coop_made"
    prepare(module.serve)


def test_what_has_no_place_goes_by_value_where_cloudpickle_is() -> None:
    offset = 40
    entry, args, _ = back(lambda ctx: ctx + offset, 2)
    assert entry(*args) == 42


@pytest.mark.usefixtures("no_cloudpickle")
def test_an_argument_that_cannot_be_pickled_is_named() -> None:
    with pytest.raises(
        libcoop.Invalid,
        match=r"^argument 2 of entry entrykit:tick cannot be given to a process: TypeError: .*lock",
    ):
        prepare(tick, (1, threading.Lock()))
    with pytest.raises(
        libcoop.Invalid,
        match=r"^argument 'every' of entry entrykit:tick cannot .*: OSError: not today$",
    ):
        prepare(tick, (), {"every": Reluctant()})
    with pytest.raises(libcoop.Invalid, match=r"Unspeakable: \(its text cannot be made\)$"):
        prepare("entrykit:tick", [Speechless()])


def test_what_comes_first_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(entrykit, "init", lambda: said.append("init"), raising=False)
    back(tick, worker_init="entrykit:init", preload=["json.decoder"])
    assert said == ["init"]
    for init in ["entrykit", "entrykit:nothing", "no_such_package:init", 7]:
        with pytest.raises(libcoop.Invalid, match=f"^worker_init {init!r}: "):
            prepare(tick, worker_init=init)  # type: ignore[arg-type]
    for module in ["", "a:b", 7]:
        with pytest.raises(
            libcoop.Invalid,
            match=f"^preload {module!r} of entry entrykit:tick: allowed is the name of a module$",
        ):
            prepare(tick, preload=[module])  # type: ignore[list-item]


def test_a_payload_is_read_before_anything_is_imported() -> None:
    names = {type(part) for part in pickle.loads(prepare(Web, (1,)))}
    assert names <= {bytes, str, list, tuple, int, type(None)}


SCRIPT = """
import os, sys
from libcoop import _entry, _main

GLOBAL = 1

class Web:
    def run(self, ctx):
        global GLOBAL
        GLOBAL += 1
        return GLOBAL

class Argument:
    def __init__(self):
        self.x = 5

if len(sys.argv) > 1:
    _main.refuse_unguarded("Host()")

if __name__ == "__main__":
    sys.stdout.buffer.write(_entry.prepare(EVIL))
"""

WORKER = """
import sys
from libcoop import _entry
payload = _entry.read(sys.stdin.buffer.read())
entry, args, kwargs = _entry.load(payload)
assert entry.__module__ == "__coop_main__", entry.__module__
assert sys.modules["__main__"] is sys.modules["__coop_main__"]
import __main__
print(entry().run(None), __main__.GLOBAL, [arg.x for arg in args], sys.argv[1:])
# And on to a worker's worker.
again = _entry.read(_entry.prepare(entry, args))
assert again.main == payload.main, again
"""


def run(*words: str, given: bytes = b"", cwd: Path | None = None, fails: bool = False) -> bytes:
    ran = subprocess.run([sys.executable, *words], input=given, capture_output=True, cwd=cwd, timeout=60)
    assert (ran.returncode != 0) is fails, ran.stderr.decode()
    return ran.stderr if fails else ran.stdout


@pytest.mark.parametrize("kind", ["file", "module", "package", "directory"])
@pytest.mark.parametrize("call", ["Web, [Argument()]", '"__main__:Web", [Argument()]'])
def test_the_main_script_is_run_again_where_it_is_referred_to(tmp_path: Path, kind: str, call: str) -> None:
    place = {
        "file": "app",
        "module": "app.py",
        "package": "app/__main__.py",
        "directory": "app/__main__.py",
    }[kind]
    how = {
        "file": ["app"],
        "module": ["-m", "app"],
        "package": ["-m", "app"],
        "directory": ["app"],
    }[kind]
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(SCRIPT.replace("EVIL", call))
    payload = run(*how, cwd=tmp_path)
    assert run("-c", WORKER, given=payload, cwd=tmp_path) == b"2 2 [5] []\n"
    # A start that nothing guards would go on for ever: each worker would start one.
    payload = run(*how, "unguarded", cwd=tmp_path)
    words = run("-c", WORKER, given=payload, cwd=tmp_path, fails=True).decode()
    assert "Host() in " in words, words
    assert 'put what starts services below `if __name__ == "__main__":`' in words, words


def test_the_main_script_is_not_run_again_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SCRIPT.replace("EVIL", '"json:loads", ["1"]'))
    assert _entry.read(run("app.py", cwd=tmp_path)).main is None


PROMPT = """
import sys
HIDE
from libcoop import _entry

def tick(ctx):
    return 42

sys.stdout.buffer.write(_entry.prepare(tick))
"""


def test_what_was_typed_at_a_prompt_needs_cloudpickle() -> None:
    hidden = PROMPT.replace("HIDE", "sys.modules['cloudpickle'] = None")
    for words, given in [(["-c", hidden], b""), (["-"], hidden.encode())]:
        said = run(*words, given=given, fails=True).decode().splitlines()[-1]
        assert said == (
            "libcoop._errors.Invalid: entry __main__:tick cannot be given to a process: it, or an argument, is defined "
            "in __main__, which is no script here: define it in a module (or install cloudpickle)"
        )
    payload = run("-c", PROMPT.replace("HIDE", ""))
    worker = "import sys; from libcoop import _entry; print(_entry.load(_entry.read(sys.stdin.buffer.read()))[0](None))"
    assert run("-c", worker, given=payload) == b"42\n"
    with pytest.raises(libcoop.Invalid, match="argument 1 of entry entrykit:tick"):
        prepare(tick, [threading.Lock()])


def test_nothing_is_refused_outside_of_a_run_of_the_main_script(program: Program) -> None:
    program("""
        import os
        from libcoop import _main

        _main.refuse_unguarded("Host()")
        assert _main.origin() == ("script", os.path.abspath("program.py"))
    """)
