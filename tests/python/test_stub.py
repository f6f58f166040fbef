"""What an editor shows of the native module, from its stub, is what `help()` shows of the module itself."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from libcoop import _libcoop

STUB = Path(_libcoop.__file__).with_name("_libcoop.pyi")


def words(text: str | None) -> list[str]:
    return (text or "").split()


def documented(tree: ast.Module) -> Iterator[tuple[str, str | None, object]]:
    """What the stub says of each class, method and property, and the thing itself."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            native = getattr(_libcoop, node.name)
            yield node.name, ast.get_docstring(node), native
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("__"):
                    yield f"{node.name}.{member.name}", ast.get_docstring(member), vars(native)[member.name]


def test_the_stub_says_what_help_says() -> None:
    members = list(documented(ast.parse(STUB.read_text())))
    assert len(members) > 60
    for name, text, member in members:
        assert words(text) == words(inspect.getdoc(member)), name


def test_the_package_is_typed() -> None:
    assert STUB.with_name("py.typed").is_file()
