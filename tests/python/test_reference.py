"""docs/reference has every function, type and constant of coop.h on one page, and each page is whole.

No documentation tool is needed: the pages are read as the filter of the tool reads them.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ["What it is", "Lifetimes", "Threads", "Errors", "Example", "Functions"]


def load() -> ModuleType:
    """The filter that the documentation is built with: what it reads is what is checked."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load()
PAGES: list[Path] = sorted(reference.PAGES.glob("*.md"))
DECLARED: list[str] = reference.declarations(reference.HEADER.read_text())
LISTED: list[tuple[str, Path]] = [(name, page) for page in PAGES for name in reference.listed(page.read_text())]


def page_for(name: str) -> str:
    """Where a new name probably belongs: to the page that lists the name it shares most with."""

    def shared(other: str) -> int:
        parts = zip(name.lower().split("_"), other.lower().split("_"), strict=False)
        return next((index for index, (left, right) in enumerate(parts) if left != right), 99)

    return str(max(LISTED, key=lambda entry: shared(entry[0]))[1].relative_to(ROOT))


def test_all_that_coop_h_declares_is_found() -> None:
    symbols = (ROOT / "ffi" / "coop.symbols").read_text().split()
    assert set(symbols) <= set(DECLARED)
    assert {"coop_pool", "coop_datagram", "coop_timer_id", "COOP_E_STALE"} <= set(DECLARED)


def test_each_declaration_is_on_one_page() -> None:
    listed = [name for name, _ in LISTED]
    missing = [
        f'{page_for(name)}: add the line "- `{name}`" under "## Functions"' for name in DECLARED if name not in listed
    ]
    assert not missing, "new in coop.h, and on no page of docs/reference; probably:\n" + "\n".join(missing)
    assert not [name for name in listed if listed.count(name) > 1], "on more than one page of docs/reference"
    gone = [f"{page.relative_to(ROOT)}: {name}" for name, page in LISTED if name not in DECLARED]
    assert not gone, "on a page of docs/reference, and not in coop.h any more:\n" + "\n".join(gone)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_whole(page: Path) -> None:
    text = page.read_text()
    parts = reference.sections(text)
    assert [name for name in parts if name] == SECTIONS
    assert not [name for name in SECTIONS if not parts[name]], "an empty section"
    assert re.match(r"1\. ", parts["Lifetimes"]), "lifetimes are numbered"
    title = text.split("\n", 1)[0].removeprefix("# ")
    assert title in reference.listed(text), "a page is about one of the names it lists"
    examples = reference.EXAMPLE.findall(parts["Example"])
    assert examples, "an example is a link to a file of examples-c"
    for words, target in examples:
        assert words == target
        # Each file there is a ctest, by the glob of tests/CMakeLists.txt.
        assert (ROOT / "examples-c" / target).is_file()
        assert Path(target).suffix in (".c", ".cpp")


def test_the_contents_name_every_page() -> None:
    contents = (ROOT / "docs" / "README.md").read_text()
    assert sorted(re.findall(r"\(reference/(\w+)\.md\)", contents)) == [page.stem for page in PAGES]
