"""Writes the C of a library with nothing in it, made of coop.h, for .ci/abi to compare.

    cc -E -P coop.h | stub.py coop.h FOLDER

Binaries have no macros, and a struct that begins with its size may grow at its end. So besides the functions there are:

* a variable for every constant, with its number in the name;
* for every field of the structs that may grow, a variable of its type, and an array as long as its offset (and one
  more); the functions themselves see these structs as opaque.

Then what is new adds names, and every other change takes one away or alters its type.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

STRUCT = re.compile(r"^typedef struct(?: \w+)? \{\n(?P<body>.*?)^\} (?P<name>coop_\w+);\n", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"^(?!typedef|static)[a-z][^;{}]*?\bcoop_\w+\([^;]*\);", re.MULTILINE)
CONSTANT = re.compile(r"^#define (COOP_(?!VERSION_)\w+) \(?(-?\d+)\)?$", re.MULTILINE)
FIELD = re.compile(r"^ +\S[^;]*;", re.MULTILINE)
NAME = re.compile(r"(?<=\(\*)\w+(?=\))|\w+(?=(?:\[\d+\])?;)")


def stub(header: str, preprocessed: str) -> tuple[str, str]:
    """Two files: one with the growing structs opaque, one with the numbers."""
    numbers = [f"char {name}_is_{number.replace('-', 'minus_')};" for name, number in CONSTANT.findall(header)]
    variables = []

    def opaque(struct: re.Match[str]) -> str:
        name, fields = struct["name"], FIELD.findall(struct["body"])
        if fields[0].split() != ["size_t", "size;"]:
            return struct[0]
        for field in fields:
            found = NAME.search(field)
            assert found, f"{name}: no name in {field}"
            before, after = field[: found.start()].strip(), field[found.end() :]
            numbers.append(f"char offset_of_{found[0]}_of_{name}[1 + offsetof({name}, {found[0]})];")
            variables.append(f"{before} {found[0]}_of_{name}{after}")
        return f"typedef struct {name} {name};\n"

    declarations = STRUCT.sub(opaque, preprocessed)
    functions = [text.removesuffix(";") + " { __builtin_trap(); }" for text in FUNCTION.findall(declarations)]
    first = [declarations, *variables, *functions, ""]
    second = ['#include "coop.h"', *numbers, ""]
    return "\n".join(first), "\n".join(second)


if __name__ == "__main__":
    header, folder = map(Path, sys.argv[1:])
    interface, numbers = stub(header.read_text(), sys.stdin.read())
    (folder / "interface.c").write_text(interface)
    (folder / "numbers.c").write_text(numbers)
