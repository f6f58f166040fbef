"""Every fenced Python, C and C++ snippet of README.md and the pages on Python runs, and prints what it says it does."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
LIBRARY_DIR = ROOT / "target" / "release"
DEADLINE = 120
COMPILERS = {"c": ["cc", "-std=c99", "-D_GNU_SOURCE"], "cpp": ["c++", "-std=c++20"]}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A snippet, the line it begins at, and the output it promises, if it promises one."""

    language: str
    code: str
    line: int
    output: str | None


def snippets(markdown: str) -> list[Snippet]:
    """The Python, C and C++ snippets; a text block belongs to the snippet directly before it, blank lines apart."""
    found = []
    fences = list(FENCE.finditer(markdown))
    for index, fence in enumerate(fences):
        language, code = fence.groups()
        if language not in ("python", "c", "cpp"):
            continue
        output = None
        if index + 1 < len(fences):
            following = fences[index + 1]
            if following[1] == "text" and not markdown[fence.end() : following.start()].strip():
                output = following[2]
        found.append(Snippet(language, code, markdown.count("\n", 0, fence.start()) + 1, output))
    return found


PAGES = [
    README,
    ROOT / "docs" / "python-pool.md",
    ROOT / "docs" / "python-process-pool.md",
    ROOT / "docs" / "python-event-loop.md",
    ROOT / "docs" / "python-dag.md",
    ROOT / "docs" / "python-processes.md",
    ROOT / "docs" / "python-ports.md",
    ROOT / "docs" / "python-supervision.md",
    ROOT / "docs" / "coming-from.md",
]
SNIPPETS = [(page.name, snippet) for page in PAGES for snippet in snippets(page.read_text())]


def command(snippet: Snippet, folder: Path) -> list[str]:
    """What runs the snippet; C and C++ are compiled first, against the headers and library that `make build` left."""
    source = folder / {"python": "snippet.py", "c": "snippet.c", "cpp": "snippet.cpp"}[snippet.language]
    source.write_text(snippet.code)
    if snippet.language == "python":
        return [sys.executable, str(source)]
    program = folder / "snippet"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    library = [f"-L{LIBRARY_DIR}", f"-Wl,-rpath,{LIBRARY_DIR}", "-lcoop", "-pthread"]
    include = f"-I{ROOT / 'include'}"
    compiled = subprocess.run(
        [*COMPILERS[snippet.language], *warnings, include, str(source), "-o", str(program), *library],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert compiled.returncode == 0, compiled.stderr
    return [str(program)]


@pytest.mark.parametrize(
    ("page", "snippet"), SNIPPETS, ids=[f"{page}-{one.language}-line-{one.line}" for page, one in SNIPPETS]
)
def test_a_snippet_runs(page: str, snippet: Snippet, tmp_path: Path) -> None:
    ran = subprocess.run(
        command(snippet, tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert ran.returncode == 0, f"{page}:{snippet.line}: exit {ran.returncode}\n{ran.stderr}"
    if snippet.output is not None:
        assert ran.stdout == snippet.output, f"{page}:{snippet.line}"


def test_each_language_is_shown() -> None:
    assert {snippet.language for _, snippet in SNIPPETS} == {"python", "c", "cpp"}


def test_an_output_belongs_to_the_snippet_right_before_it() -> None:
    markdown = "```python\nprint(1)\n```\n\n```text\n1\n```\n\n```c\nint x;\n```\nwords\n```text\n2\n```\n"
    assert [(s.language, s.code, s.line, s.output) for s in snippets(markdown)] == [
        ("python", "print(1)\n", 1, "1\n"),
        ("c", "int x;\n", 9, None),
    ]
