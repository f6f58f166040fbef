#!/usr/bin/env python3
"""Doxygen's input filter: joins coop.h and the pages of docs/reference.

A page is plain Markdown. Its last section, "Functions", lists the declarations that belong to it, a "- `name`" each.
Its section "Example" names a file of examples-c. Of the page this makes a Doxygen group with the example in it, and
of coop.h a header whose comments say which group each declaration is in.

    reference.py FILE      what Doxygen reads instead of FILE
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
HEADER = ROOT / "include" / "coop.h"

LISTED = re.compile(r"^- `(\w+)`$", re.MULTILINE)
EXAMPLE = re.compile(r"\[examples-c/([\w.]+)\]\(\.\./\.\./examples-c/([\w.]+)\)")
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
# A comment, and the declaration after it as far as its name is in it.
DECLARATION = re.compile(
    r"^/\*\s((?:(?!\*/).)*)\*/\n(typedef struct \{.*?^\} \w+;|#define [^\n]*|[^\n#/][^;]*;)", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[([^\]]+)\]\((?:reference/)?(\w+)\.md\)")


def sections(page: str) -> dict[str, str]:
    """The title's text under "", and each section's by its heading."""
    parts = SECTION.split(page)
    return {"": parts[0], **{name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}}


def listed(page: str) -> list[str]:
    """The declarations that a page names as its own."""
    return LISTED.findall(sections(page).get("Functions", ""))


def declared_name(declaration: str) -> str:
    """Of a struct, a typedef, a macro or a function."""
    if declaration.startswith("#define"):
        return re.split(r"\W", declaration.removeprefix("#define "))[0]
    pointer = re.match(r"typedef [^;{]*?\(\*(\w+)\)", declaration)
    if pointer:
        return pointer[1]
    if declaration.startswith("typedef"):
        words: list[str] = re.findall(r"\w+", declaration)
        return words[-1]
    found = re.search(r"(\w+)\s*\(", declaration)
    return found[1] if found else ""


def declarations(header: str) -> list[str]:
    """What coop.h declares with a comment of its own."""
    return [name for _, declaration in DECLARATION.findall(header) if (name := declared_name(declaration))]


def filtered_header(header: str) -> str:
    groups = {name: path.stem for path in PAGES.glob("*.md") for name in listed(path.read_text())}

    def comment(match: re.Match[str]) -> str:
        text, declaration = match.groups()
        group = groups.get(declared_name(declaration))
        # Comments of fields are Doxygen's too.
        declaration = declaration.replace("    /*\n", "    /**\n")
        return f"/** @ingroup {group}\n{text}*/\n{declaration}" if group else f"/**\n{text}*/\n{declaration}"

    return "/** @file */\n" + DECLARATION.sub(comment, header)


def filtered_page(path: Path) -> str:
    page = path.read_text()
    title = page.split("\n", 1)[0].lstrip("# ").strip()
    parts = sections(page)
    body = [parts[""].split("\n", 1)[1]]
    for number, (name, text) in enumerate(parts.items()):
        if name in ("", "Functions"):
            continue
        text = EXAMPLE.sub(r"\n@include \1\n", text)
        body.append(f"@section {path.stem}_{number} {name}\n\n{text}\n")
    text = linked("\n".join(body))
    return f"/** @defgroup {path.stem} {title}\n{text}\n*/\n"


def linked(text: str) -> str:
    """Links between pages, in Doxygen's words."""

    def link(match: re.Match[str]) -> str:
        words, page = match.groups()
        return f'@ref {page} "{words}"'

    return LINK.sub(link, text)


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    text = path.read_text()
    if path == HEADER:
        text = filtered_header(text)
    elif path.parent == PAGES:
        text = filtered_page(path)
    else:
        title, body = text.split("\n", 1)
        command = "mainpage" if path.stem == "README" else f"page {path.stem}"
        text = f"/** @{command} {title.lstrip('# ')}\n{linked(body)}\n*/\n"
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
